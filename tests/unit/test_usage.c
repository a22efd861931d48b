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
    assert_int_equal(user(1)->bytes + user(1)->holes, bytes);
    assert_int_equal(user(1)->files, files);
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
    usage_give_name(user(1));
    usage_settle(user(1), &(struct usage_file){.bytes = 1}, 0, 0);
    assert_int_equal(usage_take(user(1), 1, 1, "again", &err), 0);
    usage_settle(user(1), &(struct usage_file){.bytes = 1000}, 0,
                 0); /* what was there before counts nothing */
    require_usage(0, 3);
    for (unsigned i = 0; i < 4; i++)
        usage_give_name(user(1));
    require_usage(0, 0);
    require_full(usage_take(user(1), UINT64_MAX, 0, "wraps", &err), &err, "--quota");
    require_usage(0, 0);
}

static void nothing_is_limited_without_an_account(void **state) {
    (void)state;
    assert_int_equal(usage_take(NULL, UINT64_MAX, UINT64_MAX, "all", NULL), 0);
    usage_give_name(NULL);
    usage_settle(NULL, &(struct usage_file){0}, 1, 1);
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

/* A second session of the same root. */
static struct sink *other_sink(struct sink_options opt) {
    struct os_dir own;
    struct sink *ret;
    opt.name_salt = 0x4321;
    assert_int_equal(os_dir_dup(root, &own), 0);
    assert_int_equal(sink_open(own, &opt, on_settled, settled, &ret, NULL), 0);
    return ret;
}

/* Wine replaces nothing that is open. */
static void need_replacing_what_is_open(void) {
    struct os_file file, new;
    assert_int_equal(os_create(root, "open", 0600, &file), 0);
    assert_int_equal(os_create(root, "new", 0600, &new), 0);
    os_close(&new);
    int result = os_rename_at(root, "new", "open");
    os_close(&file);
    if (result != 0)
        skip();
}

/* The last one that closes it gives it back, to the peer that replaced it. */
static void what_is_open_is_given_back_when_it_is_closed(void **state) {
    (void)state;
    struct usage_held held[2] = {0};
    struct os_file files[2];
    need_replacing_what_is_open();
    limited_sink();
    send_file(1, "file", "ten bytes.");
    sink_commit(sink);
    for (unsigned first = 0; first < 2; first++) {
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(usage_open_read(user(2), &held[i], root, "file", &files[i]), 0);
        send_file(2 + first, "file", "ten bytes.");
        sink_commit(sink);
        require_usage(20, 1);
        assert_int_equal(usage_close(&held[first], &files[first]), 0);
        require_usage(20, 1);
        assert_int_equal(usage_close(&held[!first], &files[!first]), 0);
        require_usage(10, 1);
    }
    assert_int_equal(usage_open_read(user(2), &held[0], root, "file", &files[0]), 0);
    assert_int_equal(usage_close(&held[0], &files[0]), 0); /* nobody replaced it */
    require_usage(10, 1);
}

/* In place: it loses its name while it is made short. */
static void what_becomes_short_without_its_name_is_given_back_once(void **state) {
    (void)state;
    struct err err = {0};
    const struct metadata meta = {.mode = 0644};
    need_replacing_what_is_open();
    limited_sink();
    send_file(1, "other", "twenty bytes, or so..");
    send_file(2, "file", "thirty-two bytes, or thereabouts");
    sink_commit(sink);
    struct sink *second = other_sink((struct sink_options){.usage = user(1), .inplace = true});
    assert_int_equal(sink_file_begin(second, 3, "file", 0, NULL, NULL), 0);
    send_file(4, "file", "x");
    sink_commit(sink);
    require_usage(21 + 32 + 1, 2); /* it is there still */
    assert_int_equal(os_truncate(second->file, 5), 0); /* as if the other one had come a moment later */
    assert_int_equal(sink_file_end(second, 5, &meta, &err), -1);
    require_usage(21 + 1, 2); /* 27 bytes for what it lost, and 5 for what was left */
    sink_close(second);
}

static void unfinished_file_is_given_back_with_what_holds_it(void **state) {
    (void)state;
    enum { LARGE = 90 };
    const char data[LARGE] = {0};
    const struct msg_file_begin m = {.file_id = 1, .size = LARGE, .data_size = LARGE};
    const struct sink_basis nothing = {0};
    struct usage_held held = {0};
    struct os_file file;
    struct temp_name partial;
    open_sink((struct sink_options){.usage = user(1), .partial_min = 50});
    assert_int_equal(sink_file_begin_large(sink, 1, "file", &m, &nothing, NULL), 0);
    if (sink->place != SINK_PARTIAL)
        skip();
    assert_int_equal(sink_file_write(sink, data, LARGE, 0, NULL), 0);
    sink_partial_name("file", &partial);
    assert_int_equal(usage_open_read(user(1), &held, root, partial.s, &file), 0);
    sink_file_drop(sink);
    require_usage(LARGE, 0);
    assert_int_equal(usage_close(&held, &file), 0);
    require_usage(0, 0);
}

static void holes_that_were_there_give_back_no_bytes(void **state) {
    (void)state;
    enum { HOLLOW = 1 << 20 };
    limited_sink();
    put_hollow("old", HOLLOW);
    send_file(1, "file", "thirty-two bytes, or thereabouts");
    sink_commit(sink);
    const uint64_t before = user(1)->bytes;
    send_file(2, "old", "");
    sink_commit(sink);
    assert_int_equal(user(1)->bytes, before);
}

static void holes_that_were_there_count_when_they_are_filled(void **state) {
    (void)state;
    enum { HOLLOW = 1 << 20, PAGE = 4096 };
    static const char page[PAGE];
    struct err err = {0};
    limits.quota = 2 * PAGE;
    open_sink((struct sink_options){.usage = user(1), .inplace = true});
    put_hollow("old", HOLLOW);
    assert_int_equal(sink_file_begin(sink, 1, "old", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, page, PAGE, 0, NULL), 0);
    assert_int_equal(sink_file_write(sink, page, PAGE, PAGE, NULL), 0);
    require_usage(2 * PAGE, 0);
    require_full(sink_file_write(sink, page, PAGE, 2 * PAGE, &err), &err, "--quota");
    assert_int_equal(user(1)->bytes, 2 * PAGE); /* they are there */
}

/* A hole that counted when the file was made is filled for nothing, and whoever sends it again comes out even. */
static void holes_of_ones_own_count_once(void **state) {
    (void)state;
    enum { HOLLOW = 1 << 20, PAGE = 4096 };
    static const char page[PAGE];
    const struct metadata meta = {.mode = 0644};
    limits.quota = 2 * HOLLOW + 2 * PAGE;
    for (uint64_t i = 1; i <= 20; i++) {
        open_sink((struct sink_options){.usage = user(1), .inplace = i % 4 == 0});
        assert_int_equal(sink_file_begin(sink, i, "hollow", 0, NULL, NULL), 0);
        assert_int_equal(sink_file_write(sink, page, PAGE, i * 8 * PAGE, NULL), 0);
        assert_int_equal(sink_file_end(sink, HOLLOW, &meta, NULL), 0);
        sink_commit(sink);
        assert_durable(i, HOLLOW);
        sink_close(sink);
        sink = NULL;
        require_usage(HOLLOW, 1);
    }
    limits.quota = HOLLOW;
    open_sink((struct sink_options){.usage = user(1), .inplace = true});
    assert_int_equal(sink_file_begin(sink, 21, "hollow", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, page, PAGE, 0, NULL), 0);
    sink_file_drop(sink);
    require_usage(HOLLOW, 1);
}

static void ignore_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    (void)ctx;
    (void)offset;
    (void)n;
    (void)digest;
}

