/* The expected values come from the tool: `xxhsum -H2` over the bytes that each comment names. */
#include "codec/digest.h"
#include "codec/digest_code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct hex {
    char s[33];
};

static struct hex hex_of(struct digest d) {
    struct hex h;
    for (size_t i = 0; i < sizeof d.b; i++)
        (void)snprintf(h.s + 2 * i, 3, "%02x", d.b[i]);
    return h;
}

/* n bytes, byte i is (7 * i + i / 256) mod 256. */
static uint8_t *pattern(size_t n) {
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8));
    return p;
}

/* In one piece, and in pieces of any length. */
static void digests_are_the_same_for_every_instruction_set(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, 16, 240, 241, 1023, 1024, 1025, 65536, 1048577};
    const struct digest_code *here = digest_code_here();
    uint8_t *p = pattern(1048577);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        XXH128_hash_t a = digest_code_plain.of(p, lengths[i]), b = here->of(p, lengths[i]);
        struct stream_digest *sd = stream_digest_new();
        assert_true(XXH128_isEqual(a, b));
        assert_non_null(sd);
        for (size_t at = 0, n; at < lengths[i]; at += n) {
            n = lengths[i] - at < 100001 ? lengths[i] - at : 100001;
            stream_digest_add(sd, p + at, n);
        }
        struct digest whole = digest_of(p, lengths[i]), pieces = stream_digest_finish(sd);
        assert_true(digest_equal(&whole, &pieces));
        stream_digest_free(sd);
    }
    free(p);
}

static int start(void **state) {
    *state = file_digest_new();
    return *state ? 0 : -1;
}

static int stop(void **state) {
    file_digest_free(*state);
    return 0;
}

