/* Batches: every file that ended is settled exactly once, at the latest when its batch is full. */
#include "sink_help.h"

enum { MANY = SINK_BATCH_FILES + 76 };

static void send_many(unsigned n, unsigned dirs) {
    char path[32];
    for (unsigned i = 0; i < dirs; i++) {
        (void)snprintf(path, sizeof path, "d%u", i);
        assert_int_equal(sink_make_dir(sink, path, 0755, NULL), 0);
    }
    for (unsigned i = 1; i <= n; i++) {
        (void)snprintf(path, sizeof path, "d%u/f%u", i % dirs, i);
        send_file(i, path, i % 3 ? "content" : "");
    }
}

static unsigned settled_count(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < IDS; i++)
        n += settled[i].times;
    return n;
}

static void assert_all_durable(unsigned n) {
    char path[32];
    for (unsigned i = 1; i <= n; i++)
        assert_durable(i, i % 3 ? 7 : 0);
    assert_int_equal(settled_count(), n);
    (void)snprintf(path, sizeof path, "d0");
    assert_true(exists(root, path));
    assert_int_equal(temps_in(root), 0);
}

static void full_batch_commits_itself(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_NONE});
    send_many(SINK_BATCH_FILES - 1, 1);
    assert_int_equal(settled_count(), 0);
    send_file(SINK_BATCH_FILES, "last", "content");
    assert_int_equal(settled_count(), SINK_BATCH_FILES);
    assert_false(sink_has_batch(sink));
}

static void batch_of_many_bytes_commits_itself(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_NONE});
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(settled_count(), 0);
        char name[] = {'f', (char)('0' + id), '\0'};
        assert_int_equal(sink_file_begin(sink, id, name, 0, NULL, NULL), 0);
        assert_int_equal(sink_file_end(sink, SINK_BATCH_BYTES / 2,
                                       &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0},
                                       NULL),
                         0);
    }
    assert_durable(1, SINK_BATCH_BYTES / 2);
    assert_durable(2, SINK_BATCH_BYTES / 2);
}

static void many_files_settle_once_when_durable(enum durable durable) {
    open_sink((struct sink_options){.durable = durable, .times = true});
    send_many(MANY, SINK_SYNC_DIRS + 2);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_all_durable(MANY);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_all_durable(MANY);
}

static void more_files_than_a_batch_settle_once_without_flushing(void **state) {
    (void)state;
    many_files_settle_once_when_durable(DURABLE_NONE);
}

static void more_files_than_a_batch_settle_once_with_flushing(void **state) {
    (void)state;
    many_files_settle_once_when_durable(DURABLE_BATCH);
}

static void file_by_file_each_is_durable_at_its_end(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_FILE});
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    for (uint64_t id = 1; id <= 5; id++) {
        char path[] = {'d', '/', (char)('0' + id), '\0'};
        send_file(id, path, "text");
        assert_durable(id, 4);
        assert_text(root, path, "text");
        assert_false(sink_has_batch(sink));
    }
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void large_and_small_files_share_a_batch(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) { /* the last of a batch is flushed in its own way */
        uint64_t base = order ? 10 : 0;
        open_sink((struct sink_options){.durable = DURABLE_BATCH});
        for (uint64_t i = 1; i <= 3; i++) {
            bool large = (i % 2 == 0) == (order == 0);
            uint64_t size = large ? CHUNK_SIZE_DEFAULT + 1 : 1;
            char name[] = {(char)('a' + order), (char)('0' + i), '\0'};
            assert_int_equal(sink_file_begin(sink, base + i, name, size, NULL, NULL), 0);
            assert_int_equal(sink_file_write(sink, "x", 1, 0, NULL), 0);
            assert_int_equal(sink_file_end(sink, size,
                                           &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0},
                                           NULL),
                             0);
        }
        sink_commit(sink);
        for (uint64_t i = 1; i <= 3; i++)
            assert_durable(base + i, (i % 2 == 0) == (order == 0) ? CHUNK_SIZE_DEFAULT + 1 : 1);
        sink_close(sink);
        sink = NULL;
    }
}

static void failures_in_a_batch_are_told_once_each(void **state) {
    (void)state;
    char path[16];
    open_sink((struct sink_options){.durable = DURABLE_BATCH});
    for (unsigned i = 1; i <= 40; i++) {
        (void)snprintf(path, sizeof path, "t%u", i);
        if (i % 2) {
            make_dir(root, path, 0755);
            (void)snprintf(path, sizeof path, "t%u/x", i);
            put_text(root, path, "kept");
        }
        (void)snprintf(path, sizeof path, "t%u", i);
        send_file(i, path, "new");
    }
    sink_commit(sink);
    for (unsigned i = 1; i <= 40; i++) {
        (void)snprintf(path, sizeof path, i % 2 ? "t%u/x" : "t%u", i);
        if (i % 2)
            assert_failed(i);
        else
            assert_durable(i, 3);
        assert_text(root, path, i % 2 ? "kept" : "new");
    }
    assert_int_equal(settled_count(), 40);
    assert_int_equal(temps_in(root), 0);
}

static void path_that_comes_twice_in_a_batch_is_the_last(void **state) {
    (void)state;
    char path[16], text[16];
    open_sink((struct sink_options){.durable = DURABLE_NONE});
    for (unsigned i = 1; i <= 600; i++) {
        (void)snprintf(path, sizeof path, "f%u", i % 200);
        (void)snprintf(text, sizeof text, "%u", i);
        send_file(i, path, text);
    }
    sink_commit(sink);
    for (unsigned i = 401; i <= 600; i++) {
        (void)snprintf(path, sizeof path, "f%u", i % 200);
        (void)snprintf(text, sizeof text, "%u", i);
        assert_text(root, path, text);
    }
    assert_int_equal(settled_count(), 600);
}

static void few_descriptors_are_open_whatever_the_batch(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_BATCH});
    send_many(300, SINK_SYNC_DIRS + 5);
    /* scratch and root of the test; root, its claim, cached directories and the last files of the sink */
    assert_true(open_descriptors() <= descriptors + 2 + 2 + DIR_CACHE_SIZE + SINK_KEPT_FILES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SINK_TEST(full_batch_commits_itself),
        SINK_TEST(batch_of_many_bytes_commits_itself),
        SINK_TEST(more_files_than_a_batch_settle_once_without_flushing),
        SINK_TEST(more_files_than_a_batch_settle_once_with_flushing),
        SINK_TEST(file_by_file_each_is_durable_at_its_end),
        SINK_TEST(large_and_small_files_share_a_batch),
        SINK_TEST(failures_in_a_batch_are_told_once_each),
        SINK_TEST(path_that_comes_twice_in_a_batch_is_the_last),
        SINK_TEST(few_descriptors_are_open_whatever_the_batch),
    };
    return cmocka_run_group_tests_name("sink_commit", tests, NULL, NULL);
}
