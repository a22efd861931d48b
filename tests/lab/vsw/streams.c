/* streams.c: see streams.h. */
#include "streams.h"

#include <stdlib.h>

enum { BUCKETS = 8192 };

struct stream_table {
    unsigned count;
    struct stream *free;
    struct stream *bucket[BUCKETS];
    struct stream slot[STREAMS_MAX];
};

struct stream_table *streams_new(void) {
    struct stream_table *t = calloc(1, sizeof *t);
    for (unsigned i = STREAMS_MAX; t && i > 0; i--) {
        t->slot[i - 1].next = t->free;
        t->free = &t->slot[i - 1];
    }
    return t;
}

void streams_free(struct stream_table *t) {
    free(t);
}

unsigned streams_count(const struct stream_table *t) {
    return t->count;
}

static uint64_t mix(struct vsock_addr a) {
    uint64_t x = (a.cid << 32 ^ a.port) * 0x9E3779B97F4A7C15ULL;
    return (x ^ x >> 29) * 0xBF58476D1CE4E5B9ULL;
}

/* The same for both directions. */
static struct stream **bucket_of(struct stream_table *t, struct vsock_addr a, struct vsock_addr b) {
    return &t->bucket[(mix(a) + mix(b)) >> 32 & (BUCKETS - 1)];
}

static bool same(struct vsock_addr a, struct vsock_addr b) {
    return a.cid == b.cid && a.port == b.port;
}

struct stream *streams_find(struct stream_table *t, struct vsock_addr src, struct vsock_addr dst,
                            unsigned *ret_side) {
    struct stream *s;
    for (s = *bucket_of(t, src, dst); s; s = s->next) {
        bool is_first = same(s->end[0], src) && same(s->end[1], dst);
        if (!is_first && !(same(s->end[1], src) && same(s->end[0], dst)))
            continue;
        if (ret_side)
            *ret_side = is_first ? 0 : 1;
        return s;
    }
    return NULL;
}

struct stream *streams_open(struct stream_table *t, struct vsock_addr src, struct vsock_addr dst,
                            uint16_t type) {
    struct stream *s = streams_find(t, src, dst, NULL);
    if (s || !t->free)
        return s;
    struct stream **bucket = bucket_of(t, src, dst);
    s = t->free;
    t->free = s->next;
    *s = (struct stream){.end = {src, dst}, .type = type, .is_open = true, .next = *bucket};
    *bucket = s;
    t->count++;
    return s;
}

void streams_close(struct stream_table *t, struct stream *s) {
    struct stream **link = bucket_of(t, s->end[0], s->end[1]);
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    s->is_open = false;
    s->next = t->free;
    t->free = s;
    t->count--;
}

struct stream *streams_next(struct stream_table *t, const struct stream *after) {
    struct stream *s = after ? &t->slot[after - t->slot] + 1 : t->slot;
    while (t->count > 0 && s < t->slot + STREAMS_MAX && !s->is_open)
        s++;
    return t->count > 0 && s < t->slot + STREAMS_MAX ? s : NULL;
}

int stream_side(const struct stream *s, uint64_t cid) {
    if (s->end[0].cid == cid)
        return 0;
    return s->end[1].cid == cid ? 1 : -1;
}
