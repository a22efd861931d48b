/* When automatic compression packs, and at which level. Times are told to it, none is measured: where the codec is tried,
 * the stream is so fast or so slow that any processor gives the same answer. */
#include "sender/pack.h"

#include "program/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK = 1 << 20, THREADS = 2 };

struct rig {
    struct pack_policy policy;
    struct codec_state *codecs;
    int64_t now; /* nanoseconds */
    struct link_state link;
    uint8_t even[CHUNK], random[CHUNK], scratch[CHUNK];
};

static int start(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err;
    if (rig == NULL)
        return -1;
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < CHUNK; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        rig->random[i] = (uint8_t)x;
    }
    rig->now = 1;
    rig->codecs = codec_state_new();
    *state = rig;
    return rig->codecs ? pack_policy_init(&rig->policy, CODEC_AUTO, 0, codec_mask(), false, THREADS, &err)
                       : -1;
}

static int stop(void **state) {
    struct rig *rig = *state;
    codec_state_free(rig->codecs);
    free(rig);
    return 0;
}

/* A chunk is written in `ns`, `pause` after the one before. */
static void send_chunk(struct rig *rig, int64_t pause, int64_t ns) {
    rig->now += pause;
    pack_policy_sent(&rig->policy, CHUNK, rig->now, rig->now + ns);
    rig->now += ns;
}

static void send_chunks(struct rig *rig, unsigned count, int64_t ns) {
    for (unsigned i = 0; i < count; i++)
        send_chunk(rig, 0, ns);
}

static int choose(struct rig *rig, const uint8_t *raw) {
    return pack_policy_choose(&rig->policy, raw, CHUNK, rig->codecs, rig->scratch);
}

#define FAST INT64_C(0)
#define SLOW INT64_C(10000000000000) /* hours for a chunk */

static void nothing_is_compressed_before_the_stream_is_known(void **state) {
    struct rig *rig = *state;
    for (unsigned i = 0; i < 4; i++) {
        assert_true(pack_policy_stores(&rig->policy));
        assert_int_equal(choose(rig, rig->even), -1);
        send_chunk(rig, 0, SLOW);
    }
    assert_false(pack_policy_stores(&rig->policy));
    assert_int_equal(choose(rig, rig->even), 0);
}

static void a_fast_stream_stores_what_would_shrink(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 4, FAST);
    assert_int_equal(choose(rig, rig->even), -1);
    unsigned looks = 0;
    for (unsigned i = 0; i < 32; i++)
        looks += !pack_policy_stores(&rig->policy);
    assert_int_equal(looks, 2); /* whether processors have become free */
}

static void what_does_not_shrink_is_stored_however_slow_the_stream(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 4, SLOW);
    assert_int_equal(choose(rig, rig->random), -1);
    assert_int_equal(choose(rig, rig->even), 0);
}

static void a_chunk_is_judged_by_what_is_all_over_it(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 4, SLOW);
    memcpy(rig->even + CHUNK / 3, rig->random, CHUNK / 3);
    assert_int_equal(choose(rig, rig->even), 0);
    memset(rig->random + CHUNK / 2 - 8192, 0, 16384);
    assert_int_equal(choose(rig, rig->random), -1);
}

static void packing_pays_while_it_is_quicker_than_the_stream_however_little_it_saves(void **state) {
    struct rig *rig = *state;
    memcpy(rig->even, rig->random, CHUNK / 8 * 5);
    send_chunks(rig, 8, 5 * CHUNK); /* 5000 ps for a byte */
    rig->policy.rungs[0].pack_ps = THREADS * 4000;
    assert_int_equal(choose(rig, rig->even), 0);
    send_chunks(rig, 8, 3 * CHUNK);
    rig->policy.rungs[0].pack_ps = THREADS * 4000; /* a sample that is packed in no time leaves 3000 */
    assert_int_equal(choose(rig, rig->even), -1);
}

static void it_follows_the_stream_within_a_few_chunks(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 4, FAST);
    assert_int_equal(choose(rig, rig->even), -1);
    send_chunks(rig, 3, SLOW);
    assert_int_equal(choose(rig, rig->even), 0);
    pack_policy_packed(&rig->policy, 0, CHUNK, 1000, 1000000);
    send_chunks(rig, 128, FAST);
    assert_int_equal(choose(rig, rig->even), -1);
}

static void one_slow_write_is_no_slow_stream(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 8, 1000);
    uint64_t before = rig->policy.link_ps;
    send_chunk(rig, 0, SLOW);
    assert_int_equal(rig->policy.link_ps, before);
    send_chunk(rig, 0, SLOW);
    assert_true(rig->policy.link_ps > before);
}

static void what_a_socket_takes_in_lumps_has_one_speed(void **state) {
    struct rig *rig = *state;
    for (unsigned i = 0; i < 30; i++) {
        send_chunk(rig, 0, i % 3 ? 15 * CHUNK : CHUNK / 5);
        if (i > 8)
            assert_in_range(rig->policy.link_ps, 7000, 13000);
    }
}

