/* source_delta.c: a large file of which the receiver has something: REUSE for blocks that are equal, chunks for the rest. */
#include "sender/source_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
    REUSE_BLOCKS_MAX = 2048, /* of one REUSE: the receiver works on one while the next is being compared */
    TRIAL_BLOCKS = 4096, /* after so many it is known whether asking pays */
    TRIAL_SHARE = 16, /* it does when one block in so many is equal */
};
#define STRETCH_FIRST                                                                                        \
    (UINT64_C(16)                                                                                            \
     << 20) /* bytes during which nobody is waited for where that did not pay, then twice as many */
#define STRETCH_MAX (UINT64_C(256) << 20)

struct compare {
    struct delta *delta;
    uint64_t chunk; /* most bytes of a chunk: a multiple of the block size */
    uint64_t start, end; /* equal so far, and not emitted */
    uint32_t count; /* blocks of that */
    uint64_t compared, equal; /* blocks of this trial */
    uint64_t wait_again,
        stretch; /* offset before which no digest is waited for; length of the next such stretch */
    struct digest digests[REUSE_BLOCKS_MAX];
};

struct compare *compare_new(const struct source *s, struct pending *p) {
    bool asks = p->delta && !delta_is_closed(p->delta) &&
                p->delta->block_size <= s->chunk_size; /* not a second time */
    struct compare *c = asks ? calloc(1, sizeof *c) : NULL;
    if (c == NULL)
        return NULL; /* without memory: all of it is sent */
    c->delta = p->delta;
    c->chunk = s->chunk_size - s->chunk_size % c->delta->block_size;
    c->stretch = STRETCH_FIRST;
    return c;
}

void compare_free(struct compare *c) {
    if (c)
        delta_close(c->delta);
    free(c);
}

uint64_t compare_chunk(const struct compare *c) {
    return c->chunk;
}

int compare_flush(struct source *s, const struct pending *p, struct compare *c, uint64_t *records,
                  struct err *err) {
    if (c == NULL || c->count == 0)
        return 0;
    struct item *item = item_new(MSG_REUSE, REUSE_SIZE + c->count * DIGEST_SIZE);
    if (item) {
        struct wr w = item_writer(item);
        msg_hole_encode(
            &w, &(struct msg_hole){.file_id = p->file_id, .offset = c->start, .length = c->end - c->start});
        item_written(item, &w);
        wr_bytes(&w, c->digests, c->count * sizeof c->digests[0]); /* behind the body: for the send stage */
        item->raw_length = c->delta->block_size;
    }
    count(&s->report->bytes_done, c->end - c->start);
    *records += c->count;
    c->count = 0;
    return source_put(s, item, err);
}

/* The digest of a block, for which it may wait. 1: *ret is it; 0: there is none; -1 and err. */
static int ask(struct source *s, struct pending *p, struct compare *c, uint64_t block, struct digest *ret,
               struct err *err) {
    enum delta_answer answer;
    bool patient = block * c->delta->block_size >= c->wait_again;
    while ((answer = delta_get(c->delta, block, ret)) == DELTA_AWAITED && patient && !atomic_load(&p->failed))
        if (s->await(s->ctx, p, block, err) != 0)
            return -1;
    return answer == DELTA_HERE;
}

/* Bytes of the block at `offset` when all of it lies before `end` and the receiver has it; else 0. */
static uint64_t comparable(const struct compare *c, uint64_t offset, uint64_t end) {
    uint64_t block_size = c->delta->block_size, size = c->delta->size;
    if (offset % block_size != 0 || offset >= size)
        return 0;
    uint64_t n = size - offset < block_size ? size - offset : block_size;
    return n <= end - offset ? n : 0;
}

/* 1: the receiver has the same n bytes at `offset`, whose digest is *ret; 0, or -1 and err. */
static int is_equal(struct source *s, struct pending *p, struct compare *c, uint64_t offset, uint64_t n,
                    const uint8_t *data, struct digest *ret, struct err *err) {
    int known = ask(s, p, c, offset / c->delta->block_size, ret, err);
    if (known <= 0)
        return known;
    struct digest ours = digest_of(data, (size_t)n);
    bool equal = digest_equal(&ours, ret);
    c->compared++;
    c->equal += equal;
    return equal;
}

