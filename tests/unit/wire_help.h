/* wire_help.h: how the tests of the wire layer put bodies through a codec. */
#ifndef WIRE_HELP_H
#define WIRE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/msg.h"

/* Decodes a body; 0, or -1 and err. */
typedef int try_fn(struct span body, struct err *err);

/* The bytes in memory of exactly their size, so that a sanitizer sees every read past the end. */
static inline uint8_t *exact(const void *p, size_t n) {
    uint8_t *copy = malloc(n);
    assert_true(copy != NULL || n == 0);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

/* The exit code of decoding these bytes; 0 when they are accepted. */
static inline int code_of(try_fn *try, const void *body, size_t n) {
    uint8_t *copy = exact(body, n);
    struct err err = {.code = 0};
    int result = try((struct span){.p = copy, .n = n}, &err);
    assert_int_equal(result, err.code ? -1 : 0);
    assert_true(err.code == 0 || strlen(err.msg) > 0);
    free(copy);
    return err.code;
}

/* Every shorter body is refused, but those as long as `complete`, an earlier end that makes sense (or n). */
static inline void assert_prefixes_refused(try_fn *try, const void *body, size_t n, size_t complete) {
    for (size_t i = 0; i < n; i++)
        assert_int_equal(code_of(try, body, i), i == complete ? 0 : EXIT_STREAM);
    assert_int_equal(code_of(try, body, n), 0);
}

static inline void assert_longer_refused(try_fn *try, const void *body, size_t n) {
    uint8_t *longer = malloc(n + 1);
    memcpy(longer, body, n);
    longer[n] = 0;
    assert_int_equal(code_of(try, longer, n + 1), EXIT_STREAM);
    free(longer);
}

/* Each bit of the bytes from `at` on is reserved. */
static inline void assert_reserved(try_fn *try, const void *body, size_t n, size_t at, size_t count) {
    uint8_t *copy = exact(body, n);
    for (size_t bit = 8 * at; bit < 8 * (at + count); bit++) {
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(code_of(try, copy, n), EXIT_STREAM);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(copy);
}

/* For struct msg_NAME: try_NAME (a try_fn that also sees that the result is untouched on failure), encode_NAME into
 * body_bytes, and through_NAME: the exit code of encoding and decoding; what is accepted encodes to the same bytes. */
__attribute__((unused)) static uint8_t body_bytes[BODY_MAX];

#define MESSAGE(name, ...)                                                                                   \
    static int try_##name(struct span body, struct err *err) {                                               \
        struct msg_##name m, before;                                                                         \
        memset(&m, 0xA5, sizeof m);                                                                          \
        memcpy(&before, &m, sizeof m);                                                                       \
        int result = msg_##name##_decode(body, ##__VA_ARGS__, &m, err);                                      \
        if (result) {                                                                                        \
            assert_memory_equal(&m, &before, sizeof m);                                                      \
            return result;                                                                                   \
        }                                                                                                    \
        uint8_t *again = malloc(body.n);                                                                     \
        struct wr w = wr_of(again, body.n);                                                                  \
        msg_##name##_encode(&w, &m);                                                                         \
        assert_false(w.bad);                                                                                 \
        assert_int_equal(wr_used(&w), body.n);                                                               \
        assert_memory_equal(again, body.p, body.n);                                                          \
        free(again);                                                                                         \
        return result;                                                                                       \
    }                                                                                                        \
    static size_t encode_##name(const struct msg_##name *m) {                                                \
        struct wr w = wr_of(body_bytes, sizeof body_bytes);                                                  \
        msg_##name##_encode(&w, m);                                                                          \
        assert_false(w.bad);                                                                                 \
        return wr_used(&w);                                                                                  \
    }                                                                                                        \
    __attribute__((unused)) static int through_##name(const struct msg_##name *m) {                          \
        size_t n = encode_##name(m);                                                                         \
        return code_of(try_##name, body_bytes, n);                                                           \
    }

/* `m` with the field set to the value is accepted / refused with EXIT_STREAM. */
#define CODE_WITH(name, m, field, number)                                                                    \
    ({                                                                                                       \
        struct msg_##name changed = (m);                                                                     \
        changed.field = (number);                                                                            \
        through_##name(&changed);                                                                            \
    })
#define ACCEPTS(name, m, field, number) assert_int_equal(CODE_WITH(name, m, field, number), 0)
#define REFUSES(name, m, field, number) assert_int_equal(CODE_WITH(name, m, field, number), EXIT_STREAM)

/* A body of a fixed length: round trip, every other length is refused. */
#define ASSERT_FIXED(name, m, length)                                                                        \
    do {                                                                                                     \
        assert_int_equal(encode_##name(&(m)), (length));                                                     \
        uint8_t *whole = exact(body_bytes, (length));                                                        \
        assert_prefixes_refused(try_##name, whole, (length), (length));                                      \
        assert_longer_refused(try_##name, whole, (length));                                                  \
        free(whole);                                                                                         \
    } while (0)

/* The encoder says when its room is too small, at every size. */
#define ASSERT_ROOM(name, m)                                                                                 \
    do {                                                                                                     \
        size_t needed = encode_##name(&(m));                                                                 \
        for (size_t room = 0; room < needed; room++) {                                                       \
            uint8_t *small = malloc(room + 1);                                                               \
            struct wr w = wr_of(small, room);                                                                \
            msg_##name##_encode(&w, &(m));                                                                   \
            assert_true(w.bad);                                                                              \
            free(small);                                                                                     \
        }                                                                                                    \
    } while (0)

#endif
