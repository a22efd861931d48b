/* packet.c: see packet.h. */
#include "packet.h"

#include <stdlib.h>
#include <string.h>

/* Steps over a segment that is used up. */
static void cursor_move(struct seg_cursor *c, uint32_t n) {
    c->used += n;
    if (c->used == c->seg->bytes) {
        c->seg++;
        c->used = 0;
    }
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

void cursor_copy(struct seg_cursor *to, struct seg_cursor *from, uint32_t n) {
    while (n > 0) {
        uint32_t part = least(n, least(to->seg->bytes - to->used, from->seg->bytes - from->used));
        memcpy(to->seg->at + to->used, from->seg->at + from->used, part);
        cursor_move(to, part);
        cursor_move(from, part);
        n -= part;
    }
}

void cursor_read(struct seg_cursor *from, void *to, uint32_t n) {
    struct vq_seg flat = {.at = to, .bytes = n};
    struct seg_cursor cursor = {.seg = &flat};
    cursor_copy(&cursor, from, n);
}

void cursor_write(struct seg_cursor *to, const void *from, uint32_t n) {
    struct vq_seg flat = {.at = (uint8_t *)(uintptr_t)from, .bytes = n}; /* only read */
    struct seg_cursor cursor = {.seg = &flat};
    cursor_copy(to, &cursor, n);
}

/* How many segments the data that is left lies in. */
static unsigned count_segments(const struct packet *p) {
    unsigned count = 0;
    uint64_t have = 0;
    while (have < (uint64_t)p->left + (p->left > 0 ? p->data.used : 0))
        have += p->data.seg[count++].bytes;
    return count;
}

struct packet *packet_keep(const struct packet *p) {
    unsigned count = count_segments(p);
    struct packet *kept = malloc(sizeof *kept + count * sizeof kept->seg[0]);
    if (!kept)
        return NULL;
    *kept = *p;
    if (count > 0)
        memcpy(kept->seg, p->data.seg, count * sizeof kept->seg[0]);
    kept->data.seg = kept->seg;
    return kept;
}

int packet_own(struct packet *p) {
    if (p->left > 0) {
        p->copy = malloc(p->left);
        if (!p->copy)
            return -1;
        cursor_read(&p->data, p->copy, p->left);
        p->seg[0] = (struct vq_seg){.at = p->copy, .bytes = p->left};
        p->data = (struct seg_cursor){.seg = p->seg};
    }
    return 0;
}

void packet_free(struct packet *p) {
    free(p->copy);
    free(p);
}
