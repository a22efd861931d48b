/* Names: what Windows holds, what it would hold under another name, and paths as the user writes them. */
#include "win32_help.h"

#include "core/path.h"
#include "core/win32/sys_own.h"

#include <errno.h>

static struct scratch *s;

static int begin(void **state) {
    (void)state;
    s = scratch_new();
    return 0;
}

static int end(void **state) {
    (void)state;
    scratch_free(s);
    return 0;
}

static unsigned count_names(struct os_dir dir) {
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    unsigned n = 0;
    assert_int_equal(os_list_open(dir, &list), 0);
    while (os_list_next(list, &name, &kind) == 1)
        n++;
    os_list_close(list);
    return n;
}

static const char *const refused[] = {
    "CON",         "con",
    "Prn",         "AUX",
    "NUL",         "nul.txt",
    "NUL.tar.gz",  "COM1",
    "com0",        "LPT9",
    "lpt3.log",    "CONIN$",
    "conout$",     "NUL .txt",
    "COM\xC2\xB9", "LPT\xC2\xB3.x",
    "a.",          "a..",
    "a ",          " ",
    "...",         "a:b",
    "f::$DATA",    "C:",
    "a<b",         "a>b",
    "a\"b",        "a|b",
    "a?b",         "a*b",
    "a\\b",        "a\x01",
    "tab\there",   "nl\n",
    "\x1f",        "bad\xff",
    "bad\xc3",     "\xed\xa0\x80\xed\xb0\x80",
};
static const char *const held[] = {
    "CONSOLE",
    "CON1",
    "nul_",
    "COM",
    "COM10",
    "COMA",
    "LPT",
    "COM\xC2\xB4",
    "aux-x",
    ".x",
    "a b",
    " a",
    "a.b.c",
    "con_.x",
    "x.con",
    "~1",
    "\xC3\xA9",
    "\xE6\x97\xA5\xE6\x9C\xAC",
    "\xF0\x9F\x98\x80",
    "a%b",
    "[x]",
    "a;b,c",
    "a'b",
    "$x",
    "a+b=c",
    "#",
    "@",
    "&",
    "(x)",
    "-x",
};

static void names_that_windows_cannot_hold_are_refused_with_a_reason(void **state) {
    (void)state;
    struct os_file f;
    struct os_dir d;
    struct os_stat st;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *reason = os_name_fault(refused[i], strlen(refused[i]));
        assert_non_null(reason);
        assert_true(strlen(reason) > 10);
        assert_true(os_create(s->dir, refused[i], 0600, &f) < 0);
        assert_true(os_mkdir_at(s->dir, refused[i], 0700) < 0);
        assert_true(os_dir_open(s->dir, refused[i], &d) < 0);
        assert_true(os_stat_at(s->dir, refused[i], &st) < 0);
    }
    assert_int_equal(count_names(s->dir), 0);
}

static void names_that_windows_holds_are_listed_as_they_were_made(void **state) {
    (void)state;
    enum { NAMES = sizeof held / sizeof held[0] };
    struct os_stat st;
    for (size_t i = 0; i < NAMES; i++) {
        assert_null(os_name_fault(held[i], strlen(held[i])));
        make(s->dir, held[i], held[i]);
    }
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    unsigned found = 0;
    assert_int_equal(os_list_open(s->dir, &list), 0);
    while (os_list_next(list, &name, &kind) == 1)
        for (size_t i = 0; i < NAMES; i++)
            found += strcmp(name, held[i]) == 0;
    os_list_close(list);
    assert_int_equal(found, NAMES);
    for (size_t i = 0; i < NAMES; i++) {
        assert_int_equal(os_stat_at(s->dir, held[i], &st), 0);
        assert_int_equal(st.size, strlen(held[i]));
    }
}

static void only_names_of_one_component_are_taken(void **state) {
    (void)state;
    static const char *const bad[] = {"",    ".",    "..",    "d/f",   "d\\f",        "/f",
                                      "\\f", "../x", "d\\..", "C:\\f", "\\\\?\\C:\\f"};
    struct os_file f;
    struct os_dir d;
    assert_int_equal(os_mkdir_at(s->dir, "d", 0700), 0);
    put_text(below(s->path, L"d\\f"), "x");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(os_open_read(s->dir, bad[i], &f) < 0);
        assert_true(os_create(s->dir, bad[i], 0600, &f) < 0);
        assert_true(os_dir_open(s->dir, bad[i], &d) < 0);
        assert_true(os_unlink_at(s->dir, bad[i]) < 0);
        assert_true(os_rename_at(s->dir, "d", bad[i]) < 0);
    }
    assert_text(below(s->path, L"d\\f"), "x");
    assert_int_equal(count_names(s->dir), 1);
}

