#include "core/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t eight[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF};

static void integers_are_little_endian(void **state) {
    (void)state;
    assert_int_equal(le16(eight), 0x2301);
    assert_int_equal(le32(eight), 0x67452301);
    assert_true(le64(eight) == UINT64_C(0xEFCDAB8967452301));
    uint8_t to[8];
    put_le16(to, 0x2301);
    assert_memory_equal(to, eight, 2);
    put_le32(to, 0x67452301);
    assert_memory_equal(to, eight, 4);
    put_le64(to, UINT64_C(0xEFCDAB8967452301));
    assert_memory_equal(to, eight, 8);
}

static void integers_may_stand_at_any_alignment(void **state) {
    (void)state;
    uint8_t bytes[16];
    for (size_t at = 0; at < 8; at++) {
        memset(bytes, 0xFF, sizeof bytes);
        put_le64(bytes + at, UINT64_C(0x8000000000000001));
        assert_true(le64(bytes + at) == UINT64_C(0x8000000000000001));
        assert_int_equal(le32(bytes + at), 1);
        assert_int_equal(le16(bytes + at + 6), 0x8000);
    }
}

static void greatest_values_survive(void **state) {
    (void)state;
    uint8_t b[8];
    put_le16(b, UINT16_MAX);
    assert_int_equal(le16(b), UINT16_MAX);
    put_le32(b, UINT32_MAX);
    assert_int_equal(le32(b), UINT32_MAX);
    put_le64(b, UINT64_MAX);
    assert_true(le64(b) == UINT64_MAX);
}

static void cursor_reads_back_what_a_cursor_wrote(void **state) {
    (void)state;
    uint8_t bytes[18];
    struct wr w = wr_of(bytes, sizeof bytes);
    wr_u8(&w, 0xFE);
    wr_u16(&w, 0xFEDC);
    wr_u32(&w, 0xFEDCBA98);
    wr_u64(&w, UINT64_C(0xFEDCBA9876543210));
    wr_bytes(&w, "end", 3);
    assert_false(w.bad);
    assert_int_equal(wr_used(&w), 18);
    assert_int_equal(wr_left(&w), 0);

    struct rd r = rd_of(bytes, sizeof bytes);
    assert_int_equal(rd_u8(&r), 0xFE);
    assert_int_equal(rd_u16(&r), 0xFEDC);
    assert_int_equal(rd_u32(&r), 0xFEDCBA98);
    assert_true(rd_u64(&r) == UINT64_C(0xFEDCBA9876543210));
    assert_false(rd_done(&r));
    assert_memory_equal(rd_bytes(&r, 3), "end", 3);
    assert_true(rd_done(&r));
}

/* Reads `width` bytes as an integer. */
static uint64_t read_width(struct rd *r, size_t width) {
    switch (width) {
    case 1: return rd_u8(r);
    case 2: return rd_u16(r);
    case 4: return rd_u32(r);
    default: return rd_u64(r);
    }
}

static void write_width(struct wr *w, size_t width, uint64_t v) {
    switch (width) {
    case 1: wr_u8(w, (uint8_t)v); break;
    case 2: wr_u16(w, (uint16_t)v); break;
    case 4: wr_u32(w, (uint32_t)v); break;
    default: wr_u64(w, v); break;
    }
}

static void read_past_the_end_gives_zero_and_sets_bad(void **state) {
    (void)state;
    static const size_t widths[] = {1, 2, 4, 8};
    for (size_t i = 0; i < 4; i++) {
        for (size_t have = 0; have <= widths[i]; have++) {
            uint8_t *exact = malloc(have ? have : 1);
            assert_non_null(exact);
            memset(exact, 0xFF, have ? have : 1);
            struct rd r = rd_of(exact, have);
            uint64_t got = read_width(&r, widths[i]);
            assert_int_equal(r.bad, have < widths[i]);
            assert_int_equal(got == 0, have < widths[i]);
            assert_int_equal(rd_left(&r), have < widths[i] ? have : 0);
            free(exact);
        }
    }
}

