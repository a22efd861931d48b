/* What sessions share: read, digested and packed once while they are in step, each by itself when they are not; and what is
 * taken is what was read. The sessions here have a source of their own each, and no stream. */
#include "files_help.h"
#include "threads_help.h"

#include "program/options.h"
#include "sender/pack.h"
#include "sender/source.h"
#include "wire/msg.h"

enum {
    CHUNK = CHUNK_SIZE_MIN,
    CHUNKS = 3,
    BIG = CHUNKS * CHUNK + 1000,
    LENT = 6,
    ENDS = 3,
    ITEMS = 16,
    FILES = 5,
};

/* One session: what its source emitted is kept, until it is let go. */
struct end {
    struct share_user user;
    struct pool *pool;
    struct report report;
    struct source source;
    struct item *items[ITEMS];
    unsigned count;
};

static struct scratch scratch;
static struct source_root root;
static struct share *share;
static struct end ends[ENDS];
static uint8_t content[BIG];
static atomic_bool no_memory; /* for pages and members */

uint8_t *__real_os_page_alloc(size_t n);
uint8_t *__wrap_os_page_alloc(size_t n);
uint8_t *__wrap_os_page_alloc(size_t n) {
    return atomic_load(&no_memory) ? NULL : __real_os_page_alloc(n);
}

static int keep(void *ctx, struct item *item, struct err *err) {
    struct end *e = ctx;
    if (e->count == ITEMS) {
        item_free(item);
        return err_set(err, EXIT_MEMORY, "more items than expected");
    }
    e->items[e->count++] = item;
    return 0;
}

static void let_go(struct end *e) {
    while (e->count > 0)
        item_free(e->items[--e->count]);
}

static void end_open(struct end *e, struct share *with) {
    static const struct report_style style = {.role = "sender", .progress_fd = -1};
    share_join(&e->user, with);
    e->pool = pool_new_on(share_store(with), LENT);
    assert_non_null(e->pool);
    report_init(&e->report, &style);
    source_init(&e->source, &root, CHUNK, e->pool, &e->report, keep, e);
    e->source.share = &e->user;
    e->count = 0;
}

static void end_close(struct end *e) {
    let_go(e);
    source_free(&e->source);
    pool_free(e->pool);
    report_free(&e->report);
}

static int start(void **state) {
    (void)state;
    scratch = scratch_new();
    root = (struct source_root){.base = scratch.dir, .name = ""};
    uint32_t x = 1;
    for (size_t i = 0; i < BIG; i++)
        content[i] = (uint8_t)(i % 5 ? i / 64 : scatter(&x));
    share = share_new(ENDS, CHUNK);
    assert_non_null(share);
    for (unsigned i = 0; i < ENDS; i++)
        end_open(&ends[i], share);
    return 0;
}

static int stop(void **state) {
    (void)state;
    for (unsigned i = 0; i < ENDS; i++)
        end_close(&ends[i]);
    share_free(share);
    scratch_free(&scratch);
    return 0;
}

/* `path` as a listing finds it now. */
static struct pending *list(const char *path, uint64_t id) {
    struct pending *p = calloc(1, sizeof *p + strlen(path) + 1);
    assert_non_null(p);
    atomic_init(&p->users, 1);
    p->file_id = id;
    p->type = ENTRY_FILE;
    assert_int_equal(os_stat_at(scratch.dir, path, &p->st), 0);
    memcpy(p->path, path, strlen(path) + 1);
    return p;
}

static void send(struct end *e, struct pending *p) {
    struct err err = {0};
    assert_int_equal(source_read(&e->source, p, &err), 0);
}

static void send_path(struct end *e, const char *path, uint64_t id) {
    struct pending *p = list(path, id);
    send(e, p);
    pending_release(p);
}

static void flush(struct end *e) {
    struct err err = {0};
    assert_int_equal(source_flush(&e->source, &err), 0);
}

static const struct item *nth(const struct end *e, uint8_t type, unsigned n) {
    for (unsigned i = 0; i < e->count; i++)
        if (e->items[i]->frame.type == type && n-- == 0)
            return e->items[i];
    fail_msg("no such item");
    return NULL;
}

static void require_data(const struct item *item, const void *wanted, uint32_t n) {
    assert_int_equal(item->raw_length, n);
    assert_memory_equal(item->data->data, wanted, n);
    struct digest digest = digest_of(wanted, n);
    assert_true(item->digested);
    assert_true(digest_equal(&item->digest, &digest));
}

static void require_big(const struct end *e, const uint8_t *wanted) {
    for (unsigned i = 0; i <= CHUNKS; i++)
        require_data(nth(e, MSG_CHUNK, i), wanted + i * CHUNK, i < CHUNKS ? CHUNK : BIG - CHUNKS * CHUNK);
    assert_int_equal(e->items[e->count - 1]->frame.type, MSG_FILE_END);
}

/* ---- chunks of large files ---------------------------------------------------------------------------------- */

