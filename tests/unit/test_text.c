#include "core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* `s` may hold NUL bytes. */
#define BYTES(s) (s), sizeof(s) - 1

/* The text is given in memory of exactly its length, so that a sanitizer sees each read past it. */
static void assert_escaped(const char *text, size_t n, const char *want) {
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    struct escaped to;
    assert_ptr_equal(escape_text(exact, n, &to), to.s);
    assert_string_equal(to.s, want);
    free(exact);
}

static void plain_text_stays_as_it_is(void **state) {
    (void)state;
    assert_escaped("", 0, "");
    assert_escaped(BYTES("a b/c'\"%s~"), "a b/c'\"%s~");
    assert_string_equal(ESCAPED("x"), "x");
}

static void every_ascii_control_character_is_escaped(void **state) {
    (void)state;
    for (unsigned c = 0; c < 0x80; c++) {
        char text = (char)c, want[5];
        bool escapes = c < 0x20 || c == 0x7F || c == '\\';
        (void)snprintf(want, sizeof want, escapes ? "\\%03o" : "%c", c);
        assert_escaped(&text, 1, want);
    }
}

static void every_c1_control_character_is_escaped_whole(void **state) {
    (void)state;
    for (unsigned c = 0x80; c < 0xA0; c++) {
        char text[2] = {(char)0xC2, (char)c}, want[9];
        (void)snprintf(want, sizeof want, "\\302\\%03o", c);
        assert_escaped(text, 2, want);
    }
    assert_escaped(BYTES("\xC2\xA0"), "\xC2\xA0");
}

static void terminal_sequences_and_newlines_cannot_get_through(void **state) {
    (void)state;
    assert_escaped(BYTES("a\x1B[2Jb"), "a\\033[2Jb");
    assert_escaped(BYTES("ok\nhvrecv: all is well"), "ok\\012hvrecv: all is well");
    assert_escaped(BYTES("a\rb\tc\ad\be"), "a\\015b\\011c\\007d\\010e");
    assert_escaped(BYTES("a\0b"), "a\\000b");
}

static void backslash_is_escaped_so_no_name_can_fake_an_escape(void **state) {
    (void)state;
    assert_escaped(BYTES("\\033"), "\\134033");
}

static void what_a_peer_said_keeps_its_escapes_and_no_control(void **state) {
    (void)state;
    struct escaped e;
    static const char said[] = "n\303\244me\\012line \x1B[2J\xC2\x9B\xFF\0\n";
    assert_string_equal(escape_said(said, sizeof said - 1, &e),
                        "n\303\244me\\012line \\033[2J\\302\\233\\377\\000\\012");
}

