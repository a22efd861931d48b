/* The read stage beside a sending thread that is woken as seldom as may be: neither waits for what the other one keeps. */
#include "files_help.h"
#include "threads_help.h"

#include "sender/stages.h"

enum {
    CHUNK = CHUNK_SIZE_MIN,
    BUNDLES = 12,
    RUNS = 12, /* of data, with holes between them */
    RUN = 4096,
};

static struct scratch scratch;
static struct source_root root;

static void sender_open(struct sender *s) {
    static const struct report_style style = {.role = "sender", .progress_fd = -1};
    struct err err;
    memset(s, 0, sizeof *s);
    report_init(&s->report, &style);
    run_init(&s->run);
    s->out = outbox_new(UINT64_MAX, CHUNK);
    s->session.ledger = ledger_new(s->out, &s->report);
    s->pool = pool_new(CHUNK, chunks_lent(1));
    s->parts = pool_new(PART_MAX, PARTS_MAX);
    s->raw = queue_new(1);
    s->next_ticket = 1;
    assert_true(s->out && s->session.ledger && s->pool && s->parts && s->raw);
    assert_int_equal(pack_policy_init(&s->policy, CODEC_NONE, 0, 1u << CODEC_NONE, false, 1, &err), 0);
    source_init(&s->source, &root, CHUNK, s->pool, &s->report, NULL, NULL);
    s->source.parts = s->parts;
}

static void sender_close(struct sender *s) {
    source_free(&s->source);
    queue_free(s->raw, NULL);
    ledger_free(s->session.ledger);
    outbox_free(s->out);
    pool_free(s->pool);
    pool_free(s->parts);
    run_free(&s->run);
    report_free(&s->report);
}

/* `path`, listed and wanted so many times. */
static void want(struct sender *s, const char *path, uint32_t times) {
    struct err err;
    struct os_stat st = stat_of(scratch.dir, path);
    const struct found found = {.type = ENTRY_FILE, .path = path, .st = &st};
    for (uint64_t id = 1; id <= times; id++)
        assert_int_equal(ledger_add(s->session.ledger, &found), id);
    const struct run_of_ids run = {.first_id = 1, .count = times, .verdict = VERDICT_WANT};
    assert_int_equal(ledger_verdicts(s->session.ledger, &run, &err), 0);
}

static void *read_all(void *arg) {
    struct sender *s = arg;
    struct err err;
    (void)stage_read(s, &err);
    return NULL;
}

/* Takes what is read until `count` items of that type have come, or one only at the end of a pause. How many are missing. */
static unsigned take(struct sender *s, uint8_t type, unsigned count) {
    int64_t start = os_now_ms();
    struct item *item;
    while (count > 0 && os_now_ms() - start < LONG_MS && outbox_get(s->out, &item, LONG_MS) == QUEUE_OK) {
        count -= item->frame.type == type;
        item_free(item);
    }
    return os_now_ms() - start < LONG_MS ? count : count + 1;
}

static void read_and_take(const char *path, uint32_t times, uint8_t type, unsigned count) {
    struct sender s;
    struct waiters w;
    sender_open(&s);
    want(&s, path, times);
    waiters_start(&w, 1, read_all, &s);
    unsigned missing = take(&s, type, count);
    ledger_cancel(s.session.ledger);
    pool_cancel(s.pool);
    waiters_join(&w);
    sender_close(&s);
    assert_int_equal(missing, 0);
}

static int start(void **state) {
    (void)state;
    scratch = scratch_new();
    root = (struct source_root){.base = scratch.dir, .name = ""};
    return 0;
}

static int stop(void **state) {
    (void)state;
    scratch_free(&scratch);
    return 0;
}

/* They hold few bytes, but each a buffer that is as large as that of any other. */
static void bundles_of_empty_files_do_not_wait_for_a_pause(void **state) {
    (void)state;
    put_text(scratch.dir, "empty", "");
    read_and_take("empty", BUNDLES * BUNDLE_FILES, MSG_BUNDLE, BUNDLES);
}

