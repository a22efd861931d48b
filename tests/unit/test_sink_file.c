/* Files at the destination: the complete old one or the complete new one, and everyone hears how it ended. */
#include "sink_help.h"

#include "core/path.h"

static const struct sink_options plain = {.umask = 022};

/* ---- replacing ---------------------------------------------------------------------------------------- */

static void new_file_replaces_nothing_a_file_a_link_and_an_empty_directory(void **state) {
    (void)state;
    open_sink(plain);
    put_text(root, "file", "old");
    put_text(scratch.dir, "outside", "untouched");
    (void)put_link(root, "link", "../outside");
    (void)put_link(root, "dangling", "missing");
    make_dir(root, "dir", 0755);
    static const char *const names[] = {"nothing", "file", "link", "dangling", "dir"};
    for (uint64_t i = 0; i < 5; i++)
        send_file(i + 1, names[i], "new");
    assert_text(root, "file", "old");
    sink_commit(sink);
    for (uint64_t i = 0; i < 5; i++) {
        assert_text(root, names[i], "new");
        assert_durable(i + 1, 3);
    }
    assert_text(scratch.dir, "outside", "untouched");
    assert_false(exists(root, "missing"));
}

static void directory_that_is_not_empty_fails_only_that_file(void **state) {
    (void)state;
    open_sink(plain);
    make_dir(root, "dir", 0755);
    put_text(root, "dir/inside", "kept");
    send_file(1, "before", "1");
    send_file(2, "dir", "2");
    send_file(3, "after", "3");
    sink_commit(sink);
    assert_durable(1, 1);
    assert_failed(2);
    assert_non_null(strstr(settled[2].err.msg, "dir"));
    assert_durable(3, 1);
    assert_text(root, "dir/inside", "kept");
    assert_int_equal(temps_in(root), 0);
}

static void other_name_of_a_hard_link_keeps_the_old_file(void **state) {
    (void)state;
    open_sink(plain);
    put_text(root, "a", "old");
    put_hard_link(root, "a", "b");
    send_file(1, "a", "new");
    sink_commit(sink);
    assert_text(root, "a", "new");
    assert_text(root, "b", "old");
}

static void directory_that_was_replaced_is_not_used_any_more(void **state) {
    (void)state;
    struct err err;
    open_sink(plain);
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    send_file(1, "d/x", "x"); /* the handle of d is kept now */
    sink_commit(sink);
    remove_file(root, "d/x");
    send_file(2, "d", "file");
    sink_commit(sink);
    assert_text(root, "d", "file");
    assert_int_equal(sink_file_begin(sink, 3, "d/y", 0, NULL, &err), -1);
    assert_int_equal(err.sys, ENOTDIR);
}

/* ---- the old file stays ------------------------------------------------------------------------------- */

static void old_file_stays_until_the_commit(void **state) {
    (void)state;
    open_sink(plain);
    put_text(root, "f", "old");
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_text(root, "f", "old");
    assert_int_equal(temps_in(root), 1);
    struct temp_name temp;
    sink_temp_name(sink, "f", 1, &temp);
    assert_mode(root, temp.s, 0600);
    assert_int_equal(sink_file_write(sink, "newer", 5, 0, NULL), 0);
    assert_text(root, "f", "old");
    assert_int_equal(
        sink_file_end(sink, 5, &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, NULL), 0);
    assert_text(root, "f", "old");
    assert_true(sink_has_batch(sink));
    assert_int_equal(settled[1].times, 0);
    sink_commit(sink);
    assert_false(sink_has_batch(sink));
    assert_text(root, "f", "newer");
    assert_durable(1, 5);
    sink_commit(sink);
    assert_int_equal(settled[1].times, 1);
}

static void dropped_file_leaves_the_old_one_and_no_trace(void **state) {
    (void)state;
    open_sink(plain);
    put_text(root, "f", "old");
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "bad", 3, 0, NULL), 0);
    sink_file_drop(sink); /* what the session does when the digest is wrong */
    sink_file_drop(sink);
    assert_text(root, "f", "old");
    assert_int_equal(temps_in(root), 0);
    send_file(1, "f", "good"); /* the same id again */
    sink_commit(sink);
    assert_text(root, "f", "good");
    assert_durable(1, 4);
}

static void closing_drops_what_was_not_committed(void **state) {
    (void)state;
    open_sink(plain);
    put_text(root, "a", "old");
    send_file(1, "a", "new");
    send_file(2, "b", "new");
    assert_int_equal(sink_file_begin(sink, 3, "c", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "part", 4, 0, NULL), 0);
    assert_int_equal(temps_in(root), 3);
    sink_close(sink);
    sink = NULL;
    assert_int_equal(temps_in(root), 0);
    assert_text(root, "a", "old");
    assert_false(exists(root, "b"));
    assert_false(exists(root, "c"));
    sink_close(NULL);
}

