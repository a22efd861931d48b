/* Connecting again while the other end is not there yet. Waits are 0, or end because the waker was woken before. */
#include "door_help.h"

#include "core/log.h"
#include "os/os.h"
#include "program/redial.h"

#include <errno.h>

static struct rig {
    struct door door;
    struct addr addr;
    struct waker *waker;
    struct conn *conn;
    struct err err;
    struct listener *late; /* opened by the second line of the log */
    unsigned lines; /* of the log */
} rig;

/* Before each line of the log, which is one for each failed try that is not the last. */
static void on_line(void) {
    if (++rig.lines == 2)
        rig.late = must_listen(rig.door.address, "");
}

static int setup(void **state) {
    (void)state;
    memset(&rig, 0, sizeof rig);
    door_make(&rig.door);
    rig.addr = address_of(false, rig.door.address, "");
    log_setup("test", LOG_INFO);
    return waker_new(&rig.waker, &rig.err);
}

static int teardown(void **state) {
    (void)state;
    log_set_hook(NULL);
    waker_free(rig.waker);
    addr_free(&rig.addr);
    listener_close(rig.late);
    return 0;
}

static int dial_by(uint32_t retries, int delay_ms, int64_t deadline_ms) {
    const struct retry_policy policy = {.retries = retries, .delay_ms = delay_ms, .try_ms = PATIENT_MS};
    return redial(&rig.addr, &policy, deadline_ms, rig.waker, &rig.conn, &rig.err);
}

static void without_retries_one_failure_is_the_end(void **state) {
    (void)state;
    log_set_hook(on_line);
    assert_int_equal(dial_by(0, 0, INT64_MAX), -1);
    assert_int_equal(rig.err.code, EXIT_SOCKET);
    assert_int_equal(rig.err.sys, DOOR_MISSING);
    assert_null(strstr(rig.err.msg, "tried"));
    assert_int_equal(rig.lines, 0);
}

static void the_last_error_says_how_often_it_was_tried(void **state) {
    (void)state;
    assert_int_equal(dial_by(3, 0, INT64_MAX), -1);
    assert_int_equal(rig.err.code, EXIT_SOCKET);
    assert_int_equal(rig.err.sys, DOOR_MISSING);
    assert_says(&rig.err, DOOR_MISSING_SAYS);
    assert_says(&rig.err, "(tried 4 times in ");
    assert_null(rig.conn);
}

static void an_end_that_comes_late_is_reached(void **state) {
    (void)state;
    log_set_hook(on_line);
    if (dial_by(RETRY_FOREVER, 0, INT64_MAX))
        fail_msg("%s", rig.err.msg);
    assert_int_equal(rig.lines, 2);
    struct conn *server = must_accept(rig.late);
    put(rig.conn, "x");
    expect(server, "x");
    assert_int_equal(conn_close(server, NULL), 0);
    assert_int_equal(conn_close(rig.conn, NULL), 0);
}

static void a_wait_beyond_the_deadline_is_cut_for_a_last_try(void **state) {
    (void)state;
    log_set_hook(on_line);
    assert_int_equal(dial_by(RETRY_FOREVER, 86400000, os_now_ms() + 1050), -1);
    assert_int_equal(rig.err.code, EXIT_SOCKET);
    assert_true(rig.lines <= 1); /* none when the machine slept through the first 50 ms */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_retries_one_failure_is_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_error_says_how_often_it_was_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_that_comes_late_is_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_beyond_the_deadline_is_cut_for_a_last_try, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
