/* New directories: nobody sees one before what is in it under its own name is flushed; what comes between stays what it was. */
#include "sink_help.h"

#include "core/path.h"

static const struct sink_options plain = {.umask = 022, .partial_min = 1024};

static char flushed[16]; /* "y" or "n" for each flush of the volume: whether d was there */

int __real_os_volume_sync(struct os_dir dir);
int __wrap_os_volume_sync(struct os_dir dir);
int __wrap_os_volume_sync(struct os_dir dir) {
    size_t n = strlen(flushed);
    if (n + 1 < sizeof flushed)
        flushed[n] = exists(root, "d") ? 'y' : 'n';
    return __real_os_volume_sync(dir);
}

static int move_failure; /* of os_move, when it is not to replace; 0: none */

int __real_os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name, bool replace);
int __wrap_os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name, bool replace);
int __wrap_os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name,
                   bool replace) {
    return move_failure && !replace ? move_failure : __real_os_move(from, name, to, to_name, replace);
}

static int unlink_failure; /* of os_unlink_at; 0: none */

int __real_os_unlink_at(struct os_dir at, const char *name);
int __wrap_os_unlink_at(struct os_dir at, const char *name);
int __wrap_os_unlink_at(struct os_dir at, const char *name) {
    return unlink_failure ? unlink_failure : __real_os_unlink_at(at, name);
}

static int start(void **state) {
    unlink_failure = 0;
    memset(flushed, 0, sizeof flushed);
    move_failure = 0;
    return sink_test_start(state);
}

static void make(const char *path) {
    assert_int_equal(sink_make_dir(sink, path, 0755, NULL), 0);
}

static void begin_large(uint64_t id, const char *path, uint64_t size) {
    const struct msg_file_begin m = {.file_id = id, .size = size, .data_size = size, .mode = 0644};
    const struct sink_basis none = {0};
    assert_int_equal(sink_file_begin_large(sink, id, path, &m, &none, NULL), 0);
}

static void end_large(const char *text) {
    assert_int_equal(sink_file_write(sink, text, strlen(text), 0, NULL), 0);
    assert_int_equal(sink_file_end(sink, strlen(text), &(struct metadata){.mode = 0644}, NULL), 0);
}

static void directory_is_seen_with_its_first_files_which_are_flushed(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("empty");
    make("d/sub");
    assert_int_equal(temps_in(root), 3);
    send_file(1, "d/f", "one");
    send_file(2, "d/sub/g", "two");
    assert_false(exists(root, "d"));
    sink_commit(sink);
    assert_string_equal(flushed, "ny");
    assert_text(root, "d/f", "one");
    assert_text(root, "d/sub/g", "two");
    assert_durable(1, 3);
    assert_durable(2, 3);
    assert_false(exists(root, "empty"));
    send_file(3, "d/f", "new");
    assert_text(root, "d/f", "one");
    sink_commit(sink);
    assert_text(root, "d/f", "new");
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_true(exists(root, "empty"));
    assert_int_equal(temps_in(root), 0);
}

/* With those above it, but nothing in them that is not flushed. */
static void directory_that_ends_is_seen(void **state) {
    (void)state;
    struct entry e = {.type = ENTRY_DIR_END, .path = "d/sub", .mode = 0755};
    open_sink(plain);
    make("d");
    make("d/sub");
    make("d/beside");
    make("other");
    send_file(1, "other/f", "one");
    assert_int_equal(sink_end_dir(sink, &e, NULL), 0);
    assert_int_equal(settled[1].times, 0);
    assert_true(exists(root, "d/sub"));
    assert_false(exists(root, "d/beside"));
    assert_false(exists(root, "other"));
    make("d/new");
    send_file(2, "d/new/f", "two");
    e.path = "d/new/in";
    make("d/new/in");
    assert_int_equal(sink_end_dir(sink, &e, NULL), 0);
    assert_durable(1, 3);
    assert_durable(2, 3);
    assert_true(exists(root, "d/new/in"));
    assert_string_equal(flushed, "yy");
    e.path = "";
    assert_int_equal(sink_end_dir(sink, &e, NULL), 0);
    assert_true(exists(root, "other"));
}

/* What is kept of it is found by its name, and that of its directory. */
static void large_file_is_kept_where_it_is_found_again(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    begin_large(2, "d/large", 2000);
    assert_durable(1, 3);
    assert_text(root, "d/f", "one");
    assert_int_equal(temps_in(root), 1);
    end_large("all");
    sink_commit(sink);
    assert_durable(2, 3);
    assert_text(root, "d/large", "all");
}