static void bad_reader_stays_bad_even_where_bytes_are_left(void **state) {
    (void)state;
    struct rd r = rd_of(eight, 3);
    assert_int_equal(rd_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(rd_u8(&r), 0);
    assert_int_equal(rd_u16(&r), 0);
    assert_null(rd_bytes(&r, 0));
    assert_false(rd_done(&r));
}

static void length_that_would_wrap_a_pointer_is_refused(void **state) {
    (void)state;
    struct rd r = rd_of(eight, sizeof eight);
    assert_null(rd_bytes(&r, SIZE_MAX));
    assert_true(r.bad);
    uint8_t to[8];
    struct wr w = wr_of(to, sizeof to);
    assert_null(wr_room(&w, SIZE_MAX));
    assert_true(w.bad);
}

static void write_past_the_end_writes_nothing_and_sets_bad(void **state) {
    (void)state;
    static const size_t widths[] = {1, 2, 4, 8};
    for (size_t i = 0; i < 4; i++) {
        for (size_t room = 0; room < widths[i]; room++) {
            uint8_t to[8];
            memset(to, 0xA5, sizeof to);
            struct wr w = wr_of(to, room);
            write_width(&w, widths[i], 0);
            assert_true(w.bad);
            assert_int_equal(wr_used(&w), 0);
            wr_u8(&w, 0); /* would fit, but the cursor is bad */
            wr_bytes(&w, eight, 1);
            for (size_t k = 0; k < sizeof to; k++)
                assert_int_equal(to[k], 0xA5);
        }
    }
}

static void empty_spans_without_memory_are_fine(void **state) {
    (void)state;
    struct rd r = rd_of(NULL, 0);
    assert_true(rd_done(&r));
    (void)rd_bytes(&r, 0);
    assert_true(rd_done(&r));
    assert_int_equal(rd_u8(&r), 0);
    assert_true(r.bad);
    struct wr w = wr_of(NULL, 0);
    wr_bytes(&w, NULL, 0);
    assert_false(w.bad);
    wr_u8(&w, 1);
    assert_true(w.bad);
}

static void room_is_the_place_itself(void **state) {
    (void)state;
    uint8_t to[4];
    struct wr w = wr_of(to, sizeof to);
    assert_ptr_equal(wr_room(&w, 3), to);
    assert_ptr_equal(wr_room(&w, 1), to + 3);
    assert_null(wr_room(&w, 1));
}

static void sum_that_does_not_fit_leaves_the_result_alone(void **state) {
    (void)state;
    uint64_t sum = 7;
    assert_true(add_u64(UINT64_MAX - 1, 1, &sum));
    assert_true(sum == UINT64_MAX);
    assert_true(add_u64(UINT64_MAX, 0, &sum));
    sum = 7;
    assert_false(add_u64(UINT64_MAX, 1, &sum));
    assert_false(add_u64(1, UINT64_MAX, &sum));
    assert_false(add_u64(UINT64_C(1) << 63, UINT64_C(1) << 63, &sum));
    assert_true(sum == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_little_endian),
        cmocka_unit_test(integers_may_stand_at_any_alignment),
        cmocka_unit_test(greatest_values_survive),
        cmocka_unit_test(cursor_reads_back_what_a_cursor_wrote),
        cmocka_unit_test(read_past_the_end_gives_zero_and_sets_bad),
        cmocka_unit_test(bad_reader_stays_bad_even_where_bytes_are_left),
        cmocka_unit_test(length_that_would_wrap_a_pointer_is_refused),
        cmocka_unit_test(write_past_the_end_writes_nothing_and_sets_bad),
        cmocka_unit_test(empty_spans_without_memory_are_fine),
        cmocka_unit_test(room_is_the_place_itself),
        cmocka_unit_test(sum_that_does_not_fit_leaves_the_result_alone),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
