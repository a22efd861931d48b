/* Streams and listeners over Winsock: what transport.h promises, held by tcp:// and, with the stand-in for
 * Hyper-V sockets beside the program, by hyperv:// (HVFERRY_TEST_ADDRESS=hyperv). */
#include "../unit/stream_help.h"

#include "os/os.h"

#include <errno.h>

enum { TRIES = 50, PORT_FIRST = 20000, PORT_COUNT = 20000, MANY = 20 };

static const char *prefix = "tcp://127.0.0.1:";
static char port[16];

struct pair {
    struct conn *dialled, *accepted;
    struct listener *listener;
};

/* On a port that nobody else has. */
static struct listener *listen_somewhere(void) {
    for (int i = 0; i < TRIES; i++) {
        uint16_t random;
        os_random(&random, sizeof random);
        (void)snprintf(port, sizeof port, "%d", PORT_FIRST + random % PORT_COUNT);
        struct addr addr = address_of(true, prefix, port);
        struct listener *listener;
        int result = listener_open(&addr, &listener, NULL);
        addr_free(&addr);
        if (result == 0)
            return listener;
    }
    fail_msg("no port to listen on");
    return NULL;
}

static struct pair make_pair(void) {
    struct pair pair = {.listener = listen_somewhere()};
    pair.dialled = must_dial(prefix, port);
    pair.accepted = must_accept(pair.listener);
    return pair;
}

static void close_pair(struct pair *pair) {
    assert_int_equal(conn_close(pair->dialled, NULL), 0);
    assert_int_equal(conn_close(pair->accepted, NULL), 0);
    listener_close(pair->listener);
}

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 31 + (i >> 8));
}

enum { BULK = 3 << 20, PARTS = 80 };

/* BULK bytes as PARTS spans of growing size, some of them empty, over and over; then one large span. */
static void *write_bulk(void *arg) {
    uint8_t *bytes = malloc(BULK);
    struct span parts[PARTS];
    for (size_t i = 0; i < BULK; i++)
        bytes[i] = byte_at(i);
    size_t at = 0;
    int result = 0;
    while (at < BULK / 2 && result == 0) {
        for (size_t i = 0; i < PARTS; i++) {
            size_t n = i % 7 == 3 ? 0 : i * 97;
            parts[i] = (struct span){n ? bytes + at : NULL, n};
            at += n;
        }
        result = conn_write(arg, parts, PARTS, PATIENT_MS, NULL);
    }
    parts[0] = (struct span){bytes + at, BULK - at};
    if (result == 0)
        result = conn_write(arg, parts, 1, PATIENT_MS, NULL);
    free(bytes);
    return result ? arg : NULL;
}

static void read_bulk(struct conn *conn) {
    static const size_t sizes[] = {1, 4096, 7, 65536, 333};
    static uint8_t got[65536];
    size_t at = 0;
    for (size_t turn = 0; at < BULK; turn++) {
        ptrdiff_t n = conn_read(conn, got, sizes[turn % 5], PATIENT_MS, NULL);
        assert_true(n > 0 && (size_t)n <= sizes[turn % 5]);
        for (size_t i = 0; i < (size_t)n; i++)
            if (got[i] != byte_at(at + i))
                fail_msg("byte %u is wrong", (unsigned)(at + i));
        at += (size_t)n;
    }
}

static void bulk_arrives_whole_in_both_directions(void **state) {
    (void)state;
    struct pair pair = make_pair();
    struct os_thread there, back;
    assert_int_equal(os_thread_start(&there, "there", write_bulk, pair.dialled, NULL), 0);
    read_bulk(pair.accepted);
    os_thread_join(&there);
    assert_int_equal(os_thread_start(&back, "back", write_bulk, pair.accepted, NULL), 0);
    read_bulk(pair.dialled);
    os_thread_join(&back);
    close_pair(&pair);
}

static void a_read_gives_what_is_there_and_does_not_wait_for_more(void **state) {
    (void)state;
    struct pair pair = make_pair();
    char got[100];
    put(pair.dialled, "a");
    assert_int_equal(conn_read(pair.accepted, got, sizeof got, FOREVER, NULL), 1);
    close_pair(&pair);
}

static void nothing_to_write_is_no_error(void **state) {
    (void)state;
    struct pair pair = make_pair();
    const struct span empty[2] = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(conn_write(pair.dialled, empty, 2, FOREVER, NULL), 0);
    assert_int_equal(conn_write(pair.dialled, NULL, 0, FOREVER, NULL), 0);
    close_pair(&pair);
}

static void the_end_of_the_stream_is_zero_after_the_last_byte(void **state) {
    (void)state;
    struct pair pair = make_pair();
    put(pair.dialled, "last");
    expect(pair.accepted, "last");
    assert_int_equal(conn_close(pair.dialled, NULL), 0);
    pair.dialled = NULL;
    expect_eof(pair.accepted);
    expect_eof(pair.accepted);
    close_pair(&pair);
}

