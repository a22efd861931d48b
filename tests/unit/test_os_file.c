/* Contents, names and metadata of files and directories below a directory handle. */
#include "files_help.h"

static struct scratch scratch;
static unsigned descriptors;

static int start(void **state) {
    (void)state;
    descriptors = open_descriptors();
    scratch = scratch_new();
    return 0;
}
static int stop(void **state) {
    (void)state;
    scratch_free(&scratch);
    return open_descriptors() == descriptors ? 0 : -1; /* no test may leak one */
}

/* ---- contents ----------------------------------------------------------------------------------------- */

static void bytes_are_written_whole_and_read_to_the_end(void **state) {
    (void)state;
    struct os_file file;
    struct os_stat st;
    char got[16];
    assert_int_equal(os_create(scratch.dir, "f", 0600, &file), 0);
    assert_int_equal(os_pwrite(file, "world", 5, 5), 0);
    assert_int_equal(os_pwrite(file, "hello", 5, 0), 0);
    assert_int_equal(os_pwrite(file, "", 0, 1000), 0);
    assert_int_equal(os_pread(file, got, sizeof got, 0), 10);
    assert_memory_equal(got, "helloworld", 10);
    assert_int_equal(os_pread(file, got, 3, 4), 3);
    assert_memory_equal(got, "owo", 3);
    assert_int_equal(os_pread(file, got, 5, 10), 0);
    assert_int_equal(os_pread(file, got, 5, 1ULL << 40), 0);
    assert_int_equal(os_pread(file, got, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(os_truncate(file, 7), 0);
    assert_int_equal(os_fstat(file, &st), 0);
    assert_int_equal(st.size, 7);
    assert_int_equal(os_write_out_soon(file, 0, 7), 0);
    assert_int_equal(os_write_out_soon(file, 4, 1000), 0);
    assert_int_equal(os_sync(file), 0);
    assert_int_equal(os_close_checked(&file), 0);
    assert_int_equal(os_open_read(scratch.dir, "f", &file), 0);
    assert_int_equal(os_pwrite(file, "x", 1, 0), -EBADF);
    os_close(&file);
    assert_int_equal(os_close_checked(&file), 0); /* closed already */
}

/* In whatever order, with gaps that belong to others, and with some that are not open. */
static void many_are_closed_at_once_and_no_others(void **state) {
    (void)state;
    enum { COUNT = 12 };
    struct os_file files[COUNT], kept[COUNT / 4], swap;
    struct os_stat st;
    char name[8];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(os_create(scratch.dir, name, 0600, &files[i]), 0);
    }
    swap = files[1];
    files[1] = files[COUNT - 2];
    files[COUNT - 2] = swap;
    for (unsigned i = 0; i < COUNT; i += 4) {
        kept[i / 4] = files[i];
        files[i] = OS_FILE_NONE;
    }
    unsigned before = open_descriptors();
    os_close_all(files, COUNT);
    assert_int_equal(open_descriptors(), before - (COUNT - COUNT / 4));
    for (unsigned i = 0; i < COUNT; i++)
        assert_false(os_file_is_open(files[i]));
    for (unsigned i = 0; i < COUNT / 4; i++) {
        assert_int_equal(os_fstat(kept[i], &st), 0);
        os_close(&kept[i]);
    }
    os_close_all(files, 0);
}

/* Every byte that is not zero lies in a run of data, and runs go forward and are not empty. */
static uint64_t assert_runs_hold(struct os_file file, uint64_t size, const uint64_t *marks, size_t count) {
    uint64_t at = 0, sum = 0, start, end;
    size_t found = 0;
    int result;
    while ((result = os_next_data(file, at, size, &start, &end)) == 0) {
        assert_true(start >= at && end > start && end <= size);
        for (size_t i = 0; i < count; i++)
            found += marks[i] >= start && marks[i] < end;
        sum += end - start;
        at = end;
        if (at == size)
            break;
    }
    assert_true(result == 0 || result == -ENXIO);
    assert_int_equal(found, count);
    return sum;
}

static void runs_of_data_are_found_in_a_sparse_file(void **state) {
    (void)state;
    static const uint64_t marks[] = {0, 3 << 20, (3 << 20) + 1, 9 << 20};
    enum { SIZE = 16 << 20 };
    struct os_file file;
    struct os_stat st;
    uint64_t start = 7, end = 7;
    assert_int_equal(os_create(scratch.dir, "sparse", 0600, &file), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(os_pwrite(file, "x", 1, marks[i]), 0);
    assert_int_equal(os_truncate(file, SIZE), 0);
    uint64_t data = assert_runs_hold(file, SIZE, marks, 4);
    assert_int_equal(os_fstat(file, &st), 0);
    if (st.allocated < SIZE / 2) /* this file system has holes */
        assert_in_range(data, 4, SIZE / 2);
    if (data < SIZE)
        assert_int_equal(os_next_data(file, 15 << 20, SIZE, &start, &end), -ENXIO);
    assert_int_equal(os_next_data(file, SIZE, SIZE, &start, &end), -ENXIO);
    assert_true(start == 7 && end == 7);
    os_close(&file);
}

static void file_of_nothing_but_a_hole_has_no_data(void **state) {
    (void)state;
    struct os_file file;
    uint64_t start, end;
    assert_int_equal(os_create(scratch.dir, "empty", 0600, &file), 0);
    assert_int_equal(os_next_data(file, 0, 0, &start, &end), -ENXIO);
    assert_int_equal(os_truncate(file, 1 << 20), 0);
    int result = os_next_data(file, 0, 1 << 20, &start, &end);
    assert_true(result == -ENXIO || (start == 0 && end == 1 << 20));
    os_close(&file);
}

/* ---- names and metadata ------------------------------------------------------------------------------- */

static void times_are_kept_to_the_nanosecond(void **state) {
    (void)state;
    static const struct {
        int64_t sec;
        uint32_t nsec;
    } times[] = {{1234567890, 123456789}, {0, 1}, {1, 999999999}, {-86400, 5}, {4102444800, 0}};
    struct os_file file;
    struct os_stat st;
    assert_int_equal(os_create(scratch.dir, "f", 0600, &file), 0);
    assert_int_equal(os_symlink_at("f", scratch.dir, "link"), 0);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_int_equal(os_set_mtime(file, times[i].sec, times[i].nsec), 0);
        assert_int_equal(os_fstat(file, &st), 0);
        assert_true(st.mtime_sec == times[i].sec && st.mtime_nsec == times[i].nsec);
        assert_int_equal(os_set_mtime_at(scratch.dir, "link", times[i].sec, times[i].nsec ^ 1), 0);
        assert_int_equal(os_stat_at(scratch.dir, "link", &st), 0);
        assert_true(st.mtime_sec == times[i].sec && st.mtime_nsec == (times[i].nsec ^ 1));
        assert_int_equal(os_stat_at(scratch.dir, "f", &st), 0); /* the link's time is its own */
        assert_true(st.mtime_sec == times[i].sec && st.mtime_nsec == times[i].nsec);
    }
    os_close(&file);
}

static void stat_tells_kinds_apart_and_follows_nothing(void **state) {
    (void)state;
    struct os_dir d = scratch.dir;
    struct os_stat st;
    put_text(d, "file", "12345");
    assert_int_equal(fchmodat(d.fd, "file", 04751, 0), 0);
    assert_int_equal(os_mkdir_at(d, "dir", 0750), 0);
    assert_int_equal(mkfifoat(d.fd, "fifo", 0600), 0);
    assert_int_equal(os_symlink_at("dir", d, "link"), 0);
    assert_int_equal(os_stat_at(d, "file", &st), 0);
    assert_true(st.kind == OS_FILE && st.size == 5 && st.mode == 04751);
    assert_true(st.uid == geteuid() && st.inode != 0);
    assert_int_equal(os_stat_at(d, "dir", &st), 0);
    assert_int_equal(st.kind, OS_DIR);
    assert_int_equal(os_stat_at(d, "fifo", &st), 0);
    assert_int_equal(st.kind, OS_FIFO);
    assert_int_equal(os_stat_at(d, "link", &st), 0);
    assert_int_equal(st.kind, OS_SYMLINK);
    assert_int_equal(os_stat_at(d, "missing", &st), -ENOENT);
    assert_int_equal(os_stat_path("/dev/null", true, &st), 0);
    assert_int_equal(st.kind, OS_CHAR_DEVICE);
}

static void names_are_made_renamed_and_removed(void **state) {
    (void)state;
    struct os_dir d = scratch.dir;
    char target[64];
    put_text(d, "a", "a");
    put_text(d, "b", "b");
    assert_int_equal(os_rename_at(d, "a", "b"), 0);
    assert_false(exists(d, "a"));
    assert_text(d, "b", "a");
    assert_int_equal(os_mkdir_at(d, "dir", 0700), 0);
    assert_int_equal(os_mkdir_at(d, "dir", 0700), -EEXIST);
    assert_int_equal(os_rename_at(d, "b", "dir"), -EISDIR);
    if (OS_CAN_STAGE_DIRS) {
        struct os_dir in;
        assert_int_equal(os_dir_open(d, "dir", &in), 0);
        put_text(d, "c", "c");
        assert_int_equal(os_move(d, "c", d, "b", false), -EEXIST);
        assert_int_equal(os_move(d, "c", in, "x", false), 0);
        assert_text(d, "dir/x", "c");
        assert_int_equal(os_move(in, "x", d, "b", false), -EEXIST);
        assert_int_equal(os_move(in, "x", d, "b", true), 0);
        assert_text(d, "b", "c");
        assert_int_equal(os_move(in, "x", d, "c", false), -ENOENT);
        assert_int_equal(os_move(d, "b", d, "dir", true), -EISDIR);
        os_dir_close(&in);
    }
    put_text(d, "dir/x", "x");
    assert_int_equal(os_rmdir_at(d, "dir"), -ENOTEMPTY);
    assert_true(os_unlink_at(d, "dir") < 0);
    assert_int_equal(unlinkat(d.fd, "dir/x", 0), 0);
    assert_int_equal(os_rmdir_at(d, "dir"), 0);
    assert_int_equal(os_symlink_at("any/target", d, "link"), 0);
    assert_int_equal(os_readlink_at(d, "link", target, sizeof target), 10);
    assert_memory_equal(target, "any/target", 10);
    assert_int_equal(os_readlink_at(d, "b", target, sizeof target), -EINVAL);
    assert_int_equal(os_unlink_at(d, "link"), 0);
    assert_int_equal(os_unlink_at(d, "link"), -ENOENT);
}

static void mkdir_path_makes_the_parents(void **state) {
    (void)state;
    char path[400];
    struct os_stat st;
    (void)snprintf(path, sizeof path, "%s/a/b/c", scratch.path);
    assert_int_equal(os_mkdir_path(path), 0);
    assert_int_equal(os_mkdir_path(path), 0);
    assert_int_equal(os_stat_path(path, false, &st), 0);
    assert_int_equal(st.kind, OS_DIR);
    (void)snprintf(path, sizeof path, "%s/d/e/", scratch.path);
    assert_int_equal(os_mkdir_path(path), 0);
    assert_true(exists(scratch.dir, "d/e"));
    assert_int_equal(os_flush_path(path), 0);
    assert_int_equal(os_flush_path("one"), 0);
    put_text(scratch.dir, "file", "");
    (void)snprintf(path, sizeof path, "%s/file/sub", scratch.path);
    assert_int_equal(os_mkdir_path(path), -ENOTDIR);
    assert_int_equal(os_flush_path(path), -ENOTDIR);
    (void)snprintf(path, sizeof path, "%s/none//sub", scratch.path);
    assert_int_equal(os_flush_path(path), -ENOENT);
    assert_int_equal(os_mkdir_path(""), -ENOENT);
    assert_int_equal(os_flush_path(""), -ENOENT);
}

static void listing_names_everything_once(void **state) {
    (void)state;
    enum { FILES = 300 };
    unsigned seen[FILES] = {0};
    struct os_list *list, *other;
    const char *name;
    enum os_kind kind;
    char text[16];
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(text, sizeof text, "f%u", i);
        put_text(scratch.dir, text, "");
    }
    assert_int_equal(os_list_open(scratch.dir, &list), 0);
    assert_int_equal(os_list_next(list, &name, &kind), 1);
    assert_int_equal(os_list_open(scratch.dir, &other), 0); /* has a position of its own */
    for (;;) {
        assert_true(kind == OS_FILE || kind == OS_NONE);
        unsigned long i = strtoul(name + 1, NULL, 10);
        assert_in_range(i, 0, FILES - 1);
        seen[i]++;
        if (os_list_next(list, &name, &kind) != 1)
            break;
    }
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(seen[i], 1);
    unsigned n = 0;
    while (os_list_next(other, &name, &kind) == 1)
        n++;
    assert_int_equal(n, FILES);
    os_list_close(list);
    os_list_close(other);
    os_list_close(NULL);
}

