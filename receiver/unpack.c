#include "receiver/unpack.h"

#include "codec/digest.h"
#include "wire/msg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct data_head {
    uint8_t codec;
    uint32_t raw_length;
    const uint8_t *digest;
};

static int read_head(const struct item *item, uint32_t chunk_size, struct msg_chunk *chunk,
                     struct msg_bundle *bundle, struct data_head *ret, struct err *err) {
    uint32_t n = item->frame.data_length;
    if (item->frame.type == MSG_CHUNK) {
        if (msg_chunk_decode(item_body(item), n, chunk_size, chunk, err) != 0)
            return -1;
        *ret = (struct data_head){chunk->codec, chunk->raw_length, chunk->digest};
        return 0;
    }
    if (msg_bundle_decode(item_body(item), n, chunk_size, bundle, err) != 0)
        return -1;
    *ret = (struct data_head){bundle->codec, bundle->raw_length, bundle->digest};
    return 0;
}

bool unpack_inflates(const struct item *item, uint32_t chunk_size) {
    struct msg_chunk chunk;
    struct msg_bundle bundle;
    struct data_head head;
    struct err ignored;
    return read_head(item, chunk_size, &chunk, &bundle, &head, &ignored) == 0 && head.codec != CODEC_NONE;
}

/* Inflate into a buffer of its own, which takes the place of the packed one. */
static int inflate_item(struct item *item, const struct data_head *head, struct codec_state *state,
                        struct pool *pool, struct err *err) {
    const struct codec *codec = codec_by_id(head->codec);
    struct buf *raw = pool_get(pool);
    if (raw == NULL)
        return pool_error(pool, err);
    int result =
        codec->unpack(state, item->data->data, item->frame.data_length, raw->data, head->raw_length, err);
    if (result != 0 && err->code != EXIT_VERIFY) {
        buf_release(raw);
        return -1;
    }
    item->damaged = result != 0;
    buf_release(item->data);
    item->data = raw;
    return 0;
}

int unpack_item(struct item *item, uint32_t codecs, uint32_t chunk_size, struct codec_state *state,
                struct pool *pool, struct err *err) {
    struct msg_chunk chunk;
    struct msg_bundle bundle;
    struct data_head head;
    if (read_head(item, chunk_size, &chunk, &bundle, &head, err) != 0)
        return -1;
    if (head.codec >= CODEC_COUNT || !(codecs & 1u << head.codec))
        return err_set(err, EXIT_STREAM, "%s: codec %u was not agreed on", msg_type_name(item->frame.type),
                       head.codec);
    if (head.codec != CODEC_NONE && inflate_item(item, &head, state, pool, err) != 0)
        return -1;
    item->raw_length = head.raw_length;
    if (!item->damaged) {
        struct digest got = digest_of(item->data ? item->data->data : NULL, head.raw_length);
        item->damaged = memcmp(got.b, head.digest, DIGEST_SIZE) != 0;
    }
    return 0;
}

/* ---- refusals --------------------------------------------------------------------------------------- */

enum { REFUSALS_AT_ONCE = 64 }; /* a stream that damages more than this is beyond repair */

struct refusals {
    struct os_mutex lock;
    struct refusal {
        uint64_t order; /* 0: free */
        uint64_t cost;
        unsigned times;
        uint8_t type; /* of what was refused */
        bool awaited; /* not come again yet */
    } rows[REFUSALS_AT_ONCE]; /* lock */
};

struct refusals *refusals_new(void) {
    struct refusals *r = calloc(1, sizeof *r);
    if (r)
        os_mutex_init(&r->lock);
    return r;
}

void refusals_free(struct refusals *r) {
    if (r == NULL)
        return;
    os_mutex_free(&r->lock);
    free(r);
}

/* The row of `order`, else the first that can be used anew, else NULL. */
static struct refusal *row_for(struct refusals *r, uint64_t order) {
    struct refusal *spare = NULL;
    for (size_t i = 0; i < REFUSALS_AT_ONCE; i++) {
        struct refusal *row = &r->rows[i];
        if (row->order == order)
            return row;
        if (!row->awaited && (spare == NULL || row->order < spare->order))
            spare = row;
    }
    return spare;
}

int refusals_add(struct refusals *r, const struct item *item, struct err *err) {
    uint64_t order = item->frame.order;
    os_lock(&r->lock);
    struct refusal *row = row_for(r, order);
    if (row && row->order != order)
        *row = (struct refusal){.order = order};
    bool too_often = row == NULL || row->times == REFUSALS_MAX;
    if (!too_often) {
        row->times++;
        row->awaited = true;
        row->type = item->frame.type;
        row->cost = item->cost;
    }
    os_unlock(&r->lock);
    if (!too_often)
        return 0;
    return err_set(err, EXIT_VERIFY,
                   "message %" PRIu64 " arrived damaged %d times: something on the way changes data", order,
                   REFUSALS_MAX + 1);
}

/* What comes again has been paid for: no data where there was none, and nothing else in its place. */
static bool may_stand_in(uint8_t type, const struct refusal *row) {
    return type == MSG_VOID || (type == MSG_CHUNK && row->type == MSG_CHUNK);
}

int refusals_answer(struct refusals *r, struct item *item, struct err *err) {
    os_lock(&r->lock);
    struct refusal *row = row_for(r, item->frame.order);
    bool awaited = row && row->order == item->frame.order && row->awaited;
    bool fits = awaited && may_stand_in(item->frame.type, row);
    if (fits) {
        row->awaited = false;
        item->cost = row->cost;
    }
    os_unlock(&r->lock);
    if (fits)
        return 0;
    if (awaited)
        return err_set(err, EXIT_STREAM, "%s: it cannot take the place of what was refused",
                       msg_type_name(item->frame.type));
    return err_set(err, EXIT_STREAM, "%s: order %" PRIu64 " was resent without being refused",
                   msg_type_name(item->frame.type), item->frame.order);
}

void refusals_clear(struct refusals *r) {
    os_lock(&r->lock);
    memset(r->rows, 0, sizeof r->rows);
    os_unlock(&r->lock);
}

struct item *item_of_refused(uint64_t order) {
    struct item *item = item_new(MSG_REFUSED, 16);
    if (item == NULL)
        return NULL;
    struct wr w = item_writer(item);
    msg_refused_encode(&w, &(struct msg_refused){.refused_order = order});
    item_written(item, &w);
    return item;
}
