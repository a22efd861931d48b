/* hex_help.h: bytes as the documents print them. */
#ifndef HEX_HELP_H
#define HEX_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline void from_hex(const char *hex, uint8_t *to, size_t n) {
    assert_int_equal(strlen(hex), 2 * n);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        to[i] = (uint8_t)byte;
    }
}

static inline void assert_hex(const uint8_t *p, size_t n, const char *hex) {
    char text[2 * 64 + 1];
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", p[i]);
    assert_string_equal(text, hex);
}

#endif