/* It is open for long: it has a name of its own until it is complete. */
static void smaller_one_is_not_seen_before_it_is_complete(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    begin_large(2, "d/g", 100);
    assert_false(exists(root, "d"));
    sink_commit(sink);
    assert_text(root, "d/f", "one");
    assert_false(exists(root, "d/g"));
    end_large("two");
    sink_commit(sink);
    assert_text(root, "d/g", "two");
}

static void what_comes_twice_is_the_last(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("d");
    assert_int_equal(temps_in(root), 1);
    send_file(1, "d/f", "first");
    const struct entry e = {.path = "d/f", .size = 5, .mtime_sec = 1000, .mtime_nsec = 5};
    assert_int_equal(sink_has(sink, &e, true), SINK_LACKS); /* it is not flushed */
    send_file(2, "d/f", "last");
    sink_commit(sink);
    assert_durable(1, 5);
    assert_durable(2, 4);
    assert_text(root, "d/f", "last");
}

/* Of another session that makes the same tree. */
static void what_came_between_takes_in_what_is_ours(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("d/sub");
    make("d/sub/deep");
    make("d/ours");
    make("d/empty");
    send_file(1, "d/f", "ours");
    send_file(2, "d/sub/g", "ours");
    send_file(3, "d/sub/deep/h", "ours");
    send_file(4, "d/ours/i", "ours");
    make_dir(root, "d", 0755);
    put_text(root, "d/f", "theirs");
    put_text(root, "d/theirs", "theirs");
    make_dir(root, "d/sub", 0755);
    put_text(root, "d/sub/theirs", "theirs");
    sink_commit(sink);
    for (uint64_t id = 1; id <= 4; id++)
        assert_durable(id, 4);
    static const char *const ours[] = {"d/f", "d/sub/g", "d/sub/deep/h", "d/ours/i"};
    for (size_t i = 0; i < 4; i++)
        assert_text(root, ours[i], "ours");
    assert_text(root, "d/theirs", "theirs");
    assert_text(root, "d/sub/theirs", "theirs");
    assert_int_equal(temps_in(root), 1);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_true(exists(root, "d/empty"));
    send_file(5, "d/sub/new", "new"); /* by handles of what is there now */
    sink_commit(sink);
    assert_text(root, "d/sub/new", "new");
}

