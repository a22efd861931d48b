/* exec: and --stdio, which are the two ends of one stream. The test starts itself as the command. */
#include "transport_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static char self[512]; /* this program */

static struct conn *start(const char *command) {
    return must_dial("exec:", command);
}

/* All that the command prints, NUL-terminated. */
static void read_all(struct conn *conn, char *to, size_t n) {
    size_t used = 0;
    ptrdiff_t got;
    while ((got = conn_read(conn, to + used, n - 1 - used, PATIENT_MS, NULL)) > 0)
        used += (size_t)got;
    assert_int_equal(got, 0);
    to[used] = '\0';
}

static void a_command_is_the_other_end(void **state) {
    (void)state;
    struct conn *conn = start("exec cat");
    put(conn, "there and back");
    expect(conn, "there and back");
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void the_shell_reads_the_command(void **state) {
    (void)state;
    struct conn *conn = start("x='a  b'; printf '%s' \"$x\" | tr a-z A-Z");
    char got[16];
    read_all(conn, got, sizeof got);
    assert_string_equal(got, "A  B");
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void the_peer_is_the_command(void **state) {
    (void)state;
    struct conn *conn = start("printf '\\007' >/dev/null; exec cat");
    assert_string_equal(conn_peer(conn), "exec:printf '\\134007' >/dev/null; exec cat");
    assert_int_equal(conn_close(conn, NULL), 0);
}

static struct err closing_after_end(const char *command) {
    struct conn *conn = start(command);
    struct err err = {.code = 0};
    expect_eof(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    return err;
}

static void a_failing_command_is_reported_with_its_status(void **state) {
    (void)state;
    struct err err = closing_after_end("exit 3");
    assert_says(&err, "status 3");
    err = closing_after_end("hvferry-no-such-command 2>/dev/null");
    assert_says(&err, "status 127 (command not found)");
}

static void a_command_killed_by_a_signal_is_reported(void **state) {
    (void)state;
    struct err err = closing_after_end("kill -KILL $$");
    assert_says(&err, "signal 9");
}

static void a_command_that_stays_is_stopped(void **state) {
    (void)state;
    struct conn *conn = start("echo $$; exec sleep 600");
    char pid[16];
    struct err err = {.code = 0};
    ptrdiff_t n = conn_read(conn, pid, sizeof pid - 1, PATIENT_MS, NULL);
    assert_true(n > 0);
    pid[n] = '\0';
    conn_wake(conn); /* interrupted: the wait is short */
    assert_int_equal(conn_close(conn, &err), -1);
    assert_says(&err, "was stopped");
    assert_int_equal(kill((pid_t)atoi(pid), 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void what_a_stopped_command_started_is_left_alone(void **state) {
    (void)state;
    struct conn *conn = start("sleep 600 & echo $!; wait");
    char pid[16];
    struct err err = {.code = 0};
    ptrdiff_t n = conn_read(conn, pid, sizeof pid - 1, PATIENT_MS, NULL);
    assert_true(n > 0);
    pid[n] = '\0';
    conn_wake(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_int_equal(kill((pid_t)atoi(pid), SIGKILL), 0);
    assert_says(&err, "what that started may go on");
}

static void a_command_that_ignores_sigterm_is_killed(void **state) {
    (void)state;
    struct conn *conn = start("trap '' TERM; echo ready; exec sleep 600");
    struct err err = {.code = 0};
    expect(conn, "ready");
    conn_wake(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_says(&err, "was stopped");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD); /* nothing is left to reap */
}

static void the_child_starts_with_clean_signals(void **state) {
    (void)state;
    sigset_t term, before;
    assert_int_equal(sigemptyset(&term), 0);
    assert_int_equal(sigaddset(&term, SIGTERM), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &term, &before), 0);
    assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR);
    struct conn *conn = start("exec grep -E 'SigBlk|SigIgn' /proc/self/status");
    char got[256];
    read_all(conn, got, sizeof got);
    assert_int_equal(conn_close(conn, NULL), 0);
    assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    unsigned long long blocked, ignored;
    assert_int_equal(sscanf(got, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked & (1ULL << (SIGTERM - 1)), 0);
    assert_int_equal(ignored & (1ULL << (SIGPIPE - 1)), 0);
}

static void the_child_inherits_no_stream_of_ours(void **state) {
    (void)state;
    struct conn *first = start("exec cat");
    struct conn *second = start("ls -l /proc/$$/fd | grep -c -e eventfd; true");
    char got[16];
    read_all(second, got, sizeof got);
    assert_string_equal(got, "0\n");
    assert_int_equal(conn_close(second, NULL), 0);
    put(first, "x");
    expect(first, "x");
    assert_int_equal(conn_close(first, NULL), 0); /* cat saw the end: nobody else held the stream */
}

static void exec_cannot_be_listened_on(void **state) {
    (void)state;
    struct addr addr = address_of(false, "exec:", "cat");
    struct listener *listener = NULL;
    struct err err = {.code = 0};
    assert_int_equal(listener_open(&addr, &listener, &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
    assert_null(listener);
    addr_free(&addr);
}

/* The command side: echoes its stdio conn until EOF; a stray print must not get into the stream. */
static int echo_stdio(void) {
    struct conn *conn;
    struct err err = {.code = 0};
    char block[4096];
    ptrdiff_t n;
    if (conn_stdio(&conn, &err)) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 9;
    }
    (void)printf("stray\n");
    (void)fflush(stdout);
    while ((n = conn_read(conn, block, sizeof block, PATIENT_MS, &err)) > 0) {
        const struct span part = {(const uint8_t *)block, (size_t)n};
        if (conn_write(conn, &part, 1, PATIENT_MS, &err))
            return 8;
    }
    bool named = strcmp(conn_peer(conn), "stdio") == 0;
    if (conn_close(conn, NULL) || !named)
        return 7;
    return n == 0 ? 0 : 6;
}

/* The same at the end of a stream that is not closed by exiting: a stdio conn's close is an EOF. */
static int linger_after_close(void) {
    struct conn *conn;
    if (conn_stdio(&conn, NULL) || conn_close(conn, NULL))
        return 9;
    for (;;)
        (void)pause();
}

static void expect_echo(const char *command) {
    struct conn *conn = start(command);
    put(conn, "one");
    expect(conn, "one");
    put(conn, "two");
    expect(conn, "two");
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void stdio_and_exec_are_two_ends_of_one_stream(void **state) {
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "exec '%s' --echo", self);
    expect_echo(command);
}

static void stdio_works_over_two_pipes(void **state) {
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "cat | '%s' --echo | cat", self);
    expect_echo(command);
}

static void closing_stdio_is_seen_at_once(void **state) {
    (void)state;
    char command[600];
    struct err err = {.code = 0};
    (void)snprintf(command, sizeof command, "exec '%s' --linger", self);
    struct conn *conn = start(command);
    expect_eof(conn); /* while the command is still there */
    conn_wake(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_says(&err, "was stopped");
}

static void stdio_that_is_closed_is_refused(void **state) {
    (void)state;
    char command[600];
    struct err err = {.code = 0};
    (void)snprintf(command, sizeof command, "exec '%s' --echo >&- 2>/dev/null", self);
    struct conn *conn = start(command);
    expect_eof(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_says(&err, "status 9");
}

int main(int argc, char **argv) {
    if (argc > 1)
        return strcmp(argv[1], "--echo") == 0 ? echo_stdio() : linger_after_close();
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_the_other_end),
        cmocka_unit_test(the_shell_reads_the_command),
        cmocka_unit_test(the_peer_is_the_command),
        cmocka_unit_test(a_failing_command_is_reported_with_its_status),
        cmocka_unit_test(a_command_killed_by_a_signal_is_reported),
        cmocka_unit_test(a_command_that_stays_is_stopped),
        cmocka_unit_test(what_a_stopped_command_started_is_left_alone),
        cmocka_unit_test(a_command_that_ignores_sigterm_is_killed),
        cmocka_unit_test(the_child_starts_with_clean_signals),
        cmocka_unit_test(the_child_inherits_no_stream_of_ours),
        cmocka_unit_test(exec_cannot_be_listened_on),
        cmocka_unit_test(stdio_and_exec_are_two_ends_of_one_stream),
        cmocka_unit_test(stdio_works_over_two_pipes),
        cmocka_unit_test(closing_stdio_is_seen_at_once),
        cmocka_unit_test(stdio_that_is_closed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
