/* Names of Windows, as UTF-16, and the bytes that stand for them on the wire. */
#include "os/win32/wtf8.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* `units` has exactly these bytes, and they lead back to it. */
static void assert_pair(const uint16_t *units, size_t count, const char *bytes, size_t n) {
    char there[64];
    uint16_t back[32];
    assert_int_equal(utf16_to_wtf8(units, count, there, sizeof there), n);
    assert_memory_equal(there, bytes, n);
    assert_int_equal(wtf8_to_utf16(bytes, n, back, 32), count);
    assert_memory_equal(back, units, count * sizeof *units);
}
#define PAIR(bytes, ...)                                                                                     \
    assert_pair((const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / 2, bytes,         \
                sizeof bytes - 1)

static void characters_of_every_length_go_there_and_back(void **state) {
    (void)state;
    PAIR("a", 'a');
    PAIR("\x7f", 0x7F);
    PAIR("\xc2\x80", 0x80);
    PAIR("\xdf\xbf", 0x7FF);
    PAIR("\xe0\xa0\x80", 0x800);
    PAIR("\xed\x9f\xbf", 0xD7FF);
    PAIR("\xee\x80\x80", 0xE000);
    PAIR("\xef\xbf\xbf", 0xFFFF);
    PAIR("\xf0\x90\x80\x80", 0xD800, 0xDC00);
    PAIR("\xf4\x8f\xbf\xbf", 0xDBFF, 0xDFFF);
}

static void surrogates_without_a_partner_go_there_and_back(void **state) {
    (void)state;
    PAIR("\xed\xa0\x80", 0xD800);
    PAIR("\xed\xbf\xbf", 0xDFFF);
    PAIR("\xed\xbf\xbf\xed\xa0\x80", 0xDFFF, 0xD800); /* low before high is no pair */
    PAIR("\xed\xa0\x80\xed\xa0\x80\xed\xa0\x80", 0xD800, 0xD800, 0xD800);
    PAIR("\xed\xa0\x80\xf0\x90\x80\x80", 0xD800, 0xD800, 0xDC00);
}

/* All units alone, and every one beside a character of each kind: what comes back is what went. */
static void every_unit_beside_every_kind_of_unit_goes_there_and_back(void **state) {
    (void)state;
    static const uint16_t beside[] = {'a', 0x7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xFFFF};
    for (uint32_t unit = 1; unit < 0x10000; unit++) {
        for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
            uint16_t units[] = {(uint16_t)unit, beside[i], (uint16_t)unit}, back[3];
            char bytes[9];
            ptrdiff_t n = utf16_to_wtf8(units, 3, bytes, sizeof bytes);
            assert_true(n > 0);
            assert_int_equal(wtf8_to_utf16(bytes, (size_t)n, back, 3), 3);
            assert_memory_equal(units, back, sizeof units);
        }
    }
}

static void bytes_that_are_no_such_name_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xff",
        "a\xc3",
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf",
        "\xc3\x28",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xe2\x82",
        "\xf0\x9f\x92",
        "\xe2\x28\xa1",
        "\xed\xa0\x80\xed\xb0\x80", /* a pair as two */
    };
    uint16_t to[32];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(wtf8_to_utf16(bad[i], strlen(bad[i]), to, 32), -EILSEQ);
}

static void too_little_room_is_an_error(void **state) {
    (void)state;
    uint16_t units[2];
    char bytes[3];
    assert_int_equal(wtf8_to_utf16("abc", 3, units, 2), -ENAMETOOLONG);
    assert_int_equal(wtf8_to_utf16("a\xf0\x90\x80\x80", 5, units, 2), -ENAMETOOLONG);
    assert_int_equal(utf16_to_wtf8((const uint16_t[]){0x800, 'a'}, 2, bytes, 3), -ENAMETOOLONG);
    assert_int_equal(utf16_to_wtf8((const uint16_t[]){0xD800, 0xDC00}, 2, bytes, 3), -ENAMETOOLONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_every_length_go_there_and_back),
        cmocka_unit_test(surrogates_without_a_partner_go_there_and_back),
        cmocka_unit_test(every_unit_beside_every_kind_of_unit_goes_there_and_back),
        cmocka_unit_test(bytes_that_are_no_such_name_are_refused),
        cmocka_unit_test(too_little_room_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