/* A session that took blocks of it has it open until its own file is complete. */
static void old_file_is_given_back_when_nobody_reads_it(void **state) {
    (void)state;
    enum { SIZE = 2 * BASIS_BLOCK_MIN };
    static const char data[SIZE];
    const struct msg_file_begin m = {.file_id = 2, .size = SIZE, .data_size = SIZE};
    const struct metadata meta = {.mode = 0644};
    limits.quota = 10 * SIZE;
    need_replacing_what_is_open();
    limited_sink();
    assert_int_equal(sink_file_begin(sink, 1, "file", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, data, SIZE, 0, NULL), 0);
    assert_int_equal(sink_file_end(sink, SIZE, &meta, NULL), 0);
    sink_commit(sink);
    struct sink *second = other_sink((struct sink_options){.usage = user(1)});
    const struct sink_basis basis = sink_find_basis(second, "file", SIZE);
    assert_int_equal(sink_file_begin_large(second, 2, "file", &m, &basis, NULL), 0);
    assert_int_equal(sink_file_reuse(second, 0, BASIS_BLOCK_MIN, ignore_block, NULL, NULL), 0);
    send_file(3, "file", "x");
    sink_commit(sink);
    require_usage(SIZE + BASIS_BLOCK_MIN + 1, 2);
    sink_file_drop(second);
    require_usage(1, 1);
    sink_close(second);
}

enum { REPLACERS = 4, REPLACEMENTS = 100, EACH_BYTES = 5 };

struct replacer {
    struct sink *sink;
    bool well;
};

/* Where two replace the same name at once, a system may refuse one of them: then its file is removed and given back. */
static void ignore(void *ctx, uint64_t file_id, uint64_t size, const struct err *err) {
    (void)ctx;
    (void)file_id;
    (void)size;
    (void)err;
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
        USAGE_TEST(what_is_open_is_given_back_when_it_is_closed),
        USAGE_TEST(what_becomes_short_without_its_name_is_given_back_once),
        USAGE_TEST(unfinished_file_is_given_back_with_what_holds_it),
        USAGE_TEST(holes_that_were_there_give_back_no_bytes),
        USAGE_TEST(holes_that_were_there_count_when_they_are_filled),
        USAGE_TEST(holes_of_ones_own_count_once),
        USAGE_TEST(old_file_is_given_back_when_nobody_reads_it),
        USAGE_TEST(what_two_replace_is_given_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
