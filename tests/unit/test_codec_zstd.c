/* Data that the library itself would take, in whole or in part, but that the protocol does not allow:
 * several frames, other formats, dictionaries. Written by hand after RFC 8878. */
#include "unpack_hello.h"

#include <stdio.h>

/* "hello" as a last raw block of zstd, and its magic number. */
#define RAW_HELLO "\x29\x00\x00hello"
#define MAGIC "\x28\xB5\x2F\xFD"
/* Single segment, content size 5 in one byte. */
#define FRAME_HELLO MAGIC "\x20\x05" RAW_HELLO
#define SKIPPABLE "\x50\x2A\x4D\x18\x03\x00\x00\x00xyz"

static void one_zstd_frame_is_taken(void **state) {
    assert_taken(*state, CODEC_ZSTD, BYTES(FRAME_HELLO));
}

static void two_zstd_frames_that_fill_the_length_together_are_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x20\x02\x11\x00\x00he" MAGIC "\x20\x03\x19\x00\x00llo"));
}

static void empty_zstd_frame_beside_the_real_one_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES(FRAME_HELLO MAGIC "\x20\x00\x01\x00\x00"));
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x20\x00\x01\x00\x00" FRAME_HELLO));
}

static void skippable_frame_is_refused_alone_before_and_behind(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES(SKIPPABLE));
    assert_refused(*state, CODEC_ZSTD, BYTES(SKIPPABLE FRAME_HELLO));
    assert_refused(*state, CODEC_ZSTD, BYTES(FRAME_HELLO SKIPPABLE));
}

static void zstd_frame_without_its_magic_number_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES("\x20\x05" RAW_HELLO));
}

/* zstd 0.7 wrote these, and the library may still be built to read them. */
static void zstd_frame_of_an_old_format_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES("\x27\xB5\x2F\xFD\x20\x05\x40\x00\x05hello\xC0\x00\x00"));
}

static void zstd_frame_that_lies_about_its_size_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x20\x04" RAW_HELLO));
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x20\x06" RAW_HELLO));
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x20\xFF" RAW_HELLO));
}

static void zstd_frame_that_needs_a_dictionary_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x21\x07\x05" RAW_HELLO));
}

static void zstd_frame_with_a_wrong_checksum_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES(MAGIC "\x24\x05" RAW_HELLO "\x00\x00\x00\x00"));
}

/* Window descriptors from 1 KiB up to the 3.75 TiB that the format knows: memory for such a window would not
 * be there, but in one call the output is the window. */
static void zstd_window_of_any_size_is_harmless(void **state) {
    for (unsigned window = 0; window < 256; window++) {
        char frame[] = MAGIC "\x00\x00" RAW_HELLO;
        frame[5] = (char)window;
        struct err err = {.code = 0};
        int result = unpack_hello(*state, CODEC_ZSTD, frame, sizeof frame - 1, &err);
        assert_int_equal(err.code, result == 0 ? 0 : EXIT_VERIFY);
        if (window <= 0xA0) /* 1 GiB */
            assert_int_equal(result, 0);
    }
}

static void data_of_another_codec_is_refused(void **state) {
    assert_refused(*state, CODEC_ZSTD, BYTES("\x78\x01\x01\x05\x00\xFA\xFFhello\x06\x2C\x02\x15"));
}

int main(void) {
    if (codec_by_id(CODEC_ZSTD) == NULL) {
        printf("1..0 # SKIP this build has no zstd\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        FORMAT_TEST(one_zstd_frame_is_taken),
        FORMAT_TEST(two_zstd_frames_that_fill_the_length_together_are_refused),
        FORMAT_TEST(empty_zstd_frame_beside_the_real_one_is_refused),
        FORMAT_TEST(skippable_frame_is_refused_alone_before_and_behind),
        FORMAT_TEST(zstd_frame_without_its_magic_number_is_refused),
        FORMAT_TEST(zstd_frame_of_an_old_format_is_refused),
        FORMAT_TEST(zstd_frame_that_lies_about_its_size_is_refused),
        FORMAT_TEST(zstd_frame_that_needs_a_dictionary_is_refused),
        FORMAT_TEST(zstd_frame_with_a_wrong_checksum_is_refused),
        FORMAT_TEST(zstd_window_of_any_size_is_harmless),
        FORMAT_TEST(data_of_another_codec_is_refused),
    };
    return cmocka_run_group_tests_name("codec_zstd", tests, NULL, NULL);
}
