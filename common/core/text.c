#include "core/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at p (1-4), or 0. Unicode 15, table 3-7. */
static size_t utf8_length(const uint8_t *p, size_t n) {
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n < len)
        return 0;
    uint8_t low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

bool is_utf8(const void *text, size_t n) {
    const uint8_t *p = text;
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static bool is_printable(const uint8_t *p, size_t len) {
    if (len == 1)
        return p[0] >= 0x20 && p[0] != 0x7F;
    return !(p[0] == 0xC2 && p[1] < 0xA0); /* C1 controls */
}

/* `also`: a printable character that is escaped too. */
static const char *escape(const char *text, size_t n, char also, struct escaped *to) {
    const uint8_t *p = (const uint8_t *)text;
    size_t used = 0, i = 0;
    while (i < n) {
        size_t len = utf8_length(p + i, n - i);
        bool plain = len > 0 && is_printable(p + i, len) && text[i] != also;
        size_t need = plain ? len : 4;
        if (used + need + sizeof "..." > sizeof to->s) {
            memcpy(to->s + used, "...", 3);
            used += 3;
            break;
        }
        if (plain) {
            memcpy(to->s + used, p + i, len);
            i += len;
        } else {
            (void)snprintf(to->s + used, 5, "\\%03o", (unsigned)p[i]);
            i++;
        }
        used += need;
    }
    to->s[used] = '\0';
    return to->s;
}

const char *escape_text(const char *text, size_t n, struct escaped *to) {
    return escape(text, n, '\\', to);
}

const char *escape_said(const char *text, size_t n, struct escaped *to) {
    return escape(text, n, '\0', to);
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct err *err) {
    char *end = NULL;
    errno = 0;
    unsigned long long v = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (end == NULL || *end != '\0' || errno != 0 || v < min || v > max)
        return err_set(err, EXIT_USAGE, "'%s' is not a number from %" PRIu64 " to %" PRIu64, ESCAPED(text),
                       min, max);
    *ret = v;
    return 0;
}

static int suffix_shift(char c) {
    switch (c) {
    case '\0': return 0;
    case 'k':
    case 'K': return 10;
    case 'm':
    case 'M': return 20;
    case 'g':
    case 'G': return 30;
    case 't':
    case 'T': return 40;
    default: return -1;
    }
}

int parse_size(const char *text, uint64_t *ret, struct err *err) {
    char *end = NULL;
    size_t digits = strspn(text, "0123456789.");
    double v = text[0] >= '0' && text[0] <= '9' && digits <= 15 ? strtod(text, &end) : 0;
    /* strtod also knows "1e5" and "0x10", which are not sizes: it may read the digits only. */
    int shift = end == text + digits ? suffix_shift(*end) : -1;
    if (shift < 0 || (*end != '\0' && end[1] != '\0') || v * (double)(1ULL << shift) >= 9.2e18)
        return err_set(err, EXIT_USAGE, "'%s' is not a size; write bytes, or a number with K, M, G or T",
                       ESCAPED(text));
    *ret = (uint64_t)(v * (double)(1ULL << shift));
    return 0;
}

const char *format_size(uint64_t bytes, bool human, struct size_text *to) {
    static const char suffixes[] = "KMGTPE";
    if (human && bytes >= 1024) {
        double v = (double)bytes / 1024;
        size_t i = 0;
        while (v >= 1000 && i + 2 < sizeof suffixes) {
            v /= 1024;
            i++;
        }
        (void)snprintf(to->s, sizeof to->s, "%.2f%c", v, suffixes[i]);
        return to->s;
    }
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, bytes);
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            to->s[used++] = ',';
        to->s[used++] = digits[i];
    }
    to->s[used] = '\0';
    return to->s;
}
