/* A file that is there is written into: at every instant a power cut leaves it with its own time only if all of it is there. The
 * linker puts a storage between the sink and the system that notes what is done in which order, and can lose a flush. */
#include "sink_help.h"

#include <string.h>

static const struct sink_options in_place = {.times = true, .umask = 022, .inplace = true};

static char done
    [64]; /* a letter for each call: M (the mark), T (the time), N (now), W (write), S (flush), D (of a directory), C (close) */
static bool
    of_another; /* the file: only its owner may give it a time, but whoever may write it that of now */
static bool served; /* the volume, by who does not hear of its flush */
static bool fat; /* there is no time of change of its own */
static unsigned syncs_to_fail; /* bit n: the n-th one, from 0 on */
static unsigned syncs;

static void note(char what) {
    size_t n = strlen(done);
    assert_true(n + 1 < sizeof done);
    done[n] = what;
}

int __real_os_sync(struct os_file file);
int __wrap_os_sync(struct os_file file);
int __wrap_os_sync(struct os_file file) {
    note('S');
    return syncs_to_fail >> syncs++ & 1 ? -EIO : __real_os_sync(file);
}

int __real_os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec);
int __wrap_os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec);
int __wrap_os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec) {
    struct os_stat as = {.mtime_sec = sec};
    note(sink_is_marked(&as) ? 'M' : sec == 1000 ? 'T' : '?');
    return of_another ? -EPERM : __real_os_set_mtime(file, sec, nsec);
}

int __real_os_set_mtime_now(struct os_file file);
int __wrap_os_set_mtime_now(struct os_file file);
int __wrap_os_set_mtime_now(struct os_file file) {
    note('N');
    return __real_os_set_mtime_now(file);
}

bool __real_os_keeps_change_time(struct os_dir dir);
bool __wrap_os_keeps_change_time(struct os_dir dir);
bool __wrap_os_keeps_change_time(struct os_dir dir) {
    return !fat && __real_os_keeps_change_time(dir);
}

bool __wrap_os_volume_syncs(struct os_dir dir);
bool __wrap_os_volume_syncs(struct os_dir dir) {
    (void)dir;
    return !served;
}

int __real_os_dir_sync(struct os_dir dir);
int __wrap_os_dir_sync(struct os_dir dir);
int __wrap_os_dir_sync(struct os_dir dir) {
    note('D');
    return __real_os_dir_sync(dir);
}

int __real_os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset);
int __wrap_os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset);
int __wrap_os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset) {
    note('W');
    return __real_os_pwrite(file, from, n, offset);
}

int __real_usage_close(struct usage_held *held, struct os_file *file);
int __wrap_usage_close(struct usage_held *held, struct os_file *file);
int __wrap_usage_close(struct usage_held *held, struct os_file *file) {
    if (os_file_is_open(*file))
        note('C');
    return __real_usage_close(held, file);
}

static int start(void **state) {
    of_another = fat = served = false;
    int result = sink_test_start(state);
    put_text(root, "f", "old");
    set_time(root, "f", 7, 5);
    syncs = syncs_to_fail = 0;
    return result;
}

static void open_and_listen(const struct sink_options *opt) {
    open_sink(*opt);
    memset(done, 0, sizeof done); /* the claim has set the time of the root, on Windows */
}

#define INPLACE_TEST(f) cmocka_unit_test_setup_teardown(f, start, sink_test_stop)

static void it_is_marked_before_and_has_its_time_after_while_it_is_open(void **state) {
    (void)state;
    open_and_listen(&in_place);
    send_file(1, "f", "new");
    assert_string_equal(done, "MSWMSTSC");
    sink_commit(sink);
    assert_durable(1, 3);
    assert_text(root, "f", "new");
    struct os_stat st = stat_of(root, "f");
    assert_mtime(&st, 1000, 5);
}

static void what_is_new_and_what_is_not_flushed_is_not_marked(void **state) {
    (void)state;
    struct sink_options opt = in_place;
    open_and_listen(&opt);
    send_file(1, "g", "new");
    assert_null(strchr(done, 'M'));
    sink_commit(sink);
    sink_close(sink);
    opt.durable = DURABLE_NONE;
    open_and_listen(&opt);
    send_file(2, "f", "new");
    assert_string_equal(done, "WTC");
    sink_commit(sink);
    assert_durable(2, 3);
}