static void a_silent_peer_is_a_timeout_and_not_the_end(void **state) {
    (void)state;
    struct pair pair = make_pair();
    struct err err = {.code = 0};
    char byte;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(conn_read(pair.dialled, &byte, 1, i ? TINY_MS : 0, &err), -1);
        assert_int_equal(err.code, EXIT_TIMEOUT);
        assert_says(&err, "sent nothing");
    }
    put(pair.accepted, "still there");
    expect(pair.dialled, "still there");
    close_pair(&pair);
}

/* Writes until the buffers are full. */
static struct err fill(struct conn *conn) {
    static const uint8_t block[1 << 16];
    const struct span part = {block, sizeof block};
    struct err err = {.code = 0};
    while (conn_write(conn, &part, 1, TINY_MS, &err) == 0)
        ;
    return err;
}

static void a_peer_that_takes_nothing_is_a_timeout(void **state) {
    (void)state;
    struct pair pair = make_pair();
    struct err err = fill(pair.dialled);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    assert_says(&err, "took nothing");
    close_pair(&pair);
}

static void expect_woken(struct conn *conn) {
    const struct span part = {(const uint8_t *)"x", 1};
    struct err err = {.code = 0};
    char byte;
    assert_int_equal(conn_read(conn, &byte, 1, FOREVER, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    err.code = 0;
    assert_int_equal(conn_write(conn, &part, 1, FOREVER, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    assert_int_equal(err.sys, ECANCELED);
}

static void a_woken_conn_refuses_both_directions_until_it_is_resumed(void **state) {
    (void)state;
    struct pair pair = make_pair();
    put(pair.accepted, "there is something to read");
    conn_wake(pair.dialled);
    conn_wake(pair.dialled);
    for (int i = 0; i < 3; i++)
        expect_woken(pair.dialled);
    conn_resume(pair.dialled);
    expect(pair.dialled, "there is something to read");
    put(pair.dialled, "last word");
    expect(pair.accepted, "last word");
    close_pair(&pair);
}

static void *wake_soon(void *conn) {
    os_sleep_ms(TINY_MS); /* likely, but not needed: the other thread waits by then */
    conn_wake(conn);
    return NULL;
}

static void another_thread_ends_a_waiting_read(void **state) {
    (void)state;
    struct pair pair = make_pair();
    struct os_thread thread;
    struct err err = {.code = 0};
    char byte;
    assert_int_equal(os_thread_start(&thread, "wake", wake_soon, pair.dialled, NULL), 0);
    assert_int_equal(conn_read(pair.dialled, &byte, 1, FOREVER, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    os_thread_join(&thread);
    close_pair(&pair);
}

static struct err write_err; /* of the thread that wrote */

static void *write_until_it_fails(void *arg) {
    static const uint8_t block[1 << 16];
    const struct span part = {block, sizeof block};
    write_err = (struct err){.code = 0};
    while (conn_write(arg, &part, 1, FOREVER, &write_err) == 0)
        ;
    return NULL;
}

static void another_thread_ends_a_waiting_write(void **state) {
    (void)state;
    struct pair pair = make_pair();
    struct os_thread thread;
    assert_int_equal(os_thread_start(&thread, "write", write_until_it_fails, pair.dialled, NULL), 0);
    os_sleep_ms(TINY_MS);
    conn_wake(pair.dialled);
    os_thread_join(&thread);
    assert_int_equal(write_err.code, EXIT_SIGNAL);
    close_pair(&pair);
}

static void *write_once(void *arg) {
    static const uint8_t bytes[BULK];
    const struct span part = {bytes, sizeof bytes};
    write_err = (struct err){.code = 0};
    (void)conn_write(arg, &part, 1, FOREVER, &write_err);
    return NULL;
}

/* Whether it can finish depends on how soon the rest is read; but never may it claim that nothing was written. */
static void a_write_that_began_is_never_called_unwritten(void **state) {
    (void)state;
    struct pair pair = make_pair();
    struct os_thread thread;
    static uint8_t sink[65536];
    size_t got = 1;
    assert_int_equal(os_thread_start(&thread, "write", write_once, pair.dialled, NULL), 0);
    assert_int_equal(conn_read(pair.accepted, sink, 1, PATIENT_MS, NULL), 1);
    conn_wake(pair.dialled);
    for (ptrdiff_t n = 1; n > 0 && got<BULK; got += n> 0 ? (size_t)n : 0)
        n = conn_read(pair.accepted, sink, sizeof sink, 2 * 1000, NULL);
    os_thread_join(&thread);
    assert_int_not_equal(write_err.sys, ECANCELED);
    assert_int_equal(write_err.code == 0, got == BULK);
    close_pair(&pair);
}

static void nobody_listening_is_refused_with_advice(void **state) {
    (void)state;
    listener_close(listen_somewhere());
    struct err err = failed_dial(prefix, port, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ECONNREFUSED);
    assert_says(&err, "--listen first");
    struct addr addr = address_of(false, prefix, port);
    assert_true(dial_is_early(&addr, &err));
    addr_free(&addr);
}

static void an_address_in_use_says_so(void **state) {
    (void)state;
    struct listener *listener = listen_somewhere(), *second = NULL;
    struct addr addr = address_of(true, prefix, port);
    struct err err = {.code = 0};
    assert_int_equal(listener_open(&addr, &second, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, EADDRINUSE);
    addr_free(&addr);
    listener_close(listener);
}

static void nobody_connecting_is_a_timeout_and_the_listener_goes_on(void **state) {
    (void)state;
    struct listener *listener = listen_somewhere();
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(listener_accept(listener, i ? TINY_MS : 0, &conn, &err), -1);
        assert_int_equal(err.code, EXIT_TIMEOUT);
        assert_null(conn);
    }
    struct pair pair = {.listener = listener, .dialled = must_dial(prefix, port)};
    pair.accepted = must_accept(listener);
    put(pair.dialled, "x");
    expect(pair.accepted, "x");
    close_pair(&pair);
}

static void streams_wait_in_the_backlog(void **state) {
    (void)state;
    struct listener *listener = listen_somewhere();
    struct conn *dialled[MANY], *accepted[MANY];
    for (int i = 0; i < MANY; i++)
        dialled[i] = must_dial(prefix, port);
    for (int i = 0; i < MANY; i++) {
        accepted[i] = must_accept(listener);
        put(accepted[i], "hello");
    }
    for (int i = 0; i < MANY; i++)
        expect(dialled[i], "hello");
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(conn_close(dialled[i], NULL), 0);
        assert_int_equal(conn_close(accepted[i], NULL), 0);
    }
    listener_close(listener);
}

static void *wake_listener_soon(void *listener) {
    os_sleep_ms(TINY_MS);
    listener_wake(listener);
    return NULL;
}

static void another_thread_ends_a_waiting_accept_for_ever(void **state) {
    (void)state;
    struct listener *listener = listen_somewhere();
    struct conn *conn;
    struct os_thread thread;
    assert_int_equal(os_thread_start(&thread, "wake", wake_listener_soon, listener, NULL), 0);
    for (int i = 0; i < 3; i++) {
        struct err err = {.code = 0};
        assert_int_equal(listener_accept(listener, FOREVER, &conn, &err), -1);
        assert_int_equal(err.code, EXIT_SIGNAL);
    }
    os_thread_join(&thread);
    listener_close(listener);
}

static void both_ends_know_their_peer(void **state) {
    (void)state;
    struct pair pair = make_pair();
    bool hyperv = strncmp(prefix, "hyperv", 6) == 0;
    const char *wanted = hyperv ? "hyperv vm loopback" : "127.0.0.1:";
    assert_int_equal(strncmp(conn_peer(pair.dialled), wanted, strlen(wanted)), 0);
    assert_int_equal(strncmp(conn_peer(pair.accepted), wanted, strlen(wanted)), 0);
    close_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_arrives_whole_in_both_directions),
        cmocka_unit_test(a_read_gives_what_is_there_and_does_not_wait_for_more),
        cmocka_unit_test(nothing_to_write_is_no_error),
        cmocka_unit_test(the_end_of_the_stream_is_zero_after_the_last_byte),
        cmocka_unit_test(a_silent_peer_is_a_timeout_and_not_the_end),
        cmocka_unit_test(a_peer_that_takes_nothing_is_a_timeout),
        cmocka_unit_test(a_woken_conn_refuses_both_directions_until_it_is_resumed),
        cmocka_unit_test(another_thread_ends_a_waiting_read),
        cmocka_unit_test(another_thread_ends_a_waiting_write),
        cmocka_unit_test(a_write_that_began_is_never_called_unwritten),
        cmocka_unit_test(nobody_listening_is_refused_with_advice),
        cmocka_unit_test(an_address_in_use_says_so),
        cmocka_unit_test(nobody_connecting_is_a_timeout_and_the_listener_goes_on),
        cmocka_unit_test(streams_wait_in_the_backlog),
        cmocka_unit_test(another_thread_ends_a_waiting_accept_for_ever),
        cmocka_unit_test(both_ends_know_their_peer),
    };
    const char *which = getenv("HVFERRY_TEST_ADDRESS");
    if (which && strcmp(which, "hyperv") == 0)
        prefix = "hyperv://loopback:";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
