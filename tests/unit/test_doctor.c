/* doctor: each failure names its likely cause and what to do, with the address's own port and path. The failures are
 * invented, so that no socket is made. */
#include "transport_test.h"

#include "program/doctor.h"

#include <errno.h>

static struct findings f;

/* The one finding about this failure. */
static const struct finding *explained(enum doctor_step step, const char *address, int code, int sys) {
    struct addr addr = address_of(step == STEP_LISTEN, address, "");
    struct err err = {.code = 0};
    (void)err_set(&err, code, "the words of the error");
    err.sys = sys;
    memset(&f, 0, sizeof f);
    doctor_explain(&f, step, &addr, &err);
    addr_free(&addr);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.all[0].level, FINDING_FAIL);
    assert_int_equal(f.all[0].code, code);
    assert_null(strchr(f.all[0].detail, '{'));
    return &f.all[0];
}

static void assert_part(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' does not say '%s'", text, part);
}

static const struct {
    enum doctor_step step;
    const char *address;
    int code, sys;
    const char *cause, *remedy;
} rows[] = {
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, ECONNRESET,
     "nobody listens at CID 42 on port 2761 (Connection reset by peer)", "hvrecv --listen vsock://:2761 DIR"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, ECONNREFUSED, "nobody listens at CID 42 on port 2761",
     "hvrecv --listen"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, ENODEV, "no machine with CID 42", "guest-cid=42"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_CONNECT_TIMEOUT, ETIMEDOUT, "CID 42 does not answer",
     "00000ac9-facb-11e6-bd58-64006a7986d3'"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, EAFNOSUPPORT, "this kernel has no vsock",
     "modprobe vsock"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, EACCES, "may not use vsock",
     "RestrictAddressFamilies=AF_VSOCK"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, EPERM, "may not use vsock", "seccomp"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, EHOSTUNREACH, "nothing leads to CID 42",
     "modprobe vhost_vsock"},
    {STEP_CONNECT, "vsock://42:2761", EXIT_SOCKET, ENETUNREACH, "nothing leads to CID 42",
     "modprobe vhost_vsock"},
    {STEP_LISTEN, "vsock://:80", EXIT_SOCKET, EACCES, "port 80: those below 1024 are for root",
     "from 1024 on"},
    {STEP_LISTEN, "vsock://:2761", EXIT_SOCKET, EADDRINUSE, "another process listens on port 2761",
     "ss --vsock"},
    {STEP_LISTEN, "vsock://7:2761", EXIT_SOCKET, EADDRNOTAVAIL, "CID 7 is not this machine's",
     "vsock://:2761"},
    {STEP_LISTEN, "vsock://:2761", EXIT_SOCKET, EAFNOSUPPORT, "no vsock", "modprobe vsock"},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_SOCKET, ENOENT, "no socket /run/vm",
     "\"uds_path\": \"/run/vm\""},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_SOCKET, ECONNREFUSED, "/run/vm is a leftover", "rm /run/vm"},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_SOCKET, ECONNRESET, "nobody in the guest listens on port 5",
     "in the guest: hvrecv --listen vsock://:5 DIR"},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_CONNECT_TIMEOUT, ETIMEDOUT, "paused, or its guest is booting",
     "--retry forever"},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_SOCKET, EBADMSG, "/run/vm is no VM", "unix:/run/vm"},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_SOCKET, EMSGSIZE, "/run/vm is no VM", "unix:/run/vm"},
    {STEP_CONNECT, "vsock-mux:/run/vm:5", EXIT_SOCKET, EACCES, "may not write to /run/vm", "as root"},
    {STEP_CONNECT, "unix:/run/s", EXIT_SOCKET, ENOENT, "no socket /run/s", "hvrecv --listen unix:/run/s DIR"},
    {STEP_CONNECT, "unix:/run/s", EXIT_SOCKET, ECONNREFUSED, "/run/s is a leftover",
     "hvrecv --listen unix:/run/s DIR"},
    {STEP_CONNECT, "unix:/run/s", EXIT_SOCKET, EACCES, "may not write to /run/s", "chmod a+w /run/s"},
    {STEP_CONNECT, "unix:/run/s", EXIT_SOCKET, EPROTOTYPE, "no stream socket", "correct the path"},
    {STEP_CONNECT, "unix:/run/s", EXIT_CONNECT_TIMEOUT, ETIMEDOUT, "accepts nobody", "start it anew"},
    {STEP_CONNECT, "tcp://127.0.0.1:9", EXIT_SOCKET, ECONNREFUSED, "nobody listens on port 9",
     "hvrecv --listen tcp://127.0.0.1:9 DIR"},
    {STEP_CONNECT, "tcp://127.0.0.1:9", EXIT_CONNECT_TIMEOUT, ETIMEDOUT, "firewall", "ping"},
    {STEP_CONNECT, "tcp://127.0.0.1:9", EXIT_SOCKET, EHOSTUNREACH, "no way to that machine", "ip route"},
    {STEP_CONNECT, "tcp://127.0.0.1:9", EXIT_SOCKET, ENETUNREACH, "no way to that machine", "ip route"},
    {STEP_LISTEN, "tcp://127.0.0.1:9", EXIT_SOCKET, EADDRINUSE, "another process listens on port 9",
     "ss -ltnp"},
    {STEP_PEER, "tcp://127.0.0.1:9", EXIT_PROTOCOL, 0, "no hvferry, or one of another version",
     "same version"},
    {STEP_PEER, "unix:/run/s", EXIT_TIMEOUT, 0, "says nothing", "which program listens"},
    {STEP_PEER, "vsock://3:9", EXIT_STREAM, 0, "closed at once", "what the other end says"},
    {STEP_PEER, "vsock://3:9", EXIT_SOCKET, ECONNRESET, "closed at once", "what the other end says"},
    {STEP_PEER, "exec:cat", EXIT_STREAM, 0, "no hvferry with --stdio (the words of the error)", "by hand"},
};

