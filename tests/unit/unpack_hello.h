/* unpack_hello.h: what the tests of one codec's format share: blocks that should, or should not, be "hello". */
#ifndef UNPACK_HELLO_H
#define UNPACK_HELLO_H

#include "codec/codec.h"
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(s) (s), sizeof(s) - 1

static int start(void **state) {
    *state = codec_state_new();
    return *state ? 0 : -1;
}

static int stop(void **state) {
    codec_state_free(*state);
    return 0;
}

static int unpack_hello(void *cs, unsigned id, const char *bytes, size_t n, struct err *err) {
    const struct codec *codec = codec_by_id(id);
    assert_non_null(codec);
    char *exact = malloc(n), *out = malloc(5);
    assert_non_null(exact);
    assert_non_null(out);
    memcpy(exact, bytes, n);
    int result = codec->unpack(cs, exact, n, out, 5, err);
    if (result == 0)
        assert_memory_equal(out, "hello", 5);
    free(exact);
    free(out);
    return result;
}

static void assert_taken(void *cs, unsigned id, const char *bytes, size_t n) {
    struct err err = {.code = 0};
    assert_int_equal(unpack_hello(cs, id, bytes, n, &err), 0);
    assert_false(err_is_set(&err));
}

static void assert_refused(void *cs, unsigned id, const char *bytes, size_t n) {
    struct err err = {.code = 0};
    assert_int_equal(unpack_hello(cs, id, bytes, n, &err), -1);
    assert_int_equal(err.code, EXIT_VERIFY);
}

/* A test that gets a codec_state. */
#define FORMAT_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