static void without_times_it_is_not_left_at_the_mark(void **state) {
    (void)state;
    struct sink_options opt = in_place;
    opt.times = false;
    open_and_listen(&opt);
    send_file(1, "f", "");
    assert_string_equal(done, "MSMSNSC");
    sink_commit(sink);
    assert_durable(1, 0);
    struct os_stat st = stat_of(root, "f");
    assert_true(st.mtime_sec > 1000 && !sink_is_marked(&st));
}

static void nothing_is_written_when_it_cannot_be_marked(void **state) {
    (void)state;
    struct err err = {.code = 0};
    open_and_listen(&in_place);
    syncs_to_fail = 1;
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, &err), -1);
    assert_int_equal(err.sys, EIO);
    assert_non_null(strstr(err.msg, "f: cannot mark it as unfinished (--inplace)"));
    assert_null(strchr(done, 'W'));
    assert_text(root, "f", "old");
}

static void require_failure(unsigned nth_sync, const char *what) {
    const struct metadata meta = {.mode = 0644, .mtime_sec = 1000, .mtime_nsec = 5};
    struct err err = {.code = 0};
    open_and_listen(&in_place);
    syncs_to_fail = 1U << nth_sync;
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "new", 3, 0, NULL), 0);
    assert_int_equal(sink_file_end(sink, 3, &meta, &err), -1);
    assert_non_null(strstr(err.msg, what));
}

static struct os_stat as_told(const char *name) {
    struct os_stat st;
    assert_int_equal(os_stat_at(root, name, &st), 0);
    return st;
}

static struct entry entry_like(const struct os_stat *st) {
    return (struct entry){.file_id = 1,
                          .type = ENTRY_FILE,
                          .path = "f",
                          .mode = st->mode,
                          .size = st->size,
                          .mtime_sec = st->mtime_sec,
                          .mtime_nsec = st->mtime_nsec};
}

/* Neither who sends the old one again nor who sends the new one passes over it, nor who has taken its time for the file's. */
static void require_mark(void) {
    struct os_stat st = stat_of(root, "f");
    assert_true(sink_is_marked(&st));
    const struct entry same = entry_like(&st);
    assert_false(sink_has(sink, &same, true));
}

static void whose_flush_fails_keeps_the_mark(void **state) {
    (void)state;
    require_failure(1, "f: cannot flush");
    assert_string_equal(done, "MSWMSMC");
    require_mark();
}

static void whose_time_is_not_flushed_gets_the_mark_back(void **state) {
    (void)state;
    require_failure(2, "f: cannot set its time");
    assert_string_equal(done, "MSWMSTSMC");
    require_mark();
}

static void what_a_session_leaves_unfinished_has_the_mark(void **state) {
    (void)state;
    open_and_listen(&in_place);
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "n", 1, 0, NULL), 0);
    sink_close(sink);
    open_and_listen(&in_place);
    assert_text(root, "f", "nld");
    require_mark();
}

static void whose_owner_is_another_gets_the_time_of_now_before_it_is_written(void **state) {
    (void)state;
    struct sink_options opt = in_place;
    opt.times = false;
    of_another = true;
    open_and_listen(&opt);
    send_file(1, "f", "new");
    assert_string_equal(done, "MNSWMNSNSC");
    sink_commit(sink);
    assert_durable(1, 3);
}

/* Where a receiver was killed the mark is gone: what was written last has the time of that, which may be that of the source. */
static void what_has_the_time_at_which_it_was_written_is_compared(void **state) {
    (void)state;
    open_and_listen(&in_place);
    put_text(root, "f", "mix");
    struct os_stat st = as_told("f");
    const struct entry same = entry_like(&st);
    const struct metadata meta = {.mode = st.mode, .mtime_sec = st.mtime_sec, .mtime_nsec = st.mtime_nsec};
    assert_true(st.mtime_sec == st.ctime_sec && st.mtime_nsec == st.ctime_nsec);
    fat = true;
    assert_int_equal(sink_has(sink, &same, true), SINK_HAS);
    fat = false;
    assert_int_equal(sink_has(sink, &same, true), SINK_MAY_HAVE);
    set_time(root, "f", meta.mtime_sec, meta.mtime_nsec);
    assert_int_equal(sink_has(sink, &same, true), SINK_HAS);
}