static void chunk_is_read_once_for_all(void **state) {
    (void)state;
    put_file(scratch.dir, "big", content, BIG);
    for (unsigned i = 0; i < ENDS; i++)
        send_path(&ends[i], "big", 1 + i);
    for (unsigned i = 0; i < ENDS; i++)
        require_big(&ends[i], content);
    assert_ptr_equal(nth(&ends[0], MSG_CHUNK, 0)->data->data, nth(&ends[2], MSG_CHUNK, 0)->data->data);
    struct share_counts c = share_counts(share);
    assert_int_equal(c.chunks_read, CHUNKS + 1);
    assert_int_equal(c.chunks_taken, (ENDS - 1) * (CHUNKS + 1));
}

/* Other content of the same length, with the old time of change: only what nobody can set tells. */
static void rewrite(const char *path, const void *bytes, size_t n) {
    struct os_stat st = stat_of(scratch.dir, path);
    put_file(scratch.dir, path, bytes, n);
    set_time(scratch.dir, path, st.mtime_sec, st.mtime_nsec);
}

static void changed_file_is_read_again(void **state) {
    (void)state;
    static uint8_t other[BIG];
    put_file(scratch.dir, "big", content, BIG);
    struct pending *before = list("big", 1);
    send_path(&ends[0], "big", 1);
    memset(other, 'x', BIG);
    rewrite("big", other, BIG);
    send_path(&ends[1], "big", 1);
    send(&ends[2], before); /* listed before the change, opened after it */
    pending_release(before);
    require_big(&ends[0], content);
    require_big(&ends[1], other);
    require_big(&ends[2], other);
    assert_int_equal(share_counts(share).chunks_read, 2 * (CHUNKS + 1));
}

static void same_status_under_another_path_is_another_file(void **state) {
    (void)state;
    put_file(scratch.dir, "big", content, BIG);
    put_hard_link(scratch.dir, "big", "also");
    send_path(&ends[0], "big", 1);
    send_path(&ends[1], "also", 1);
    assert_int_equal(share_counts(share).chunks_taken, 0);
}

/* A chunk by hand: without a file. */
static struct pending *number_file(uint64_t inode) {
    struct pending *p = calloc(1, sizeof *p + 1);
    assert_non_null(p);
    atomic_init(&p->users, 1);
    p->st.inode = inode;
    return p;
}

static void oldest_chunks_are_forgotten(void **state) {
    (void)state;
    enum { MANY = 200 }; /* more than are kept */
    struct pending *p = number_file(1);
    struct share_chunk chunk;
    unsigned kept = 0;
    bool before = false;
    for (unsigned i = 0; i < MANY; i++) {
        struct buf *buf = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, i, 1, buf, &chunk));
        buf->data[0] = (uint8_t)i;
        share_put(&ends[0].user, buf, &chunk);
        buf_release(buf);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct buf *buf = pool_get(ends[1].pool);
        bool taken = share_take(&ends[1].user, p, i, 1, buf, &chunk);
        if (taken)
            assert_int_equal(buf->data[0], (uint8_t)i);
        assert_true(taken || !before); /* all of them from some place on */
        share_drop(&ends[1].user, &chunk);
        buf_release(buf);
        before = taken;
        kept += taken;
    }
    assert_true(before);
    assert_in_range(kept, 4, 64 + ENDS);
    pending_release(p);
}

/* One end has all its buffers in hand and moves no more. */
static void slow_session_holds_up_nobody(void **state) {
    (void)state;
    struct pending *p = number_file(1);
    struct share_chunk chunk;
    struct buf *held[LENT];
    for (unsigned i = 0; i < LENT; i++) {
        held[i] = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, i, 1, held[i], &chunk));
        held[i]->data[0] = (uint8_t)i;
        share_put(&ends[0].user, held[i], &chunk);
    }
    for (unsigned i = 0; i < 500; i++) {
        struct buf *buf = pool_get(ends[1].pool);
        if (!share_take(&ends[1].user, p, i, 1, buf, &chunk)) {
            buf->data[0] = (uint8_t)i;
            share_put(&ends[1].user, buf, &chunk);
        }
        assert_int_equal(buf->data[0], (uint8_t)i);
        buf_release(buf);
    }
    for (unsigned i = 0; i < LENT; i++) { /* untouched by what came and went */
        assert_int_equal(held[i]->data[0], (uint8_t)i);
        buf_release(held[i]);
    }
    assert_int_equal(share_counts(share).chunks_taken, LENT);
    pending_release(p);
}

/* ---- waiting for a claim ---------------------------------------------------------------------------------- */

struct taker {
    struct end *end;
    struct pending *p;
    bool by_file; /* a small one */
    bool taken, claimed;
    uint8_t got;
    atomic_bool begun;
};

static void *take_one(void *arg) {
    struct taker *t = arg;
    struct buf *buf = pool_get(t->end->pool);
    struct share_chunk chunk = {0};
    atomic_store(&t->begun, true);
    if (t->by_file) {
        share_begin_bundle(&t->end->user, buf);
        t->taken = share_take_file(&t->end->user, t->p, buf->data);
        t->claimed = t->end->user.claimed;
        share_drop_file(&t->end->user);
        share_forget_bundle(&t->end->user);
    } else {
        t->taken = share_take(&t->end->user, t->p, 0, 1, buf, &chunk);
        t->claimed = chunk.claim != NULL;
        share_drop(&t->end->user, &chunk);
    }
    t->got = buf->data[0];
    buf_release(buf);
    return NULL;
}

