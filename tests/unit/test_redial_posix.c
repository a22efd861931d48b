/* Connecting again, where it takes Unix sockets to show it, and which failures are worth it. */
#include "transport_test.h"

#include "core/log.h"
#include "os/os.h"
#include "program/redial.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct rig {
    struct place place;
    struct addr addr;
    struct waker *waker;
    struct conn *conn;
    struct err err;
    unsigned lines; /* of the log */
} rig;

/* Before each line of the log, which is one for each failed try that is not the last. */
static void on_line(void) {
    rig.lines++;
}

static int setup(void **state) {
    (void)state;
    memset(&rig, 0, sizeof rig);
    place_make(&rig.place);
    rig.addr = address_of(false, "unix:", rig.place.path);
    log_setup("test", LOG_INFO);
    return waker_new(&rig.waker, &rig.err);
}

static int teardown(void **state) {
    (void)state;
    log_set_hook(NULL);
    waker_free(rig.waker);
    addr_free(&rig.addr);
    place_remove(&rig.place);
    return 0;
}

static int dial_by(uint32_t retries, int delay_ms, int64_t deadline_ms) {
    const struct retry_policy policy = {.retries = retries, .delay_ms = delay_ms, .try_ms = PATIENT_MS};
    return redial(&rig.addr, &policy, deadline_ms, rig.waker, &rig.conn, &rig.err);
}

static void a_failure_that_stays_is_not_tried_again(void **state) {
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", rig.place.path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    log_set_hook(on_line);
    assert_int_equal(dial_by(RETRY_FOREVER, 0, INT64_MAX), -1);
    assert_int_equal(rig.err.sys, EPROTOTYPE);
    assert_int_equal(rig.lines, 0);
    assert_null(strstr(rig.err.msg, "tried"));
    assert_int_equal(close(fd), 0);
}

static void being_woken_ends_a_try(void **state) {
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", rig.place.path);
    int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(door, 0), 0); /* room for one that nobody accepts */
    assert_int_equal(connect(first, (struct sockaddr *)&un, sizeof un), 0);
    waker_wake(rig.waker);
    assert_int_equal(dial_by(RETRY_FOREVER, 0, INT64_MAX), -1);
    assert_int_equal(rig.err.code, EXIT_SIGNAL);
    assert_says(&rig.err, "interrupted while connecting");
    assert_int_equal(close(first), 0);
    assert_int_equal(close(door), 0);
}

static void which_failures_are_early_depends_on_the_transport(void **state) {
    (void)state;
    static const struct {
        const char *address;
        unsigned retries;
        bool enoent, refused, reset, timed_out, nodev;
    } rows[] = {
        {"unix:/x", 0, true, true, false, false, false},
        {"tcp://127.0.0.1:9", 0, true, true, false, false, false},
        {"vsock-mux:/x:9", 5, true, true, true, true, false},
        {"vsock://3:9", 5, false, true, true, true, true},
        {"exec:cat", 0, false, false, false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr addr = address_of(false, rows[i].address, "");
        assert_int_equal(addr_retries(&addr), rows[i].retries);
        assert_int_equal(dial_is_early(&addr, &(struct err){.sys = ENOENT}), rows[i].enoent);
        assert_int_equal(dial_is_early(&addr, &(struct err){.sys = ECONNREFUSED}), rows[i].refused);
        assert_int_equal(dial_is_early(&addr, &(struct err){.sys = ECONNRESET}), rows[i].reset);
        assert_int_equal(dial_is_early(&addr, &(struct err){.sys = ETIMEDOUT}), rows[i].timed_out);
        assert_int_equal(dial_is_early(&addr, &(struct err){.sys = ENODEV}), rows[i].nodev);
        assert_false(dial_is_early(&addr, &(struct err){.sys = EACCES}));
        assert_false(dial_is_early(&addr, &(struct err){.sys = 0}));
        addr_free(&addr);
    }
}

/* These want dialling to fail at once, which it does not over TCP. */
static void being_woken_ends_the_wait_for_another_try(void **state) {
    (void)state;
    waker_wake(rig.waker);
    assert_int_equal(dial_by(RETRY_FOREVER, 86400000, INT64_MAX), -1);
    assert_int_equal(rig.err.code, EXIT_SIGNAL);
    assert_says(&rig.err, "interrupted while waiting to try again");
    assert_says(&rig.err, "no such socket");
}

static void a_deadline_that_passed_leaves_one_try(void **state) {
    (void)state;
    assert_int_equal(dial_by(RETRY_FOREVER, 0, os_now_ms()), -1);
    assert_int_equal(rig.err.code, EXIT_SOCKET);
    assert_null(strstr(rig.err.msg, "tried"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(being_woken_ends_the_wait_for_another_try, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deadline_that_passed_leaves_one_try, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_that_stays_is_not_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(being_woken_ends_a_try, setup, teardown),
        cmocka_unit_test(which_failures_are_early_depends_on_the_transport),
    };
    return cmocka_run_group_tests_name("redial_posix", tests, NULL, NULL);
}
