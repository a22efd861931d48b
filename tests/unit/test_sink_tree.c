/* Directories, links, and what the destination has already. */
#include "sink_help.h"

#include "core/path.h"

static const struct sink_options archive = {.perms = true, .times = true, .umask = 022};

static struct entry entry_of(uint8_t type, const char *path, uint32_t mode, uint64_t size) {
    return (struct entry){.file_id = 77,
                          .type = type,
                          .path = path,
                          .mode = mode,
                          .size = size,
                          .mtime_sec = 1000,
                          .mtime_nsec = 5};
}

static int make_link(const char *path, const char *target, struct err *err) {
    struct entry e = entry_of(ENTRY_SYMLINK, path, 0777, 0);
    return sink_make_link(sink, &e, (struct span){(const uint8_t *)target, strlen(target)}, err);
}

static void assert_link(const char *path, const char *target) {
    char got[LINK_TARGET_MAX + 1];
    ptrdiff_t n = os_readlink_at(root, path, got, sizeof got);
    assert_int_equal(n, strlen(target));
    assert_memory_equal(got, target, strlen(target));
}

/* ---- directories -------------------------------------------------------------------------------------- */

static void directory_is_made_writable_or_stays(void **state) {
    (void)state;
    open_sink(archive);
    assert_int_equal(sink_make_dir(sink, "", 0, NULL), 0);
    assert_int_equal(sink_make_dir(sink, "new", 0, NULL), 0);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_mode(root, "new", 0700);
    put_text(root, "new/inside", "kept");
    assert_int_equal(sink_make_dir(sink, "new", 0755, NULL), 0);
    assert_text(root, "new/inside", "kept");
    assert_int_equal(sink_make_dir(sink, "new/sub", 07777, NULL), 0);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_int_equal(stat_of(root, "new/sub").mode & 07000, 0);
}