/* Most likely it waits by then; if not, the test proves less. */
static void start_taker(struct taker *t, struct waiters *w) {
    waiters_start(w, 1, take_one, t);
    while (!atomic_load(&t->begun))
        os_sleep_ms(1);
    os_sleep_ms(20);
}

static void end_of_a_claim_wakes_who_waits(void **state) {
    (void)state;
    for (unsigned failing = 0; failing < 2; failing++) {
        struct pending *p = number_file(10 + failing);
        struct taker t = {.end = &ends[1], .p = p};
        struct share_chunk chunk;
        struct waiters w;
        struct buf *buf = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, 0, 1, buf, &chunk));
        start_taker(&t, &w);
        buf->data[0] = 77;
        if (failing)
            share_drop(&ends[0].user, &chunk);
        else
            share_put(&ends[0].user, buf, &chunk);
        waiters_join(&w);
        assert_int_equal(t.taken, !failing);
        assert_int_equal(t.claimed, failing); /* it reads then, for the others too */
        if (!failing)
            assert_int_equal(t.got, 77);
        buf_release(buf);
        pending_release(p);
    }
}

static void cancel_ends_the_wait_for_a_chunk(void **state) {
    (void)state;
    struct pending *p = number_file(1);
    struct taker t = {.end = &ends[1], .p = p};
    struct share_chunk chunk;
    struct waiters w;
    struct buf *buf = pool_get(ends[0].pool);
    assert_false(share_take(&ends[0].user, p, 0, 1, buf, &chunk));
    start_taker(&t, &w);
    share_cancel(&ends[1].user);
    waiters_join(&w);
    assert_false(t.taken || t.claimed);
    share_put(&ends[0].user, buf, &chunk);
    buf_release(buf);
    pending_release(p);
}

static void small_file_is_waited_for_as_well(void **state) {
    (void)state;
    enum { GOOD, FAILS, CANCELLED, WAYS };
    for (unsigned way = 0; way < WAYS; way++) {
        struct pending *p = number_file(20 + way);
        p->st.size = 1;
        struct taker t = {.end = &ends[1], .p = p, .by_file = true};
        struct waiters w;
        struct buf *buf = pool_get(ends[0].pool);
        share_begin_bundle(&ends[0].user, buf);
        assert_false(share_take_file(&ends[0].user, p, buf->data));
        start_taker(&t, &w);
        buf->data[0] = 55;
        if (way == GOOD)
            share_put_file(&ends[0].user);
        else if (way == FAILS)
            share_drop_file(&ends[0].user);
        else
            share_cancel(&ends[1].user);
        waiters_join(&w);
        assert_int_equal(t.taken, way == GOOD);
        assert_int_equal(t.claimed, way == FAILS);
        if (way == GOOD)
            assert_int_equal(t.got, 55);
        share_drop_file(&ends[0].user);
        share_forget_bundle(&ends[0].user);
        buf_release(buf);
        pending_release(p);
    }
}

/* ---- small files and bundles ---------------------------------------------------------------------------------- */

static void make_files(void) {
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%u", i);
        put_file(scratch.dir, name, content + i * 100, 100 + i);
    }
}

/* The files of `mask`, and what their bundle has to hold. */
static uint32_t send_files(struct end *e, unsigned mask, uint8_t *wanted) {
    uint32_t n = 0;
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        if (!(mask & 1u << i))
            continue;
        (void)snprintf(name, sizeof name, "f%u", i);
        send_path(e, name, 1 + i);
        memcpy(wanted + n, content + i * 100, 100 + i);
        n += 100 + i;
    }
    return n;
}

static void small_file_is_read_once_and_its_bundle_digested_once(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    for (unsigned i = 0; i < ENDS; i++) {
        uint32_t n = send_files(&ends[i], 31, wanted);
        flush(&ends[i]);
        assert_int_equal(ends[i].count, 1);
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    }
    struct share_counts c = share_counts(share);
    assert_int_equal(c.files_read, FILES);
    assert_int_equal(c.files_taken, (ENDS - 1) * FILES);
    assert_int_equal(c.bundles_digested, 1);
    assert_int_equal(c.bundles_taken, ENDS - 1);
    assert_ptr_equal(nth(&ends[0], MSG_BUNDLE, 0)->data->data, nth(&ends[1], MSG_BUNDLE, 0)->data->data);
}

static void file_can_be_taken_from_a_bundle_that_is_being_filled(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    for (unsigned i = 0; i < FILES; i++) /* each of them reads what the other one lacks yet */
        (void)send_files(&ends[i % 2], 1u << i, wanted);
    assert_int_equal(share_counts(share).files_read, FILES);
    for (unsigned e = 0; e < 2; e++) {
        uint32_t n = send_files(&ends[2], 31, wanted);
        flush(&ends[2]);
        require_data(nth(&ends[2], MSG_BUNDLE, e), wanted, n);
    }
    assert_int_equal(share_counts(share).files_read, FILES);
    assert_int_equal(share_counts(share).files_taken, 2 * FILES);
}

