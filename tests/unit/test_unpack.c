/* Data frames: raw and checked, or refused; and what was refused may come again, but not for ever. */
#include "threads_help.h"

#include "codec/digest.h"
#include "receiver/unpack.h"
#include "wire/msg.h"

enum { CHUNK = CHUNK_SIZE_MIN, RAW = 20000, ALL = 1 << CODEC_NONE | 1 << CODEC_ZLIB };

struct rig {
    struct pool *pool;
    struct codec_state *codecs;
    uint8_t raw[RAW];
};

static int start(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    rig->pool = pool_new(CHUNK, 3);
    rig->codecs = codec_state_new();
    for (size_t i = 0; i < RAW; i++)
        rig->raw[i] = (uint8_t)(i / 100);
    *state = rig;
    return 0;
}

/* After each test every buffer must be back. */
static int stop(void **state) {
    struct rig *rig = *state;
    struct buf *all[3];
    int result = 0;
    for (size_t i = 0; i < 3; i++)
        if ((all[i] = pool_try_get(rig->pool)) == NULL)
            result = -1;
    for (size_t i = 0; i < 3; i++)
        buf_release(all[i]);
    if (result == 0)
        pool_free(rig->pool);
    codec_state_free(rig->codecs);
    free(rig);
    return result;
}

static uint32_t pack(struct rig *rig, uint8_t codec, uint32_t n, uint8_t *to) {
    if (codec == CODEC_NONE) {
        memcpy(to, rig->raw, n);
        return n;
    }
    const struct codec *c = codec_by_id(codec);
    ptrdiff_t packed = c->pack(rig->codecs, c->level_default, rig->raw, n, to, NULL);
    assert_true(packed > 0);
    return (uint32_t)packed;
}

static struct item *chunk(struct rig *rig, uint8_t codec, uint32_t n) {
    struct item *item = item_new(MSG_CHUNK, 64);
    item->data = pool_get(rig->pool);
    item->frame.data_length = pack(rig, codec, n, item->data->data);
    struct msg_chunk m = {.file_id = 1, .raw_length = n, .codec = codec};
    struct digest d = digest_of(rig->raw, n);
    memcpy(m.digest, d.b, sizeof m.digest);
    struct wr w = item_writer(item);
    msg_chunk_encode(&w, &m);
    item_written(item, &w);
    return item;
}

/* Two members whose sizes add up to n. */
static struct item *bundle(struct rig *rig, uint8_t codec, uint32_t n) {
    struct item *item = item_new(MSG_BUNDLE, 256);
    uint8_t members[2 * BUNDLE_MEMBER_SIZE];
    struct wr mw = wr_of(members, sizeof members);
    bundle_member_encode(&mw, &(struct bundle_member){.file_id = 1, .size = n / 3});
    bundle_member_encode(&mw, &(struct bundle_member){.file_id = 2, .size = n - n / 3});
    if (n > 0) {
        item->data = pool_get(rig->pool);
        item->frame.data_length = pack(rig, codec, n, item->data->data);
    }
    struct msg_bundle m = {
        .raw_length = n, .codec = codec, .count = 2, .members = {.p = members, .n = sizeof members}};
    struct digest d = digest_of(rig->raw, n);
    memcpy(m.digest, d.b, sizeof m.digest);
    struct wr w = item_writer(item);
    msg_bundle_encode(&w, &m);
    item_written(item, &w);
    return item;
}

static int unpack(struct rig *rig, struct item *item, uint32_t codecs) {
    struct err err = {.code = 0};
    int result = unpack_item(item, codecs, CHUNK, rig->codecs, rig->pool, &err);
    return result == 0 ? 0 : err.code;
}

typedef struct item *make_fn(struct rig *rig, uint8_t codec, uint32_t n);
static make_fn *const makers[] = {chunk, bundle};

static void whole_data_becomes_its_raw_bytes(void **state) {
    struct rig *rig = *state;
    for (uint8_t codec = 0; codec < CODEC_COUNT; codec++)
        for (size_t m = 0; m < 2; m++) {
            if (codec_by_id(codec) == NULL)
                continue;
            struct item *item = makers[m](rig, codec, RAW);
            assert_int_equal(unpack(rig, item, codec_mask()), 0);
            assert_false(item->damaged);
            assert_int_equal(item->raw_length, RAW);
            assert_memory_equal(item->data->data, rig->raw, RAW);
            item_free(item);
        }
}

static void one_byte_and_none_are_fine(void **state) {
    struct rig *rig = *state;
    struct item *item = chunk(rig, CODEC_NONE, 1);
    assert_int_equal(unpack(rig, item, ALL), 0);
    assert_false(item->damaged);
    assert_int_equal(item->raw_length, 1);
    item_free(item);
    item = bundle(rig, CODEC_NONE, 0); /* of empty files only: no data area, no buffer */
    assert_int_equal(unpack(rig, item, ALL), 0);
    assert_false(item->damaged);
    assert_int_equal(item->raw_length, 0);
    assert_null(item->data);
    item_free(item);
}

