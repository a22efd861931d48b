/* json_help.h: a strict reader of one event: an object on one line, nothing before or after it. */
#ifndef JSON_HELP_H
#define JSON_HELP_H

#include "stdout_help.h"

#include "core/text.h"

#include <stdbool.h>

/* A string's bytes into `to` (NULL: nowhere); the position after it, NULL when it is malformed. */
static inline const char *json_read_string(const char *s, char *to) {
    if (*s++ != '"')
        return NULL;
    for (; *s != '"'; s++) {
        unsigned char c = (unsigned char)*s;
        unsigned value = c;
        if (c < 0x20)
            return NULL;
        if (c == '\\') {
            char hex[5] = "";
            s++;
            value = (unsigned char)*s;
            if (*s == 'u') {
                memcpy(hex, s + 1, strnlen(s + 1, 4));
                if (strspn(hex, "0123456789abcdefABCDEF") != 4)
                    return NULL;
                value = (unsigned)strtoul(hex, NULL, 16);
                s += 4;
            } else if (strchr("\"\\/", *s) == NULL || *s == '\0') {
                return NULL;
            }
            if (value >= 0x80 && to)
                *to++ = (char)(0xC0 | value >> 6);
            if (value >= 0x80)
                value = 0x80 | (value & 0x3F);
        }
        if (to)
            *to++ = (char)value;
    }
    if (to)
        *to = '\0';
    return s + 1;
}

static inline const char *json_read_value(const char *s);

static inline const char *json_read_object(const char *s) {
    if (*s++ != '{')
        return NULL;
    if (*s == '}')
        return s + 1;
    for (;;) {
        s = json_read_string(s, NULL);
        if (s == NULL || *s++ != ':' || (s = json_read_value(s)) == NULL)
            return NULL;
        if (*s == '}')
            return s + 1;
        if (*s++ != ',')
            return NULL;
    }
}

static inline const char *json_read_value(const char *s) {
    if (*s == '"')
        return json_read_string(s, NULL);
    if (*s == '{')
        return json_read_object(s);
    if (strncmp(s, "true", 4) == 0)
        return s + 4;
    if (strncmp(s, "false", 5) == 0)
        return s + 5;
    char *end;
    (void)strtod(s, &end);
    return end > s && *s >= '0' && *s <= '9' ? end : NULL;
}

/* The line is UTF-8 and one whole object; returns what follows its newline. */
static inline const char *assert_event(const char *line) {
    const char *end = json_read_object(line);
    assert_non_null(end);
    assert_int_equal(*end, '\n');
    assert_true(is_utf8(line, (size_t)(end - line)));
    assert_ptr_equal(memchr(line, '\n', (size_t)(end - line)), NULL);
    return end + 1;
}

/* The raw value of a field of the event itself; NULL when it has none. */
static inline const char *event_field(const char *line, const char *name) {
    char key[64];
    const char *s = line + 1;
    while (*s == '"') {
        const char *colon = json_read_string(s, NULL);
        assert_true((size_t)(colon - s) < sizeof key);
        (void)json_read_string(s, key);
        if (strcmp(key, name) == 0)
            return colon + 1;
        s = json_read_value(colon + 1);
        s += *s == ',';
    }
    return NULL;
}

static inline void assert_field_text(const char *line, const char *name, const char *want) {
    const char *raw = event_field(line, name);
    assert_non_null(raw);
    char *got = malloc(strlen(raw) + 1);
    assert_non_null(json_read_string(raw, got));
    assert_string_equal(got, want);
    free(got);
}

static inline void assert_field_number(const char *line, const char *name, uint64_t want) {
    const char *raw = event_field(line, name);
    assert_non_null(raw);
    assert_int_equal(strtoull(raw, NULL, 10), want);
}

#endif