static void well_formed_utf8_stays_as_it_is(void **state) {
    (void)state;
    assert_escaped(BYTES("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

static void bytes_that_are_not_utf8_are_escaped_one_by_one(void **state) {
    (void)state;
    assert_escaped(BYTES("\x80"), "\\200");
    assert_escaped(BYTES("\xFF\xFE"), "\\377\\376");
    assert_escaped(BYTES("\xE2\x82"), "\\342\\202");
    assert_escaped(BYTES("\xC0\xAF"), "\\300\\257");
    assert_escaped(BYTES("\xED\xA0\x80"), "\\355\\240\\200");
    assert_escaped(BYTES("\xC3(\xC3\xA9"), "\\303(\xC3\xA9");
}

static const struct {
    const char *bytes;
    bool ok;
} utf8_cases[] = {
    {"", true},
    {"plain", true},
    {"\x7F", true},
    {"\xC2\x80", true}, /* least of two bytes */
    {"\xDF\xBF", true},
    {"\xE0\xA0\x80", true}, /* least of three */
    {"\xED\x9F\xBF", true}, /* last before the surrogates */
    {"\xEE\x80\x80", true}, /* first after them */
    {"\xEF\xBF\xBF", true},
    {"\xF0\x90\x80\x80", true}, /* least of four */
    {"\xF4\x8F\xBF\xBF", true}, /* U+10FFFF */
    {"\x80", false},
    {"\xBF", false},
    {"\xC0\x80", false}, /* overlong */
    {"\xC1\xBF", false},
    {"\xE0\x9F\xBF", false},
    {"\xF0\x8F\xBF\xBF", false},
    {"\xED\xA0\x80", false}, /* surrogates */
    {"\xED\xBF\xBF", false},
    {"\xF4\x90\x80\x80", false}, /* beyond U+10FFFF */
    {"\xF5\x80\x80\x80", false},
    {"\xFF", false},
    {"\xC2", false}, /* cut */
    {"\xE2\x82", false},
    {"\xF0\x9F\x98", false},
    {"a\xC2", false},
    {"\xC2\x41", false}, /* not followed by what must follow */
    {"\xE2\x82\x41", false},
    {"\xE2\x41\x82", false},
    {"\xF0\x9F\x98\xC0", false},
};

static void utf8_is_told_from_what_only_looks_like_it(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof utf8_cases / sizeof utf8_cases[0]; i++) {
        size_t n = strlen(utf8_cases[i].bytes);
        char *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, utf8_cases[i].bytes, n);
        if (is_utf8(exact, n) != utf8_cases[i].ok)
            fail_msg("case %zu (%s) should be %d", i, ESCAPED(utf8_cases[i].bytes), utf8_cases[i].ok);
        free(exact);
    }
}

static void long_text_is_cut_and_ends_in_dots(void **state) {
    (void)state;
    static char text[4 * ESCAPED_MAX];
    memset(text, 'x', sizeof text);
    struct escaped to;
    size_t most = ESCAPED_MAX - sizeof "...";
    assert_int_equal(strlen(escape_text(text, most, &to)), most);
    assert_null(strchr(to.s, '.'));
    for (size_t n = most + 1; n < sizeof text; n++) {
        (void)escape_text(text, n, &to);
        assert_int_equal(strlen(to.s), ESCAPED_MAX - 1);
        assert_string_equal(to.s + most, "...");
    }
}

/* The cut may fall on each byte of an escape or of a character. */
static void cut_never_splits_an_escape_or_a_character(void **state) {
    (void)state;
    static const char *const units[] = {"\x1B", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xC3\xA9"};
    for (size_t u = 0; u < 4; u++) {
        size_t len = strlen(units[u]);
        for (size_t lead = 0; lead < 8; lead++) {
            char text[2 * ESCAPED_MAX];
            memset(text, 'x', lead);
            size_t n = lead;
            for (; n + len <= sizeof text; n += len)
                memcpy(text + n, units[u], len);
            struct escaped to;
            const char *s = escape_text(text, n, &to);
            size_t width = u == 0 ? 4 : len, kept = strlen(s) - 3 - lead;
            assert_true(is_utf8(s, strlen(s)));
            assert_int_equal(kept % width, 0);
            assert_string_equal(s + strlen(s) - 3, "...");
            assert_in_range(strlen(s), ESCAPED_MAX - 1 - 4, ESCAPED_MAX - 1);
        }
    }
}

static void escaped_text_is_always_printable_whatever_the_bytes(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (unsigned round = 0; round < 5000; round++) {
        char text[300];
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 1664525U + 1013904223U;
            text[i] = (char)(seed >> 24);
        }
        struct escaped to;
        const char *s = escape_text(text, round % sizeof text, &to);
        assert_true(is_utf8(s, strlen(s)));
        for (const char *c = s; *c; c++) {
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
            assert_false((unsigned char)*c == 0xC2 && (unsigned char)c[1] < 0xA0);
        }
    }
}

static void sizes_are_read_with_suffixes_and_fractions(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"512", 512},
        {"007", 7},
        {"1k", 1024},
        {"64K", 65536},
        {"1M", 1048576},
        {"1m", 1048576},
        {"4g", UINT64_C(4) << 30},
        {"4G", UINT64_C(4) << 30},
        {"2T", UINT64_C(2) << 40},
        {"2t", UINT64_C(2) << 40},
        {"1.5G", UINT64_C(3) << 29},
        {"0.5K", 512},
        {"0.25M", 262144},
        {"999999999999999", UINT64_C(999999999999999)},
        {"8000000T", UINT64_C(8000000) << 40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t got = 77;
        struct err err = {.code = 0};
        assert_int_equal(parse_size(cases[i].text, &got, &err), 0);
        assert_true(got == cases[i].want);
        assert_false(err_is_set(&err));
    }
}

static void what_is_no_size_is_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "K",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 K",
        "1KB",
        "1KK",
        "1X",
        "1..",
        ".5K",
        "1,5K",
        "0x10",
        "1e5",
        "1e5K",
        "1E3",
        "0x1p3",
        "inf",
        "nan",
        "1.2.3",
        "1\n",
        "--",
        "9000000T",
        "8388608T",
        "9999999999999999",
        "999999999999999T",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t got = 77;
        struct err err = {.code = 0};
        if (parse_size(cases[i], &got, &err) != -1)
            fail_msg("'%s' was taken for a size", ESCAPED(cases[i]));
        assert_int_equal(err.code, EXIT_USAGE);
        assert_true(got == 77);
    }
}