static void failed_end_drops_the_file(void **state) {
    (void)state;
    struct err err;
    open_sink(plain);
    put_text(root, "f", "old");
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_end(sink, UINT64_MAX,
                                   &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, &err),
                     -1); /* no file is so long */
    assert_int_equal(err.code, EXIT_FILE_IO);
    assert_int_equal(temps_in(root), 0);
    assert_text(root, "f", "old");
    assert_false(sink_has_batch(sink));
    assert_int_equal(settled[1].times, 0);
}

static void file_that_cannot_fit_is_refused_before_it_begins(void **state) {
    (void)state;
    struct err err;
    open_sink(plain);
    assert_int_equal(sink_file_begin(sink, 1, "f", INT64_MAX, NULL, &err), -1);
    assert_int_equal(err.code, EXIT_NO_SPACE);
    assert_int_equal(temps_in(root), 0);
}

/* ---- begin -------------------------------------------------------------------------------------------- */

static void leftover_under_the_temporary_name_is_replaced(void **state) {
    (void)state;
    struct temp_name temp;
    open_sink(plain);
    sink_temp_name(sink, "f", 1, &temp);
    put_text(scratch.dir, "outside", "untouched");
    (void)put_link(root, temp.s, "../outside");
    send_file(1, "f", "new");
    sink_commit(sink);
    assert_text(root, "f", "new");
    assert_text(scratch.dir, "outside", "untouched");
}

static void link_on_the_way_to_the_file_is_not_followed(void **state) {
    (void)state;
    struct err err;
    open_sink(plain);
    make_dir(scratch.dir, "outside", 0777);
    (void)put_link(root, "link", "../outside");
    assert_int_equal(sink_file_begin(sink, 1, "link/f", 0, NULL, &err), -1);
    assert_non_null(strstr(err.msg, "link/f"));
    assert_int_equal(sink_file_begin(sink, 1, "missing/f", 0, NULL, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    remove_dir(scratch.dir, "outside"); /* it stayed empty */
}

/* ---- contents, modes, times --------------------------------------------------------------------------- */

static void file_without_a_byte_and_file_of_pieces_have_their_sizes(void **state) {
    (void)state;
    open_sink(plain);
    send_file(1, "empty", "");
    assert_int_equal(sink_file_begin(sink, 2, "pieces", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "lo!", 3, 3, NULL), 0);
    assert_int_equal(sink_file_write(sink, "hel", 3, 0, NULL), 0);
    assert_int_equal(
        sink_file_end(sink, 6, &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, NULL), 0);
    assert_int_equal(sink_file_begin(sink, 3, "cut", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "too long", 8, 0, NULL), 0);
    assert_int_equal(sink_file_write(sink, "T", 1, 0, NULL), 0);
    assert_int_equal(
        sink_file_end(sink, 1, &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, NULL), 0);
    sink_commit(sink);
    assert_text(root, "empty", "");
    assert_text(root, "pieces", "hello!");
    assert_text(root, "cut", "T");
    assert_durable(1, 0);
    assert_durable(2, 6);
    assert_durable(3, 1);
}

static void what_is_not_written_is_a_hole(void **state) {
    (void)state;
    enum { SIZE = 32 << 20, AT = 9 << 20 };
    open_sink(plain);
    char zeros[64], got[64];
    memset(zeros, 0, sizeof zeros);
    assert_int_equal(sink_file_begin(sink, 1, "sparse", 2, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "a", 1, 0, NULL), 0);
    assert_int_equal(sink_file_write(sink, "b", 1, AT, NULL), 0);
    assert_int_equal(
        sink_file_end(sink, SIZE, &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, NULL),
        0);
    assert_int_equal(sink_file_begin(sink, 2, "hole", 0, NULL, NULL), 0);
    assert_int_equal(
        sink_file_end(sink, SIZE, &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, NULL),
        0);
    sink_commit(sink);
    assert_durable(1, SIZE);
    assert_durable(2, SIZE);
    struct os_stat st = stat_of(root, "sparse"), hole = stat_of(root, "hole");
    assert_true(st.size == SIZE && hole.size == SIZE);
    assert_true(st.allocated < SIZE / 2 && hole.allocated < SIZE / 2);
    struct os_file file;
    assert_int_equal(os_open_read(root, "sparse", &file), 0);
    assert_int_equal(os_pread(file, got, sizeof got, AT + 1), sizeof got);
    assert_memory_equal(got, zeros, sizeof got);
    assert_int_equal(os_pread(file, got, sizeof got, AT), sizeof got);
    assert_int_equal(got[0], 'b');
    assert_int_equal(os_pread(file, got, sizeof got, SIZE - 3), 3);
    os_close(&file);
}

static void end_file(uint64_t id, const char *path, uint32_t mode) {
    struct metadata meta = {.mode = mode, .mtime_sec = -7, .mtime_nsec = 123456789};
    assert_int_equal(sink_file_begin(sink, id, path, 0, &meta, NULL), 0);
    assert_int_equal(sink_file_end(sink, 0, &meta, NULL), 0);
}

static void preserved_modes_are_exact_but_never_set_id(void **state) {
    (void)state;
    static const uint32_t modes[] = {0,     0400, 0644, 0755,  0777,  04755, 02755, 01777,
                                     07777, 0666, 0666, 04666, 02755, 02755, 0,     0};
    char name[8];
    open_sink((struct sink_options){.perms = true, .umask = 077});
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        put_text(root, name, "old");
        end_file(i + 1, name, modes[i]);
    }
    sink_commit(sink);
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        assert_mode(root, name, modes[i] & 0777);
    }
}