static void every_flipped_byte_is_found(void **state) {
    struct rig *rig = *state;
    for (uint8_t codec = 0; codec < CODEC_COUNT; codec++)
        for (size_t m = 0; m < 2; m++) {
            if (codec_by_id(codec) == NULL)
                continue;
            uint32_t length = 1, step = 1;
            for (uint32_t at = 0; at < length; at += step) {
                struct item *item = makers[m](rig, codec, RAW);
                length = item->frame.data_length;
                step = length / 64 + 1;
                item->data->data[at] ^= 0x10;
                assert_int_equal(unpack(rig, item, codec_mask()), 0);
                /* A codec may ignore a bit of its header; then the bytes must be right all the same. */
                if (!item->damaged)
                    assert_memory_equal(item->data->data, rig->raw, RAW);
                if (codec == CODEC_NONE)
                    assert_true(item->damaged);
                item_free(item);
            }
        }
}

static void wrong_digest_is_damage(void **state) {
    struct rig *rig = *state;
    for (size_t m = 0; m < 2; m++) {
        struct item *item = makers[m](rig, CODEC_ZLIB, RAW);
        item->body[m == 0 ? 24 : 8] ^= 1; /* first byte of the digest */
        assert_int_equal(unpack(rig, item, ALL), 0);
        assert_true(item->damaged);
        item_free(item);
    }
    struct item *item = bundle(rig, CODEC_NONE, 0);
    item->body[8] ^= 1;
    assert_int_equal(unpack(rig, item, ALL), 0);
    assert_true(item->damaged);
    item_free(item);
}

static void packed_data_that_is_cut_is_damage(void **state) {
    struct rig *rig = *state;
    struct item *item = chunk(rig, CODEC_ZLIB, RAW);
    item->frame.data_length--;
    assert_int_equal(unpack(rig, item, ALL), 0);
    assert_true(item->damaged);
    item_free(item);
}

static void codec_that_was_not_agreed_is_refused(void **state) {
    struct rig *rig = *state;
    struct item *item = chunk(rig, CODEC_ZLIB, RAW);
    assert_int_equal(unpack(rig, item, 1 << CODEC_NONE), EXIT_STREAM);
    assert_int_equal(unpack(rig, item, 1 << CODEC_NONE | 1 << CODEC_ZSTD), EXIT_STREAM);
    item->body[20] = CODEC_COUNT;
    assert_int_equal(unpack(rig, item, UINT32_MAX), EXIT_STREAM);
    item->body[20] = 255;
    assert_int_equal(unpack(rig, item, UINT32_MAX), EXIT_STREAM);
    item_free(item);
}

static void body_that_is_wrong_is_refused(void **state) {
    struct rig *rig = *state;
    for (size_t m = 0; m < 2; m++) {
        struct item *item = makers[m](rig, CODEC_NONE, RAW);
        for (uint32_t n = 0; n < item->frame.body_length; n++) {
            uint32_t whole = item->frame.body_length;
            item->frame.body_length = n;
            assert_int_equal(unpack(rig, item, ALL), EXIT_STREAM);
            item->frame.body_length = whole;
        }
        item->frame.data_length--; /* stored data is as long as it says */
        assert_int_equal(unpack(rig, item, ALL), EXIT_STREAM);
        item_free(item);
    }
    struct item *item = chunk(rig, CODEC_ZLIB, RAW);
    put_le32(item->body + 16, CHUNK + 1);
    assert_int_equal(unpack(rig, item, ALL), EXIT_STREAM);
    item_free(item);
}

