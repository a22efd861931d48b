/* vsock-mux: against a VMM of the test's own, which says exactly what it is told to. */
#include "transport_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* What the VMM does with its one connection: read the request line, write the pieces one by one, then close,
 * echo until EOF, or hold the connection until the dialing end closes it. */
enum then { CLOSE, ECHO, HOLD };

struct vmm {
    struct place place;
    pthread_t thread;
    int listener;
    const char *pieces[16];
    enum then then;
    char request[64]; /* what came, with its newline */
};

static void read_request(struct vmm *vmm, int fd) {
    size_t n = 0;
    while (n < sizeof vmm->request - 1 && recv(fd, vmm->request + n, 1, 0) == 1)
        if (vmm->request[n++] == '\n')
            break;
    vmm->request[n] = '\0';
}

static void *serve(void *arg) {
    struct vmm *vmm = arg;
    char byte;
    int fd = accept4(vmm->listener, NULL, NULL, SOCK_CLOEXEC);
    read_request(vmm, fd);
    for (size_t i = 0; vmm->pieces[i]; i++)
        (void)send(fd, vmm->pieces[i], strlen(vmm->pieces[i]), MSG_NOSIGNAL);
    while (vmm->then != CLOSE && recv(fd, &byte, 1, 0) == 1)
        if (vmm->then == ECHO)
            (void)send(fd, &byte, 1, MSG_NOSIGNAL);
    (void)close(fd);
    return NULL;
}

static void vmm_start(struct vmm *vmm) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    place_make(&vmm->place);
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", vmm->place.path);
    vmm->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(vmm->listener, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(vmm->listener, 1), 0);
    assert_int_equal(pthread_create(&vmm->thread, NULL, serve, vmm), 0);
}

static void vmm_end(struct vmm *vmm) {
    assert_int_equal(pthread_join(vmm->thread, NULL), 0);
    assert_int_equal(close(vmm->listener), 0);
    place_remove(&vmm->place);
}

static struct conn *dial(const struct vmm *vmm) {
    char rest[128];
    (void)snprintf(rest, sizeof rest, "%s:2761", vmm->place.path);
    return must_dial("vsock-mux:", rest);
}

/* The dial fails after these answers; its err. */
static struct err refused(struct vmm *vmm, int timeout_ms) {
    char rest[128];
    vmm_start(vmm);
    (void)snprintf(rest, sizeof rest, "%s:2761", vmm->place.path);
    struct err err = failed_dial("vsock-mux:", rest, timeout_ms);
    vmm_end(vmm);
    return err;
}

static void the_request_is_one_exact_line(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"OK 1073741824\n"}, .then = ECHO};
    vmm_start(&vmm);
    struct conn *conn = dial(&vmm);
    put(conn, "hello");
    expect(conn, "hello");
    assert_non_null(strstr(conn_peer(conn), "vsock-mux:/"));
    assert_int_equal(conn_close(conn, NULL), 0);
    vmm_end(&vmm);
    assert_string_equal(vmm.request, "CONNECT 2761\n");
}

static void an_answer_in_single_bytes_is_understood(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"O", "K", " ", "1", "2", "\n"}, .then = ECHO};
    vmm_start(&vmm);
    struct conn *conn = dial(&vmm);
    put(conn, "x");
    expect(conn, "x");
    assert_int_equal(conn_close(conn, NULL), 0);
    vmm_end(&vmm);
}

static void data_right_behind_the_newline_is_not_lost(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"OK 7\nfirst bytes\nof the stream"}, .then = CLOSE};
    vmm_start(&vmm);
    struct conn *conn = dial(&vmm);
    expect(conn, "first bytes\nof the stream");
    expect_eof(conn);
    assert_int_equal(conn_close(conn, NULL), 0);
    vmm_end(&vmm);
}

static void a_closed_connection_means_that_nobody_listens_in_the_guest(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {NULL}, .then = CLOSE};
    struct err err = refused(&vmm, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "port 2761");
    assert_says(&err, "--listen");
}

static void an_answer_cut_before_its_newline_is_an_error(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"OK 12"}, .then = CLOSE};
    struct err err = refused(&vmm, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
}

static void an_answer_that_never_comes_is_a_connect_timeout(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {NULL}, .then = HOLD};
    struct err err = refused(&vmm, TINY_MS);
    assert_int_equal(err.code, EXIT_CONNECT_TIMEOUT);
    assert_says(&err, "did not answer");
}

static void an_answer_without_its_newline_is_a_connect_timeout(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"OK 12"}, .then = HOLD};
    struct err err = refused(&vmm, TINY_MS);
    assert_int_equal(err.code, EXIT_CONNECT_TIMEOUT);
}

static void an_answer_without_an_end_is_refused(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"OK 1111111111111111111111111111111111111111111111111111111"}, .then = HOLD};
    struct err err = refused(&vmm, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "no end");
}