static void modes_that_are_not_preserved_come_from_the_old_file_or_the_umask(void **state) {
    (void)state;
    open_sink((struct sink_options){.umask = 027});
    put_text(root, "old", "old");
    set_mode(root, "old", 04604);
    (void)put_link(root, "link", "old");
    make_dir(root, "dir", 0700);
    end_file(1, "old", 0777);
    end_file(2, "new", 0777);
    end_file(3, "link", 06775);
    end_file(4, "dir", 0644);
    sink_commit(sink);
    assert_mode(root, "old", 0604);
    assert_mode(root, "new", 0750);
    assert_mode(root, "link", 0750);
    assert_mode(root, "dir", 0640);
}

/* They are created with the modes that they are to have, as far as the umask of the process allows. */
static void modes_in_a_directory_of_our_own_are_exact_too(void **state) {
    (void)state;
    static const uint32_t modes[] = {0644, 0644, 0666, 0666, 0755, 0400, 0, 0666, 04777};
    char name[8];
    uint64_t id = 0;
    for (unsigned turn = 0; turn < 2; turn++) {
        const char *parent = turn ? "plain" : "kept";
        open_sink((struct sink_options){.umask = 002, .perms = turn == 0, .times = true});
        assert_int_equal(sink_make_dir(sink, parent, 0755, NULL), 0);
        for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
            (void)snprintf(name, sizeof name, "%s/%u", parent, i);
            end_file(++id, name, modes[i]);
        }
        sink_commit(sink);
        for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
            (void)snprintf(name, sizeof name, "%s/%u", parent, i);
            struct os_stat st = stat_of(root, name);
            assert_mode(root, name, modes[i] & (turn ? 0775 : 0777));
            assert_mtime(&st, -7, 123456789);
        }
        sink_close(sink);
        sink = NULL;
    }
}

static void modes_are_exact_after_a_file_that_was_dropped(void **state) {
    (void)state;
    struct metadata meta = {.mode = 0644, .mtime_sec = 1};
    open_sink((struct sink_options){.perms = true});
    end_file(1, "a", 0644);
    end_file(2, "b", 0644); /* created with 0644 */
    assert_int_equal(sink_file_begin(sink, 3, "c", 0, NULL, NULL), 0); /* with 0600 */
    sink_file_drop(sink);
    assert_int_equal(sink_file_begin(sink, 4, "d", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_end(sink, 0, &meta, NULL), 0);
    sink_commit(sink);
    assert_mode(root, "d", 0644);
}

static void times_are_preserved_to_the_nanosecond_or_not_at_all(void **state) {
    (void)state;
    open_sink((struct sink_options){.times = true});
    end_file(1, "with", 0644);
    sink_commit(sink);
    sink_close(sink);
    open_sink((struct sink_options){.times = false});
    end_file(2, "without", 0644);
    sink_commit(sink);
    struct os_stat with = stat_of(root, "with"), without = stat_of(root, "without");
    assert_mtime(&with, -7, 123456789);
    assert_true(without.mtime_sec > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SINK_TEST(new_file_replaces_nothing_a_file_a_link_and_an_empty_directory),
        SINK_TEST(directory_that_is_not_empty_fails_only_that_file),
        SINK_TEST(other_name_of_a_hard_link_keeps_the_old_file),
        SINK_TEST(directory_that_was_replaced_is_not_used_any_more),
        SINK_TEST(old_file_stays_until_the_commit),
        SINK_TEST(dropped_file_leaves_the_old_one_and_no_trace),
        SINK_TEST(closing_drops_what_was_not_committed),
        SINK_TEST(failed_end_drops_the_file),
        SINK_TEST(file_that_cannot_fit_is_refused_before_it_begins),
        SINK_TEST(leftover_under_the_temporary_name_is_replaced),
        SINK_TEST(link_on_the_way_to_the_file_is_not_followed),
        SINK_TEST(file_without_a_byte_and_file_of_pieces_have_their_sizes),
        SINK_TEST(what_is_not_written_is_a_hole),
        SINK_TEST(preserved_modes_are_exact_but_never_set_id),
        SINK_TEST(modes_that_are_not_preserved_come_from_the_old_file_or_the_umask),
        SINK_TEST(modes_in_a_directory_of_our_own_are_exact_too),
        SINK_TEST(modes_are_exact_after_a_file_that_was_dropped),
        SINK_TEST(times_are_preserved_to_the_nanosecond_or_not_at_all),
    };
    return cmocka_run_group_tests_name("sink_file", tests, NULL, NULL);
}
