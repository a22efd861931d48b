/* Every test of a property runs over every codec of this build. */
#include "codec/codec.h"
#include "codec/digest.h"
#include "os/os.h"
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GUARD = 64, GUARD_BYTE = 0xA5 };

/* Bytes of its own allocation, so that a sanitizer sees each access past them. */
struct block {
    uint8_t *p;
    size_t n;
};

static struct block block_of(const void *bytes, size_t n) {
    struct block b = {.p = malloc(n ? n : 1), .n = n};
    assert_non_null(b.p);
    if (bytes)
        memcpy(b.p, bytes, n);
    else
        memset(b.p, 0, n);
    return b;
}

static uint32_t next_random(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static struct block random_block(size_t n, uint32_t seed) {
    struct block b = block_of(NULL, n);
    for (size_t i = 0; i < n; i++)
        b.p[i] = (uint8_t)(next_random(&seed) >> 24);
    return b;
}

/* Words in random order: packs to about a third. */
static struct block text_block(size_t n, uint32_t seed) {
    static const char *const words[] = {"chunk ",  "digest ", "receiver ", "of ",
                                        "window ", "the ",    "\n",        "0x7f "};
    struct block b = block_of(NULL, n);
    for (size_t i = 0; i < n;) {
        const char *word = words[next_random(&seed) >> 29];
        size_t len = strlen(word) < n - i ? strlen(word) : n - i;
        memcpy(b.p + i, word, len);
        i += len;
    }
    return b;
}

/* Packs into memory of exactly raw.n - 1 bytes; .n is 0 when it would not be smaller. The caller frees .p. */
static struct block pack_at(const struct codec *codec, struct codec_state *cs, int level, struct block raw) {
    struct block packed = block_of(NULL, raw.n ? raw.n - 1 : 0);
    struct err err = {.code = 0};
    ptrdiff_t n = codec->pack(cs, level, raw.p, raw.n, packed.p, &err);
    assert_true(n >= 0 && (n == 0 || (size_t)n < raw.n));
    assert_false(err_is_set(&err));
    packed.n = (size_t)n;
    return packed;
}

static struct block pack(const struct codec *codec, struct codec_state *cs, struct block raw) {
    return pack_at(codec, cs, codec->level_default, raw);
}

/* Unpacks between guard bytes, from memory of exactly the packed length: what unpack() returned, and the
 * output in *ret (the caller frees its memory), for which raw_length bytes have room. */
static int unpack_guarded(const struct codec *codec, struct codec_state *cs, const void *packed, size_t n,
                          size_t raw_length, struct block *ret, struct err *err) {
    struct block in = block_of(packed, n), out = block_of(NULL, GUARD + raw_length + GUARD);
    memset(out.p, GUARD_BYTE, out.n);
    int result = codec->unpack(cs, in.p, n, out.p + GUARD, raw_length, err);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(out.p[i], GUARD_BYTE);
        assert_int_equal(out.p[GUARD + raw_length + i], GUARD_BYTE);
    }
    *ret = block_of(out.p + GUARD, raw_length);
    free(in.p);
    free(out.p);
    return result;
}

static void assert_refused(const struct codec *codec, struct codec_state *cs, const void *packed, size_t n,
                           size_t raw_length) {
    struct err err = {.code = 0};
    struct block out;
    if (unpack_guarded(codec, cs, packed, n, raw_length, &out, &err) != -1)
        fail_msg("%s: %zu bytes were unpacked into %zu", codec->name, n, raw_length);
    assert_int_equal(err.code, EXIT_VERIFY);
    assert_memory_equal(err.msg, codec->name, 4);
    free(out.p);
}

static void assert_unpacks(const struct codec *codec, struct codec_state *cs, struct block packed,
                           struct block raw) {
    struct err err = {.code = 0};
    struct block out;
    assert_int_equal(unpack_guarded(codec, cs, packed.p, packed.n, raw.n, &out, &err), 0);
    assert_memory_equal(out.p, raw.p, raw.n);
    assert_false(err_is_set(&err));
    free(out.p);
}