static void name_that_differs_only_in_case_is_no_match(void **state) {
    (void)state;
    struct os_stat st;
    struct os_dir d;
    struct os_file f;
    assert_int_equal(os_mkdir_at(s->dir, "Dir", 0700), 0);
    make(s->dir, "File", "old");
    assert_int_equal(os_stat_at(s->dir, "file", &st), -SYS_OTHER_NAME);
    assert_int_equal(os_open_read(s->dir, "FILE", &f), -SYS_OTHER_NAME);
    assert_int_equal(os_dir_open(s->dir, "dir", &d), -SYS_OTHER_NAME);
    assert_int_equal(os_mkdir_at(s->dir, "dir", 0700), -SYS_OTHER_NAME);
    make(s->dir, "new", "new");
    assert_int_equal(os_rename_at(s->dir, "new", "fILE"), -SYS_OTHER_NAME);
    assert_int_equal(os_rename_at(s->dir, "new", "dIR"), -SYS_OTHER_NAME);
    assert_text(below(s->path, L"File"), "old");
    assert_text(below(s->path, L"new"), "new");
}

static void directories_and_files_are_reached_below_long_paths(void **state) {
    (void)state;
    enum { DEPTH = 20 };
    static const char name[] = "a directory of thirty bytes---";
    static const wchar_t wide[] = L"\\a directory of thirty bytes---";
    static wchar_t path[PATH_UNITS];
    struct os_dir at, next;
    struct os_stat st;
    (void)wcscpy(path, s->path);
    assert_int_equal(os_dir_dup(s->dir, &at), 0);
    for (unsigned i = 0; i < DEPTH; i++) {
        assert_int_equal(os_mkdir_at(at, name, 0700), 0);
        assert_int_equal(os_dir_open(at, name, &next), 0);
        os_dir_close(&at);
        at = next;
        (void)wcscat(path, wide);
    }
    make(at, "temp", "deep");
    assert_int_equal(os_rename_at(at, "temp", "f"), 0);
    assert_int_equal(os_stat_at(at, "f", &st), 0);
    os_dir_close(&at);
    assert_true(wcslen(path) > 600);
    assert_text(below(path, L"f"), "deep");
    static char utf8[PATH_UNITS];
    (void)snprintf(utf8, sizeof utf8, "%ls", path + 4);
    assert_int_equal(os_dir_open_path(utf8, &at), 0);
    assert_int_equal(os_stat_at(at, "f", &st), 0);
    os_dir_close(&at);
    (void)strcat(utf8, "/x/y");
    assert_int_equal(os_mkdir_path(utf8), 0);
    assert_int_equal(os_mkdir_path(utf8), 0);
    assert_int_equal(os_stat_path(utf8, true, &st), 0);
    assert_int_equal(st.kind, OS_DIR);
}

static void unpaired_surrogate_in_a_name_is_listed_and_opened(void **state) {
    (void)state;
    HANDLE h = CreateFileW(below(s->path, L"a\xD800z"), GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    if (h == INVALID_HANDLE_VALUE) {
        print_message("# skipped: this file system has no names with unpaired surrogates\n");
        skip();
    }
    assert_true(CloseHandle(h));
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    struct os_stat st;
    assert_int_equal(os_list_open(s->dir, &list), 0);
    assert_int_equal(os_list_next(list, &name, &kind), 1);
    assert_string_equal(name, "a\xED\xA0\x80z");
    assert_int_equal(os_stat_at(s->dir, name, &st), 0);
    os_list_close(list);
}

static void last_name_of_a_path_is_that_on_disk(void **state) {
    (void)state;
    char path[2048], name[NAME_BYTES_MAX + 1];
    make(s->dir, "ReadMe.TXT", "");
    (void)snprintf(path, sizeof path, "%s\\readme.txt", s->utf8);
    assert_int_equal(os_last_name(path, name, sizeof name), 0);
    assert_string_equal(name, "ReadMe.TXT");
    (void)snprintf(path, sizeof path, "%s\\nobody", s->utf8);
    assert_int_equal(os_last_name(path, name, sizeof name), -ENOENT);
}

static void separators_of_both_sorts_are_understood(void **state) {
    (void)state;
    char path[2048];
    struct os_stat st;
    (void)snprintf(path, sizeof path, "%s\\x/y\\z", s->utf8);
    assert_int_equal(os_mkdir_path(path), 0);
    assert_true(exists(below(s->path, L"x\\y\\z")));
    os_path_normalize(path);
    assert_null(strchr(path, '\\'));
    assert_int_equal(os_stat_path(path, true, &st), 0);
    assert_int_equal(st.kind, OS_DIR);
    assert_int_equal(os_stat_path("", true, &st), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(names_that_windows_cannot_hold_are_refused_with_a_reason),
        TEST(names_that_windows_holds_are_listed_as_they_were_made),
        TEST(only_names_of_one_component_are_taken),
        TEST(name_that_differs_only_in_case_is_no_match),
        TEST(directories_and_files_are_reached_below_long_paths),
        TEST(unpaired_surrogate_in_a_name_is_listed_and_opened),
        TEST(last_name_of_a_path_is_that_on_disk),
        TEST(separators_of_both_sorts_are_understood),
    };
    return cmocka_run_group_tests_name("os_win32_names", tests, NULL, NULL);
}
