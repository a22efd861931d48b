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

/* What one session is about to write is not there for another. */
static void room_is_given_once(void **state) {
    (void)state;
    enum { MANY = 1000000 };
    struct err err = {0};
    uint64_t room;
    assert_int_equal(os_volume_free(root, &room), 0);
    limits = (struct limits){.min_free = room - room / 2};
    const uint64_t most = room / 2 - room / 8; /* others write there too */
    assert_int_equal(usage_take_room(user(1), root, most, "first", NULL), 0);
    require_full(usage_take_room(user(2), root, most, "second", &err), &err, "--min-free");
    require_full(usage_check_free(user(2), root, most, "third", &err), &err, "--min-free");
    assert_int_equal(usage_take_room(user(2), root, MANY, "small", NULL), 0);
    usage_room_used(user(2), MANY);
    usage_room_used(user(1), most);
    assert_int_equal(usage_take_room(user(2), root, most, "again", NULL), 0);
    usage_room_used(user(2), most);
    assert_int_equal(atomic_load(&user(1)->table->coming), 0);
}

/* Whatever becomes of a file, nothing is held back for it. */
static void room_is_given_back(void **state) {
    (void)state;
    struct err err = {0};
    limits = (struct limits){.min_free = 1};
    limited_sink();
    send_file(1, "file", "twenty bytes, or so..");
    assert_int_equal(sink_file_begin(sink, 2, "other", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "12345", 5, 20, NULL), 0);
    limits.min_free = UINT64_MAX;
    require_full(sink_file_write(sink, "12345", 5, 25, &err), &err, "--min-free");
    assert_int_equal(atomic_load(&user(1)->table->coming), 0);
}

enum { REPLACERS = 4, REPLACEMENTS = 100, EACH_BYTES = 5 };

struct replacer {
    struct sink *sink;
    bool well;
};

static void ignore(void *ctx, uint64_t file_id, uint64_t size, const struct err *err) {
    struct replacer *r = ctx;
    (void)file_id;
    (void)size;
    r->well = r->well && err == NULL;
}

static void *replace_again_and_again(void *arg) {
    struct replacer *r = arg;
    const struct metadata meta = {.mode = 0644};
    for (uint64_t id = 1; id <= REPLACEMENTS; id++) {
        r->well = r->well && sink_file_begin(r->sink, id, "same", 0, NULL, NULL) == 0 &&
                  sink_file_write(r->sink, "12345", EACH_BYTES, 0, NULL) == 0 &&
                  sink_file_end(r->sink, EACH_BYTES, &meta, NULL) == 0;
        sink_commit(r->sink);
    }
    return NULL;
}

/* Sessions of one peer replace the same file: each is given back what it replaced, and nobody twice. */
static void what_two_replace_is_given_back_once(void **state) {
    (void)state;
    struct replacer all[REPLACERS];
    struct os_thread threads[REPLACERS];
    struct usage *usage = user(1);
    limits = (struct limits){.quota = UINT32_MAX};
    for (uint64_t i = 0; i < REPLACERS; i++) {
        const struct sink_options opt = {.usage = usage, .durable = DURABLE_NONE, .name_salt = i + 1};
        struct os_dir own;
        all[i].well = true;
        assert_int_equal(os_dir_dup(root, &own), 0);
        assert_int_equal(sink_open(own, &opt, ignore, &all[i], &all[i].sink, NULL), 0);
    }
    for (unsigned i = 0; i < REPLACERS; i++)
        assert_int_equal(os_thread_start(&threads[i], "replacer", replace_again_and_again, &all[i], NULL), 0);
    for (unsigned i = 0; i < REPLACERS; i++) {
        os_thread_join(&threads[i]);
        sink_close(all[i].sink);
    }
    for (unsigned i = 0; i < REPLACERS; i++)
        assert_true(all[i].well);
    require_usage(EACH_BYTES, 1);
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
        USAGE_TEST(room_is_given_once),
        USAGE_TEST(room_is_given_back),
        USAGE_TEST(what_two_replace_is_given_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
