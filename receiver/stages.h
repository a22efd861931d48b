/* stages.h: the stages of a receiver. Each is one function that a thread runs; the serial path calls their steps. */
#ifndef RECEIVER_STAGES_H
#define RECEIVER_STAGES_H

#include "receiver/receiver.h"
#include "receiver/unpack.h"

enum { COMMIT_IDLE_MS = 100 }; /* a batch that waits is committed when nothing has come for so long */

run_fn stage_ingest, stage_unpack, stage_sink, stage_basis, stage_reply; /* arg: struct receiver */
run_fn stage_lane; /* arg: struct lane */

/* Steps. */
/* One frame that arrived: accounted, and answered here when it is not ordered (item used up, *ret NULL). */
int ingest_item(struct receiver *r, struct item *item, struct item **ret, struct err *err);
/* Raw and checked, it goes to its place in the order; damaged, it is refused. Uses the item up. */
int unpack_step(struct receiver *r, struct item *item, struct codec_state *state, struct err *err);
/* Write answers to the stream, at most STREAM_BATCH. Uses them up. */
int reply_step(struct receiver *r, struct item **items, unsigned count, struct err *err);
/* What the end of the input means in the middle of a session. Always -1. */
int ingest_failed(struct receiver *r, enum stream_result result, struct err *err);

/* When what the sender has to say next is one message, and nothing keeps it from saying it: alive or not, it gets no more time
 * than two timeouts and a break take. os_now_ms; -1: no bound. */
int64_t time_of_one_due(const struct receiver *r);
int overdue(const struct recv_session *s, struct err *err); /* it did not say it. Always -1 */

/* The whole session on the calling thread. */
int receive_serially(struct receiver *r, struct err *err);

#endif