static int add_equal(struct source *s, struct pending *p, struct compare *c, uint64_t offset, uint64_t n,
                     const struct digest *digest, uint64_t *records, struct err *err) {
    if ((c->count == REUSE_BLOCKS_MAX || (c->count > 0 && c->end != offset)) &&
        compare_flush(s, p, c, records, err) != 0)
        return -1;
    if (c->count == 0)
        c->start = offset;
    c->digests[c->count++] = *digest;
    c->end = offset + n;
    return 0;
}

/* A part of what was read goes out as a chunk of its own. */
static int put_part(struct source *s, const struct pending *p, uint64_t offset, uint64_t n,
                    const uint8_t *data, struct err *err) {
    struct pool *pool = n <= PART_MAX ? s->parts : s->pool;
    struct buf *buf = pool_get(pool);
    if (buf == NULL)
        return pool_error(pool, err);
    memcpy(buf->data, data, (size_t)n);
    return source_put_chunk(s, p, buf, offset, (uint32_t)n, NULL, err);
}

/* Emits [offset, end) of which `buf`, taken over, has the bytes. */
static int emit_differing(struct source *s, struct pending *p, struct compare *c, struct buf *buf,
                          uint64_t offset, uint64_t end, uint64_t *records, struct err *err) {
    uint64_t at = offset, from = offset; /* [from, at) differs and is not emitted */
    int result = 0;
    while (at < end && result == 0) {
        uint64_t n = comparable(c, at, end), step = c->delta->block_size - at % c->delta->block_size;
        struct digest digest;
        int equal = n > 0 ? is_equal(s, p, c, at, n, buf->data + (at - offset), &digest, err) : 0;
        if (equal <= 0) {
            at += step < end - at ? step : end - at;
            result = equal;
            continue;
        }
        if (from < at) {
            result = compare_flush(s, p, c, records, err);
            if (result == 0)
                result = put_part(s, p, from, at - from, buf->data + (from - offset), err);
            *records += 1;
        }
        if (result == 0)
            result = add_equal(s, p, c, at, n, &digest, records, err);
        from = at += n;
    }
    if (result == 0 && from < end)
        result = compare_flush(s, p, c, records, err);
    if (result == 0 && from == offset && from < end) {
        *records += 1;
        return source_put_chunk(s, p, buf, offset, (uint32_t)(end - offset), NULL, err);
    }
    if (result == 0 && from < end) {
        *records += 1;
        result = put_part(s, p, from, end - from, buf->data + (from - offset), err);
    }
    buf_release(buf);
    return result;
}

/* Where blocks do not match, waiting costs more than it saves. */
static void judge_trial(const struct source *s, struct compare *c, uint64_t offset) {
    if (c->compared < TRIAL_BLOCKS || s->delta_always)
        return;
    if (c->equal * TRIAL_SHARE < c->compared) {
        c->wait_again = offset + c->stretch;
        c->stretch = c->stretch < STRETCH_MAX ? c->stretch * 2 : c->stretch;
    } else {
        c->wait_again = 0;
        c->stretch = STRETCH_FIRST;
    }
    c->compared = c->equal = 0;
}

bool compare_pays(const struct compare *c, uint64_t offset) {
    return c && offset < c->delta->size;
}

int compare_emit(struct source *s, struct pending *p, struct compare *c, struct os_file file, uint64_t offset,
                 uint64_t end, uint64_t *records, int *ret_result, struct err *err) {
    struct buf *buf = source_buffer(s, err);
    if (buf == NULL)
        return -1;
    ptrdiff_t got = os_pread(file, buf->data, (size_t)(end - offset), offset);
    if (got != (ptrdiff_t)(end - offset)) {
        buf_release(buf);
        *ret_result = got < 0 ? (int)got : 0;
        return 0;
    }
    if (emit_differing(s, p, c, buf, offset, end, records, err) != 0)
        return -1;
    judge_trial(s, c, end);
    return 1;
}
