/* exec: and --stdio on Windows: a child's pipes are a stream, and children do not outlive it. The program is its own
 * child: "test_win_exec.exe echo", … */
#include "../unit/stream_help.h"

#include <errno.h>
#include <windows.h>

static char self[MAX_PATH];

static struct conn *start(const char *what) {
    char rest[2 * MAX_PATH];
    (void)snprintf(rest, sizeof rest, "\"%s\" %s", self, what);
    return must_dial("exec:", rest);
}

static void a_child_that_speaks_stdio_is_the_other_end(void **state) {
    (void)state;
    struct conn *conn = start("echo");
    put(conn, "there and back");
    expect(conn, "there and back");
    struct err err = {.code = 0};
    if (conn_close(conn, &err))
        fail_msg("%s", err.msg);
}

enum { BULK = 1 << 20 };

static void bulk_goes_through_the_pipes_whole(void **state) {
    (void)state;
    struct conn *conn = start("count");
    uint8_t *bytes = malloc(BULK);
    assert_non_null(bytes);
    memset(bytes, '\n', BULK); /* what a text stream would change */
    const struct span parts[3] = {{bytes, 1}, {NULL, 0}, {bytes, BULK - 1}};
    assert_int_equal(conn_write(conn, parts, 3, PATIENT_MS, NULL), 0);
    expect(conn, "1048576 newlines");
    free(bytes);
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void the_end_of_the_child_is_the_end_of_the_stream(void **state) {
    (void)state;
    struct conn *conn = start("status 0");
    expect_eof(conn);
    expect_eof(conn);
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void a_bad_status_is_reported_at_the_close(void **state) {
    (void)state;
    struct conn *conn = start("status 7");
    struct err err = {.code = 0};
    expect_eof(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "status 7");
}

static void a_command_that_does_not_exist_is_reported(void **state) {
    (void)state;
    struct conn *conn = must_dial("exec:", "hvferry-no-such-command 2>NUL");
    struct err err = {.code = 0};
    expect_eof(conn);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "status");
}

/* Who has received a file of that name, and works in its directory, must not run it. */
static void only_the_cmd_of_the_system_is_started(void **state) {
    (void)state;
    char before[MAX_PATH], place[MAX_PATH], planted[MAX_PATH + sizeof "\\cmd.exe"];
    assert_true(GetCurrentDirectoryA(sizeof before, before) > 0);
    assert_true(GetTempPathA(sizeof place, place) > 0);
    assert_true(GetTempFileNameA(place, "hvf", 0, place) > 0);
    assert_true(DeleteFileA(place) && CreateDirectoryA(place, NULL));
    (void)snprintf(planted, sizeof planted, "%s\\cmd.exe", place);
    assert_true(CopyFileA(self, planted, TRUE) && SetCurrentDirectoryA(place));
    struct conn *conn = start("echo");
    put(conn, "x");
    expect(conn, "x");
    assert_int_equal(conn_close(conn, NULL), 0);
    assert_true(SetCurrentDirectoryA(before) && DeleteFileA(planted) && RemoveDirectoryA(place));
}

static void a_silent_child_is_a_timeout_and_then_still_heard(void **state) {
    (void)state;
    struct conn *conn = start("echo");
    struct err err = {.code = 0};
    char byte;
    assert_int_equal(conn_read(conn, &byte, 1, TINY_MS, &err), -1);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    put(conn, "x");
    expect(conn, "x");
    assert_int_equal(conn_close(conn, NULL), 0);
}

static void a_woken_conn_ends_its_child_soon(void **state) {
    (void)state;
    struct conn *conn = start("stay");
    struct err err = {.code = 0};
    char byte;
    conn_wake(conn);
    assert_int_equal(conn_read(conn, &byte, 1, FOREVER, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    const struct span part = {(const uint8_t *)"x", 1};
    assert_int_equal(conn_write(conn, &part, 1, FOREVER, &err), -1);
    assert_int_equal(err.sys, ECANCELED);
    assert_int_equal(conn_close(conn, &err), -1);
    assert_says(&err, "was stopped");
}

static void what_windows_lacks_says_what_to_use(void **state) {
    (void)state;
    static const char *const texts[] = {"unix:/run/x", "vsock://host:1", "vsock-mux:/x:1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct addr_rules rules = {.listening = false};
        struct addr addr;
        struct err err = {.code = 0};
        assert_int_equal(addr_parse(texts[i], &rules, &addr, &err), -1);
        assert_int_equal(err.code, EXIT_UNSUPPORTED);
        assert_says(&err, "hyperv://VM:SERVICE");
    }
}

/* ---- the child ---- */

static int child_echo(void) {
    struct conn *conn;
    char byte;
    if (conn_stdio(&conn, NULL))
        return 1;
    while (conn_read(conn, &byte, 1, PATIENT_MS, NULL) == 1)
        if (conn_write(conn, &(struct span){(const uint8_t *)&byte, 1}, 1, PATIENT_MS, NULL))
            return 2;
    return conn_close(conn, NULL) ? 3 : 0;
}

static int child_count(void) {
    struct conn *conn;
    static uint8_t got[4096];
    char line[64];
    if (conn_stdio(&conn, NULL))
        return 1;
    (void)printf("must not break into the stream\n");
    (void)fflush(stdout);
    int newlines = 0;
    while (newlines < BULK) {
        ptrdiff_t n = conn_read(conn, got, sizeof got, PATIENT_MS, NULL);
        if (n <= 0)
            return 2;
        for (ptrdiff_t i = 0; i < n; i++)
            newlines += got[i] == '\n';
    }
    (void)snprintf(line, sizeof line, "%d newlines", newlines);
    put(conn, line);
    return conn_close(conn, NULL) ? 3 : 0;
}

static int child(int argc, char **argv) {
    if (strcmp(argv[1], "echo") == 0)
        return child_echo();
    if (strcmp(argv[1], "count") == 0)
        return child_count();
    if (strcmp(argv[1], "stay") == 0)
        Sleep(PATIENT_MS);
    return argc > 2 ? atoi(argv[2]) : 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_that_speaks_stdio_is_the_other_end),
        cmocka_unit_test(bulk_goes_through_the_pipes_whole),
        cmocka_unit_test(the_end_of_the_child_is_the_end_of_the_stream),
        cmocka_unit_test(a_bad_status_is_reported_at_the_close),
        cmocka_unit_test(a_command_that_does_not_exist_is_reported),
        cmocka_unit_test(only_the_cmd_of_the_system_is_started),
        cmocka_unit_test(a_silent_child_is_a_timeout_and_then_still_heard),
        cmocka_unit_test(a_woken_conn_ends_its_child_soon),
        cmocka_unit_test(what_windows_lacks_says_what_to_use),
    };
    if (argc > 1)
        return child(argc, argv);
    (void)GetModuleFileNameA(NULL, self, sizeof self);
    /* With an empty part in the PATH, which meson makes, Wine's cmd takes a missing command for one that succeeded. */
    (void)SetEnvironmentVariableA("PATH", "C:\\windows\\system32;C:\\windows");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