static void a_write_that_fills_an_empty_buffer_does_not_make_a_slow_stream_fast(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 8, 10000000);
    uint64_t before = rig->policy.link_ps;
    for (unsigned i = 0; i < 8; i++)
        send_chunk(rig, 20000000, 100000);
    assert_int_equal(rig->policy.link_ps, before);
    for (unsigned i = 0; i < 8; i++)
        send_chunk(rig, 0, 100000);
    assert_true(rig->policy.link_ps < before);
}

static void the_level_climbs_while_the_codec_has_time_and_falls_when_the_stream_waits(void **state) {
    struct rig *rig = *state;
    send_chunks(rig, 4, SLOW);
    int rung = 0;
    for (unsigned i = 0; i < CODEC_LADDER - 1; i++) {
        assert_int_equal(choose(rig, rig->even), rung);
        pack_policy_packed(&rig->policy, rung, CHUNK, CHUNK / 2, 1000);
        rung++;
    }
    assert_int_equal(choose(rig, rig->even), CODEC_LADDER - 1);
    assert_int_equal(rig->policy.rungs[rung].level, rig->policy.codec->ladder[CODEC_LADDER - 1]);
    for (unsigned i = 0; i < 64; i++) {
        int now = (int)rig->policy.rung;
        pack_policy_packed(&rig->policy, now, CHUNK, CHUNK / 2, 8 * SLOW);
    }
    assert_int_equal(rig->policy.rung, 0);
}

static void a_level_that_was_asked_for_stays(void **state) {
    struct rig *rig = *state;
    struct err err;
    int level = rig->policy.codec->level_max;
    assert_int_equal(pack_policy_init(&rig->policy, CODEC_AUTO, level, codec_mask(), false, THREADS, &err),
                     0);
    send_chunks(rig, 4, SLOW);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(choose(rig, rig->even), 0);
        pack_policy_packed(&rig->policy, 0, CHUNK, 1000, 1000);
    }
    assert_int_equal(rig->policy.rungs[0].level, level);
}

static void a_codec_that_was_asked_for_is_used_for_everything(void **state) {
    struct rig *rig = *state;
    struct err err;
    assert_int_equal(pack_policy_init(&rig->policy, CODEC_ZLIB, 0, codec_mask(), false, THREADS, &err), 0);
    assert_false(pack_policy_stores(&rig->policy));
    assert_int_equal(choose(rig, rig->random), 0);
    assert_int_equal(pack_policy_init(&rig->policy, CODEC_NONE, 0, codec_mask(), false, THREADS, &err), 0);
    assert_true(pack_policy_stores(&rig->policy));
}

/* Its buffer does not change places with one of a packer, where later a whole chunk is packed. */
static void what_is_packed_of_a_small_buffer_stays_in_it(void **state) {
    enum { SMALL = 4096 };
    struct rig *rig = *state;
    struct err err;
    struct pool *large = pool_new(CHUNK, 1), *small = pool_new(SMALL, 1);
    struct packer packer;
    struct item *item = item_new(MSG_CHUNK, 64);
    uint8_t codec;
    assert_int_equal(pack_policy_init(&rig->policy, CODEC_ZLIB, 0, codec_mask(), false, THREADS, &err), 0);
    assert_int_equal(packer_init(&packer, large, NULL, &err), 0);
    struct buf *scratch = packer.scratch, *buf = item->data = pool_get(small);
    memset(buf->data, 'a', SMALL);
    item->raw_length = SMALL;
    assert_int_equal(pack_item(item, &rig->policy, &packer, &codec, &err), 0);
    assert_int_equal(codec, CODEC_ZLIB);
    assert_ptr_equal(item->data, buf);
    assert_ptr_equal(packer.scratch, scratch);
    assert_in_range(item->frame.data_length, 1, SMALL - 1);
    assert_int_equal(codec_by_id(CODEC_ZLIB)
                         ->unpack(rig->codecs, buf->data, item->frame.data_length, rig->scratch, SMALL, &err),
                     0);
    for (unsigned i = 0; i < SMALL; i++)
        assert_int_equal(rig->scratch[i], 'a');
    item_free(item);
    packer_free(&packer);
    pool_free(small);
    pool_free(large);
}

/* ---- a stream whose system says what has arrived -------------------------------------------------------------- */

static void start_told(struct rig *rig) {
    struct err err;
    rig->link = (struct link_state){.streams = 1, .written = 300, .acked = 300}; /* of the greeting */
    assert_int_equal(pack_policy_init(&rig->policy, CODEC_AUTO, 0, codec_mask(), true, THREADS, &err), 0);
}

/* A chunk is written in `ns`, `pause` after the one before; `arrived` bytes of those before have done so meanwhile. */
static void send_told(struct rig *rig, int64_t pause, int64_t ns, uint64_t arrived) {
    rig->now += pause;
    rig->link.acked += arrived;
    pack_policy_acked(&rig->policy, &rig->link, rig->now, rig->now + ns);
    rig->link.written += CHUNK;
    rig->now += ns;
}