static void any_other_answer_is_refused_and_shown_escaped(void **state) {
    (void)state;
    static const char *const answers[] = {"\n",        "OK\n",     "OK \n",    "ok 1\n",  "OK x\n",
                                          "OK 1 \n",   "OK -1\n",  "OK1\n",    " OK 1\n", "OK 1\r\n",
                                          "ERROR 1\n", "OKAY 1\n", "\033[1m\n"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct vmm vmm = {.pieces = {answers[i]}, .then = HOLD};
        struct err err = refused(&vmm, PATIENT_MS);
        assert_int_equal(err.code, EXIT_SOCKET);
        assert_says(&err, "not OK");
        assert_null(strchr(err.msg, '\033'));
    }
}

static void being_woken_ends_the_wait_for_an_answer(void **state) {
    (void)state;
    struct vmm vmm = {.pieces = {"O"}, .then = HOLD};
    char rest[128];
    struct waker *waker;
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    vmm_start(&vmm);
    (void)snprintf(rest, sizeof rest, "%s:2761", vmm.place.path);
    struct addr addr = address_of(false, "vsock-mux:", rest);
    assert_int_equal(waker_new(&waker, NULL), 0);
    waker_wake(waker);
    assert_int_equal(conn_dial(&addr, FOREVER, waker, &conn, &err), -1);
    assert_null(conn);
    assert_int_equal(err.code, EXIT_SIGNAL);
    assert_says(&err, "interrupted while connecting");
    waker_free(waker);
    addr_free(&addr);
    vmm_end(&vmm);
}

static void a_guest_that_does_not_listen_yet_is_early_and_a_foreign_socket_is_not(void **state) {
    (void)state;
    struct vmm closes = {.pieces = {NULL}, .then = CLOSE}, silent = {.pieces = {NULL}, .then = HOLD};
    struct vmm foreign = {.pieces = {"220 ready\n"}, .then = HOLD};
    struct addr addr = address_of(false, "vsock-mux:", "/x:1");
    struct err err = refused(&closes, PATIENT_MS);
    assert_true(dial_is_early(&addr, &err));
    err = refused(&silent, TINY_MS);
    assert_true(dial_is_early(&addr, &err));
    err = refused(&foreign, PATIENT_MS);
    assert_false(dial_is_early(&addr, &err));
    addr_free(&addr);
}

static void without_a_vmm_the_dial_says_so(void **state) {
    (void)state;
    struct place place;
    char rest[128];
    place_make(&place);
    (void)snprintf(rest, sizeof rest, "%s:2761", place.path);
    struct err err = failed_dial("vsock-mux:", rest, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ENOENT);
    assert_says(&err, "start the VM");
    place_remove(&place);
}

static void listening_is_on_the_path_with_the_port_behind_it(void **state) {
    (void)state;
    struct place place;
    struct stat st;
    char rest[128], path[128];
    place_make(&place);
    (void)snprintf(rest, sizeof rest, "%s:2761", place.path);
    (void)snprintf(path, sizeof path, "%s_2761", place.path);
    struct listener *listener = must_listen("vsock-mux:", rest);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(stat(place.path, &st), -1); /* the VMM's own, which is not ours to make */
    struct conn *vmm = must_dial("unix:", path), *conn = must_accept(listener);
    put(vmm, "from the guest"); /* no handshake in this direction */
    expect(conn, "from the guest");
    assert_int_equal(strncmp(conn_peer(conn), "vsock-mux:/", 11), 0);
    assert_int_equal(conn_peer_id(conn)->kind, PEER_UNKNOWN); /* not the VMM, which has credentials */
    assert_int_equal(conn_close(vmm, NULL), 0);
    expect_eof(conn);
    assert_int_equal(conn_close(conn, NULL), 0);
    listener_close(listener);
    assert_int_equal(stat(path, &st), -1);
    place_remove(&place);
}

static void a_path_that_the_port_makes_too_long_is_refused_when_listening(void **state) {
    (void)state;
    char rest[160] = "/tmp/";
    memset(rest + 5, 'x', 100);
    (void)strcpy(rest + 105, ":2761");
    struct addr addr = address_of(false, "vsock-mux:", rest); /* long enough to dial */
    struct listener *listener = NULL;
    struct err err = {.code = 0};
    assert_int_equal(listener_open(&addr, &listener, &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
    assert_says(&err, "too long");
    assert_null(listener);
    addr_free(&addr);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_one_exact_line),
        cmocka_unit_test(an_answer_in_single_bytes_is_understood),
        cmocka_unit_test(data_right_behind_the_newline_is_not_lost),
        cmocka_unit_test(a_closed_connection_means_that_nobody_listens_in_the_guest),
        cmocka_unit_test(an_answer_cut_before_its_newline_is_an_error),
        cmocka_unit_test(an_answer_that_never_comes_is_a_connect_timeout),
        cmocka_unit_test(an_answer_without_its_newline_is_a_connect_timeout),
        cmocka_unit_test(an_answer_without_an_end_is_refused),
        cmocka_unit_test(any_other_answer_is_refused_and_shown_escaped),
        cmocka_unit_test(being_woken_ends_the_wait_for_an_answer),
        cmocka_unit_test(a_guest_that_does_not_listen_yet_is_early_and_a_foreign_socket_is_not),
        cmocka_unit_test(without_a_vmm_the_dial_says_so),
        cmocka_unit_test(listening_is_on_the_path_with_the_port_behind_it),
        cmocka_unit_test(a_path_that_the_port_makes_too_long_is_refused_when_listening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