/* Both have read a part of it. The bundle that is given up for the equal one of the other is not missed. */
static void equal_bundles_become_one(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    for (unsigned i = 0; i < FILES; i++) {
        (void)send_files(&ends[i % 2], 1u << i, wanted);
        (void)send_files(&ends[1 - i % 2], 1u << i, wanted);
    }
    flush(&ends[0]);
    flush(&ends[1]);
    uint32_t n = send_files(&ends[2], 31, wanted);
    flush(&ends[2]);
    for (unsigned i = 0; i < ENDS; i++)
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    struct share_counts c = share_counts(share);
    assert_int_equal(c.files_read, FILES);
    assert_int_equal(c.files_taken, 2 * FILES);
    assert_int_equal(c.bundles_digested, 1);
    assert_int_equal(c.bundles_taken, 2);
}

static void bundle_of_other_files_is_another(void **state) {
    (void)state;
    uint8_t wanted[1000];
    static const unsigned masks[ENDS] = {31, 30, 23};
    make_files();
    for (unsigned i = 0; i < ENDS; i++) {
        uint32_t n = send_files(&ends[i], masks[i], wanted);
        flush(&ends[i]);
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    }
    struct share_counts c = share_counts(share);
    assert_int_equal(c.files_read, FILES);
    assert_int_equal(c.bundles_digested, ENDS);
    assert_int_equal(c.bundles_taken, 0);
}

static void changed_small_file_is_read_again(void **state) {
    (void)state;
    put_text(scratch.dir, "f", "before");
    send_path(&ends[0], "f", 1);
    rewrite("f", "behind", 6);
    send_path(&ends[1], "f", 1);
    flush(&ends[0]);
    flush(&ends[1]);
    require_data(nth(&ends[0], MSG_BUNDLE, 0), "before", 6);
    require_data(nth(&ends[1], MSG_BUNDLE, 0), "behind", 6);
}

/* It vanishes after the listing: who comes later must not wait for a claim that has failed. */
static void file_that_cannot_be_read_is_left_out(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    struct pending *p = list("f0", 1);
    remove_file(scratch.dir, "f0");
    for (unsigned i = 0; i < 2; i++) {
        send(&ends[i], p);
        assert_true(atomic_load(&p->given_up));
        uint32_t n = send_files(&ends[i], 30, wanted);
        flush(&ends[i]);
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    }
    assert_int_equal(share_counts(share).files_taken, FILES - 1);
    assert_int_equal(share_counts(share).bundles_taken, 1);
    pending_release(p);
}

static void damaged_file_is_read_from_storage(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    (void)send_files(&ends[0], 31, wanted);
    flush(&ends[0]);
    struct pending *p = list("f0", 1);
    atomic_store(&p->damaged, true);
    nth(&ends[0], MSG_BUNDLE, 0)->data->data[0] ^= 1; /* as a bad cell of memory would */
    send(&ends[1], p);
    flush(&ends[1]);
    const struct item *item = nth(&ends[1], MSG_BUNDLE, 0);
    assert_int_equal(item->raw_length, 100);
    assert_memory_equal(item->data->data, content, 100);
    pending_release(p);
}

/* An early flush shifts what is bundled together; beyond the next meeting point it is the same again. */
static void bundles_are_the_same_again_after_an_early_one(void **state) {
    (void)state;
    enum { GROUP = BUNDLE_FILES, FIRST = GROUP - 40, LAST = GROUP + 60, EARLY = GROUP - 35 };
    put_text(scratch.dir, "f", "x");
    for (unsigned e = 0; e < 2; e++) {
        for (uint64_t id = FIRST; id < LAST; id++) {
            send_path(&ends[e], "f", id);
            if (e == 1 && id == EARLY)
                flush(&ends[e]);
        }
        flush(&ends[e]);
    }
    static const uint32_t lengths[2][3] = {{40, 60}, {6, 34, 60}};
    for (unsigned e = 0; e < 2; e++) {
        assert_int_equal(ends[e].count, 2 + e);
        for (unsigned i = 0; i < 2 + e; i++)
            assert_int_equal(ends[e].items[i]->raw_length, lengths[e][i]);
    }
    assert_int_equal(share_counts(share).bundles_taken, 1);
}

/* ---- packing ---------------------------------------------------------------------------------------------------- */

struct packing {
    struct pack_policy policy;
    struct packer packer;
};

static void packing_start(struct packing *k, struct end *e, unsigned codec) {
    struct err err;
    assert_int_equal(pack_policy_init(&k->policy, codec, 0, codec_mask(), false, 1, &err), 0);
    assert_int_equal(packer_init(&k->packer, e->pool, &e->user, &err), 0);
}

