/* One stream: bytes arrive whole and in order, waits end, and failures are errors, never signals. */
#include "transport_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

static void make_pair(struct conn *conns[2]) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_from_fd(fds[0], "left", &conns[0], NULL), 0);
    assert_int_equal(conn_from_fd(fds[1], "right", &conns[1], NULL), 0);
}

static void close_pair(struct conn *conns[2]) {
    assert_int_equal(conn_close(conns[0], NULL), 0);
    assert_int_equal(conn_close(conns[1], NULL), 0);
}

/* Writes until the buffers are full. */
static void fill(struct conn *conn) {
    static const uint8_t block[1 << 16];
    const struct span part = {block, sizeof block};
    struct err err = {.code = 0};
    while (conn_write(conn, &part, 1, TINY_MS, &err) == 0)
        ;
    assert_int_equal(err.code, EXIT_TIMEOUT);
}

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 31 + (i >> 8));
}

enum { BULK = 3 << 20, PARTS = 50 };

/* BULK bytes as PARTS spans of growing size, some of them empty, over and over. */
static void *write_bulk(void *arg) {
    uint8_t *bytes = malloc(BULK);
    struct span parts[PARTS];
    for (size_t i = 0; i < BULK; i++)
        bytes[i] = byte_at(i);
    size_t at = 0;
    int result = 0;
    while (at < BULK && result == 0) {
        for (size_t i = 0; i < PARTS; i++) {
            size_t n = i % 7 == 3 ? 0 : i * 97;
            n = n < BULK - at ? n : BULK - at;
            parts[i] = (struct span){n ? bytes + at : NULL, n};
            at += n;
        }
        result = conn_write(arg, parts, PARTS, PATIENT_MS, NULL);
    }
    free(bytes);
    return result ? arg : NULL;
}

static void bulk_arrives_whole_through_full_buffers(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 4096, 7, 65536, 333};
    struct conn *pair[2];
    make_pair(pair);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_bulk, pair[0]), 0);
    static uint8_t got[65536];
    size_t at = 0;
    for (size_t turn = 0; at < BULK; turn++) {
        ptrdiff_t n = conn_read(pair[1], got, sizes[turn % 5], PATIENT_MS, NULL);
        assert_true(n > 0 && (size_t)n <= sizes[turn % 5]);
        for (size_t i = 0; i < (size_t)n; i++)
            if (got[i] != byte_at(at + i))
                fail_msg("byte %zu is wrong", at + i);
        at += (size_t)n;
    }
    void *failed;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    close_pair(pair);
}

static void a_read_gives_what_is_there_and_does_not_wait_for_more(void **state) {
    (void)state;
    struct conn *pair[2];
    char got[100];
    make_pair(pair);
    put(pair[0], "abc");
    assert_int_equal(conn_read(pair[1], got, sizeof got, FOREVER, NULL), 3);
    assert_memory_equal(got, "abc", 3);
    close_pair(pair);
}

static void one_byte_writes_keep_their_order(void **state) {
    (void)state;
    struct conn *pair[2];
    make_pair(pair);
    static const char text[] = "the quick brown fox";
    for (const char *p = text; *p; p++)
        put(pair[1], (char[]){*p, '\0'});
    expect(pair[0], text);
    close_pair(pair);
}

static void nothing_to_write_is_no_error(void **state) {
    (void)state;
    struct conn *pair[2];
    make_pair(pair);
    const struct span empty[2] = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(conn_write(pair[0], empty, 2, FOREVER, NULL), 0);
    assert_int_equal(conn_write(pair[0], NULL, 0, FOREVER, NULL), 0);
    close_pair(pair);
}

static void the_end_of_the_stream_is_zero_after_the_last_byte(void **state) {
    (void)state;
    struct conn *pair[2];
    make_pair(pair);
    put(pair[0], "last");
    assert_int_equal(conn_close(pair[0], NULL), 0);
    expect(pair[1], "last");
    expect_eof(pair[1]);
    expect_eof(pair[1]);
    assert_int_equal(conn_close(pair[1], NULL), 0);
}

