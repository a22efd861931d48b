/* test_golden.c: the golden vectors, in both directions. Every *.hex of the folder is one test: a good one decodes
 * to the fields that its comments name and encodes to the same bytes; any other is refused with the exit
 * code and for the reason that it names. scripts/golden.py wrote them and says how they are built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"

enum { VECTOR_MAX = 512 * 1024, VECTORS_MAX = 512, CHUNK_SIZE = CHUNK_SIZE_DEFAULT };

struct vector {
    char phase[16], error[128];
    int expect;
    uint8_t bytes[VECTOR_MAX];
    size_t n;
    char fields[SEEN_TEXT_MAX]; /* the "name = value" comments */
};

/* ---- what was seen -------------------------------------------------------------------------------- */

void seen_line(struct seen *seen, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(seen->text + seen->used, sizeof seen->text - seen->used, fmt, args);
    va_end(args);
    assert_true(n >= 0 && seen->used + (size_t)n + 2 < sizeof seen->text);
    seen->used += (size_t)n;
    seen->text[seen->used++] = '\n';
    seen->text[seen->used] = '\0';
}

void seen_number(struct seen *seen, const char *name, uint64_t value) {
    seen_line(seen, "%s = %llu", name, (unsigned long long)value);
}

void seen_signed(struct seen *seen, const char *name, int64_t value) {
    seen_line(seen, "%s = %lld", name, (long long)value);
}

void seen_hex(struct seen *seen, const char *name, const void *p, size_t n) {
    const uint8_t *bytes = p;
    char hex[2 * 1024 + 1] = "";
    assert_true(n <= 1024);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    seen_line(seen, "%s = %s", name, hex);
}

void seen_text(struct seen *seen, const char *name, const void *p, size_t n) {
    seen_line(seen, "%s = %.*s", name, (int)n, n ? (const char *)p : "");
}

/* ---- reading a vector ----------------------------------------------------------------------------- */

static void add_hex(struct vector *v, const char *line, const char *end) {
    while (line < end) {
        unsigned byte;
        int used;
        if (sscanf(line, " %2x%n", &byte, &used) != 1 || line + used > end)
            return;
        assert_true(v->n < sizeof v->bytes);
        v->bytes[v->n++] = (uint8_t)byte;
        line += used;
    }
}

static void add_line(struct vector *v, char *line) {
    char *hash = strchr(line, '#');
    line[strcspn(line, "\n")] = '\0';
    if (hash == line) {
        (void)sscanf(line, "# phase: %15s", v->phase);
        (void)sscanf(line, "# expect: %d", &v->expect);
        (void)sscanf(line, "# error: %127[^\n]", v->error);
        return;
    }
    add_hex(v, line, hash ? hash : line + strlen(line));
    if (hash && strstr(hash, " = ")) {
        strcat(v->fields, hash + 2);
        strcat(v->fields, "\n");
    }
}

static struct vector *vector_load(const char *path) {
    struct vector *v = calloc(1, sizeof *v);
    char line[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(v);
    v->expect = -1;
    while (fgets(line, sizeof line, f)) {
        assert_true(strlen(line) + 1 < sizeof line); /* or it was cut */
        add_line(v, line);
    }
    (void)fclose(f);
    assert_true(v->n > 0 && v->expect >= 0 && v->phase[0] != '\0');
    return v;
}

/* ---- running it ----------------------------------------------------------------------------------- */

static int preamble_look(const struct vector *v, struct seen *seen, struct err *err) {
    static const struct preamble ours = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX};
    struct preamble p;
    unsigned version;
    uint8_t again[PREAMBLE_SIZE];
    assert_int_equal(v->n, PREAMBLE_SIZE);
    if (preamble_decode(v->bytes, &p, err) || version_choose(&ours, &p, &version, err))
        return -1;
    assert_int_equal(version, 1);
    seen_number(seen, "version_min", p.version_min);
    seen_number(seen, "version_max", p.version_max);
    preamble_encode(&p, again);
    assert_memory_equal(again, v->bytes, sizeof again);
    return 0;
}