static void before_it_is_known_most_of_what_shrinks_is_compressed(void **state) {
    struct rig *rig = *state;
    unsigned stored = 0;
    start_told(rig);
    for (unsigned i = 0; i < 8; i++)
        stored += pack_policy_stores(&rig->policy);
    assert_int_equal(stored, 2);
    assert_int_equal(choose(rig, rig->even), 0);
    assert_int_equal(choose(rig, rig->random), -1);
}

/* The socket takes 4 MiB in no time, the link 1 MB/s. */
static void a_slow_link_behind_a_large_buffer_is_known_before_the_buffer_is_full(void **state) {
    struct rig *rig = *state;
    start_told(rig);
    for (unsigned i = 0; i < 6; i++) {
        send_told(rig, 10000000, 1000, i ? 10000 : 0);
        assert_int_equal(choose(rig, rig->even), 0);
    }
    assert_true(rig->policy.link_ps > 20000); /* the first chunk seemed to take no time */
    assert_false(pack_policy_stores(&rig->policy));
}

static void a_fast_link_is_known_though_packing_comes_in_between(void **state) {
    struct rig *rig = *state;
    start_told(rig);
    send_told(rig, 0, 1000, 0);
    for (unsigned i = 0; i < 4; i++)
        send_told(rig, 20000000, 1000, CHUNK);
    assert_in_range(rig->policy.link_ps, 1, 10);
    assert_int_equal(choose(rig, rig->even), -1);
}

static void a_peer_that_acknowledges_a_little_late_is_not_slow(void **state) {
    struct rig *rig = *state;
    start_told(rig);
    for (unsigned i = 0; i < 64; i++)
        send_told(rig, 0, 200000, i && i % 8 == 0 ? 8 * CHUNK : 0); /* for 1.4 ms nothing seems to arrive */
    assert_in_range(rig->policy.link_ps, 1, 300);
}

static void a_link_that_changes_is_followed_by_what_arrives(void **state) {
    struct rig *rig = *state;
    start_told(rig);
    for (unsigned i = 0; i < 8; i++)
        send_told(rig, 0, 1000, i ? CHUNK : 0);
    assert_in_range(rig->policy.link_ps, 1, 10);
    for (unsigned i = 0; i < 16; i++)
        send_told(rig, 0, 100000000, i ? CHUNK : 0); /* one chunk always waits: 10 MB/s */
    assert_in_range(rig->policy.link_ps, 90000, 100000);
    for (unsigned i = 0; i < 16; i++)
        send_told(rig, 0, 100000, i ? CHUNK : 2 * CHUNK);
    assert_in_range(rig->policy.link_ps, 1, 1000);
}

static void another_stream_begins_anew(void **state) {
    struct rig *rig = *state;
    start_told(rig);
    for (unsigned i = 0; i < 8; i++)
        send_told(rig, 0, 1000, i ? CHUNK : 0);
    uint64_t before = rig->policy.link_ps;
    rig->link.written = rig->link.acked = 300;
    send_told(rig, 60000000000, 1000, 0); /* a minute without a stream says nothing */
    assert_int_equal(rig->policy.link_ps, before);
    send_told(rig, 0, 1000, CHUNK);
    assert_in_range(rig->policy.link_ps, 1, 10);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(nothing_is_compressed_before_the_stream_is_known),
        CASE(a_fast_stream_stores_what_would_shrink),
        CASE(what_does_not_shrink_is_stored_however_slow_the_stream),
        CASE(a_chunk_is_judged_by_what_is_all_over_it),
        CASE(packing_pays_while_it_is_quicker_than_the_stream_however_little_it_saves),
        CASE(it_follows_the_stream_within_a_few_chunks),
        CASE(one_slow_write_is_no_slow_stream),
        CASE(what_a_socket_takes_in_lumps_has_one_speed),
        CASE(a_write_that_fills_an_empty_buffer_does_not_make_a_slow_stream_fast),
        CASE(the_level_climbs_while_the_codec_has_time_and_falls_when_the_stream_waits),
        CASE(a_level_that_was_asked_for_stays),
        CASE(a_codec_that_was_asked_for_is_used_for_everything),
        CASE(what_is_packed_of_a_small_buffer_stays_in_it),
        CASE(before_it_is_known_most_of_what_shrinks_is_compressed),
        CASE(a_slow_link_behind_a_large_buffer_is_known_before_the_buffer_is_full),
        CASE(a_fast_link_is_known_though_packing_comes_in_between),
        CASE(a_peer_that_acknowledges_a_little_late_is_not_slow),
        CASE(a_link_that_changes_is_followed_by_what_arrives),
        CASE(another_stream_begins_anew),
    };
    return cmocka_run_group_tests_name("pack_policy", tests, NULL, NULL);
}
