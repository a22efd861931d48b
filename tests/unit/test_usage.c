/* What one peer may add: it counts what is there, and never more than was allowed. */
#include "sink_help.h"

static struct limits limits;
static struct usage_table *table;

static int start(void **state) {
    limits = (struct limits){.quota = 100, .max_files = 3};
    table = usage_table_new(&limits);
    return table ? sink_test_start(state) : -1;
}

static int stop(void **state) {
    int result = sink_test_stop(state);
    usage_table_free(table);
    return result;
}

static struct usage *user(uint32_t uid) {
    struct usage *u = usage_of(table, &(struct peer_id){.kind = PEER_UNIX, .uid = uid}, NULL);
    assert_non_null(u);
    return u;
}

static void require_usage(uint64_t bytes, uint64_t files) {
    assert_int_equal(atomic_load(&user(1)->bytes), bytes);
    assert_int_equal(atomic_load(&user(1)->files), files);
}

static void limited_sink(void) {
    open_sink((struct sink_options){.usage = user(1)});
}

static void require_full(int result, const struct err *err, const char *option) {
    assert_int_equal(result, -1);
    assert_int_equal(err->code, EXIT_NO_SPACE);
    assert_non_null(strstr(err->msg, option));
}

static void each_peer_has_its_own_account(void **state) {
    (void)state;
    struct err err = {0};
    assert_int_equal(usage_take(user(1), 100, 3, "all", &err), 0);
    require_full(usage_take(user(1), 1, 0, "more", &err), &err, "--quota");
    require_full(usage_take(user(1), 0, 1, "more", &err), &err, "--max-files");
    assert_int_equal(usage_take(user(2), 100, 3, "all", &err), 0);
    usage_give(user(1), 1, 1);
    assert_int_equal(usage_take(user(1), 1, 1, "again", &err), 0);
    usage_give(user(1), 1000, 1000); /* what was there before counts nothing */
    require_usage(0, 0);
    require_full(usage_take(user(1), UINT64_MAX, 0, "wraps", &err), &err, "--quota");
    require_usage(0, 0);
}

static void nothing_is_limited_without_an_account(void **state) {
    (void)state;
    assert_int_equal(usage_take(NULL, UINT64_MAX, UINT64_MAX, "all", NULL), 0);
    usage_give(NULL, 1, 1);
    assert_int_equal(usage_check_free(NULL, root, UINT64_MAX, "all", NULL), 0);
}

static void accounts_are_bounded(void **state) {
    (void)state;
    struct err err = {0};
    for (uint32_t uid = 0; uid < USAGE_PEERS_MAX; uid++)
        (void)user(uid);
    assert_null(usage_of(table, &(struct peer_id){.kind = PEER_VSOCK, .cid = 3}, &err));
    assert_int_equal(err.code, EXIT_REFUSED);
    (void)user(USAGE_PEERS_MAX - 1);
}

static void a_file_counts_from_its_first_byte_to_its_replacement(void **state) {
    (void)state;
    limited_sink();
    send_file(1, "file", "forty bytes, which is less than a quota..");
    require_usage(41, 1);
    sink_commit(sink);
    assert_durable(1, 41);
    send_file(2, "file", "ten bytes.");
    require_usage(51, 2); /* both are there */
    sink_commit(sink);
    require_usage(10, 1);
    assert_int_equal(sink_file_begin(sink, 3, "dropped", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "12345", 5, 20, NULL), 0);
    require_usage(35, 2); /* its hole too */
    sink_file_drop(sink);
    require_usage(10, 1);
    send_file(4, "unfinished", "x");
    require_usage(11, 2);
    sink_close(sink);
    sink = NULL;
    require_usage(10, 1);
}