/* One whole frame that the reader holds; `at` is where it stands in the vector. */
static int frame_look(const struct frame_reader *fr, const uint8_t *data, const uint8_t *at,
                      struct seen *seen, struct err *err) {
    static uint8_t again[BODY_MAX];
    uint8_t header[FRAME_HEADER_SIZE];
    const struct frame *f = &fr->frame;
    struct given given = {*f, {fr->body, f->body_length}, data, CHUNK_SIZE};
    seen_number(seen, "type", f->type);
    seen_number(seen, "flags", f->flags);
    seen_number(seen, "body_length", f->body_length);
    seen_number(seen, "data_length", f->data_length);
    seen_number(seen, "seq", f->seq);
    seen_number(seen, "order", f->order);
    seen_line(seen, "body_check = %016llx", (unsigned long long)f->body_check);
    seen->again = wr_of(again, sizeof again);
    if (message_look(&given, seen, err))
        return -1;
    assert_false(seen->again.bad);
    assert_int_equal(wr_used(&seen->again), f->body_length);
    assert_memory_equal(again, at + FRAME_HEADER_SIZE, f->body_length);
    frame_encode(f, again, header);
    assert_memory_equal(header, at, sizeof header);
    return 0;
}

static int frames_look(const struct vector *v, struct seen *seen, struct err *err) {
    static uint8_t body[BODY_MAX], data[CHUNK_SIZE];
    bool handshake = strcmp(v->phase, "handshake") == 0;
    struct frame_reader fr;
    frame_reader_init(&fr, body, handshake ? HANDSHAKE_BODY_MAX : BODY_MAX, handshake ? 0 : CHUNK_SIZE);
    size_t at = 0, start = 0;
    while (at < v->n) {
        struct room room = frame_reader_space(&fr);
        size_t n = room.n < v->n - at ? room.n : v->n - at;
        memcpy(room.p, v->bytes + at, n);
        at += n;
        switch (frame_reader_fed(&fr, n, err)) {
        case FRAME_BAD: return -1;
        case FRAME_MORE: break;
        case FRAME_NEED_DATA: frame_reader_give(&fr, data); break;
        case FRAME_READY:
            if (frame_look(&fr, data, v->bytes + start, seen, err))
                return -1;
            frame_reader_next(&fr);
            start = at;
        }
    }
    return frame_reader_is_idle(&fr) ? 0 : err_set(err, EXIT_STREAM, "the stream is cut inside a frame");
}

static void vector_is_as_its_comments_say(void **state) {
    const char *path = *state;
    struct vector *v = vector_load(path);
    struct seen *seen = calloc(1, sizeof *seen);
    struct err err = {.code = 0};
    assert_non_null(seen);
    bool preamble = strcmp(v->phase, "preamble") == 0;
    int result = preamble ? preamble_look(v, seen, &err) : frames_look(v, seen, &err);
    assert_int_equal(err.code, v->expect);
    if (v->expect == 0) {
        assert_int_equal(result, 0);
        assert_string_equal(seen->text, v->fields);
    } else {
        assert_int_equal(result, -1);
        assert_true(v->error[0] != '\0');
        if (!strstr(err.msg, v->error))
            fail_msg("'%s' does not say '%s'", err.msg, v->error);
    }
    free(seen);
    free(v);
}

static int by_name(const void *a, const void *b) {
    const struct CMUnitTest *left = a, *right = b;
    return strcmp(left->name, right->name);
}

int main(int argc, char **argv) {
    static struct CMUnitTest tests[VECTORS_MAX];
    size_t count = 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    struct dirent *d;
    while (dir && count < VECTORS_MAX && (d = readdir(dir)) != NULL) {
        char path[4096];
        const char *dot = strrchr(d->d_name, '.');
        if (!dot || strcmp(dot, ".hex") != 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], d->d_name);
        tests[count++] = (struct CMUnitTest){.name = strdup(d->d_name),
                                             .test_func = vector_is_as_its_comments_say,
                                             .initial_state = strdup(path)};
    }
    if (dir)
        (void)closedir(dir);
    if (count == 0) {
        fprintf(stderr, "usage: test_golden FOLDER with *.hex files\n");
        return 1;
    }
    qsort(tests, count, sizeof tests[0], by_name);
    int failed = _cmocka_run_group_tests("golden", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)tests[i].name);
        free(tests[i].initial_state);
    }
    return failed;
}