static uint8_t pack_first(struct packing *k, struct end *e, const uint8_t *raw, uint32_t n) {
    struct item *item = e->items[1]; /* behind FILE_BEGIN */
    struct codec_state *state = codec_state_new();
    static uint8_t unpacked[CHUNK];
    struct err err;
    uint8_t codec;
    assert_int_equal(item->frame.type, MSG_CHUNK);
    assert_int_equal(pack_item(item, &k->policy, &k->packer, &codec, &err), 0);
    if (codec == CODEC_NONE)
        assert_memory_equal(item->data->data, raw, n);
    else
        assert_int_equal(
            codec_by_id(codec)->unpack(state, item->data->data, item->frame.data_length, unpacked, n, &err),
            0);
    if (codec != CODEC_NONE)
        assert_memory_equal(unpacked, raw, n);
    codec_state_free(state);
    return codec;
}

static void chunk_is_packed_once_for_all(void **state) {
    (void)state;
    struct packing k[ENDS];
    put_file(scratch.dir, "big", content, BIG);
    for (unsigned i = 0; i < ENDS; i++) {
        send_path(&ends[i], "big", 1);
        packing_start(&k[i], &ends[i], CODEC_ZLIB);
    }
    for (unsigned i = 0; i < ENDS; i++)
        assert_int_equal(pack_first(&k[i], &ends[i], content, CHUNK), CODEC_ZLIB);
    require_data(ends[0].items[2], content + CHUNK, CHUNK);
    assert_int_equal(ends[0].items[1]->frame.data_length, ends[2].items[1]->frame.data_length);
    assert_int_equal(share_counts(share).packed, 1);
    assert_int_equal(share_counts(share).packed_taken, ENDS - 1);
    for (unsigned i = 0; i < ENDS; i++)
        packer_free(&k[i].packer);
}

/* The buffer of a chunk that was packed becomes that for the next one; others still look at the bytes in it. */
static void packing_writes_into_no_shared_memory(void **state) {
    (void)state;
    struct packing k;
    struct err err;
    uint8_t codec;
    put_file(scratch.dir, "big", content, BIG);
    send_path(&ends[0], "big", 1);
    send_path(&ends[1], "big", 1);
    packing_start(&k, &ends[0], CODEC_ZLIB);
    for (unsigned i = 1; i <= CHUNKS + 1; i++)
        assert_int_equal(pack_item(ends[0].items[i], &k.policy, &k.packer, &codec, &err), 0);
    require_big(&ends[1], content);
    packer_free(&k.packer);
    send_path(&ends[2], "big", 1);
    require_big(&ends[2], content);
    assert_int_equal(share_counts(share).chunks_read, CHUNKS + 1);
}

static void what_does_not_shrink_is_tried_once(void **state) {
    (void)state;
    static uint8_t random[2 * CHUNK];
    struct packing k[2];
    uint32_t x = 99;
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(scatter(&x) >> 8);
    put_file(scratch.dir, "random", random, sizeof random);
    for (unsigned i = 0; i < 2; i++) {
        send_path(&ends[i], "random", 1);
        packing_start(&k[i], &ends[i], CODEC_ZLIB);
        assert_int_equal(pack_first(&k[i], &ends[i], random, CHUNK), CODEC_NONE);
        assert_int_equal(ends[i].items[1]->frame.data_length, CHUNK);
        packer_free(&k[i].packer);
    }
    assert_int_equal(share_counts(share).packed, 1);
    assert_int_equal(share_counts(share).packed_taken, 1);
}

static void only_the_codec_that_was_agreed_on_is_taken(void **state) {
    (void)state;
    struct packing k;
    uint32_t length;
    put_file(scratch.dir, "big", content, BIG);
    send_path(&ends[0], "big", 1);
    send_path(&ends[1], "big", 1);
    uint64_t id = ends[0].items[1]->share_id;
    assert_int_equal(id, ends[1].items[1]->share_id);
    struct buf *packed = pool_get(ends[0].pool);
    assert_int_equal(share_take_packed(&ends[0].user, id, CODEC_ZSTD, ends[0].items[1]->data, &length),
                     SHARE_PACK);
    /* It does not wait for that either. */
    packing_start(&k, &ends[1], CODEC_ZLIB);
    assert_int_equal(pack_first(&k, &ends[1], content, CHUNK), CODEC_ZLIB);
    memset(packed->data, 'z', 10);
    share_put_packed(&ends[0].user, id, packed, 10);
    struct buf *other = pool_get(ends[2].pool);
    assert_int_equal(share_take_packed(&ends[2].user, id, CODEC_ZLIB, other, &length), SHARE_ALONE);
    assert_int_equal(share_take_packed(&ends[2].user, id, CODEC_ZSTD, other, &length), SHARE_PACKED);
    assert_int_equal(length, 10);
    assert_memory_equal(other->data, "zzzzzzzzzz", 10);
    buf_release(other);
    buf_release(packed);
    packer_free(&k.packer);
}