static void each_failure_names_its_cause_and_what_to_do(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct finding *found = explained(rows[i].step, rows[i].address, rows[i].code, rows[i].sys);
        assert_part(found->detail, rows[i].cause);
        assert_part(found->remedy, rows[i].remedy);
    }
}

static void the_steps_have_names(void **state) {
    (void)state;
    assert_string_equal(explained(STEP_CONNECT, "unix:/s", EXIT_SOCKET, ENOENT)->what, "connect");
    assert_string_equal(explained(STEP_LISTEN, "unix:/s", EXIT_SOCKET, EACCES)->what, "listen");
    assert_string_equal(explained(STEP_PEER, "unix:/s", EXIT_TIMEOUT, 0)->what, "peer");
}

static void a_failure_without_a_known_cause_keeps_its_own_words(void **state) {
    (void)state;
    const struct finding *found = explained(STEP_CONNECT, "vsock://3:9", EXIT_SOCKET, EXDEV);
    assert_string_equal(found->detail, "the words of the error");
    assert_string_equal(found->remedy, "");
    found = explained(STEP_LISTEN, "unix:/s", EXIT_SOCKET, ECONNRESET);
    assert_string_equal(found->detail, "the words of the error");
}

static void every_row_of_the_table_is_reached_and_complete(void **state) {
    (void)state;
    for (const struct cause *c = doctor_causes; c->cause; c++) {
        assert_true(c->cause[0] && c->remedy && c->remedy[0]);
        bool reached = false;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !reached; i++)
            reached = c->step == rows[i].step && (c->sys == 0 || c->sys == rows[i].sys) &&
                      (c->code == 0 || c->code == rows[i].code) &&
                      (c->scheme == NULL || (strncmp(rows[i].address, c->scheme, strlen(c->scheme)) == 0 &&
                                             rows[i].address[strlen(c->scheme)] == ':'));
        if (!reached)
            fail_msg("no test has: %s", c->cause);
    }
}

static void a_path_cannot_steer_the_terminal(void **state) {
    (void)state;
    const struct finding *found = explained(STEP_CONNECT, "unix:/run/\033[1m", EXIT_SOCKET, ENOENT);
    assert_null(strchr(found->detail, '\033'));
    assert_null(strchr(found->remedy, '\033'));
}

static void long_words_are_cut_and_not_overrun(void **state) {
    (void)state;
    char address[120] = "unix:/";
    memset(address + 6, 1, 100); /* four characters each when they are escaped */
    const struct finding *found = explained(STEP_CONNECT, address, EXIT_SOCKET, EACCES);
    assert_true(strlen(found->detail) < ERR_MESSAGE_MAX);
    assert_true(strlen(found->remedy) < ERR_MESSAGE_MAX);
}

/* ---- Whole addresses, on Unix sockets ---- */

static void an_address_that_is_none_is_the_first_failure(void **state) {
    (void)state;
    const struct options o = {.connect_timeout_ms = PATIENT_MS};
    memset(&f, 0, sizeof f);
    doctor_address(&f, "nowhere", &o);
    assert_int_equal(f.count, 1);
    assert_int_equal(findings_code(&f), EXIT_USAGE);
    assert_string_equal(f.all[0].what, "address");
    assert_part(f.all[0].detail, "not an address");
}

static void a_listening_address_is_tried_and_left_as_it_was(void **state) {
    (void)state;
    struct place place;
    char text[128];
    place_make(&place);
    (void)snprintf(text, sizeof text, "unix:%s", place.path);
    const struct options o = {.listen = text};
    memset(&f, 0, sizeof f);
    doctor_address(&f, text, &o);
    assert_int_equal(findings_code(&f), EXIT_OK);
    assert_string_equal(f.all[f.count - 1].what, "listen");
    assert_int_equal(access(place.path, F_OK), -1);
    place_remove(&place);
}

static void a_file_in_the_place_of_a_socket_is_found_before_connecting(void **state) {
    (void)state;
    struct place place;
    char text[128];
    place_make(&place);
    (void)snprintf(text, sizeof text, "unix:%s", place.path);
    FILE *file = fopen(place.path, "we");
    assert_non_null(file);
    (void)fclose(file);
    const struct options o = {.connect_timeout_ms = PATIENT_MS};
    memset(&f, 0, sizeof f);
    doctor_address(&f, text, &o);
    assert_int_equal(findings_code(&f), EXIT_SOCKET);
    assert_string_equal(f.all[f.count - 1].what, "route");
    assert_part(f.all[f.count - 1].detail, "is no socket");
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_names_its_cause_and_what_to_do),
        cmocka_unit_test(the_steps_have_names),
        cmocka_unit_test(a_failure_without_a_known_cause_keeps_its_own_words),
        cmocka_unit_test(every_row_of_the_table_is_reached_and_complete),
        cmocka_unit_test(a_path_cannot_steer_the_terminal),
        cmocka_unit_test(long_words_are_cut_and_not_overrun),
        cmocka_unit_test(an_address_that_is_none_is_the_first_failure),
        cmocka_unit_test(a_listening_address_is_tried_and_left_as_it_was),
        cmocka_unit_test(a_file_in_the_place_of_a_socket_is_found_before_connecting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
