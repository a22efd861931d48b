/* item.h: what travels through a pipeline: one frame with its body and, for data, its buffer. */
#ifndef FLOW_ITEM_H
#define FLOW_ITEM_H

#include "codec/digest.h"
#include "core/bytes.h"
#include "sync/sync.h"
#include "wire/frame.h"

struct item {
    struct ticketed t; /* first: queues link items through it; ticket = place in its pipeline */
    struct frame frame; /* type, flags, order (0: not ordered, or not given yet), lengths */
    struct buf *data; /* data area, packed or raw; NULL when there is none */
    uint32_t raw_length; /* CHUNK, BUNDLE: bytes before packing */
    uint64_t cost; /* credit it took, set by whoever accounts it */
    uint64_t file_id, offset; /* sender: of a CHUNK, until it is packed */
    unsigned reading; /* sender: of a large file's messages: which time it is read; 0: not told */
    struct digest digest; /* sender: of the raw bytes, when they are digested */
    bool digested; /* sender: while they were read */
    uint64_t share_id; /* sender: under which other sessions find what it is packed to; 0: they do not */
    unsigned refusals; /* sender: in flight, REFUSED came for it */
    bool writing; /* in flight: a thread uses it to write it */
    bool unnumbered; /* in flight: a lane has to number it yet; it cannot have arrived anywhere */
    bool damaged; /* receiver: the digest did not match */
    bool ordered; /* sending end: gets an order number and costs credit */
    bool again; /* sending end: after a break; it has its order, and its data must be read anew */
    uint8_t header[FRAME_HEADER_SIZE]; /* encoded when it is about to be sent */
    uint32_t capacity; /* of body */
    uint8_t body[];
};

/* An item with room for `capacity` body bytes; NULL: no memory. One owner at a time. */
struct item *item_new(uint8_t type, uint32_t capacity);
/* Gives the buffer back too; NULL is fine. */
void item_free(struct item *item);
/* Without the room that its body does not need; nothing may point to it yet. */
struct item *item_fit(struct item *item);
void item_drop(void *item); /* item_free for queue_free */
void item_drop_ticketed(struct ticketed *t); /* item_free for sequencer_free */

/* True for a message that has a data area, or had one until its buffer was given back. */
static inline bool item_carries_data(const struct item *item) {
    return item->frame.type == MSG_CHUNK || item->frame.type == MSG_BUNDLE;
}
/* A CHUNK that is sent again: its data is to be read when its turn comes. */
static inline bool item_lacks_data(const struct item *item) {
    return item->frame.type == MSG_CHUNK && item->data == NULL;
}
/* What was a data frame says nothing any more. Its order stays. */
void item_make_void(struct item *item);

/* The digest of its raw bytes is known, before it is packed. */
static inline void item_digested(struct item *item, const struct digest *digest, uint64_t share_id) {
    item->digest = *digest;
    item->digested = true;
    item->share_id = share_id;
}

static inline struct span item_body(const struct item *item) {
    return (struct span){.p = item->body, .n = item->frame.body_length};
}
static inline struct wr item_writer(struct item *item) {
    return wr_of(item->body, item->capacity);
}
/* Takes what the writer wrote as the body. */
static inline void item_written(struct item *item, const struct wr *w) {
    item->frame.body_length = (uint32_t)wr_used(w);
}

#endif