static void what_cannot_be_put_together_fails(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("e");
    send_file(1, "d/f", "one");
    send_file(2, "e/f", "two");
    send_file(3, "f", "three");
    put_text(root, "d", "a file");
    sink_commit(sink);
    assert_failed(1);
    assert_int_equal(settled[1].err.code, EXIT_PARTIAL);
    assert_non_null(strstr(settled[1].err.msg, "d/f: d: cannot give the directory its name: something else"));
    assert_durable(2, 3);
    assert_durable(3, 5);
    assert_text(root, "d", "a file");
    assert_int_equal(temps_in(root), 0);
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void directories_below_go_with_it(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("d/sub");
    make("d/sub/deep");
    make("e");
    send_file(1, "d/sub/deep/f", "one");
    send_file(2, "e/f", "two");
    put_text(root, "d", "a file");
    sink_commit(sink);
    assert_failed(1);
    assert_durable(2, 3);
    assert_int_equal(temps_in(root), 0);
    assert_int_equal(sink_file_begin(sink, 3, "d/sub/g", 0, NULL, NULL), -1);
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void link_in_its_place_is_replaced_and_not_followed(void **state) {
    (void)state;
    open_sink(plain);
    make_dir(root, "elsewhere", 0755);
    make("d");
    make("d/sub");
    make("e");
    send_file(1, "d/f", "one");
    send_file(2, "d/sub/g", "two");
    send_file(3, "e/h", "three");
    make_dir(root, "d", 0755);
    assert_true(put_link(root, "d/sub", "../elsewhere") && put_link(root, "e", "elsewhere"));
    sink_commit(sink);
    assert_durable(1, 3);
    assert_durable(2, 3);
    assert_durable(3, 5);
    assert_text(root, "d/sub/g", "two");
    assert_text(root, "e/h", "three");
    assert_false(exists(root, "elsewhere/g") || exists(root, "elsewhere/h"));
    assert_int_equal(temps_in(root), 0);
}

static void empty_directory_in_the_place_of_a_file_goes(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    make_dir(root, "d", 0755);
    make_dir(root, "d/f", 0755);
    sink_commit(sink);
    assert_durable(1, 3);
    assert_text(root, "d/f", "one");
}

static void directory_in_the_place_of_a_file_fails_it(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    send_file(2, "d/g", "two");
    make_dir(root, "d", 0755);
    make_dir(root, "d/f", 0755);
    put_text(root, "d/f/inside", "kept");
    sink_commit(sink);
    assert_failed(1);
    assert_failed(2); /* which of them was the reason is not known any more */
    assert_text(root, "d/f/inside", "kept");
    assert_text(root, "d/g", "two");
    assert_int_equal(temps_in(root), 0);
}

/* The one above it is put together with what is there, but for one file. */
static void staged_one_that_was_moved_goes_with_it(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("d/sub");
    make("d/sub/deep");
    send_file(1, "d/f", "one");
    send_file(2, "d/sub/g", "two");
    send_file(3, "d/sub/deep/h", "three");
    make_dir(root, "d", 0755);
    make_dir(root, "d/f", 0755);
    put_text(root, "d/f/inside", "kept");
    sink_commit(sink);
    for (uint64_t id = 1; id <= 3; id++)
        assert_failed(id);
    assert_int_equal(temps_in(root), 0);
    assert_int_equal(sink_finish(sink, NULL), 0); /* they were told of */
}

static void file_may_have_the_name_of_a_staged_directory(void **state) {
    (void)state;
    struct err err = {0};
    open_sink(plain);
    make("a");
    send_file(1, "a", "file");
    assert_false(exists(root, "a"));
    sink_commit(sink);
    assert_durable(1, 4);
    assert_text(root, "a", "file");
    assert_int_equal(sink_finish(sink, &err), -1);
    assert_int_equal(err.code, EXIT_PARTIAL);
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void staged_directory_may_have_the_name_of_a_file_that_waits(void **state) {
    (void)state;
    struct err err = {0};
    open_sink(plain);
    send_file(1, "a", "file");
    make("a");
    put_text(root, "a", "theirs");
    assert_int_equal(sink_end_dir(sink, &(struct entry){.path = "a", .mode = 0755}, &err), -1);
    assert_non_null(strstr(err.msg, "a: cannot give the directory its name"));
    assert_int_equal(settled[1].times, 0);
    sink_commit(sink);
    assert_durable(1, 4);
    assert_text(root, "a", "file");
}

static void what_was_taken_away_fails(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("e");
    send_file(1, "d/f", "one");
    send_file(2, "e/f", "two");
    remove_tree(root, sink->dirs.staged[0].temp);
    remove_tree(root, sink->dirs.staged[1].temp);
    make_dir(root, "d", 0755);
    sink_commit(sink);
    assert_failed(1);
    assert_failed(2);
    assert_false(exists(root, "d/f") || exists(root, "e"));
}

/* What was made in it was acknowledged at once. */
static void link_that_has_no_place_is_told_of(void **state) {
    (void)state;
    struct err err = {0};
    open_sink(plain);
    for (int round = 0; round < 2; round++) {
        const char *dir = round ? "e" : "d";
        char link[8], full[16];
        (void)snprintf(link, sizeof link, "%s/l", dir);
        (void)snprintf(full, sizeof full, "%s/l/x", dir);
        make(dir);
        const struct span target = {.p = (const uint8_t *)"there", .n = 5};
        assert_int_equal(sink_make_link(sink, &(struct entry){.path = link}, target, NULL), 0);
        make_dir(root, dir, 0755);
        make_dir(root, link, 0755);
        make_dir(root, full, 0755);
        if (round) {
            make("e/sub");
            send_file(1, "e/sub/f", "one");
            sink_commit(sink);
            assert_failed(1);
            continue;
        }
        assert_int_equal(sink_end_dir(sink, &(struct entry){.path = dir, .mode = 0755}, &err), -1);
        assert_int_equal(err.code, EXIT_PARTIAL);
        assert_non_null(strstr(err.msg, "d: cannot give the directory its name"));
    }
    assert_int_equal(temps_in(root), 0);
    make("g");
    make("h");
    make_dir(root, "elsewhere", 0755);
    put_text(root, "g", "a file");
    put_text(root, "h", "a file");
    assert_int_equal(sink_name_dirs_of(sink, "", &err), -1);
    assert_non_null(strstr(err.msg, "g: cannot give the directory its name"));
    assert_int_equal(sink_end_dir(sink, &(struct entry){.path = "elsewhere", .mode = 0755}, &err), -1);
    assert_non_null(strstr(err.msg, "h: cannot give the directory its name"));
    assert_int_equal(sink_finish(sink, NULL), 0);
}

/* They could give another directory the name of a staged one. */
static void where_others_may_rename_nothing_is_staged_or_removed(void **state) {
    (void)state;
    static const char dead[] = ".hvferry.0123456789abcdef.ffffffffffffffff.0";
    make_dir(root, dead, 0755);
    make_dir(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/sub", 0755);
    put_text(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/sub/f", "kept");
    set_mode(scratch.dir, "root", 0775);
    open_sink(plain);
    assert_text(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/sub/f", "kept");
    make("d");
    assert_true(exists(root, "d"));
    send_file(1, "d/f", "one");
    assert_false(exists(root, "d/f"));
    sink_commit(sink);
    assert_durable(1, 3);
    make("d/sub"); /* which is this user's alone */
    assert_false(exists(root, "d/sub"));
    remove_tree(root, dead);
}

static void staged_one_is_this_user_s_alone(void **state) {
    (void)state;
    open_sink(plain);
    assert_int_equal(sink_make_dir(sink, "d", 0775, NULL), 0); /* its mode would not come again */
    assert_true(exists(root, "d"));
    struct sink_options perms = plain;
    perms.perms = true;
    sink_close(sink);
    open_sink(perms);
    assert_int_equal(sink_make_dir(sink, "e", 0775, NULL), 0);
    assert_false(exists(root, "e"));
    assert_mode(root, sink->dirs.staged[0].temp, 0755);
    assert_int_equal(sink_end_dir(sink, &(struct entry){.path = "e", .mode = 0775}, NULL), 0);
    assert_mode(root, "e", 0775);
}

static void renaming_may_fail(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    move_failure = -EIO;
    sink_commit(sink);
    assert_failed(1);
    assert_int_equal(settled[1].err.sys, EIO);
    assert_false(exists(root, "d"));
    assert_int_equal(temps_in(root), 0);
    move_failure = 0;
    assert_int_equal(sink_file_begin(sink, 2, "d/g", 0, NULL, NULL), -1); /* as where mkdir failed */
    send_file(3, "f", "three");
    sink_commit(sink);
    assert_durable(3, 5);
}

static void what_cannot_be_removed_is_never_seen(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    assert_int_equal(sink_file_begin(sink, 2, "d/g", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "ha", 2, 0, NULL), 0);
    unlink_failure = -EIO;
    sink_file_drop(sink);
    unlink_failure = 0;
    sink_commit(sink);
    assert_failed(1);
    assert_false(exists(root, "d"));
    assert_int_equal(temps_in(root), 0); /* by now it could be */
    assert_int_equal(sink_file_begin(sink, 3, "d/f", 0, NULL, NULL), -1);
}

static void what_was_not_committed_is_not_seen(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    send_file(2, "d/g", "two");
    sink_close(sink);
    sink = NULL;
    assert_int_equal(settled[1].times, 0);
    assert_false(exists(root, "d"));
    assert_int_equal(temps_in(root), 0);
}

/* It may end long after the stream that it had; another one has done the same work meanwhile. */
static void session_that_fails_touches_nothing_that_was_made_since(void **state) {
    (void)state;
    open_sink(plain);
    make("d");
    make("gone");
    const struct span target = {.p = (const uint8_t *)"stale", .n = 5};
    assert_int_equal(sink_make_link(sink, &(struct entry){.path = "d/l"}, target, NULL), 0);
    send_file(1, "d/f", "stale");
    make_dir(root, "d", 0755);
    put_text(root, "d/l", "new");
    put_text(root, "d/f", "new");
    sink_close(sink);
    sink = NULL;
    assert_text(root, "d/l", "new");
    assert_text(root, "d/f", "new");
    assert_false(exists(root, "gone"));
    assert_int_equal(temps_in(root), 0);
}

/* Where modes are not preserved they are those of what was there before: nothing was. */
static void mode_is_that_of_a_new_file(void **state) {
    (void)state;
    char path[16];
    open_sink(plain);
    make("d");
    for (unsigned i = 0; i <= DIR_CACHE_SIZE; i++) { /* until d is forgotten */
        (void)snprintf(path, sizeof path, "other%u", i);
        make(path);
    }
    send_file(1, "d/f", "one");
    sink_commit(sink);
    assert_mode(root, "d/f", 0644);
}

static void only_so_many_are_staged(void **state) {
    (void)state;
    char path[16];
    open_sink(plain);
    for (unsigned i = 0; i < SINK_STAGED_MAX + 1; i++) {
        (void)snprintf(path, sizeof path, "%u", i);
        make(path);
    }
    assert_int_equal(temps_in(root), SINK_STAGED_MAX);
    assert_true(exists(root, path));
    send_file(1, path, "replaces an empty directory");
    sink_commit(sink);
    assert_durable(1, 27);
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void staged_tree_of_a_dead_session_goes(void **state) {
    (void)state;
    make_dir(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0", 0755);
    make_dir(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/sub", 0755);
    make_dir(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/sub/empty", 0755);
    put_text(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/sub/f", "half");
    put_text(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/.hvferry.0123456789abcdef.1.1", "half");
    put_text(scratch.dir, "outside", "kept");
    (void)put_link(root, ".hvferry.0123456789abcdef.ffffffffffffffff.0/link", "../../outside");
    (void)put_link(root, ".hvferry.0123456789abcdef.fffffffffffffffe.0", "..");
    open_sink(plain);
    assert_int_equal(temps_in(root), 0);
    assert_text(scratch.dir, "outside", "kept");
}

static void that_of_a_live_session_stays(void **state) {
    (void)state;
    struct sink *first;
    open_sink(plain);
    make("d");
    send_file(1, "d/f", "one");
    first = sink;
    struct sink_options other = plain;
    other.name_salt = 0x5678;
    struct os_dir own;
    assert_int_equal(os_dir_dup(root, &own), 0);
    assert_int_equal(sink_open(own, &other, on_settled, settled, &sink, NULL), 0);
    make("d");
    assert_int_equal(temps_in(root), 2);
    send_file(2, "d/g", "two");
    sink_commit(sink);
    sink_commit(first);
    assert_durable(1, 3);
    assert_durable(2, 3);
    assert_text(root, "d/f", "one");
    assert_text(root, "d/g", "two");
    sink_close(first);
}

#define STAGE_TEST(f) cmocka_unit_test_setup_teardown(f, start, sink_test_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(directory_is_seen_with_its_first_files_which_are_flushed),
        STAGE_TEST(directory_that_ends_is_seen),
        STAGE_TEST(large_file_is_kept_where_it_is_found_again),
        STAGE_TEST(smaller_one_is_not_seen_before_it_is_complete),
        STAGE_TEST(what_comes_twice_is_the_last),
        STAGE_TEST(what_came_between_takes_in_what_is_ours),
        STAGE_TEST(what_cannot_be_put_together_fails),
        STAGE_TEST(directories_below_go_with_it),
        STAGE_TEST(link_in_its_place_is_replaced_and_not_followed),
        STAGE_TEST(empty_directory_in_the_place_of_a_file_goes),
        STAGE_TEST(directory_in_the_place_of_a_file_fails_it),
        STAGE_TEST(staged_one_that_was_moved_goes_with_it),
        STAGE_TEST(file_may_have_the_name_of_a_staged_directory),
        STAGE_TEST(staged_directory_may_have_the_name_of_a_file_that_waits),
        STAGE_TEST(what_was_taken_away_fails),
        STAGE_TEST(link_that_has_no_place_is_told_of),
        STAGE_TEST(where_others_may_rename_nothing_is_staged_or_removed),
        STAGE_TEST(staged_one_is_this_user_s_alone),
        STAGE_TEST(renaming_may_fail),
        STAGE_TEST(what_cannot_be_removed_is_never_seen),
        STAGE_TEST(what_was_not_committed_is_not_seen),
        STAGE_TEST(session_that_fails_touches_nothing_that_was_made_since),
        STAGE_TEST(mode_is_that_of_a_new_file),
        STAGE_TEST(only_so_many_are_staged),
        STAGE_TEST(staged_tree_of_a_dead_session_goes),
        STAGE_TEST(that_of_a_live_session_stays),
    };
    return cmocka_run_group_tests_name("sink_stage", tests, NULL, NULL);
}