static void what_was_found_right_is_believed_then(void **state) {
    (void)state;
    open_and_listen(&in_place);
    put_text(root, "f", "right");
    struct os_stat st = as_told("f");
    const struct entry same = entry_like(&st);
    const struct metadata meta = {.mode = st.mode, .mtime_sec = st.mtime_sec, .mtime_nsec = st.mtime_nsec};
    assert_int_equal(touch("f", &meta, NULL), 0);
    assert_int_equal(sink_has(sink, &same, true), SINK_HAS);
    /* Unless it is another's, who has not given it this time. */
    of_another = true;
    put_text(root, "f", "again");
    st = as_told("f");
    const struct entry other = entry_like(&st);
    const struct metadata its = {.mode = st.mode, .mtime_sec = st.mtime_sec, .mtime_nsec = st.mtime_nsec};
    assert_int_equal(touch("f", &its, NULL), 0);
    assert_int_equal(sink_has(sink, &other, true), SINK_MAY_HAVE);
}

/* As -c finds it. Without -t it has no other time to get. */
static void mark_does_not_stay_on_what_turns_out_right(void **state) {
    (void)state;
    const struct metadata meta = {.mode = 0644, .mtime_sec = 1000, .mtime_nsec = 5};
    struct sink_options opt = in_place;
    opt.times = false;
    open_and_listen(&opt);
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    sink_file_drop(sink);
    struct os_stat st = stat_of(root, "f");
    assert_true(sink_is_marked(&st));
    assert_int_equal(touch("f", &meta, NULL), 0);
    st = stat_of(root, "f");
    assert_true(st.mtime_sec > 1000 && !sink_is_marked(&st));
}

/* The time of the last change may be no newer, where seconds are all that a file system keeps. */
static void what_was_compared_is_seen_to_be_written_since(void **state) {
    (void)state;
    struct os_stat st;
    const struct metadata meta = {.mode = 0644, .mtime_sec = 7, .mtime_nsec = 5};
    struct file_state was;
    struct digest digest;
    struct err err = {.code = 0};
    open_and_listen(&in_place);
    assert_int_equal(sink_digest(sink, "f", 4096, &was, &digest, NULL), 0);
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(os_stat_at(root, "f", &st), 0);
    was.ctime_sec = st.ctime_sec;
    was.ctime_nsec = st.ctime_nsec;
    assert_int_equal(sink_touch(sink, "f", &was, &meta, &err), -1);
    assert_int_equal(err.code, EXIT_PARTIAL);
}

static void where_no_flush_of_a_volume_is_heard_each_file_and_directory_is_flushed(void **state) {
    (void)state;
    served = true;
    open_and_listen(&(struct sink_options){.umask = 022});
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    /* The root is flushed when it has a new name: at once, or before d and the root above it are in the end. */
    assert_string_equal(done, OS_CAN_STAGE_DIRS ? "" : "D");
    send_file(1, "d/a", "new");
    send_file(2, "d/b", "new");
    assert_string_equal(done, OS_CAN_STAGE_DIRS ? "WSWS" : "DWSWS");
    sink_commit(sink);
    assert_string_equal(done, OS_CAN_STAGE_DIRS ? "WSWSDDD" : "DWSWSDD");
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_durable(1, 3);
    assert_durable(2, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        INPLACE_TEST(it_is_marked_before_and_has_its_time_after_while_it_is_open),
        INPLACE_TEST(what_is_new_and_what_is_not_flushed_is_not_marked),
        INPLACE_TEST(without_times_it_is_not_left_at_the_mark),
        INPLACE_TEST(nothing_is_written_when_it_cannot_be_marked),
        INPLACE_TEST(whose_flush_fails_keeps_the_mark),
        INPLACE_TEST(whose_time_is_not_flushed_gets_the_mark_back),
        INPLACE_TEST(what_a_session_leaves_unfinished_has_the_mark),
        INPLACE_TEST(whose_owner_is_another_gets_the_time_of_now_before_it_is_written),
        INPLACE_TEST(what_has_the_time_at_which_it_was_written_is_compared),
        INPLACE_TEST(what_was_found_right_is_believed_then),
        INPLACE_TEST(where_no_flush_of_a_volume_is_heard_each_file_and_directory_is_flushed),
        INPLACE_TEST(mark_does_not_stay_on_what_turns_out_right),
        INPLACE_TEST(what_was_compared_is_seen_to_be_written_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
