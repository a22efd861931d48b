/* Files and directories of Windows, below a directory handle. */
#include "win32_help.h"

#include "core/win32/sys_own.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>

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

static void bytes_are_written_whole_and_read_to_the_end(void **state) {
    (void)state;
    struct os_file f;
    char got[32];
    assert_int_equal(os_create(s->dir, "f", 0600, &f), 0);
    assert_int_equal(os_pwrite(f, "world", 5, 6), 0);
    assert_int_equal(os_pwrite(f, "hello ", 6, 0), 0);
    assert_int_equal(os_sync(f), 0);
    assert_int_equal(os_pread(f, got, sizeof got, 0), 11);
    assert_memory_equal(got, "hello world", 11);
    assert_int_equal(os_pread(f, got, sizeof got, 11), 0);
    assert_int_equal(os_pread(f, got, sizeof got, 4096), 0);
    assert_int_equal(os_truncate(f, 5), 0);
    assert_int_equal(os_close_checked(&f), 0);
    assert_false(os_file_is_open(f));
    assert_text(below(s->path, L"f"), "hello");
}

static void create_is_exclusive_and_nobody_else_can_open_the_file(void **state) {
    (void)state;
    struct os_file f, other;
    assert_int_equal(os_create(s->dir, "f", 0600, &f), 0);
    assert_int_equal(os_create(s->dir, "f", 0600, &other), -EEXIST);
    HANDLE h =
        CreateFileW(below(s->path, L"f"), GENERIC_READ,
                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    assert_true(h == INVALID_HANDLE_VALUE);
    assert_int_equal(GetLastError(), ERROR_SHARING_VIOLATION);
    assert_int_equal(os_open_read(s->dir, "f", &other), -ETXTBSY);
    os_close(&f);
    assert_int_equal(os_open_read(s->dir, "f", &other), 0);
    os_close(&other);
}

static void names_are_made_renamed_and_removed(void **state) {
    (void)state;
    struct os_stat st;
    assert_int_equal(os_mkdir_at(s->dir, "d", 0700), 0);
    assert_int_equal(os_mkdir_at(s->dir, "d", 0700), -EEXIST);
    make(s->dir, "a", "new");
    put_text(below(s->path, L"b"), "old");
    assert_int_equal(os_rename_at(s->dir, "a", "c"), 0);
    assert_text(below(s->path, L"c"), "new");
    assert_int_equal(os_rename_at(s->dir, "c", "b"), 0);
    assert_text(below(s->path, L"b"), "new");
    assert_false(exists(below(s->path, L"c")));
    assert_int_equal(os_rename_at(s->dir, "missing", "b"), -ENOENT);
    assert_int_equal(os_unlink_at(s->dir, "d"), -EISDIR);
    assert_int_equal(os_rmdir_at(s->dir, "b"), -ENOTDIR);
    make(s->dir, "x", "");
    assert_int_equal(os_unlink_at(s->dir, "x"), 0);
    put_text(below(s->path, L"d\\inside"), "");
    assert_int_equal(os_rmdir_at(s->dir, "d"), -ENOTEMPTY);
    assert_true(DeleteFileW(below(s->path, L"d\\inside")));
    assert_int_equal(os_rmdir_at(s->dir, "d"), 0);
    assert_int_equal(os_stat_at(s->dir, "d", &st), -ENOENT);
    assert_int_equal(os_stat_at(s->dir, "x", &st), -ENOENT);
}

static void file_over_a_directory_is_an_error_and_both_stay(void **state) {
    (void)state;
    make(s->dir, "a", "new");
    assert_int_equal(os_mkdir_at(s->dir, "d", 0700), 0);
    assert_int_equal(os_rename_at(s->dir, "a", "d"), -EISDIR);
    put_text(below(s->path, L"d\\inside"), "");
    assert_int_equal(os_rename_at(s->dir, "a", "d"), -EISDIR);
    assert_text(below(s->path, L"a"), "new");
}

static void read_only_files_are_replaced_and_removed(void **state) {
    (void)state;
    put_text(below(s->path, L"b"), "old");
    assert_true(SetFileAttributesW(below(s->path, L"b"), FILE_ATTRIBUTE_READONLY));
    make(s->dir, "a", "new");
    assert_int_equal(os_rename_at(s->dir, "a", "b"), 0);
    assert_text(below(s->path, L"b"), "new");
    assert_true(SetFileAttributesW(below(s->path, L"b"), FILE_ATTRIBUTE_READONLY));
    assert_int_equal(os_unlink_at(s->dir, "b"), 0);
    assert_false(exists(below(s->path, L"b")));
}

static void read_only_file_takes_its_place(void **state) {
    (void)state;
    struct os_file f;
    put_text(below(s->path, L"b"), "old");
    assert_int_equal(os_create(s->dir, "a", 0600, &f), 0);
    assert_int_equal(os_pwrite(f, "new", 3, 0), 0);
    assert_int_equal(os_set_mode(f, 0444), 0);
    assert_int_equal(os_sync(f), 0);
    os_close(&f);
    assert_int_equal(os_rename_at(s->dir, "a", "b"), 0);
    assert_text(below(s->path, L"b"), "new");
    assert_true(GetFileAttributesW(below(s->path, L"b")) & FILE_ATTRIBUTE_READONLY);
}

static void file_that_another_program_has_open_is_busy_and_stays(void **state) {
    (void)state;
    struct os_file f;
    struct err err = {0};
    put_text(below(s->path, L"b"), "old");
    HANDLE h = CreateFileW(below(s->path, L"b"), GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    assert_true(h != INVALID_HANDLE_VALUE);
    make(s->dir, "a", "new");
    int result = os_rename_at(s->dir, "a", "b");
    assert_int_equal(result, -ETXTBSY);
    assert_int_equal(os_unlink_at(s->dir, "b"), -ETXTBSY);
    assert_int_equal(os_open_read(s->dir, "b", &f), 0); /* it shares reading */
    os_close(&f);
    assert_true(CloseHandle(h));
    assert_text(below(s->path, L"b"), "old");
    assert_text(below(s->path, L"a"), "new");
    assert_int_equal(os_file_error(&err, result, "b"), -1);
    assert_non_null(strstr(err.msg, "open in another program"));
    assert_int_equal(os_rename_at(s->dir, "a", "b"), 0);
}

static void times_are_kept_to_100_ns_before_and_after_1970(void **state) {
    (void)state;
    static const struct {
        int64_t sec;
        uint32_t nsec;
    } times[] = {{0, 0}, {0, 100}, {1700000000, 123456700}, {-1, 999999900}, {-1, 0}, {4102444800, 500}};
    struct os_stat st;
    struct os_file f;
    make(s->dir, "f", "x");
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(os_open_read(s->dir, "f", &f), 0); /* for reading only: setting needs more */
        assert_int_equal(os_set_mtime(f, times[i].sec, times[i].nsec), 0);
        assert_int_equal(os_fstat(f, &st), 0);
        os_close(&f);
        assert_int_equal(st.mtime_sec, times[i].sec);
        assert_int_equal(st.mtime_nsec, times[i].nsec);
        assert_int_equal(os_set_mtime_at(s->dir, "f", times[i].sec + 1, times[i].nsec), 0);
        assert_int_equal(os_stat_at(s->dir, "f", &st), 0);
        assert_int_equal(st.mtime_sec, times[i].sec + 1);
        assert_int_equal(st.mtime_nsec, times[i].nsec);
    }
    assert_int_equal(os_set_mtime_at(s->dir, "f", 5, 199), 0);
    assert_int_equal(os_stat_at(s->dir, "f", &st), 0);
    assert_int_equal(st.mtime_nsec, os_nsec_kept(199));
    assert_int_equal(os_set_mtime_at(s->dir, "f", -11644473601, 0), -EINVAL); /* 1600 */
    assert_int_equal(os_set_mtime_at(s->dir, "f", INT64_MAX, 0), -EINVAL);
}

static void directories_have_times_too(void **state) {
    (void)state;
    struct os_dir dir;
    struct os_stat st;
    assert_int_equal(os_mkdir_at(s->dir, "d", 0700), 0);
    assert_int_equal(os_dir_open(s->dir, "d", &dir), 0);
    assert_int_equal(os_set_mtime(os_dir_as_file(dir), 1000000000, 42 * 100), 0);
    assert_int_equal(os_set_mode(os_dir_as_file(dir), 0555), 0);
    assert_int_equal(os_dir_stat(dir, &st), 0);
    os_dir_close(&dir);
    assert_int_equal(st.kind, OS_DIR);
    assert_int_equal(st.mode, 0755);
    assert_int_equal(st.mtime_sec, 1000000000);
    assert_int_equal(st.mtime_nsec, 4200);
}

static void mode_says_whether_a_file_is_read_only(void **state) {
    (void)state;
    struct os_file f;
    struct os_stat st;
    static const uint32_t modes[] = {0444, 0644, 0400, 0777, 0000, 0200};
    assert_int_equal(os_create(s->dir, "f", 0600, &f), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(os_set_mode(f, modes[i]), 0);
        assert_int_equal(os_fstat(f, &st), 0);
        assert_int_equal(st.mode, os_mode_kept(OS_FILE, modes[i]));
        assert_int_equal(!!(GetFileAttributesW(below(s->path, L"f")) & FILE_ATTRIBUTE_READONLY),
                         !(modes[i] & 0200));
    }
    os_close(&f);
}

static void attributes_are_set_beside_read_only(void **state) {
    (void)state;
    struct os_file f;
    struct os_stat st;
    make(s->dir, "f", "x");
    (void)SetFileAttributesW(below(s->path, L"f"), FILE_ATTRIBUTE_HIDDEN);
    if (!(GetFileAttributesW(below(s->path, L"f")) & FILE_ATTRIBUTE_HIDDEN)) {
        print_message("skipped: the file system below Wine keeps no attributes\n");
        skip();
    }
    assert_int_equal(os_open_read(s->dir, "f", &f), 0);
    assert_int_equal(os_fstat(f, &st), 0);
    assert_true(st.win.known);
    assert_int_equal(st.win.bits & ~(uint32_t)WIN_ATTR_ARCHIVE, WIN_ATTR_HIDDEN);
    assert_int_equal(os_set_mode(f, 0400), 0);
    st.win.bits = WIN_ATTR_SYSTEM;
    assert_int_equal(os_set_win_attr(f, &st.win), 0);
    os_close(&f);
    DWORD wanted = FILE_ATTRIBUTE_SYSTEM | FILE_ATTRIBUTE_READONLY;
    DWORD now = GetFileAttributesW(below(s->path, L"f"));
    assert_int_equal(now & (wanted | FILE_ATTRIBUTE_HIDDEN), wanted);
}

static void a_time_of_creation_before_1601_is_refused(void **state) {
    (void)state;
    struct os_file f;
    make(s->dir, "f", "x");
    assert_int_equal(os_open_read(s->dir, "f", &f), 0);
    const struct win_attr first = {.known = true, .created_sec = -11644473600},
                          before = {true, 0, -11644473601, 0};
    assert_int_equal(os_set_win_attr(f, &first), 0);
    assert_int_equal(os_set_win_attr(f, &before), -EINVAL);
    os_close(&f);
}

static void stat_tells_size_kind_and_identity(void **state) {
    (void)state;
    struct os_stat a, b, again;
    struct os_file f;
    put_text(below(s->path, L"a"), "12345");
    put_text(below(s->path, L"b"), "");
    assert_int_equal(os_stat_at(s->dir, "a", &a), 0);
    assert_int_equal(os_stat_at(s->dir, "b", &b), 0);
    assert_int_equal(a.kind, OS_FILE);
    assert_int_equal(a.size, 5);
    assert_int_not_equal(a.inode, b.inode);
    assert_int_equal(os_open_read(s->dir, "a", &f), 0);
    assert_int_equal(os_fstat(f, &again), 0);
    os_close(&f);
    assert_memory_equal(&a, &again, sizeof a);
    assert_int_equal(os_dir_stat(s->dir, &a), 0);
    assert_int_equal(a.kind, OS_DIR);
}

static void what_is_no_directory_is_not_opened_as_one(void **state) {
    (void)state;
    struct os_dir dir;
    make(s->dir, "f", "");
    assert_int_equal(os_dir_open(s->dir, "f", &dir), -ENOTDIR);
    assert_int_equal(os_dir_open(s->dir, "missing", &dir), -ENOENT);
    (void)snprintf(s->utf8 + strlen(s->utf8), 8, "\\f");
    assert_int_equal(os_dir_open_path(s->utf8, &dir), -ENOTDIR);
}

static void listing_names_everything_once(void **state) {
    (void)state;
    enum { FILES = 1500 };
    static unsigned seen[FILES];
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    memset(seen, 0, sizeof seen);
    unsigned dirs = 0, n = 0;
    char text[64];
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(text, sizeof text, "a file whose name fills the buffer soon %u", i);
        make(s->dir, text, "");
    }
    assert_int_equal(os_mkdir_at(s->dir, ".hidden", 0700), 0);
    assert_int_equal(os_list_open(s->dir, &list), 0);
    int more;
    while ((more = os_list_next(list, &name, &kind)) == 1) {
        dirs += kind == OS_DIR;
        n++;
        unsigned i = FILES;
        if (kind == OS_FILE && sscanf(name, "a file whose name fills the buffer soon %u", &i) == 1 &&
            i < FILES)
            seen[i]++;
    }
    assert_int_equal(more, 0);
    os_list_close(list);
    assert_int_equal(n, FILES + 1);
    assert_int_equal(dirs, 1);
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(seen[i], 1);
}

