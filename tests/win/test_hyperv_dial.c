/* How connecting over hyperv:// fails: with advice for each error, at the deadline, and when it is woken. Runs with
 * the stand-in for Hyper-V sockets beside it. */
#include "../unit/stream_help.h"

#include "os/os.h"

#include <errno.h>

#define NOWHERE "hyperv://loopback:00000001-0002-0003-0405-060708090a0b"

static int no_knobs(void **state) {
    (void)state;
    static const char *const names[] = {
        "HVSHIM_CONNECT_ERROR=", "HVSHIM_CONNECT_FAILS=", "HVSHIM_CONNECT_HANGS=",
        "HVSHIM_EOF_ERROR=",     "HVSHIM_PEER=",          "HVSHIM_VM="};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(_putenv(names[i]), 0);
    return 0;
}

static void set(const char *name, int value) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s=%d", name, value);
    assert_int_equal(_putenv(text), 0);
}

static void each_error_has_its_advice(void **state) {
    (void)state;
    static const struct {
        int wsa, code, sys;
        const char *says;
    } rows[] = {
        {10013, EXIT_SOCKET, EACCES, "administrator"},
        {10049, EXIT_SOCKET, EADDRNOTAVAIL, "no such VM"},
        {10050, EXIT_SOCKET, ENETDOWN, "start it"},
        {10055, EXIT_SOCKET, ENOBUFS, "fewer streams"},
        {10060, EXIT_CONNECT_TIMEOUT, ETIMEDOUT, "registered"},
        {10061, EXIT_SOCKET, ECONNREFUSED, "--listen first"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set("HVSHIM_CONNECT_ERROR", rows[i].wsa);
        struct err err = failed_dial(NOWHERE, "", PATIENT_MS);
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(err.sys, rows[i].sys);
        assert_says(&err, rows[i].says);
        assert_says(&err, NOWHERE);
    }
}

static void a_service_that_nobody_listens_on_is_refused(void **state) {
    (void)state;
    struct err err = failed_dial(NOWHERE, "", PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ECONNREFUSED);
}

static void a_vm_that_does_not_exist_is_told(void **state) {
    (void)state;
    struct err err = failed_dial("hyperv://c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034:", "2761", PATIENT_MS);
    assert_int_equal(err.sys, EADDRNOTAVAIL);
    assert_says(&err, "(Get-VM NAME).Id");
}

static void connecting_that_hangs_ends_at_the_deadline(void **state) {
    (void)state;
    set("HVSHIM_CONNECT_HANGS", 1);
    struct err err = failed_dial(NOWHERE, "", TINY_MS);
    assert_int_equal(err.code, EXIT_CONNECT_TIMEOUT);
    assert_says(&err, "--listen first");
}

static void *wake_soon(void *waker) {
    os_sleep_ms(TINY_MS);
    waker_wake(waker);
    return NULL;
}

static void connecting_that_hangs_ends_when_it_is_woken(void **state) {
    (void)state;
    set("HVSHIM_CONNECT_HANGS", 1);
    struct addr addr = address_of(false, NOWHERE, "");
    struct os_thread thread;
    struct waker *waker;
    struct conn *conn = NULL;
    assert_int_equal(waker_new(&waker, NULL), 0);
    assert_int_equal(os_thread_start(&thread, "wake", wake_soon, waker, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct err err = {.code = 0};
        assert_int_equal(conn_dial(&addr, FOREVER, waker, &conn, &err), -1);
        assert_int_equal(err.code, EXIT_SIGNAL);
        assert_null(conn);
    }
    assert_false(waker_pause(waker, INT64_MAX));
    os_thread_join(&thread);
    waker_free(waker);
    addr_free(&addr);
}

static void the_end_of_a_stream_may_be_an_error(void **state) {
    (void)state;
    struct listener *listener = must_listen(NOWHERE, "");
    struct conn *near = must_dial(NOWHERE, ""), *far = must_accept(listener);
    struct err err = {.code = 0};
    char byte;
    set("HVSHIM_EOF_ERROR", 10054);
    assert_int_equal(conn_close(far, NULL), 0);
    assert_int_equal(conn_read(near, &byte, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ECONNRESET);
    assert_int_equal(conn_close(near, NULL), 0);
    listener_close(listener);
}

static void an_accepted_peer_is_the_vm_that_the_system_names(void **state) {
    (void)state;
    static const char vm[] = "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034";
    assert_int_equal(_putenv("HVSHIM_PEER=c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034"), 0);
    struct listener *listener = must_listen(NOWHERE, "");
    struct conn *near = must_dial(NOWHERE, ""), *far = must_accept(listener);
    assert_int_equal(conn_peer_id(far)->kind, PEER_HYPERV);
    assert_string_equal(GUID_TEXT(&conn_peer_id(far)->vm), vm);
    assert_string_equal(conn_peer(far), "hyperv vm c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034");
    assert_int_equal(conn_close(near, NULL), 0);
    assert_int_equal(conn_close(far, NULL), 0);
    listener_close(listener);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_error_has_its_advice, no_knobs),
        cmocka_unit_test_setup(a_service_that_nobody_listens_on_is_refused, no_knobs),
        cmocka_unit_test_setup(a_vm_that_does_not_exist_is_told, no_knobs),
        cmocka_unit_test_setup(connecting_that_hangs_ends_at_the_deadline, no_knobs),
        cmocka_unit_test_setup(connecting_that_hangs_ends_when_it_is_woken, no_knobs),
        cmocka_unit_test_setup(the_end_of_a_stream_may_be_an_error, no_knobs),
        cmocka_unit_test_setup(an_accepted_peer_is_the_vm_that_the_system_names, no_knobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
