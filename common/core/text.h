/* text.h: text for people: names made safe to print, sizes read and written. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ESCAPED_MAX = 768 }; /* bytes of an escaped name; longer ones are cut and end in "..." */

struct escaped {
    char s[ESCAPED_MAX];
};

/* `text` with every control character (C0, DEL, C1 as UTF-8), backslash and byte that is not valid
 * UTF-8 written as \ooo, so that it cannot steer a terminal or forge a log line. Returns to->s. */
const char *escape_text(const char *text, size_t n, struct escaped *to);

/* The same for a message that a peer sent, in which names are escaped already: backslashes stay as they are. */
const char *escape_said(const char *text, size_t n, struct escaped *to);

/* For use as a printf argument; lives until the end of the enclosing block. */
#define ESCAPED(text) escape_text((text), strlen(text), &(struct escaped){.s = ""})

/* True when the n bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool is_utf8(const void *text, size_t n);

/* "64K", "1M", "4g", "512": bytes, with 1024 suffixes K M G T and an optional fraction ("1.5G").
 * 0, or -1 and err (EXIT_USAGE). */
int parse_size(const char *text, uint64_t *ret, struct err *err);

/* A whole number in [min, max]. 0, or -1 and err (EXIT_USAGE). */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct err *err);

struct size_text {
    char s[32];
};

/* "1.50M" when `human`, "1,572,864" otherwise. Returns to->s. */
const char *format_size(uint64_t bytes, bool human, struct size_text *to);
#define SIZE_TEXT(bytes, human) format_size((bytes), (human), &(struct size_text){.s = ""})

#endif
