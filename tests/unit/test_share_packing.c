/* What sessions share of packing, and what is left without memory or without a share. */
#include "share_help.h"

#include "program/options.h"
#include "sender/pack.h"

static atomic_bool no_memory; /* for pages and members */

uint8_t *__real_os_page_alloc(size_t n);
uint8_t *__wrap_os_page_alloc(size_t n);
uint8_t *__wrap_os_page_alloc(size_t n) {
    return atomic_load(&no_memory) ? NULL : __real_os_page_alloc(n);
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

int main(void) {
#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests_name("share_packing", tests, NULL, NULL);
}