static void empty_directory_lists_nothing(void **state) {
    (void)state;
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    assert_int_equal(os_list_open(s->dir, &list), 0);
    assert_int_equal(os_list_next(list, &name, &kind), 0);
    os_list_close(list);
}

static void directories_can_be_doubled_flushed_and_measured(void **state) {
    (void)state;
    struct os_dir twin;
    uint64_t bytes = 0;
    assert_int_equal(os_dir_dup(s->dir, &twin), 0);
    make(twin, "f", "x");
    assert_int_equal(os_dir_sync(twin), 0);
    assert_int_equal(os_volume_free(twin, &bytes), 0);
    os_dir_close(&twin);
    os_dir_close(&twin); /* nothing is left to close */
    assert_true(bytes > 0);
    assert_text(below(s->path, L"f"), "x");
}

/* Where the file system cannot tell, all of the file is data; where it can, the middle is a hole. */
static void data_of_a_file_with_a_hole_is_all_found(void **state) {
    (void)state;
    enum { DISTANT = 8 * 1024 * 1024, SIZE = DISTANT + 5 };
    struct os_file f;
    uint64_t at = 0, covered = 0, start, stop;
    char got[5];
    assert_int_equal(os_create(s->dir, "f", 0600, &f), 0);
    os_expect_holes(f);
    assert_int_equal(os_pwrite(f, "first", 5, 0), 0);
    assert_int_equal(os_pwrite(f, "after", 5, DISTANT), 0);
    while (at < SIZE && os_next_data(f, at, SIZE, &start, &stop) == 0) {
        assert_true(start >= at && stop > start && stop <= SIZE);
        if (start > at) /* a hole: it reads as zeros */
            assert_true(start - at < SIZE && at > 0 && start <= DISTANT);
        covered += stop - start;
        at = stop;
    }
    assert_int_equal(at, SIZE); /* the last byte is data */
    assert_true(covered >= 10);
    assert_int_equal(os_pread(f, got, 5, 0), 5);
    assert_memory_equal(got, "first", 5);
    assert_int_equal(os_pread(f, got, 5, DISTANT), 5);
    assert_memory_equal(got, "after", 5);
    assert_int_equal(os_pread(f, got, 5, DISTANT / 2), 5);
    assert_memory_equal(got, "\0\0\0\0\0", 5);
    os_close(&f);
}