/* The policy of the first one stores; the second packs. */
static void policy_that_stores_decides_for_itself_only(void **state) {
    (void)state;
    struct packing k[2];
    put_file(scratch.dir, "big", content, BIG);
    static const unsigned codecs[2] = {CODEC_AUTO,
                                       CODEC_ZLIB}; /* AUTO knows nothing of the stream: it stores */
    for (unsigned i = 0; i < 2; i++) {
        send_path(&ends[i], "big", 1);
        packing_start(&k[i], &ends[i], codecs[i]);
    }
    k[0].policy.codec = k[1].policy.codec;
    assert_int_equal(pack_first(&k[0], &ends[0], content, CHUNK), CODEC_NONE);
    assert_int_equal(pack_first(&k[1], &ends[1], content, CHUNK), CODEC_ZLIB);
    for (unsigned i = 0; i < 2; i++)
        packer_free(&k[i].packer);
}

struct pack_waiter {
    uint64_t id;
    enum share_packing found;
};

static void *wait_for_packed(void *arg) {
    struct pack_waiter *w = arg;
    struct buf *buf = pool_get(ends[1].pool);
    uint32_t length;
    w->found = share_take_packed(&ends[1].user, w->id, CODEC_ZLIB, buf, &length);
    if (w->found == SHARE_PACK)
        share_drop_packed(&ends[1].user, w->id);
    buf_release(buf);
    return NULL;
}

static void end_of_packing_wakes_who_waits(void **state) {
    (void)state;
    enum { PACKED, STORED, FORGOTTEN, CANCELLED, WAYS };
    static const enum share_packing expected[WAYS] = {SHARE_PACKED, SHARE_PACK, SHARE_ALONE, SHARE_ALONE};
    for (unsigned way = 0; way < WAYS; way++) {
        struct pending *p = number_file(30 + way);
        struct share_chunk chunk;
        struct waiters w;
        uint32_t length;
        struct buf *buf = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, 0, 1, buf, &chunk));
        share_put(&ends[0].user, buf, &chunk);
        struct pack_waiter waiter = {.id = chunk.id};
        assert_int_equal(share_take_packed(&ends[0].user, chunk.id, CODEC_ZLIB, buf, &length), SHARE_PACK);
        waiters_start(&w, 1, wait_for_packed, &waiter);
        os_sleep_ms(20);
        if (way == STORED)
            share_drop_packed(&ends[0].user, chunk.id);
        else if (way == CANCELLED)
            share_cancel(&ends[1].user);
        for (unsigned i = 0; way == FORGOTTEN && i < 200; i++) {
            struct share_chunk other;
            assert_false(share_take(&ends[2].user, p, 1 + i, 1, buf, &other));
            share_put(&ends[2].user, buf, &other);
        }
        if (way == PACKED || way == FORGOTTEN)
            share_put_packed(&ends[0].user, chunk.id, buf, 1);
        waiters_join(&w);
        assert_int_equal(waiter.found, expected[way]);
        if (way == CANCELLED)
            share_put_packed(&ends[0].user, chunk.id, buf, 1);
        buf_release(buf);
        pending_release(p);
    }
}

/* Its place goes to a chunk that somebody begins to read. Nothing else ends meanwhile that would wake anybody. */
static void loss_of_the_place_wakes_who_waits_for_packed_bytes(void **state) {
    (void)state;
    enum { PLACES_MAX = 200 };
    struct pending *p = number_file(40);
    struct share_chunk chunk, others[PLACES_MAX];
    struct waiters w;
    uint32_t length;
    unsigned claims = 0;
    struct buf *buf = pool_get(ends[0].pool);
    assert_false(share_take(&ends[0].user, p, 0, 1, buf, &chunk));
    share_put(&ends[0].user, buf, &chunk);
    assert_int_equal(share_take_packed(&ends[0].user, chunk.id, CODEC_ZLIB, buf, &length), SHARE_PACK);
    struct pack_waiter waiter = {.id = chunk.id};
    waiters_start(&w, 1, wait_for_packed, &waiter);
    os_sleep_ms(20); /* most likely it waits by then */
    do {
        assert_true(claims < PLACES_MAX);
        assert_false(share_take(&ends[2].user, p, 1 + claims, 1, buf, &others[claims]));
    } while (others[claims++].claim != NULL); /* all places are claimed then, also that of the packed chunk */
    waiters_join(&w);
    assert_int_equal(waiter.found, SHARE_ALONE);
    share_put_packed(&ends[0].user, chunk.id, buf, 1); /* nobody's any more */
    assert_int_equal(share_take_packed(&ends[0].user, chunk.id, CODEC_ZLIB, buf, &length), SHARE_ALONE);
    while (claims > 0)
        share_drop(&ends[2].user, &others[--claims]);
    buf_release(buf);
    pending_release(p);
}

/* ---- without memory, without a share ----------------------------------------------------------------------------- */

