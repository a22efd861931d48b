#include "os/win32/wtf8.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SURROGATE_HIGH = 0xD800,
    SURROGATE_LOW = 0xDC00,
    SURROGATE_END = 0xE000,
    BEYOND_BMP = 0x10000,
    UNICODE_END = 0x110000,
};

static bool is_high(uint32_t c) {
    return c >= SURROGATE_HIGH && c < SURROGATE_LOW;
}
static bool is_low(uint32_t c) {
    return c >= SURROGATE_LOW && c < SURROGATE_END;
}

/* The length of the sequence that begins with byte `b`, and the smallest character it may encode; 0: none does. */
static size_t sequence_of(unsigned char b, uint32_t *ret_least) {
    static const struct {
        unsigned char from, to;
        uint32_t least;
    } rows[] = {{0x00, 0x7F, 0}, {0xC2, 0xDF, 0x80}, {0xE0, 0xEF, 0x800}, {0xF0, 0xF4, BEYOND_BMP}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (b < rows[i].from || b > rows[i].to)
            continue;
        *ret_least = rows[i].least;
        return i + 1;
    }
    return 0;
}

/* One character from from[0…n): its length in bytes, or 0. */
static size_t decode(const char *from, size_t n, uint32_t *ret) {
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t least;
    size_t length = sequence_of((unsigned char)from[0], &least);
    if (length == 0 || length > n)
        return 0;
    uint32_t c = (unsigned char)from[0] & lead_bits[length];
    for (size_t i = 1; i < length; i++) {
        unsigned char b = (unsigned char)from[i];
        if ((b & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (b & 0x3F);
    }
    *ret = c;
    return c < least || c >= UNICODE_END ? 0 : length;
}

ptrdiff_t wtf8_to_utf16(const char *from, size_t n, uint16_t *to, size_t max) {
    size_t used = 0;
    uint32_t c, before = 0;
    for (size_t i = 0; i < n;) {
        size_t length = decode(from + i, n - i, &c);
        if (length == 0 || (is_low(c) && is_high(before)))
            return -EILSEQ;
        if (used + (c >= BEYOND_BMP ? 2 : 1) > max)
            return -ENAMETOOLONG;
        if (c >= BEYOND_BMP) {
            to[used++] = (uint16_t)(SURROGATE_HIGH + ((c - BEYOND_BMP) >> 10));
            to[used++] = (uint16_t)(SURROGATE_LOW + ((c - BEYOND_BMP) & 0x3FF));
        } else
            to[used++] = (uint16_t)c;
        before = c;
        i += length;
    }
    return (ptrdiff_t)used;
}

uint16_t *wtf8_new_utf16(const char *from) {
    size_t n = strlen(from);
    uint16_t *to = malloc((n + 1) * sizeof *to);
    ptrdiff_t units = to ? wtf8_to_utf16(from, n, to, n) : -1;
    if (units < 0) {
        free(to);
        return NULL;
    }
    to[units] = 0;
    return to;
}

/* `c` as bytes in `to`; how many. */
static size_t encode(uint32_t c, char to[4]) {
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < BEYOND_BMP ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(leads[length] | c);
    return length;
}

ptrdiff_t utf16_to_wtf8(const uint16_t *from, size_t n, char *to, size_t max) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = from[i];
        if (is_high(c) && i + 1 < n && is_low(from[i + 1]))
            c = BEYOND_BMP + ((c - SURROGATE_HIGH) << 10) + (from[++i] - (uint32_t)SURROGATE_LOW);
        char bytes[4];
        size_t length = encode(c, bytes);
        if (used + length > max)
            return -ENAMETOOLONG;
        for (size_t k = 0; k < length; k++)
            to[used++] = bytes[k];
    }
    return (ptrdiff_t)used;
}