static void refused_argument_is_quoted_escaped(void **state) {
    (void)state;
    uint64_t got;
    struct err err = {.code = 0};
    assert_int_equal(parse_size("\x1B[2J", &got, &err), -1);
    assert_non_null(strstr(err.msg, "\\033[2J"));
    assert_int_equal(parse_number("\n", 0, 9, &got, &err), -1);
    assert_non_null(strstr(err.msg, "'\\012'"));
}

static void numbers_are_read_inside_their_range(void **state) {
    (void)state;
    uint64_t got = 0;
    struct err err = {.code = 0};
    assert_int_equal(parse_number("1", 1, 9, &got, &err), 0);
    assert_true(got == 1);
    assert_int_equal(parse_number("9", 1, 9, &got, &err), 0);
    assert_true(got == 9);
    assert_int_equal(parse_number("0", 0, 0, &got, &err), 0);
    assert_true(got == 0);
    assert_int_equal(parse_number("18446744073709551615", 0, UINT64_MAX, &got, &err), 0);
    assert_true(got == UINT64_MAX);
    assert_false(err_is_set(&err));
}

static void numbers_outside_their_range_or_shape_are_refused(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "0",
        "10",
        "-1",
        "+5",
        " 5",
        "5 ",
        "5x",
        "0x5",
        "5.0",
        "1e0",
        "18446744073709551616",
        "99999999999999999999999",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t got = 77;
        struct err err = {.code = 0};
        if (parse_number(cases[i], 1, 9, &got, &err) != -1)
            fail_msg("'%s' was taken for a number from 1 to 9", cases[i]);
        assert_int_equal(err.code, EXIT_USAGE);
        assert_true(got == 77);
    }
    uint64_t got = 77;
    struct err err = {.code = 0};
    assert_int_equal(parse_number("18446744073709551616", 0, UINT64_MAX, &got, &err), -1);
    assert_non_null(strstr(err.msg, "from 0 to 18446744073709551615"));
}

static void sizes_are_written_for_people_and_for_exactness(void **state) {
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *human, *exact;
    } cases[] = {
        {0, "0", "0"},
        {1, "1", "1"},
        {999, "999", "999"},
        {1000, "1,000", "1,000"},
        {1023, "1,023", "1,023"},
        {1024, "1.00K", "1,024"},
        {1536, "1.50K", "1,536"},
        {1572864, "1.50M", "1,572,864"},
        {1023999, "1000.00K", "1,023,999"},
        {1024000, "0.98M", "1,024,000"},
        {UINT64_C(1) << 30, "1.00G", "1,073,741,824"},
        {UINT64_C(1) << 40, "1.00T", "1,099,511,627,776"},
        {UINT64_C(1) << 50, "1.00P", "1,125,899,906,842,624"},
        {UINT64_C(1) << 60, "1.00E", "1,152,921,504,606,846,976"},
        {UINT64_MAX, "16.00E", "18,446,744,073,709,551,615"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(SIZE_TEXT(cases[i].bytes, true), cases[i].human);
        assert_string_equal(SIZE_TEXT(cases[i].bytes, false), cases[i].exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(every_ascii_control_character_is_escaped),
        cmocka_unit_test(every_c1_control_character_is_escaped_whole),
        cmocka_unit_test(terminal_sequences_and_newlines_cannot_get_through),
        cmocka_unit_test(backslash_is_escaped_so_no_name_can_fake_an_escape),
        cmocka_unit_test(what_a_peer_said_keeps_its_escapes_and_no_control),
        cmocka_unit_test(well_formed_utf8_stays_as_it_is),
        cmocka_unit_test(bytes_that_are_not_utf8_are_escaped_one_by_one),
        cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
        cmocka_unit_test(long_text_is_cut_and_ends_in_dots),
        cmocka_unit_test(cut_never_splits_an_escape_or_a_character),
        cmocka_unit_test(escaped_text_is_always_printable_whatever_the_bytes),
        cmocka_unit_test(sizes_are_read_with_suffixes_and_fractions),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(refused_argument_is_quoted_escaped),
        cmocka_unit_test(numbers_are_read_inside_their_range),
        cmocka_unit_test(numbers_outside_their_range_or_shape_are_refused),
        cmocka_unit_test(sizes_are_written_for_people_and_for_exactness),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