static void links_are_made_read_and_not_followed(void **state) {
    (void)state;
    struct os_stat st;
    struct os_file f;
    struct os_dir dir;
    char target[64];
    assert_int_equal(os_mkdir_at(s->dir, "d", 0700), 0);
    int result = os_symlink_at("d", s->dir, "to-d");
    if (result == -EOPNOTSUPP || result == -EPERM || result == -EINVAL) {
        assert_false(exists(below(s->path, L"to-d"))); /* nothing half made is left */
        print_message("# skipped: links cannot be made here\n");
        skip();
    }
    assert_int_equal(result, 0);
    assert_int_equal(os_stat_at(s->dir, "to-d", &st), 0);
    assert_int_equal(st.kind, OS_SYMLINK);
    assert_int_equal(os_readlink_at(s->dir, "to-d", target, sizeof target), 1);
    assert_int_equal(target[0], 'd');
    assert_int_equal(os_dir_open(s->dir, "to-d", &dir), -ELOOP);
    assert_int_equal(os_symlink_at("../x/y", s->dir, "to-f"), 0);
    assert_int_equal(os_readlink_at(s->dir, "to-f", target, sizeof target), 6);
    assert_memory_equal(target, "../x/y", 6);
    assert_int_equal(os_open_read(s->dir, "to-f", &f), -ELOOP);
    assert_int_equal(os_unlink_at(s->dir, "to-f"), 0);
    assert_int_equal(os_unlink_at(s->dir, "to-d"), 0);
}