static void short_runs_of_a_sparse_file_do_not_wait_for_a_pause(void **state) {
    (void)state;
    static const uint8_t data[RUN] = {1};
    struct os_file file;
    assert_int_equal(os_create(scratch.dir, "sparse", 0644, &file), 0);
    os_expect_holes(file);
    for (uint64_t i = 0; i < RUNS; i++)
        assert_int_equal(os_pwrite(file, data, RUN, (2 * i + 1) * CHUNK), 0);
    os_close(&file);
    read_and_take("sparse", 1, MSG_CHUNK, RUNS);
}

/* What a source emits, without its data. The file is spoilt in the first `spoil` readings, by the first chunk of each. */
struct seen {
    struct pending *p;
    unsigned spoil;
    bool shrink; /* it becomes a small one then */
    uint8_t types[64];
    unsigned count, reading; /* of the last item that tells one */
};

static int see(void *ctx, struct item *item, struct err *err) {
    struct seen *seen = ctx;
    (void)err;
    assert_true(seen->count < sizeof seen->types);
    seen->types[seen->count++] = item->frame.type;
    if (item->reading > 0)
        seen->reading = item->reading;
    if (item->reading > 0 && item->reading <= seen->spoil)
        atomic_store(&seen->p->spoilt, item->reading);
    if (seen->shrink && item->reading == 1)
        put_file(scratch.dir, "large", "small", 5);
    item_free(item);
    return 0;
}

static unsigned seen_of(const struct seen *seen, uint8_t type) {
    unsigned n = 0;
    for (unsigned i = 0; i < seen->count; i++)
        n += seen->types[i] == type;
    return n;
}

static struct seen read_spoilt(unsigned spoil, bool shrink) {
    struct sender s;
    struct err err;
    sender_open(&s);
    want(&s, "large", 1);
    struct seen seen = {.p = ledger_borrow(s.session.ledger, 1), .spoil = spoil, .shrink = shrink};
    s.source.emit = see;
    s.source.ctx = &seen;
    assert_int_equal(source_read(&s.source, seen.p, &err), 0);
    assert_int_equal(source_flush(&s.source, &err), 0);
    pending_release(seen.p);
    sender_close(&s);
    return seen;
}

static void make_large(void) {
    static uint8_t data[3 * CHUNK];
    memset(data, 1, sizeof data);
    put_file(scratch.dir, "large", data, sizeof data);
}

/* The receiver has it open: it must not come in a bundle. */
static void large_file_that_becomes_a_small_one_goes_on_as_a_large_one(void **state) {
    (void)state;
    make_large();
    struct seen seen = read_spoilt(2, true);
    assert_int_equal(seen_of(&seen, MSG_FILE_BEGIN), 3);
    assert_int_equal(seen_of(&seen, MSG_BUNDLE), 0);
    assert_int_equal(seen.types[seen.count - 1], MSG_FILE_END);
}

/* A chunk of it could not be sent again as it was. */
static void file_that_is_spoilt_while_it_is_read_starts_over(void **state) {
    (void)state;
    make_large();
    for (unsigned spoil = 0; spoil <= READ_ATTEMPTS; spoil++) {
        struct seen seen = read_spoilt(spoil, false);
        assert_int_equal(seen_of(&seen, MSG_FILE_BEGIN), spoil + 1);
        assert_int_equal(seen_of(&seen, MSG_CHUNK), spoil + 3); /* not to the end before */
        assert_int_equal(seen.types[seen.count - 1], MSG_FILE_END);
        assert_int_equal(seen.reading, spoil + 1);
    }
    struct seen seen = read_spoilt(READ_ATTEMPTS + 1, false);
    assert_int_equal(seen_of(&seen, MSG_FILE_END), 0);
    assert_int_equal(seen.types[seen.count - 1], MSG_FILE_FAIL);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(bundles_of_empty_files_do_not_wait_for_a_pause),
        CASE(large_file_that_becomes_a_small_one_goes_on_as_a_large_one),
        CASE(file_that_is_spoilt_while_it_is_read_starts_over),
        CASE(short_runs_of_a_sparse_file_do_not_wait_for_a_pause),
    };
    return cmocka_run_group_tests_name("read_stage", tests, NULL, NULL);
}
