/* bytes.h: little-endian integers, and cursors that read and write them inside bounds.
 *
 * `struct rd` reads from a span of bytes and `struct wr` writes into one. Both are sticky: the first
 * access outside the span sets `bad`, and from then on reads give zero and writes do nothing, so a
 * decoder checks once at its end. Neither allocates.
 */
#ifndef CORE_BYTES_H
#define CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes. */
struct span {
    const uint8_t *p;
    size_t n;
};

static inline uint16_t le16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64(const uint8_t *p) {
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

static inline void put_le16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t v) {
    put_le16(p, (uint16_t)v);
    put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(uint8_t *p, uint64_t v) {
    put_le32(p, (uint32_t)v);
    put_le32(p + 4, (uint32_t)(v >> 32));
}

/* Reading cursor. `at` never passes `end`. */
struct rd {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct rd rd_of(const void *p, size_t n) {
    const uint8_t *b = p;
    return (struct rd){.at = b, .end = n ? b + n : b, .bad = false};
}

static inline size_t rd_left(const struct rd *r) {
    return (size_t)(r->end - r->at);
}

/* The next n bytes, or NULL (and bad) when there are fewer. */
static inline const uint8_t *rd_bytes(struct rd *r, size_t n) {
    if (r->bad || rd_left(r) < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at = n ? p + n : p;
    return p;
}

static inline uint8_t rd_u8(struct rd *r) {
    const uint8_t *p = rd_bytes(r, 1);
    return p ? *p : 0;
}
static inline uint16_t rd_u16(struct rd *r) {
    const uint8_t *p = rd_bytes(r, 2);
    return p ? le16(p) : 0;
}
static inline uint32_t rd_u32(struct rd *r) {
    const uint8_t *p = rd_bytes(r, 4);
    return p ? le32(p) : 0;
}
static inline uint64_t rd_u64(struct rd *r) {
    const uint8_t *p = rd_bytes(r, 8);
    return p ? le64(p) : 0;
}

/* True when all was read and nothing is left over. */
static inline bool rd_done(const struct rd *r) {
    return !r->bad && r->at == r->end;
}

/* Writing cursor. */
struct wr {
    uint8_t *start, *at, *end;
    bool bad;
};

static inline struct wr wr_of(void *p, size_t n) {
    uint8_t *b = p;
    return (struct wr){.start = b, .at = b, .end = n ? b + n : b, .bad = false};
}

static inline size_t wr_used(const struct wr *w) {
    return (size_t)(w->at - w->start);
}
static inline size_t wr_left(const struct wr *w) {
    return (size_t)(w->end - w->at);
}

/* Room for n bytes, or NULL (and bad) when there is less. */
static inline uint8_t *wr_room(struct wr *w, size_t n) {
    if (w->bad || wr_left(w) < n) {
        w->bad = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at = n ? p + n : p;
    return p;
}

static inline void wr_bytes(struct wr *w, const void *p, size_t n) {
    uint8_t *to = wr_room(w, n);
    if (to && n)
        memcpy(to, p, n);
}
static inline void wr_u8(struct wr *w, uint8_t v) {
    wr_bytes(w, &v, 1);
}
static inline void wr_u16(struct wr *w, uint16_t v) {
    uint8_t *p = wr_room(w, 2);
    if (p)
        put_le16(p, v);
}
static inline void wr_u32(struct wr *w, uint32_t v) {
    uint8_t *p = wr_room(w, 4);
    if (p)
        put_le32(p, v);
}
static inline void wr_u64(struct wr *w, uint64_t v) {
    uint8_t *p = wr_room(w, 8);
    if (p)
        put_le64(p, v);
}

/* Checked 64-bit arithmetic: true and *ret set when it fits, else false and *ret untouched. */
static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *ret) {
    if (a > UINT64_MAX - b)
        return false;
    *ret = a + b;
    return true;
}

#endif