typedef void codec_test(const struct codec *codec, struct codec_state *cs);

static void for_each_codec(codec_test *test) {
    unsigned tested = 0;
    for (unsigned id = CODEC_NONE + 1; id < CODEC_COUNT; id++) {
        const struct codec *codec = codec_by_id(id);
        if (codec == NULL)
            continue;
        struct codec_state *cs = codec_state_new();
        assert_non_null(cs);
        test(codec, cs);
        codec_state_free(cs);
        tested++;
    }
    assert_true(tested >= 1);
}

/* A cmocka test `name` that runs name_with() for each codec. */
#define CODEC_TEST(name)                                                                                     \
    static void name##_with(const struct codec *codec, struct codec_state *cs);                              \
    static void name(void **state) {                                                                         \
        (void)state;                                                                                         \
        for_each_codec(name##_with);                                                                         \
    }                                                                                                        \
    static void name##_with(const struct codec *codec, struct codec_state *cs)

static void assert_round_trip(const struct codec *codec, struct codec_state *cs, struct block raw) {
    struct block packed = pack(codec, cs, raw);
    assert_true(packed.n > 0 || raw.n < 100);
    if (packed.n > 0)
        assert_unpacks(codec, cs, packed, raw);
    free(packed.p);
    free(raw.p);
}

CODEC_TEST(what_was_packed_unpacks_to_the_same_bytes) {
    static const size_t sizes[] = {1000,          4095,    4096,          4097,
                                   65535,         65536,   65537,         CHUNK_SIZE_MIN,
                                   (1 << 20) - 1, 1 << 20, (1 << 20) + 1, CHUNK_SIZE_MAX};
    for (size_t n = 1; n <= 300; n++)
        assert_round_trip(codec, cs, text_block(n, 7));
    for (size_t n = 1; n <= 300; n++)
        assert_round_trip(codec, cs, block_of(NULL, n));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_round_trip(codec, cs, text_block(sizes[i], 7));
}

CODEC_TEST(every_level_round_trips) {
    struct block raw = text_block(20000, 3);
    for (int level = codec->level_min; level <= codec->level_max; level++) {
        struct block packed = pack_at(codec, cs, level, raw);
        assert_in_range(packed.n, 1, raw.n / 2);
        assert_unpacks(codec, cs, packed, raw);
        free(packed.p);
    }
    assert_in_range(codec->level_default, codec->level_min, codec->level_max);
    free(raw.p);
}

CODEC_TEST(bytes_that_do_not_shrink_give_zero) {
    for (size_t n = 0; n <= 300; n++) {
        struct block raw = random_block(n, 99), packed = pack(codec, cs, raw);
        assert_int_equal(packed.n, 0);
        free(packed.p);
        free(raw.p);
    }
    struct block raw = random_block(1 << 20, 99), packed = pack(codec, cs, raw);
    assert_int_equal(packed.n, 0);
    free(packed.p);
    free(raw.p);
}

/* Random parts and compressible tails of many lengths: somewhere on the way the output would have exactly n
 * bytes, one more than there is room for. */
CODEC_TEST(result_near_the_limit_either_fits_or_is_zero) {
    bool fits = false, full = false;
    for (size_t lead = 40; lead < 240; lead += 5) {
        for (size_t tail = 0; tail < 50; tail++) {
            struct block raw = random_block(lead + tail, 5);
            memset(raw.p + lead, 'x', tail);
            struct block packed = pack(codec, cs, raw);
            if (packed.n > 0)
                assert_unpacks(codec, cs, packed, raw);
            fits |= packed.n > 0;
            full |= packed.n == 0;
            free(packed.p);
            free(raw.p);
        }
    }
    assert_true(fits && full);
}

CODEC_TEST(level_may_change_from_block_to_block) {
    struct block raw = text_block(20000, 37);
    struct block quick = pack_at(codec, cs, codec->level_min, raw);
    struct block best = pack_at(codec, cs, codec->level_max, raw);
    struct block quick_again = pack_at(codec, cs, codec->level_min, raw);
    assert_true(best.n < quick.n);
    assert_int_equal(quick_again.n, quick.n);
    assert_unpacks(codec, cs, quick, raw);
    assert_unpacks(codec, cs, best, raw);
    free(quick_again.p);
    free(best.p);
    free(quick.p);
    free(raw.p);
}

CODEC_TEST(every_truncation_is_refused) {
    struct block raw = text_block(5000, 11), packed = pack(codec, cs, raw);
    assert_true(packed.n > 100);
    for (size_t n = 0; n < packed.n; n++)
        assert_refused(codec, cs, packed.p, n, raw.n);
    assert_unpacks(codec, cs, packed, raw);
    free(packed.p);
    free(raw.p);
}

/* A change may by chance unpack to the same bytes (zlib's header has bits that say nothing); any other
 * bytes must have another digest. */
CODEC_TEST(every_changed_byte_is_refused_or_caught_by_the_digest) {
    struct block raw = text_block(400, 13), packed = pack(codec, cs, raw);
    struct digest want = digest_of(raw.p, raw.n);
    size_t refused = 0, tried = 0;
    for (size_t at = 0; at < packed.n; at++) {
        for (unsigned change = 1; change < 256; change++, tried++) {
            struct err err = {.code = 0};
            struct block out;
            packed.p[at] ^= (uint8_t)change;
            int result = unpack_guarded(codec, cs, packed.p, packed.n, raw.n, &out, &err);
            packed.p[at] ^= (uint8_t)change;
            struct digest got = digest_of(out.p, out.n);
            bool same = memcmp(out.p, raw.p, raw.n) == 0;
            assert_int_equal(err.code, result == 0 ? 0 : EXIT_VERIFY);
            assert_int_equal(digest_equal(&got, &want), same);
            refused += result != 0;
            free(out.p);
        }
    }
    assert_true(tried == packed.n * 255 && refused > tried / 4);
    assert_unpacks(codec, cs, packed, raw);
    free(packed.p);
    free(raw.p);
}

CODEC_TEST(random_bytes_are_refused) {
    for (uint32_t seed = 1; seed <= 2000; seed++) {
        struct block junk = random_block(seed % 97, seed);
        assert_refused(codec, cs, junk.p, junk.n, 1000);
        free(junk.p);
    }
}

/* `a` then `b` in one allocation; the caller frees it. */
static struct block joined(struct block a, struct block b) {
    struct block both = block_of(NULL, a.n + b.n);
    memcpy(both.p, a.p, a.n);
    memcpy(both.p + a.n, b.p, b.n);
    return both;
}

CODEC_TEST(trailing_bytes_are_refused) {
    struct block raw = text_block(500, 17), packed = pack(codec, cs, raw);
    for (unsigned c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        struct block longer = joined(packed, (struct block){&byte, 1});
        assert_refused(codec, cs, longer.p, longer.n, raw.n);
        free(longer.p);
    }
    free(packed.p);
    free(raw.p);
}

CODEC_TEST(second_block_behind_the_first_is_refused) {
    struct block raw = text_block(600, 19);
    struct block first = pack(codec, cs, (struct block){raw.p, 250});
    struct block second = pack(codec, cs, (struct block){raw.p + 250, 350});
    struct block both = joined(first, second);
    assert_refused(codec, cs, both.p, both.n, 600);
    assert_refused(codec, cs, both.p, both.n, 250);
    assert_refused(codec, cs, both.p, both.n, 350);
    free(both.p);
    free(second.p);
    free(first.p);
    free(raw.p);
}

CODEC_TEST(wrong_raw_length_is_refused) {
    static const size_t sizes[] = {50, 1000, 65536, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct block raw = block_of(NULL, sizes[i]), packed = pack(codec, cs, raw);
        assert_refused(codec, cs, packed.p, packed.n, raw.n - 1);
        assert_refused(codec, cs, packed.p, packed.n, raw.n + 1);
        assert_refused(codec, cs, packed.p, packed.n, raw.n / 2);
        assert_refused(codec, cs, packed.p, packed.n, raw.n * 2);
        assert_refused(codec, cs, packed.p, packed.n, 1);
        assert_refused(codec, cs, packed.p, packed.n, 0);
        assert_unpacks(codec, cs, packed, raw);
        free(packed.p);
        free(raw.p);
    }
}

CODEC_TEST(bomb_is_refused_and_fills_only_what_was_announced) {
    static const size_t announced[] = {1, 2, 100, 4096, CHUNK_SIZE_MIN, CHUNK_SIZE_DEFAULT};
    struct block raw = block_of(NULL, CHUNK_SIZE_MAX), packed = pack(codec, cs, raw);
    assert_true(packed.n > 0 && packed.n < raw.n / 200);
    for (size_t i = 0; i < sizeof announced / sizeof announced[0]; i++)
        assert_refused(codec, cs, packed.p, packed.n, announced[i]);
    free(packed.p);
    free(raw.p);
}

CODEC_TEST(state_carries_nothing_from_one_block_to_the_next) {
    struct block raw = text_block(3000, 23), other = text_block(5000, 29), noise = random_block(2000, 31);
    struct block fresh = pack(codec, cs, raw);
    for (int round = 0; round < 5; round++) {
        free(pack(codec, cs, noise).p);
        free(pack_at(codec, cs, codec->level_max, other).p);
        assert_refused(codec, cs, noise.p, noise.n, 3000);
        assert_refused(codec, cs, fresh.p, fresh.n / 2, 3000);
        struct block again = pack(codec, cs, raw);
        assert_int_equal(again.n, fresh.n);
        assert_memory_equal(again.p, fresh.p, fresh.n);
        assert_unpacks(codec, cs, again, raw);
        free(again.p);
    }
    free(fresh.p);
    free(noise.p);
    free(other.p);
    free(raw.p);
}

struct packing {
    struct os_thread thread;
    const struct codec *codec;
    unsigned right; /* round trips */
};

/* No cmocka assertion may be used away from the main thread. */
static void *pack_in_a_thread(void *arg) {
    struct packing *p = arg;
    const struct codec *codec = p->codec;
    struct codec_state *cs = codec_state_new();
    uint8_t raw[2000], packed[2000], out[2000];
    for (unsigned round = 0; cs && round < 50; round++) {
        memset(raw, (int)round, sizeof raw);
        ptrdiff_t n = codec->pack(cs, codec->level_default, raw, sizeof raw, packed, NULL);
        if (n > 0 && codec->unpack(cs, packed, (size_t)n, out, sizeof out, NULL) == 0)
            p->right += memcmp(out, raw, sizeof raw) == 0;
    }
    codec_state_free(cs);
    return NULL;
}

CODEC_TEST(threads_with_states_of_their_own_do_not_meet) {
    (void)cs;
    struct packing all[4];
    struct err err;
    for (size_t i = 0; i < 4; i++) {
        all[i] = (struct packing){.codec = codec};
        assert_int_equal(os_thread_start(&all[i].thread, "pack", pack_in_a_thread, &all[i], &err), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        os_thread_join(&all[i].thread);
        assert_int_equal(all[i].right, 50);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_unpacks_to_the_same_bytes),
        cmocka_unit_test(every_level_round_trips),
        cmocka_unit_test(bytes_that_do_not_shrink_give_zero),
        cmocka_unit_test(result_near_the_limit_either_fits_or_is_zero),
        cmocka_unit_test(level_may_change_from_block_to_block),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_changed_byte_is_refused_or_caught_by_the_digest),
        cmocka_unit_test(random_bytes_are_refused),
        cmocka_unit_test(trailing_bytes_are_refused),
        cmocka_unit_test(second_block_behind_the_first_is_refused),
        cmocka_unit_test(wrong_raw_length_is_refused),
        cmocka_unit_test(bomb_is_refused_and_fills_only_what_was_announced),
        cmocka_unit_test(state_carries_nothing_from_one_block_to_the_next),
        cmocka_unit_test(threads_with_states_of_their_own_do_not_meet),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