static void without_memory_there_is_an_error_or_less_to_share(void **state) {
    (void)state;
    struct packing k;
    struct err err = {0};
    put_file(scratch.dir, "big", content, BIG);
    send_path(&ends[0], "big", 1);
    send_path(&ends[1], "big", 1);
    packing_start(&k, &ends[0], CODEC_ZLIB);
    assert_int_equal(pack_first(&k, &ends[0], content, CHUNK), CODEC_ZLIB);
    struct buf *all[LENT]; /* no block is idle any more */
    unsigned n = 0;
    while (n < LENT && (all[n] = pool_try_get(ends[2].pool)) != NULL)
        n++;
    atomic_store(&no_memory, true);
    /* Its buffer is that of the first chunk now, which is shared: the second is stored. */
    uint8_t codec;
    assert_int_equal(pack_item(ends[0].items[2], &k.policy, &k.packer, &codec, &err), 0);
    assert_int_equal(codec, CODEC_NONE);
    while (n > 0)
        buf_release(all[--n]);
    atomic_store(&no_memory, false);
    require_data(ends[0].items[2], content + CHUNK, CHUNK);
    require_big(&ends[1], content);
    packer_free(&k.packer);
}

static void pool_without_memory_says_so(void **state) {
    (void)state;
    struct err err = {0};
    struct block_store *store = block_store_new(CHUNK);
    struct pool *pool = pool_new_on(store, 2);
    atomic_store(&no_memory, true);
    assert_null(pool_get(pool));
    assert_int_equal(pool_error(pool, &err), -1);
    assert_int_equal(err.code, EXIT_MEMORY);
    atomic_store(&no_memory, false);
    struct buf *a = pool_get(pool), *b = pool_get(pool); /* the failure has used up none of the two */
    assert_non_null(a);
    assert_non_null(b);
    assert_null(pool_try_get(pool));
    buf_release(a);
    buf_release(b);
    pool_free(pool);
    block_store_free(store);
    share_free(NULL);
}

static void without_a_share_everything_is_read(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    put_file(scratch.dir, "big", content, BIG);
    for (unsigned i = 0; i < 2; i++) {
        ends[i].source.share = NULL;
        uint32_t n = send_files(&ends[i], 31, wanted);
        flush(&ends[i]);
        const struct item *bundle = nth(&ends[i], MSG_BUNDLE, 0);
        assert_int_equal(bundle->raw_length, n);
        assert_memory_equal(bundle->data->data, wanted, n);
        assert_false(bundle->digested);
        let_go(&ends[i]);
        send_path(&ends[i], "big", 9);
        require_big(&ends[i], content);
    }
    struct share_counts c = share_counts(share), none = {0};
    assert_memory_equal(&c, &none, sizeof c);
}

/* ---- many threads -------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, STEPS = 3000, LAG = 40 };

struct hammer {
    struct share *share;
    struct pending *p;
    atomic_uint wrong, next;
};

static void fill(uint8_t *to, uint64_t offset, uint8_t salt) {
    for (unsigned i = 0; i < 64; i++)
        to[i] = (uint8_t)(offset * 7 + i + salt);
}

static bool is_filled(const uint8_t *p, uint64_t offset, uint8_t salt) {
    uint8_t wanted[64];
    fill(wanted, offset, salt);
    return memcmp(p, wanted, sizeof wanted) == 0;
}

/* "Packed" bytes are the same with another salt, made in the scratch buffer, which changes places. */
static bool pack_one(struct share_user *user, uint64_t id, uint64_t offset, struct buf **buf,
                     struct buf **spare) {
    uint32_t length = 0;
    enum share_packing found = share_take_packed(user, id, CODEC_ZLIB, *buf, &length);
    if (found == SHARE_PACKED)
        return length == 64 && is_filled((*buf)->data, offset, 100);
    if (!buf_make_own(*spare))
        return false;
    fill((*spare)->data, offset, 100);
    if (found == SHARE_PACK && offset % 5 == 0)
        share_drop_packed(user, id);
    else if (found == SHARE_PACK)
        share_put_packed(user, id, *spare, 64);
    bool good = is_filled((*buf)->data, offset, 0);
    struct buf *was = *buf;
    *buf = *spare;
    *spare = was;
    return good && is_filled((*buf)->data, offset, 100);
}

static bool take_and_check(struct share_user *user, const struct pending *p, uint64_t offset,
                           struct buf **buf, struct buf **spare) {
    struct share_chunk chunk;
    if (!share_take(user, p, offset, 64, *buf, &chunk)) {
        if (offset % 11 == 0) { /* a failure, and then as if alone */
            share_drop(user, &chunk);
            return true;
        }
        fill((*buf)->data, offset, 0);
        chunk.digest = digest_of((*buf)->data, 64);
        share_put(user, *buf, &chunk);
    }
    struct digest digest = digest_of((*buf)->data, 64);
    return is_filled((*buf)->data, offset, 0) && digest_equal(&digest, &chunk.digest) &&
           pack_one(user, chunk.id, offset, buf, spare);
}