struct creator {
    struct os_thread thread;
    int result;
};

static void *create_it(void *arg) {
    struct creator *c = arg;
    struct os_file f;
    c->result = os_create(s->dir, "f", 0600, &f);
    if (c->result == 0)
        os_close(&f);
    return NULL;
}

static void one_of_many_creators_wins(void **state) {
    (void)state;
    struct creator creators[8];
    struct err err;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(os_thread_start(&creators[i].thread, "create", create_it, &creators[i], &err), 0);
    unsigned won = 0;
    for (size_t i = 0; i < 8; i++) {
        os_thread_join(&creators[i].thread);
        won += creators[i].result == 0;
    }
    assert_int_equal(won, 1);
}

static void claim_is_seen_until_it_ends_and_keeps_the_time_of_its_directory(void **state) {
    (void)state;
    struct os_file claim;
    struct os_stat st;
    assert_int_equal(os_set_mtime(os_dir_as_file(s->dir), 1000000, 200), 0);
    assert_int_equal(os_claim(s->dir, 0xaa, &claim), 0);
    assert_int_equal(os_is_claimed(s->dir, 0xaa), 1);
    assert_int_equal(os_is_claimed(s->dir, 0xbb), 0);
    os_unclaim(s->dir, &claim);
    assert_int_equal(os_is_claimed(s->dir, 0xaa), 0);
    assert_int_equal(os_dir_stat(s->dir, &st), 0);
    assert_int_equal(st.mtime_sec, 1000000);
    assert_int_equal(st.mtime_nsec, 200);
}

