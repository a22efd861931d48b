/* Data that the library itself would take, in whole or in part, but that the protocol does not allow:
 * other containers, dictionaries. Written by hand after RFC 1950-1952. */
#include "unpack_hello.h"

/* "hello" as a stored deflate block, and the check that zlib's format puts behind it. */
#define STORED_HELLO "\x01\x05\x00\xFA\xFFhello"
#define ADLER_HELLO "\x06\x2C\x02\x15"

static void zlib_format_is_taken(void **state) {
    assert_taken(*state, CODEC_ZLIB, BYTES("\x78\x01" STORED_HELLO ADLER_HELLO));
}

static void raw_deflate_is_refused(void **state) {
    assert_refused(*state, CODEC_ZLIB, BYTES(STORED_HELLO));
    assert_refused(*state, CODEC_ZLIB, BYTES(STORED_HELLO ADLER_HELLO));
}

static void gzip_is_refused(void **state) {
    assert_refused(
        *state, CODEC_ZLIB,
        BYTES("\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03" STORED_HELLO "\x86\xA6\x10\x36\x05\x00\x00\x00"));
}

static void zlib_with_a_wrong_check_is_refused(void **state) {
    assert_refused(*state, CODEC_ZLIB, BYTES("\x78\x01" STORED_HELLO "\x06\x2C\x02\x14"));
    assert_refused(*state, CODEC_ZLIB, BYTES("\x78\x02" STORED_HELLO ADLER_HELLO));
}

static void zlib_with_a_dictionary_is_refused(void **state) {
    assert_refused(*state, CODEC_ZLIB, BYTES("\x78\x20\x00\x00\x00\x01" STORED_HELLO ADLER_HELLO));
}

static void data_of_another_codec_is_refused(void **state) {
    assert_refused(*state, CODEC_ZLIB, BYTES("\x28\xB5\x2F\xFD\x20\x05\x29\x00\x00hello"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FORMAT_TEST(zlib_format_is_taken),
        FORMAT_TEST(raw_deflate_is_refused),
        FORMAT_TEST(gzip_is_refused),
        FORMAT_TEST(zlib_with_a_wrong_check_is_refused),
        FORMAT_TEST(zlib_with_a_dictionary_is_refused),
        FORMAT_TEST(data_of_another_codec_is_refused),
    };
    return cmocka_run_group_tests_name("codec_zlib", tests, NULL, NULL);
}