static void a_file_beyond_the_quota_is_not_written(void **state) {
    (void)state;
    struct err err = {0};
    char data[101] = {0};
    limited_sink();
    assert_int_equal(sink_file_begin(sink, 1, "file", 0, NULL, NULL), 0);
    require_full(sink_file_write(sink, data, sizeof data, 0, &err), &err, "--quota");
    require_usage(0, 0);
    assert_int_equal(sink_file_begin(sink, 2, "hole", 0, NULL, NULL), 0);
    struct metadata meta = {.mode = 0644};
    require_full(sink_file_end(sink, 1 << 20, &meta, &err), &err, "--quota");
    require_usage(0, 0);
    assert_int_equal(sink_file_begin(sink, 3, "exact", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, data, 100, 0, NULL), 0);
    assert_int_equal(sink_file_end(sink, 100, &meta, NULL), 0);
    sink_commit(sink);
    assert_durable(3, 100);
    require_usage(100, 1);
}

static void directories_and_links_count_as_files(void **state) {
    (void)state;
    need_links(root);
    struct err err = {0};
    const struct span target = {.p = (const uint8_t *)"to", .n = 2};
    const struct entry link = {.file_id = 9, .type = ENTRY_SYMLINK, .path = "link"};
    limited_sink();
    assert_int_equal(sink_make_dir(sink, "dir", 0755, NULL), 0);
    assert_int_equal(sink_make_dir(sink, "dir", 0755, NULL), 0); /* it is there */
    assert_int_equal(sink_make_link(sink, &link, target, NULL), 0);
    assert_int_equal(sink_make_link(sink, &link, (struct span){.p = target.p, .n = 1}, NULL),
                     0); /* replaced */
    require_usage(0, 2);
    assert_int_equal(sink_make_dir(sink, "link", 0755, NULL), 0); /* in its place */
    require_usage(0, 2);
    send_file(1, "dir/file", "");
    require_full(sink_make_dir(sink, "dir2", 0755, &err), &err, "--max-files");
    require_full(sink_file_begin(sink, 2, "file", 0, NULL, &err), &err, "--max-files");
    const struct entry other = {.file_id = 10, .type = ENTRY_SYMLINK, .path = "other"};
    require_full(sink_make_link(sink, &other, target, &err), &err, "--max-files");
    sink_commit(sink);
    require_usage(0, 3);
}

static void so_much_stays_free(void **state) {
    (void)state;
    struct err err = {0};
    limits = (struct limits){.min_free = UINT64_MAX};
    limited_sink();
    require_full(sink_file_begin(sink, 1, "file", 0, NULL, &err), &err, "--min-free");
    limits.min_free = 1;
    require_full(sink_file_begin(sink, 1, "file", INT64_MAX, NULL, &err), &err, "");
    assert_int_equal(sink_file_begin(sink, 1, "file", 0, NULL, NULL), 0);
    limits.min_free = UINT64_MAX; /* somebody else fills the volume */
    require_full(sink_file_write(sink, "x", 1, 0, &err), &err, "--min-free");
    require_full(sink_make_dir(sink, "dir", 0755, &err), &err, "--min-free");
}

/* It is said to be small, and comes again, large, while it waits for its name. */
static void a_large_file_does_not_come_twice(void **state) {
    (void)state;
    struct err err = {0};
    struct msg_file_begin begin = {.file_id = 1, .size = 2};
    limits = (struct limits){.quota = 100};
    limited_sink();
    assert_int_equal(sink_file_begin_large(sink, 1, "file", &begin, &(struct sink_basis){0}, NULL), 0);
    assert_int_equal(sink_file_end(sink, 0, &(struct metadata){.mode = 0600}, NULL), 0);
    assert_int_equal(sink_file_begin_large(sink, 1, "file", &begin, &(struct sink_basis){0}, &err), -1);
    assert_int_equal(err.code, EXIT_STREAM);
}

#define USAGE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        USAGE_TEST(each_peer_has_its_own_account),
        USAGE_TEST(nothing_is_limited_without_an_account),
        USAGE_TEST(accounts_are_bounded),
        USAGE_TEST(a_file_counts_from_its_first_byte_to_its_replacement),
        USAGE_TEST(a_file_beyond_the_quota_is_not_written),
        USAGE_TEST(directories_and_links_count_as_files),
        USAGE_TEST(so_much_stays_free),
        USAGE_TEST(a_large_file_does_not_come_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