static void directories_can_be_doubled_flushed_and_measured(void **state) {
    (void)state;
    struct os_dir twin;
    struct os_stat a, b;
    uint64_t bytes = 0;
    assert_int_equal(os_dir_dup(scratch.dir, &twin), 0);
    assert_int_equal(os_dir_stat(scratch.dir, &a), 0);
    assert_int_equal(os_dir_stat(twin, &b), 0);
    assert_true(a.kind == OS_DIR && a.inode == b.inode && a.device == b.device);
    assert_int_equal(os_dir_sync(twin), 0);
    assert_int_equal(os_volume_free(twin, &bytes), 0);
    assert_true(bytes > 0);
    os_dir_close(&twin);
    assert_int_equal(os_volume_free(twin, &bytes), -EBADF);
}

static void errors_get_the_exit_code_that_fits(void **state) {
    (void)state;
    static const struct {
        int sys, code;
    } rows[] = {{ENOSPC, EXIT_NO_SPACE},
                {EDQUOT, EXIT_NO_SPACE},
                {ENOMEM, EXIT_MEMORY},
                {EACCES, EXIT_FILE_IO},
                {EIO, EXIT_FILE_IO}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err;
        char text[200];
        assert_int_equal(os_file_error(&err, -rows[i].sys, "%s: write", "a%sb"), -1);
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(err.sys, rows[i].sys);
        (void)snprintf(text, sizeof text, "a%%sb: write: %s", strerror(rows[i].sys));
        assert_string_equal(err.msg, text);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_written_whole_and_read_to_the_end),
        TEST(many_are_closed_at_once_and_no_others),
        TEST(runs_of_data_are_found_in_a_sparse_file),
        TEST(file_of_nothing_but_a_hole_has_no_data),
        TEST(times_are_kept_to_the_nanosecond),
        TEST(stat_tells_kinds_apart_and_follows_nothing),
        TEST(names_are_made_renamed_and_removed),
        TEST(mkdir_path_makes_the_parents),
        TEST(listing_names_everything_once),
        TEST(directories_can_be_doubled_flushed_and_measured),
        TEST(errors_get_the_exit_code_that_fits),
    };
    return cmocka_run_group_tests_name("os_file", tests, NULL, NULL);
}