static void *hammer_away(void *arg) {
    struct hammer *h = arg;
    struct share_user user;
    uint32_t x = 1 + atomic_fetch_add(&h->next, 1);
    share_join(&user, h->share);
    struct pool *pool = pool_new_on(share_store(h->share), 3);
    struct buf *spare = pool_get(pool), *last = NULL;
    uint64_t last_at = 0;
    for (uint64_t i = 0; i < STEPS; i++) {
        uint64_t at = i + scatter(&x) % (i % 100 == 0 ? LAG : 2);
        struct buf *buf = pool_get(pool);
        atomic_fetch_add(&h->wrong, !take_and_check(&user, h->p, at, &buf, &spare));
        /* What is still in hand has not changed meanwhile. */
        if (last && last_at % 11 != 0)
            atomic_fetch_add(&h->wrong, !is_filled(last->data, last_at, 100));
        buf_release(last);
        last = buf;
        last_at = at;
    }
    buf_release(last);
    buf_release(spare);
    pool_free(pool);
    return NULL;
}

/* What was read and taken while they all did `work`. */
static struct share_counts let_all(void *(*work)(void *), struct pending *p) {
    struct hammer h = {.share = share_new(THREADS, 4 * 1024 * 1024), .p = p};
    struct waiters w;
    assert_non_null(h.share);
    waiters_start(&w, THREADS, work, &h);
    waiters_join(&w);
    assert_int_equal(atomic_load(&h.wrong), 0);
    struct share_counts counts = share_counts(h.share);
    share_free(h.share);
    return counts;
}

static void threads_get_what_was_read(void **state) {
    (void)state;
    struct pending *p = number_file(1);
    assert_true(let_all(hammer_away, p).chunks_read > 0);
    pending_release(p);
}

/* The same with small files: all of them in the same order, in bundles that end at random. */
static void *fill_bundles(void *arg) {
    struct hammer *h = arg;
    struct share_user user;
    uint32_t x = 1 + atomic_fetch_add(&h->next, 1), length = 0;
    share_join(&user, h->share);
    struct pool *pool = pool_new_on(share_store(h->share), 3);
    struct pending *p = calloc(1, sizeof *p + 16);
    struct buf *buf = NULL;
    uint64_t first = 0;
    for (uint64_t i = 1; i <= STEPS; i++) {
        if (buf == NULL) {
            buf = pool_get(pool);
            share_begin_bundle(&user, buf);
            length = 0;
            first = i;
        }
        p->st.inode = i;
        p->st.size = 64;
        memcpy(p->path, &i, 3);
        if (!share_take_file(&user, p, buf->data + length)) {
            fill(buf->data + length, i, 0);
            share_put_file(&user);
        }
        length += 64;
        if (i % 100 != 0 && scatter(&x) % 50 != 0)
            continue;
        struct share_chunk chunk;
        if (share_end_bundle(&user, buf, length, &chunk)) {
            struct digest digest = digest_of(buf->data, length);
            atomic_fetch_add(&h->wrong, !digest_equal(&digest, &chunk.digest));
        }
        for (uint64_t k = first; k <= i; k++)
            atomic_fetch_add(&h->wrong, !is_filled(buf->data + (k - first) * 64, k, 0));
        buf_release(buf);
        buf = NULL;
    }
    free(p);
    pool_free(pool);
    return NULL;
}

static void threads_get_the_files_of_each_others_bundles(void **state) {
    (void)state;
    assert_true(let_all(fill_bundles, NULL).files_read > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
        SHARE_TEST(chunk_is_read_once_for_all),
        SHARE_TEST(changed_file_is_read_again),
        SHARE_TEST(same_status_under_another_path_is_another_file),
        SHARE_TEST(oldest_chunks_are_forgotten),
        SHARE_TEST(slow_session_holds_up_nobody),
        SHARE_TEST(end_of_a_claim_wakes_who_waits),
        SHARE_TEST(cancel_ends_the_wait_for_a_chunk),
        SHARE_TEST(small_file_is_waited_for_as_well),
        SHARE_TEST(small_file_is_read_once_and_its_bundle_digested_once),
        SHARE_TEST(file_can_be_taken_from_a_bundle_that_is_being_filled),
        SHARE_TEST(equal_bundles_become_one),
        SHARE_TEST(bundle_of_other_files_is_another),
        SHARE_TEST(changed_small_file_is_read_again),
        SHARE_TEST(file_that_cannot_be_read_is_left_out),
        SHARE_TEST(damaged_file_is_read_from_storage),
        SHARE_TEST(bundles_are_the_same_again_after_an_early_one),
        SHARE_TEST(chunk_is_packed_once_for_all),
        SHARE_TEST(packing_writes_into_no_shared_memory),
        SHARE_TEST(what_does_not_shrink_is_tried_once),
        SHARE_TEST(only_the_codec_that_was_agreed_on_is_taken),
        SHARE_TEST(policy_that_stores_decides_for_itself_only),
        SHARE_TEST(end_of_packing_wakes_who_waits),
        SHARE_TEST(loss_of_the_place_wakes_who_waits_for_packed_bytes),
        SHARE_TEST(without_memory_there_is_an_error_or_less_to_share),
        SHARE_TEST(pool_without_memory_says_so),
        SHARE_TEST(without_a_share_everything_is_read),
        cmocka_unit_test(threads_get_what_was_read),
        cmocka_unit_test(threads_get_the_files_of_each_others_bundles),
    };
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
