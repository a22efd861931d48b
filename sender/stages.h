/* stages.h: the stages of a sender. Each is one function that a thread runs; the serial path calls their steps. */
#ifndef SENDER_STAGES_H
#define SENDER_STAGES_H

#include "sender/sender.h"

run_fn stage_scan, stage_read, stage_pack, stage_send, stage_ack; /* arg: struct sender */

/* Chunks that are in hand at once: read, waiting to be packed, sent, two for each packing thread. */
static inline unsigned chunks_lent(unsigned packers) {
    return 3 + 2 * packers;
}

/* Steps. */
/* List until the frame is full or the tree ends, and put the frame out. *ret_end: nothing is left. `most`: body
 * bytes of the frame. */
int scan_step(struct sender *s, uint32_t most, bool *ret_end, struct err *err);
/* Digest and compress, then to its place in the outbox by `put`. packer NULL: as it is. Uses the item up. */
typedef bool put_fn(struct outbox *out, struct item *item);
int pack_step(struct sender *s, struct item *item, struct packer *packer, put_fn *put, struct err *err);
/* Write items to the stream, at most STREAM_BATCH. Uses them up. */
int send_step(struct sender *s, struct item **items, unsigned count, struct err *err);
/* What the end of the input means in the middle of a session. Always -1. */
int ack_failed(struct sender *s, enum stream_result result, struct err *err);

/* The whole session on the calling thread. */
int send_serially(struct sender *s, struct err *err);

#endif