/* Lengths on both sides of each of XXH3's inner limits (16, 128, 240, 1024). */
static void digest_of_bytes_equals_what_xxhsum_prints(void **state) {
    (void)state;
    static const struct {
        size_t n;
        const char *hex;
    } cases[] = {
        {0, "99aa06d3014798d86001c324468d497f"},       {1, "a6cd5e9392000f6ac44bdff4074eecdb"},
        {16, "ddf6c1254d70f76794eaa17b20756f46"},      {64, "a7fa95f7f23b64a7edae5e0312655703"},
        {240, "89e3a0a2ee355d25d10beb4e0599e4b3"},     {241, "75f4da43f23cce5a541b19226f0052e8"},
        {1024, "a3da96fbd688736171bee625238addb4"},    {65536, "267bdd80b3f274499ae973f97c1f3eba"},
        {1048577, "011d7d37cfffdfc935dbdc3b0c74ec0c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *p = pattern(cases[i].n);
        assert_string_equal(hex_of(digest_of(p, cases[i].n)).s, cases[i].hex);
        free(p);
    }
}

static void digest_of_text_equals_what_xxhsum_prints(void **state) {
    (void)state;
    assert_string_equal(hex_of(digest_of("abc", 3)).s, "06b05ab6733a618578af5f94892f3950");
    assert_string_equal(hex_of(digest_of("hvferry", 7)).s, "6744b283ea2d2bf8a6b92db190bd10fe");
}

static void digest_does_not_depend_on_alignment(void **state) {
    (void)state;
    uint8_t *p = pattern(5000), *q = malloc(5064);
    assert_non_null(q);
    struct digest want = digest_of(p, 5000);
    for (size_t shift = 0; shift < 64; shift++) {
        memcpy(q + shift, p, 5000);
        struct digest got = digest_of(q + shift, 5000);
        assert_true(digest_equal(&got, &want));
    }
    free(p);
    free(q);
}

static void digests_that_differ_in_one_bit_are_not_equal(void **state) {
    (void)state;
    struct digest a = digest_of("abc", 3);
    for (size_t bit = 0; bit < 8 * sizeof a.b; bit++) {
        struct digest b = a;
        assert_true(digest_equal(&a, &b));
        b.b[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(digest_equal(&a, &b));
    }
}

static void add_text(struct file_digest *fd, uint64_t offset, const char *text) {
    struct digest d = digest_of(text, strlen(text));
    file_digest_add(fd, offset, (uint32_t)strlen(text), &d);
}

static struct hex finish(const struct file_digest *fd, uint64_t size) {
    return hex_of(file_digest_finish(fd, size));
}

/* 8 zero bytes */
static void empty_file_has_the_digest_of_its_size_alone(void **state) {
    assert_string_equal(finish(*state, 0).s, "2c0a8a99dc147d5445c3b49d035665b2");
}

/* 4096 as u64 */
static void file_that_is_one_hole_has_no_record(void **state) {
    assert_string_equal(finish(*state, 4096).s, "8dccbae04cb9a168c58700e469c4137f");
}

/* offset u64 | raw_length u32 | 0 u32 | digest of the chunk, then the size u64 */
static void one_chunk_is_one_record_and_the_size(void **state) {
    add_text(*state, 0, "first chunk");
    assert_string_equal(finish(*state, 11).s, "db8fbdc94c4f360b2358aaf81af87e19");
}

static void two_chunks_are_two_records_and_the_size(void **state) {
    add_text(*state, 0, "first chunk");
    add_text(*state, 11, "second");
    assert_string_equal(finish(*state, 17).s, "bb4aefec1ebba6b81f9c6a2e02cc10ba");
}

static void order_of_chunks_matters(void **state) {
    add_text(*state, 11, "second");
    add_text(*state, 0, "first chunk");
    assert_string_equal(finish(*state, 17).s, "d1efa81ac66153c77a07ec14eca812d5");
}

static void hole_between_chunks_shows_in_the_offset(void **state) {
    add_text(*state, 0, "first chunk");
    add_text(*state, 65536, "second");
    assert_string_equal(finish(*state, 65542).s, "ef4cbaa0c402bf55f3b2d397af00970a");
}

static void hole_at_the_end_shows_in_the_size(void **state) {
    add_text(*state, 0, "first chunk");
    assert_string_equal(finish(*state, UINT64_C(1) << 40).s, "dec03163093f0ca9c990189d7ed4aa3b");
}

static void offsets_near_the_greatest_file_size_are_kept_whole(void **state) {
    add_text(*state, (UINT64_C(1) << 63) - 7, "second");
    assert_string_equal(finish(*state, (UINT64_C(1) << 63) - 1).s, "bcbebc10d6f154e3d674da1335ed5607");
}

/* More records than one of XXH3's inner buffers holds; chunk i is the one byte i mod 256. */
static void three_hundred_chunks_have_the_known_digest(void **state) {
    for (unsigned i = 0; i < 300; i++) {
        uint8_t byte = (uint8_t)i;
        struct digest d = digest_of(&byte, 1);
        file_digest_add(*state, i, 1, &d);
    }
    assert_string_equal(finish(*state, 300).s, "567d3c7293c1bb7e398bba08faa70e33");
}

static void finish_changes_nothing_so_more_chunks_may_follow(void **state) {
    add_text(*state, 0, "first chunk");
    assert_string_equal(finish(*state, 11).s, "db8fbdc94c4f360b2358aaf81af87e19");
    assert_string_equal(finish(*state, 11).s, "db8fbdc94c4f360b2358aaf81af87e19");
    add_text(*state, 11, "second");
    assert_string_equal(finish(*state, 17).s, "bb4aefec1ebba6b81f9c6a2e02cc10ba");
}

static void start_forgets_the_file_before(void **state) {
    add_text(*state, 0, "another file");
    file_digest_start(*state);
    add_text(*state, 0, "first chunk");
    assert_string_equal(finish(*state, 11).s, "db8fbdc94c4f360b2358aaf81af87e19");
}

static void every_field_of_a_record_matters(void **state) {
    struct digest d = digest_of("abc", 3), other = digest_of("abd", 3);
    const struct {
        uint64_t offset;
        uint32_t raw_length;
        const struct digest *digest;
        uint64_t size;
    } variants[] = {{0, 3, &d, 3}, {1, 3, &d, 3}, {0, 4, &d, 3}, {0, 3, &other, 3}, {0, 3, &d, 4}};
    struct hex seen[5];
    for (size_t i = 0; i < 5; i++) {
        file_digest_start(*state);
        file_digest_add(*state, variants[i].offset, variants[i].raw_length, variants[i].digest);
        seen[i] = finish(*state, variants[i].size);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(seen[i].s, seen[k].s);
    }
}

static void free_accepts_null(void **state) {
    assert_non_null(*state);
    file_digest_free(NULL);
}

static void content_in_pieces_has_the_digest_of_the_whole(void **state) {
    (void)state;
    static uint8_t content[200000];
    memset(content, 7, 1000);
    memset(content + 190000, 9, 10000);
    struct stream_digest *sd = stream_digest_new();
    assert_non_null(sd);
    for (int turn = 0; turn < 2; turn++) {
        stream_digest_start(sd);
        stream_digest_add(sd, content, 999);
        stream_digest_add(sd, content + 999, 1);
        stream_digest_add(sd, content + 1000, 189000);
        stream_digest_add(sd, content, 0);
        stream_digest_add(sd, content + 190000, 10000);
        struct digest got = stream_digest_finish(sd), wanted = digest_of(content, sizeof content);
        assert_true(digest_equal(&got, &wanted));
    }
    stream_digest_free(sd);
    stream_digest_free(NULL);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_the_same_for_every_instruction_set),
        cmocka_unit_test(digest_of_bytes_equals_what_xxhsum_prints),
        cmocka_unit_test(digest_of_text_equals_what_xxhsum_prints),
        cmocka_unit_test(digest_does_not_depend_on_alignment),
        cmocka_unit_test(digests_that_differ_in_one_bit_are_not_equal),
        FILE_TEST(empty_file_has_the_digest_of_its_size_alone),
        FILE_TEST(file_that_is_one_hole_has_no_record),
        FILE_TEST(one_chunk_is_one_record_and_the_size),
        FILE_TEST(two_chunks_are_two_records_and_the_size),
        FILE_TEST(order_of_chunks_matters),
        FILE_TEST(hole_between_chunks_shows_in_the_offset),
        FILE_TEST(hole_at_the_end_shows_in_the_size),
        FILE_TEST(offsets_near_the_greatest_file_size_are_kept_whole),
        FILE_TEST(three_hundred_chunks_have_the_known_digest),
        FILE_TEST(finish_changes_nothing_so_more_chunks_may_follow),
        FILE_TEST(start_forgets_the_file_before),
        FILE_TEST(every_field_of_a_record_matters),
        FILE_TEST(free_accepts_null),
        cmocka_unit_test(content_in_pieces_has_the_digest_of_the_whole),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
