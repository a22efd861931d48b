#include "codec/codec.h"
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void table_knows_codecs_by_number_and_name(void **state) {
    (void)state;
    for (unsigned id = 0; id < CODEC_COUNT; id++) {
        const struct codec *codec = codec_by_id(id);
        assert_int_equal(codec != NULL, codec_mask() >> id & 1);
        assert_ptr_equal(codec_by_name(codec_id_name(id)), codec);
        if (codec == NULL)
            continue;
        assert_int_equal(codec->wire_id, id);
        assert_string_equal(codec->name, codec_id_name(id));
        assert_int_equal(codec->pack != NULL, id != CODEC_NONE);
        assert_int_equal(codec->unpack != NULL, id != CODEC_NONE);
    }
    assert_string_equal(codec_id_name(CODEC_NONE), "none");
    assert_string_equal(codec_id_name(CODEC_ZLIB), "zlib");
    assert_string_equal(codec_id_name(CODEC_ZSTD), "zstd");
    assert_int_equal(codec_mask() & 3, 3);
    assert_int_equal(codec_mask() >> CODEC_COUNT, 0);
}

static void unknown_codecs_are_not_found(void **state) {
    (void)state;
    static const unsigned numbers[] = {CODEC_COUNT, CODEC_COUNT + 1, 31, 32, 255, 256, UINT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_null(codec_by_id(numbers[i]));
        assert_string_equal(codec_id_name(numbers[i]), "?");
    }
    assert_null(codec_by_name(""));
    assert_null(codec_by_name("ZLIB"));
    assert_null(codec_by_name("zlib "));
    assert_null(codec_by_name("?"));
}

static void free_accepts_null_and_a_state_never_used(void **state) {
    (void)state;
    codec_state_free(NULL);
    struct codec_state *cs = codec_state_new();
    assert_non_null(cs);
    codec_state_free(cs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_knows_codecs_by_number_and_name),
        cmocka_unit_test(unknown_codecs_are_not_found),
        cmocka_unit_test(free_accepts_null_and_a_state_never_used),
    };
    return cmocka_run_group_tests_name("codec_table", tests, NULL, NULL);
}