static void directory_replaces_a_link_but_nothing_else(void **state) {
    (void)state;
    struct err err;
    open_sink(archive);
    make_dir(scratch.dir, "outside", 0777);
    (void)put_link(root, "link", "../outside");
    assert_int_equal(sink_make_dir(sink, "link", 0755, NULL), 0);
    send_file(1, "link/f", "new");
    sink_commit(sink);
    assert_text(root, "link/f", "new");
    remove_dir(scratch.dir, "outside"); /* it stayed empty */
    put_text(root, "file", "kept");
    assert_int_equal(sink_make_dir(sink, "file", 0755, &err), -1);
    assert_int_equal(err.code, EXIT_PARTIAL);
    assert_text(root, "file", "kept");
    if (put_fifo(root, "fifo"))
        assert_int_equal(sink_make_dir(sink, "fifo", 0755, &err), -1);
    assert_int_equal(sink_make_dir(sink, "missing/sub", 0755, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    assert_non_null(strstr(err.msg, "missing/sub"));
}

static int end_dir(const char *path, uint32_t mode) {
    struct entry e = entry_of(ENTRY_DIR_END, path, mode, 0);
    return sink_end_dir(sink, &e, NULL);
}

static void directory_gets_its_mode_and_time_in_the_end(void **state) {
    (void)state;
    open_sink(archive);
    assert_int_equal(sink_make_dir(sink, "d", 0555, NULL), 0);
    send_file(1, "d/f", "text");
    sink_commit(sink);
    static const char *const paths[] = {"d", ""};
    for (size_t i = 0; i < 2; i++) {
        for (int turn = 0; turn < 2; turn++)
            assert_int_equal(end_dir(paths[i], 02555), 0);
        struct os_stat st = stat_of(root, i ? "." : "d");
        assert_mode(root, i ? "." : "d", 0555);
        assert_mtime(&st, 1000, 5);
    }
    assert_durable(1, 4);
}

static void directory_keeps_mode_and_time_that_are_not_preserved(void **state) {
    (void)state;
    open_sink((struct sink_options){.umask = 022});
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    assert_int_equal(sink_finish(sink, NULL), 0);
    struct os_stat before = stat_of(root, "d");
    assert_int_equal(end_dir("d", 0500), 0);
    struct os_stat after = stat_of(root, "d");
    assert_int_equal(after.mode, before.mode);
    assert_mtime(&after, before.mtime_sec, before.mtime_nsec);
}

static void directory_that_is_none_cannot_end(void **state) {
    (void)state;
    open_sink(archive);
    put_text(root, "file", "kept");
    (void)put_link(root, "link", "/tmp");
    uint32_t file = stat_of(root, "file").mode;
    assert_int_equal(end_dir("file", 0500), -1);
    assert_int_equal(end_dir("link", 0500), -1);
    assert_int_equal(end_dir("missing", 0500), -1);
    assert_int_equal(stat_of(root, "file").mode, file);
}

/* ---- links -------------------------------------------------------------------------------------------- */

static void link_replaces_nothing_a_file_a_link_and_an_empty_directory(void **state) {
    (void)state;
    need_links(root);
    open_sink(archive);
    put_text(root, "file", "old");
    (void)put_link(root, "link", "elsewhere");
    make_dir(root, "dir", 0755);
    static const char *const names[] = {"nothing", "file", "link", "dir"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(make_link(names[i], "../any/where", NULL), 0);
        assert_link(names[i], "../any/where");
        struct os_stat st = stat_of(root, names[i]);
        assert_mtime(&st, 1000, 5);
    }
    assert_int_equal(temps_in(root), 0);
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void link_with_the_same_target_is_kept_and_gets_its_time(void **state) {
    (void)state;
    need_links(root);
    open_sink(archive);
    (void)put_link(root, "link", "target");
    uint64_t inode = stat_of(root, "link").inode;
    for (int turn = 0; turn < 2; turn++)
        assert_int_equal(make_link("link", "target", NULL), 0);
    struct os_stat st = stat_of(root, "link");
    assert_int_equal(st.inode, inode);
    assert_mtime(&st, 1000, 5);
    assert_int_equal(make_link("link", "targe", NULL), 0);
    assert_link("link", "targe");
    assert_int_equal(make_link("link", "target2", NULL), 0);
    assert_link("link", "target2");
}

static void link_does_not_replace_a_directory_that_is_not_empty(void **state) {
    (void)state;
    struct err err;
    open_sink(archive);
    make_dir(root, "dir", 0755);
    put_text(root, "dir/inside", "kept");
    assert_int_equal(make_link("dir", "target", &err), -1);
    assert_int_not_equal(err.code, 0);
    assert_text(root, "dir/inside", "kept");
    assert_int_equal(temps_in(root), 0);
    assert_int_equal(make_link("missing/link", "target", &err), -1);
    assert_int_equal(err.sys, ENOENT);
}

static void longest_target_fits(void **state) {
    (void)state;
    need_links(root);
    char target[LINK_TARGET_MAX + 1];
    open_sink(archive);
    memset(target, 't', LINK_TARGET_MAX);
    target[LINK_TARGET_MAX] = '\0';
    for (int turn = 0; turn < 2; turn++)
        assert_int_equal(make_link("link", target, NULL), 0);
    assert_link("link", target);
}

/* ---- what is there already ---------------------------------------------------------------------------- */

/* Who made it may have died before it was flushed. */
static void require_flush(bool wanted) {
    assert_int_equal(sink->names_changed, wanted);
    sink->names_changed = false;
}

static void what_is_found_and_young_is_flushed_in_the_end(void **state) {
    (void)state;
    struct entry file = entry_of(ENTRY_FILE, "f", 0644, 5);
    make_dir(root, "dir", 0755);
    put_text(root, "f", "12345");
    set_time(root, "f", 1000, 5);
    bool link = put_link(root, "link", "to");
    for (unsigned i = 0; i < 3; i++) {
        open_sink((struct sink_options){.times = true, .durable = i == 2 ? DURABLE_NONE : DURABLE_BATCH});
        if (i == 1)
            sink->young_sec = INT64_MAX; /* as if all of it had been there for long */
        bool wanted = OS_CAN_SYNC_VOLUME && i == 0;
        assert_int_equal(sink_make_dir(sink, "dir", 0755, NULL), 0);
        require_flush(wanted);
        assert_true(sink_has(sink, &file, true));
        require_flush(wanted);
        if (link)
            assert_int_equal(make_link("link", "to", NULL), 0);
        require_flush(wanted && link);
        assert_int_equal(sink_finish(sink, NULL), 0);
        sink_close(sink);
        sink = NULL;
    }
}

static void what_is_corrected_is_flushed_in_the_end(void **state) {
    (void)state;
    struct metadata meta = {.mode = 0600, .mtime_sec = 1000, .mtime_nsec = 5};
    put_text(root, "f", "12345");
    open_sink((struct sink_options){.times = true, .durable = DURABLE_BATCH});
    sink->young_sec = INT64_MAX;
    assert_int_equal(touch("f", &meta, NULL), 0);
    require_flush(OS_CAN_SYNC_VOLUME);
    assert_int_equal(touch("f", &meta, NULL), 0);
    require_flush(false);
}

enum { DATED_UNIT = 100 }; /* nanoseconds that every system tells apart */

static void put_dated(const char *path, const char *text, uint32_t mode) {
    put_text(root, path, text);
    set_mode(root, path, mode);
    set_time(root, path, 1000, 5);
}

static void has_compares_kind_size_and_time(void **state) {
    (void)state;
    open_sink((struct sink_options){.times = true});
    put_dated("f", "12345", 0600);
    struct entry e = entry_of(ENTRY_FILE, "f", 0644, 5);
    assert_true(sink_has(sink, &e, true));
    assert_true(sink_has(sink, &e, false));
    assert_mode(root, "f", 0600); /* modes are not preserved here */
    e.mtime_nsec += DATED_UNIT;
    assert_false(sink_has(sink, &e, true));
    assert_true(sink_has(sink, &e, false));
    e.mtime_nsec -= DATED_UNIT;
    e.mtime_sec = 1001;
    assert_false(sink_has(sink, &e, true));
    e.mtime_sec = 1000;
    e.size = 4;
    assert_false(sink_has(sink, &e, true));
    assert_false(sink_has(sink, &e, false));
    make_dir(root, "dir", 0755);
    (void)put_link(root, "link", "f");
    (void)put_fifo(root, "fifo");
    static const char *const others[] = {"dir", "link", "fifo", "missing", "missing/f", "link/f"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct entry other = entry_of(ENTRY_FILE, others[i], 0644, (uint64_t)(i == 1));
        assert_false(sink_has(sink, &other, false));
    }
}

static void has_corrects_a_mode_that_is_preserved(void **state) {
    (void)state;
    open_sink(archive);
    put_dated("f", "12345", 04711);
    struct entry e = entry_of(ENTRY_FILE, "f", 0640, 5);
    assert_true(sink_has(sink, &e, true));
    struct os_stat st = stat_of(root, "f");
    assert_mode(root, "f", 0640);
    assert_mtime(&st, 1000, 5);
}

static void touch_sets_mode_and_time_of_files_only(void **state) {
    (void)state;
    struct err err;
    open_sink(archive);
    put_text(root, "f", "text");
    assert_int_equal(touch("f", &(struct metadata){.mode = 07640, .mtime_sec = 1000, .mtime_nsec = 5}, NULL),
                     0);
    struct os_stat st = stat_of(root, "f");
    assert_mode(root, "f", 0640);
    assert_mtime(&st, 1000, 5);
    assert_text(root, "f", "text");
    make_dir(root, "dir", 0755);
    (void)put_link(root, "link", "f");
    bool has_fifo = put_fifo(root, "fifo");
    static const char *const others[] = {"dir", "link", "fifo", "missing"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(
            touch(others[i], &(struct metadata){.mode = 0700, .mtime_sec = 1, .mtime_nsec = 1}, &err), -1);
    assert_mode(root, "dir", 0755);
    if (has_fifo)
        assert_mode(root, "fifo", 0600);
}

/* Another file, or another content, is there by the time that the sender says that it is the same. */
static void touch_takes_only_what_was_compared(void **state) {
    (void)state;
    const struct metadata meta = {.mode = 0644, .mtime_sec = 1000};
    struct file_state was;
    struct digest digest;
    struct err err = {0};
    open_sink(archive);
    for (unsigned i = 0; i < 2; i++) {
        put_text(root, "f", "text");
        assert_int_equal(sink_digest(sink, "f", 4096, &was, &digest, NULL), 0);
        if (i == 0) {
            put_text(root, "other", "same");
            assert_int_equal(os_rename_at(root, "other", "f"), 0);
        } else {
            was.ctime_nsec++; /* as if it had been written to since */
        }
        struct os_stat before = stat_of(root, "f");
        assert_int_equal(sink_touch(sink, "f", &was, &meta, &err), -1);
        assert_int_equal(err.code, EXIT_PARTIAL);
        struct os_stat after = stat_of(root, "f");
        assert_int_equal(after.mtime_sec, before.mtime_sec);
    }
}

static struct digest digest_by_hand(const uint8_t *p, uint64_t size, uint32_t block) {
    struct file_digest *fd = file_digest_new();
    file_digest_start(fd);
    for (uint64_t at = 0; at < size; at += block) {
        uint32_t n = size - at < block ? (uint32_t)(size - at) : block;
        struct digest d = digest_of(p + at, n);
        file_digest_add(fd, at, n, &d);
    }
    struct digest result = file_digest_finish(fd, size);
    file_digest_free(fd);
    return result;
}

static void digest_covers_every_block_and_the_size(void **state) {
    (void)state;
    enum { BLOCK = 4096, LARGEST = 3 * BLOCK + 1 };
    static const uint64_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, LARGEST};
    uint8_t bytes[LARGEST];
    open_sink(archive);
    for (size_t i = 0; i < LARGEST; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct digest got, want = digest_by_hand(bytes, sizes[i], BLOCK);
        struct file_state was = {.size = 99};
        put_file(root, "f", bytes, sizes[i]);
        assert_int_equal(sink_digest(sink, "f", BLOCK, &was, &got, NULL), 0);
        assert_int_equal(was.size, sizes[i]);
        assert_true(digest_equal(&got, &want));
    }
}

static void only_files_have_a_digest(void **state) {
    (void)state;
    open_sink(archive);
    make_dir(root, "dir", 0755);
    (void)put_link(root, "link", "/etc/passwd");
    (void)put_fifo(root, "fifo");
    static const char *const others[] = {"dir", "link", "fifo", "missing", "link/x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct err err = {.code = 0};
        struct digest got;
        struct file_state was = {.size = 99};
        assert_int_equal(sink_digest(sink, others[i], 4096, &was, &got, &err), -1);
        assert_int_equal(err.code, EXIT_FILE_IO);
        assert_non_null(strstr(err.msg, others[i]));
        assert_int_equal(was.size, 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SINK_TEST(directory_is_made_writable_or_stays),
        SINK_TEST(directory_replaces_a_link_but_nothing_else),
        SINK_TEST(directory_gets_its_mode_and_time_in_the_end),
        SINK_TEST(directory_keeps_mode_and_time_that_are_not_preserved),
        SINK_TEST(directory_that_is_none_cannot_end),
        SINK_TEST(link_replaces_nothing_a_file_a_link_and_an_empty_directory),
        SINK_TEST(link_with_the_same_target_is_kept_and_gets_its_time),
        SINK_TEST(link_does_not_replace_a_directory_that_is_not_empty),
        SINK_TEST(longest_target_fits),
        SINK_TEST(what_is_found_and_young_is_flushed_in_the_end),
        SINK_TEST(what_is_corrected_is_flushed_in_the_end),
        SINK_TEST(has_compares_kind_size_and_time),
        SINK_TEST(has_corrects_a_mode_that_is_preserved),
        SINK_TEST(touch_sets_mode_and_time_of_files_only),
        SINK_TEST(touch_takes_only_what_was_compared),
        SINK_TEST(digest_covers_every_block_and_the_size),
        SINK_TEST(only_files_have_a_digest),
    };
    return cmocka_run_group_tests_name("sink_tree", tests, NULL, NULL);
}