static void a_peer_that_dropped_our_bytes_is_a_read_error(void **state) {
    (void)state;
    struct conn *pair[2];
    make_pair(pair);
    put(pair[0], "never read");
    assert_int_equal(conn_close(pair[1], NULL), 0);
    struct err err = {.code = 0};
    char byte;
    assert_int_equal(conn_read(pair[0], &byte, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ECONNRESET);
    assert_says(&err, "left: ");
    assert_int_equal(conn_close(pair[0], NULL), 0);
}

static void writing_to_a_closed_peer_is_an_error_and_no_signal(void **state) {
    (void)state;
    struct conn *pair[2];
    assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
    make_pair(pair);
    assert_int_equal(conn_close(pair[1], NULL), 0);
    const struct span part = {(const uint8_t *)"x", 1};
    struct err err = {.code = 0};
    assert_int_equal(conn_write(pair[0], &part, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, EPIPE);
    assert_int_equal(conn_close(pair[0], NULL), 0);
}

static void after_a_failed_write_what_has_arrived_is_read_and_then_the_end(void **state) {
    (void)state;
    int fds[2];
    struct conn *conn, *peer;
    struct err err = {.code = 0};
    char byte;
    const struct span part = {(const uint8_t *)"x", 1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(conn_from_fd(fds[0], "left", &conn, NULL), 0);
    assert_int_equal(conn_from_fd(fds[1], "right", &peer, NULL), 0);
    put(peer, "why");
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0); /* writing fails here, and the peer lives on */
    assert_int_equal(conn_write(conn, &part, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    expect(conn, "why");
    assert_int_equal(conn_read(conn, &byte, 1, PATIENT_MS, &err), 0);
    assert_int_equal(conn_close(conn, NULL), 0);
    assert_int_equal(conn_close(peer, NULL), 0);
}

/* Packets that are too large stand for whatever the system may say, but that the peer is gone. */
static void who_reads_hears_that_writing_failed(void **state) {
    (void)state;
    static const uint8_t block[1 << 20];
    const struct span part = {block, sizeof block};
    int fds[2], size = 4096;
    char byte;
    struct conn *conns[2];
    struct err err = {.code = 0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    assert_int_equal(conn_from_fd(fds[0], "left", &conns[0], NULL), 0);
    assert_int_equal(conn_from_fd(fds[1], "right", &conns[1], NULL), 0);
    put(conns[1], "x");
    assert_int_equal(conn_write(conns[0], &part, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.sys, EMSGSIZE);
    err.code = err.sys = 0;
    assert_int_equal(conn_read(conns[0], &byte, 1, PATIENT_MS, &err), 1); /* it may say why */
    assert_int_equal(conn_read(conns[0], &byte, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, EMSGSIZE);
    assert_non_null(strstr(err.msg, "writing to the stream failed"));
    expect_eof(conns[1]);
    close_pair(conns);
}

static void a_broken_pipe_is_an_error_and_no_signal(void **state) {
    (void)state;
    int fds[2];
    struct conn *conn;
    sigset_t pending;
    assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(conn_from_fd(fds[1], "pipe", &conn, NULL), 0);
    assert_int_equal(close(fds[0]), 0);
    const struct span part = {(const uint8_t *)"x", 1};
    struct err err = {.code = 0};
    assert_int_equal(conn_write(conn, &part, 1, PATIENT_MS, &err), -1);
    assert_int_equal(err.sys, EPIPE);
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE));
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void a_pipe_blocks_again_after_close(void **state) {
    (void)state;
    int fds[2];
    struct conn *conn;
    assert_int_equal(pipe(fds), 0);
    int kept = dup(fds[0]); /* the same open file: it shares the flags */
    assert_int_equal(conn_from_fd(fds[0], "pipe", &conn, NULL), 0);
    assert_true(fcntl(kept, F_GETFL) & O_NONBLOCK);
    assert_int_equal(conn_close(conn, NULL), 0);
    assert_false(fcntl(kept, F_GETFL) & O_NONBLOCK);
    assert_int_equal(close(kept), 0);
    assert_int_equal(close(fds[1]), 0);
}

static void a_descriptor_that_cannot_be_used_is_refused(void **state) {
    (void)state;
    enum { NOT_OPEN = 1 << 30 };
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    assert_int_equal(conn_from_fd(NOT_OPEN, "gone", &conn, &err), -1);
    assert_int_equal(err.sys, EBADF);
    assert_null(conn);
}

static void a_silent_peer_is_a_timeout(void **state) {
    (void)state;
    struct conn *pair[2];
    struct err err = {.code = 0};
    char byte;
    make_pair(pair);
    assert_int_equal(conn_read(pair[0], &byte, 1, TINY_MS, &err), -1);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    assert_says(&err, "sent nothing");
    assert_int_equal(conn_read(pair[0], &byte, 1, 0, &err), -1);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    put(pair[1], "x"); /* a timeout is not the end of the stream */
    expect(pair[0], "x");
    close_pair(pair);
}

static void a_peer_that_takes_nothing_is_a_timeout(void **state) {
    (void)state;
    struct conn *pair[2];
    make_pair(pair);
    fill(pair[0]);
    const struct span part = {(const uint8_t *)"x", 1};
    struct err err = {.code = 0};
    assert_int_equal(conn_write(pair[0], &part, 1, 0, &err), -1);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    assert_says(&err, "took nothing");
    close_pair(pair);
}

static void a_woken_conn_refuses_both_directions_for_ever(void **state) {
    (void)state;
    struct conn *pair[2];
    char byte;
    make_pair(pair);
    put(pair[1], "there is something to read");
    conn_wake(pair[0]);
    conn_wake(pair[0]);
    const struct span part = {(const uint8_t *)"x", 1};
    for (int i = 0; i < 3; i++) {
        struct err err = {.code = 0};
        assert_int_equal(conn_read(pair[0], &byte, 1, FOREVER, &err), -1);
        assert_int_equal(err.code, EXIT_SIGNAL);
        err.code = 0;
        assert_int_equal(conn_write(pair[0], &part, 1, FOREVER, &err), -1);
        assert_int_equal(err.code, EXIT_SIGNAL);
    }
    close_pair(pair);
}

static void *wake_soon(void *conn) {
    (void)usleep(TINY_MS * 1000); /* likely, but not needed: the other thread waits by then */
    conn_wake(conn);
    return NULL;
}

static void another_thread_ends_a_waiting_read(void **state) {
    (void)state;
    struct conn *pair[2];
    struct err err = {.code = 0};
    pthread_t thread;
    char byte;
    make_pair(pair);
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, pair[0]), 0);
    assert_int_equal(conn_read(pair[0], &byte, 1, FOREVER, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close_pair(pair);
}

static void another_thread_ends_a_waiting_write(void **state) {
    (void)state;
    struct conn *pair[2];
    pthread_t thread;
    make_pair(pair);
    fill(pair[0]);
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, pair[0]), 0);
    const struct span part = {(const uint8_t *)"x", 1};
    struct err err = {.code = 0};
    assert_int_equal(conn_write(pair[0], &part, 1, FOREVER, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close_pair(pair);
}

static void on_alarm(int sig) {
    (void)sig;
}

static void *write_after_a_signal(void *arg) {
    void **args = arg;
    (void)usleep(TINY_MS * 1000);
    (void)pthread_kill(*(pthread_t *)args[0], SIGUSR1);
    put(args[1], "x");
    return NULL;
}

static void an_interrupted_wait_goes_on(void **state) {
    (void)state;
    const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    struct conn *pair[2];
    make_pair(pair);
    pthread_t self = pthread_self(), thread;
    void *args[2] = {&self, pair[1]};
    assert_int_equal(pthread_create(&thread, NULL, write_after_a_signal, args), 0);
    expect(pair[0], "x");
    assert_int_equal(pthread_join(thread, NULL), 0);
    close_pair(pair);
}

static void closing_no_conn_is_fine(void **state) {
    (void)state;
    assert_int_equal(conn_close(NULL, NULL), 0);
}

static void the_peer_is_what_was_given(void **state) {
    (void)state;
    struct conn *pair[2];
    make_pair(pair);
    assert_string_equal(conn_peer(pair[0]), "left");
    assert_string_equal(conn_peer(pair[1]), "right");
    close_pair(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_arrives_whole_through_full_buffers),
        cmocka_unit_test(a_read_gives_what_is_there_and_does_not_wait_for_more),
        cmocka_unit_test(one_byte_writes_keep_their_order),
        cmocka_unit_test(nothing_to_write_is_no_error),
        cmocka_unit_test(the_end_of_the_stream_is_zero_after_the_last_byte),
        cmocka_unit_test(a_peer_that_dropped_our_bytes_is_a_read_error),
        cmocka_unit_test(writing_to_a_closed_peer_is_an_error_and_no_signal),
        cmocka_unit_test(after_a_failed_write_what_has_arrived_is_read_and_then_the_end),
        cmocka_unit_test(who_reads_hears_that_writing_failed),
        cmocka_unit_test(a_broken_pipe_is_an_error_and_no_signal),
        cmocka_unit_test(a_pipe_blocks_again_after_close),
        cmocka_unit_test(a_descriptor_that_cannot_be_used_is_refused),
        cmocka_unit_test(a_silent_peer_is_a_timeout),
        cmocka_unit_test(a_peer_that_takes_nothing_is_a_timeout),
        cmocka_unit_test(a_woken_conn_refuses_both_directions_for_ever),
        cmocka_unit_test(another_thread_ends_a_waiting_read),
        cmocka_unit_test(another_thread_ends_a_waiting_write),
        cmocka_unit_test(an_interrupted_wait_goes_on),
        cmocka_unit_test(closing_no_conn_is_fine),
        cmocka_unit_test(the_peer_is_what_was_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
