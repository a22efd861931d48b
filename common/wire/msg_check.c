/* msg_check.c: checks that the decoders share, tags, and paths. */
#include "wire/msg_check.h"

#include <inttypes.h>

int fields_check(const char *message, const struct rd *r, const struct field *fields, size_t count,
                 struct err *err) {
    if (r->bad)
        return err_set(err, EXIT_STREAM, "%s: the body is too short", message);
    for (const struct field *f = fields; f < fields + count; f++)
        if (f->value < f->min || f->value > f->max)
            return err_set(err, EXIT_STREAM, "%s: %s %" PRIu64 " is not in %" PRIu64 "…%" PRIu64, message,
                           f->name, f->value, f->min, f->max);
    return 0;
}

int end_check(const char *message, const struct rd *r, struct err *err) {
    if (r->bad)
        return err_set(err, EXIT_STREAM, "%s: the body is too short", message);
    if (!rd_done(r))
        return err_set(err, EXIT_STREAM, "%s: %zu bytes too many in the body", message, rd_left(r));
    return 0;
}

uint64_t rd_reserved(struct rd *r, size_t n) {
    const uint8_t *p = rd_bytes(r, n);
    uint64_t all = 0;
    for (size_t i = 0; p && i < n; i++)
        all |= (uint64_t)p[i] << (8 * i);
    return all;
}

void wr_reserved(struct wr *w, size_t n) {
    static const uint8_t zeros[8];
    wr_bytes(w, zeros, n);
}

void rd_copy(struct rd *r, void *to, size_t n) {
    const uint8_t *p = rd_bytes(r, n);
    if (p)
        memcpy(to, p, n);
    else
        memset(to, 0, n);
}

struct span rd_rest(struct rd *r) {
    struct span rest = {.p = r->at, .n = rd_left(r)};
    r->at = r->end;
    return rest;
}

void tag_encode(struct wr *w, uint16_t tag, const void *value, size_t n) {
    if (n > UINT16_MAX || wr_left(w) < 4 + n) {
        w->bad = true;
        return;
    }
    wr_u16(w, tag);
    wr_u16(w, (uint16_t)n);
    wr_bytes(w, value, n);
}

int tag_next(struct rd *r, struct tag *ret) {
    if (r->bad)
        return -1;
    if (rd_left(r) == 0)
        return 0;
    uint16_t tag = rd_u16(r);
    uint16_t n = rd_u16(r);
    const uint8_t *value = rd_bytes(r, n);
    if (r->bad)
        return -1;
    *ret = (struct tag){.tag = tag, .value = {.p = value, .n = n}};
    return 1;
}

size_t path_component(const char *path, size_t *at, const char **ret) {
    const char *start = path + *at;
    size_t n = strcspn(start, "/");
    *at += n + (start[n] == '/');
    *ret = start;
    return n;
}

void components_encode(struct wr *w, const char *path, unsigned from) {
    unsigned depth = path_depth(path);
    size_t at = 0;
    for (unsigned i = 0; i < depth; i++) {
        const char *name;
        size_t n = path_component(path, &at, &name);
        if (n > NAME_BYTES_MAX)
            w->bad = true;
        if (i < from)
            continue;
        wr_u8(w, (uint8_t)n);
        wr_bytes(w, name, n);
    }
}

void path_encode(struct wr *w, const char *path) {
    unsigned depth = path_depth(path);
    if (depth > PATH_DEPTH_MAX)
        w->bad = true;
    wr_u8(w, (uint8_t)depth);
    components_encode(w, path, 0);
}

int path_scan(struct rd *r, char *to, struct err *err) {
    unsigned count = rd_u8(r);
    if (count > PATH_DEPTH_MAX)
        return err_set(err, EXIT_STREAM, "path: deeper than %d levels", PATH_DEPTH_MAX);
    for (unsigned i = 0; i < count; i++) {
        uint8_t n = rd_u8(r);
        const uint8_t *name = rd_bytes(r, n);
        if (!name)
            break;
        enum name_fault fault = name_check(name, n);
        if (fault != NAME_OK)
            return err_set(err, EXIT_STREAM, "path: %s", name_fault_text(fault));
        if (to) {
            memcpy(to, name, n);
            to[n] = i + 1 < count ? '/' : '\0';
            to += n + 1;
        }
    }
    if (r->bad)
        return err_set(err, EXIT_STREAM, "path: cut short");
    if (to && count == 0)
        *to = '\0';
    return 0;
}

int path_decode(struct rd *r, char *to, struct err *err) {
    struct rd check = *r;
    if (path_scan(&check, NULL, err))
        return -1;
    return path_scan(r, to, err);
}
