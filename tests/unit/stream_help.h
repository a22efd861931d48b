/* stream_help.h: connecting, listening and checking what arrives; the same on every system. */
#ifndef TESTS_STREAM_HELP_H
#define TESTS_STREAM_HELP_H

#include "core/err.h"
#include "transport/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    FOREVER = -1,
    PATIENT_MS = 60000, /* for what must happen; never reached in a good run */
    TINY_MS = 20, /* for what must not happen */
};

static inline struct addr address_of(bool listening, const char *prefix, const char *rest) {
    const struct addr_rules rules = {.listening = listening};
    char text[1024];
    struct addr addr;
    struct err err = {.code = 0};
    (void)snprintf(text, sizeof text, "%s%s", prefix, rest);
    if (addr_parse(text, &rules, &addr, &err))
        fail_msg("%s", err.msg);
    return addr;
}

static inline struct listener *must_listen(const char *prefix, const char *rest) {
    struct addr addr = address_of(true, prefix, rest);
    struct listener *listener = NULL;
    struct err err = {.code = 0};
    if (listener_open(&addr, &listener, &err))
        fail_msg("%s", err.msg);
    addr_free(&addr);
    return listener;
}

static inline struct conn *must_dial(const char *prefix, const char *rest) {
    struct addr addr = address_of(false, prefix, rest);
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    if (conn_dial(&addr, PATIENT_MS, NULL, &conn, &err))
        fail_msg("%s", err.msg);
    addr_free(&addr);
    return conn;
}

static inline struct conn *must_accept(struct listener *listener) {
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    if (listener_accept(listener, PATIENT_MS, &conn, &err))
        fail_msg("%s", err.msg);
    return conn;
}

/* The dial must fail; its err. */
static inline struct err failed_dial(const char *prefix, const char *rest, int timeout_ms) {
    struct addr addr = address_of(false, prefix, rest);
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    assert_int_equal(conn_dial(&addr, timeout_ms, NULL, &conn, &err), -1);
    assert_null(conn);
    addr_free(&addr);
    return err;
}

static inline void assert_says(const struct err *err, const char *part) {
    if (strstr(err->msg, part) == NULL)
        fail_msg("'%s' does not say '%s'", err->msg, part);
}

static inline void put(struct conn *conn, const char *text) {
    const struct span part = {(const uint8_t *)text, strlen(text)};
    struct err err = {.code = 0};
    if (conn_write(conn, &part, 1, PATIENT_MS, &err))
        fail_msg("%s", err.msg);
}

/* Reads until `text` came whole. */
static inline void expect(struct conn *conn, const char *text) {
    char got[256];
    size_t n = 0, want = strlen(text);
    assert_true(want < sizeof got);
    while (n < want) {
        struct err err = {.code = 0};
        ptrdiff_t more = conn_read(conn, got + n, want - n, PATIENT_MS, &err);
        if (more <= 0)
            fail_msg("after %zu bytes: %s", n, more ? err.msg : "EOF");
        n += (size_t)more;
    }
    assert_memory_equal(got, text, want);
}

static inline void expect_eof(struct conn *conn) {
    char byte;
    assert_int_equal(conn_read(conn, &byte, 1, PATIENT_MS, NULL), 0);
}

#endif