static void errors_get_the_exit_code_that_fits(void **state) {
    (void)state;
    struct err err = {0};
    assert_int_equal(os_file_error(&err, -ENOSPC, "x"), -1);
    assert_int_equal(err.code, EXIT_NO_SPACE);
    assert_int_equal(os_file_error(&err, -ENOMEM, "x"), -1);
    assert_int_equal(err.code, EXIT_MEMORY);
    assert_int_equal(os_file_error(&err, -EACCES, "%s: cannot", "x"), -1);
    assert_int_equal(err.code, EXIT_FILE_IO);
    assert_string_equal(err.msg, "x: cannot: Permission denied");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_written_whole_and_read_to_the_end),
        TEST(create_is_exclusive_and_nobody_else_can_open_the_file),
        TEST(names_are_made_renamed_and_removed),
        TEST(file_over_a_directory_is_an_error_and_both_stay),
        TEST(read_only_files_are_replaced_and_removed),
        TEST(read_only_file_takes_its_place),
        TEST(file_that_another_program_has_open_is_busy_and_stays),
        TEST(times_are_kept_to_100_ns_before_and_after_1970),
        TEST(directories_have_times_too),
        TEST(mode_says_whether_a_file_is_read_only),
        TEST(attributes_are_set_beside_read_only),
        TEST(a_time_of_creation_before_1601_is_refused),
        TEST(stat_tells_size_kind_and_identity),
        TEST(what_is_no_directory_is_not_opened_as_one),
        TEST(listing_names_everything_once),
        TEST(empty_directory_lists_nothing),
        TEST(directories_can_be_doubled_flushed_and_measured),
        TEST(data_of_a_file_with_a_hole_is_all_found),
        TEST(links_are_made_read_and_not_followed),
        TEST(one_of_many_creators_wins),
        TEST(claim_is_seen_until_it_ends_and_keeps_the_time_of_its_directory),
        TEST(errors_get_the_exit_code_that_fits),
    };
    return cmocka_run_group_tests_name("os_win32", tests, NULL, NULL);
}
