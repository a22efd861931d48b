#include "program/report_impl.h"

#include "core/log.h"
#include "core/text.h"
#include "os/os.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    JSON_MAX = 108 * 1024, /* the longest path and target with every byte escaped */
    JSON_TAIL = 64, /* of that, kept free for the end */
};

enum { STDOUT = 1 }; /* not by stdio, which gives up when a non-blocking pipe is full */

static struct os_mutex one_event = OS_MUTEX_INIT; /* at a time, from json_begin to json_end */
static char text[JSON_MAX]; /* one_event; too much for a stack */
static _Atomic int lost; /* why an event did not reach stdout, as errno says it; 0: all did */

static void add(struct json *j, const char *s, size_t n) {
    if (j->used + n + JSON_TAIL <= sizeof text) {
        memcpy(text + j->used, s, n);
        j->used += n;
    }
}

static void add_format(struct json *j, const char *fmt, ...) ERR_PRINTF(2, 3);
static void add_format(struct json *j, const char *fmt, ...) {
    char part[128];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(part, sizeof part, fmt, args);
    va_end(args);
    if (n > 0)
        add(j, part, (size_t)n < sizeof part ? (size_t)n : sizeof part - 1);
}

static void add_key(struct json *j, const char *name) {
    if (!j->first)
        add(j, ",", 1);
    j->first = false;
    add_format(j, "\"%s\":", name);
}

/* Controls are escaped too where JSON would allow them (DEL, C1): a terminal obeys them. `s` is UTF-8. */
static void add_escaped(struct json *j, const char *s) {
    add(j, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];
        if (c == '"' || c == '\\')
            add_format(j, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            add_format(j, "\\u%04x", (unsigned)c);
        else if (c == 0xC2 && next < 0xA0)
            add_format(j, "\\u%04x", (unsigned)(unsigned char)*++s);
        else
            add(j, s, 1);
    }
    add(j, "\"", 1);
}

void json_begin(struct json *j, const char *type) {
    os_lock(&one_event);
    j->used = 0;
    j->first = true;
    add(j, "{", 1);
    json_string(j, "type", type);
    if (log_target())
        json_string(j, "target", log_target());
}

void json_string(struct json *j, const char *name, const char *value) {
    struct escaped safe;
    add_key(j, name);
    add_escaped(j, is_utf8(value, strlen(value)) ? value : escape_text(value, strlen(value), &safe));
}

static void add_base64(struct json *j, const uint8_t *p, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    add(j, "\"", 1);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        v |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        v |= i + 2 < n ? p[i + 2] : 0;
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};
        add(j, four, sizeof four);
    }
    add(j, "\"", 1);
}

void json_path(struct json *j, const char *name, const char *path) {
    size_t n = strlen(path);
    if (is_utf8(path, n)) {
        json_string(j, name, path);
        return;
    }
    char b64_name[32];
    (void)snprintf(b64_name, sizeof b64_name, "%s_b64", name);
    add_key(j, b64_name);
    add_base64(j, (const uint8_t *)path, n);
}

void json_number(struct json *j, const char *name, uint64_t value) {
    add_key(j, name);
    add_format(j, "%" PRIu64, value);
}

void json_real(struct json *j, const char *name, double value) {
    add_key(j, name);
    add_format(j, "%.3f", value);
}

void json_bool(struct json *j, const char *name, bool value) {
    add_key(j, name);
    add_format(j, "%s", value ? "true" : "false");
}

void json_open(struct json *j, const char *name) {
    add_key(j, name);
    add(j, "{", 1);
    j->first = true;
}

void json_close(struct json *j) {
    add(j, "}", 1);
    j->first = false;
}

void json_end(struct json *j) {
    memcpy(text + j->used, "}\n", 2);
    int none = 0, result = os_write_fd(STDOUT, text, j->used + 2);
    os_unlock(&one_event);
    if (result != 0)
        (void)atomic_compare_exchange_strong(&lost, &none, -result);
}

int json_lost(void) {
    return atomic_load(&lost);
}