static void cancelled_pool_ends_the_stage(void **state) {
    struct rig *rig = *state;
    struct pool *own = pool_new(CHUNK, 1);
    struct item *item = chunk(rig, CODEC_ZLIB, RAW);
    struct err err = {.code = 0};
    pool_cancel(own);
    assert_int_equal(unpack_item(item, ALL, CHUNK, rig->codecs, own, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    item_free(item);
    pool_free(own);
}

/* ---- refusals ----------------------------------------------------------------------------------------- */

static struct item *numbered(uint8_t type, uint64_t order, uint64_t cost) {
    struct item *item = item_new(type, 0);
    item->frame.order = order;
    item->cost = cost;
    return item;
}

static int refuse_one(struct refusals *r, uint8_t type, uint64_t order, uint64_t cost) {
    struct err err = {.code = 0};
    struct item *item = numbered(type, order, cost);
    (void)refusals_add(r, item, &err);
    item_free(item);
    return err.code;
}

static int refuse(struct refusals *r, uint64_t order, uint64_t cost) {
    return refuse_one(r, MSG_CHUNK, order, cost);
}

/* The code; the cost that the item got is checked. */
static int answer_with(struct refusals *r, uint8_t type, uint64_t order, uint64_t cost) {
    struct err err = {.code = 0};
    struct item *item = numbered(type, order, 0);
    if (refusals_answer(r, item, &err) == 0)
        assert_int_equal(item->cost, cost);
    else
        assert_int_equal(item->cost, 0);
    item_free(item);
    return err.code;
}

static int answer(struct refusals *r, uint64_t order, uint64_t cost) {
    return answer_with(r, MSG_CHUNK, order, cost);
}

/* What comes again costs nothing: it must not need more than was paid for. */
static void only_what_was_paid_for_comes_again(void **state) {
    (void)state;
    struct refusals *r = refusals_new();
    assert_int_equal(refuse_one(r, MSG_BUNDLE, 5, 1000), 0);
    assert_int_equal(answer_with(r, MSG_CHUNK, 5, 0), EXIT_STREAM);
    assert_int_equal(answer_with(r, MSG_BUNDLE, 5, 0), EXIT_STREAM);
    assert_int_equal(answer_with(r, MSG_ENTRIES, 5, 0), EXIT_STREAM);
    assert_int_equal(answer_with(r, MSG_VOID, 5, 1000), 0);
    assert_int_equal(refuse(r, 6, 1000), 0);
    assert_int_equal(answer_with(r, MSG_BUNDLE, 6, 0), EXIT_STREAM);
    assert_int_equal(answer_with(r, MSG_FILE_END, 6, 0), EXIT_STREAM);
    assert_int_equal(answer_with(r, MSG_CHUNK, 6, 1000), 0);
    assert_int_equal(refuse(r, 6, 1000), 0);
    assert_int_equal(answer_with(r, MSG_VOID, 6, 1000), 0);
    refusals_free(r);
}

static void same_frame_is_refused_three_times_and_no_more(void **state) {
    (void)state;
    struct refusals *r = refusals_new();
    for (int i = 0; i < REFUSALS_MAX; i++) {
        assert_int_equal(refuse(r, 5, 1000), 0);
        assert_int_equal(answer(r, 5, 1000), 0);
    }
    assert_int_equal(refuse(r, 5, 1000), EXIT_VERIFY);
    refusals_free(r);
    refusals_free(NULL);
}

static void answer_to_no_refusal_is_refused(void **state) {
    (void)state;
    struct refusals *r = refusals_new();
    assert_int_equal(answer(r, 1, 0), EXIT_STREAM);
    assert_int_equal(answer(r, 0, 0), EXIT_STREAM);
    assert_int_equal(refuse(r, 2, 7), 0);
    assert_int_equal(answer(r, 1, 0), EXIT_STREAM);
    assert_int_equal(answer(r, 2, 7), 0);
    assert_int_equal(answer(r, 2, 7), EXIT_STREAM); /* one refusal, one answer */
    refusals_free(r);
}

static void answers_may_come_in_any_order_and_get_their_own_cost(void **state) {
    (void)state;
    struct refusals *r = refusals_new();
    for (uint64_t order = 1; order <= 60; order++)
        assert_int_equal(refuse(r, order, 100 * order), 0);
    for (uint64_t order = 60; order >= 1; order--)
        assert_int_equal(answer(r, order, 100 * order), 0);
    refusals_free(r);
}

static void stream_that_damages_everything_is_given_up(void **state) {
    (void)state;
    struct refusals *r = refusals_new();
    uint64_t order = 1;
    int code;
    while ((code = refuse(r, order, 1)) == 0 && order < 10000)
        order++;
    assert_int_equal(code, EXIT_VERIFY);
    assert_in_range(order, 2, 1000);
    refusals_free(r);
}

static void many_frames_may_be_damaged_one_after_another(void **state) {
    (void)state;
    struct refusals *r = refusals_new();
    for (uint64_t order = 1; order <= 5000; order++) {
        assert_int_equal(refuse(r, order, order), 0);
        assert_int_equal(answer(r, order, order), 0);
    }
    refusals_free(r);
}

static void refused_item_names_the_order(void **state) {
    (void)state;
    struct msg_refused m;
    struct item *item = item_of_refused(1ULL << 50);
    assert_int_equal(item->frame.type, MSG_REFUSED);
    assert_int_equal(msg_refused_decode(item_body(item), &m, NULL), 0);
    assert_int_equal(m.refused_order, 1ULL << 50);
    item_free(item);
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(whole_data_becomes_its_raw_bytes),
        RIG_TEST(one_byte_and_none_are_fine),
        RIG_TEST(every_flipped_byte_is_found),
        RIG_TEST(wrong_digest_is_damage),
        RIG_TEST(packed_data_that_is_cut_is_damage),
        RIG_TEST(codec_that_was_not_agreed_is_refused),
        RIG_TEST(body_that_is_wrong_is_refused),
        RIG_TEST(cancelled_pool_ends_the_stage),
        cmocka_unit_test(only_what_was_paid_for_comes_again),
        cmocka_unit_test(same_frame_is_refused_three_times_and_no_more),
        cmocka_unit_test(answer_to_no_refusal_is_refused),
        cmocka_unit_test(answers_may_come_in_any_order_and_get_their_own_cost),
        cmocka_unit_test(stream_that_damages_everything_is_given_up),
        cmocka_unit_test(many_frames_may_be_damaged_one_after_another),
        cmocka_unit_test(refused_item_names_the_order),
    };
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
