/* outbox.h: everything that waits to be sent on one stream, and the credit to send it.
 *
 * Three kinds of items leave in this order of preference:
 *   urgent   ACK, HEARTBEAT, resent frames: they cost no credit and must pass what waits for it
 *   again    what was on its way when the stream broke, first in first out; before anything new
 *   control  ordered messages, first in first out
 *   data     ordered messages with tickets 1, 2, 3, …, which leave in that order
 * All but the urgent ones take credit when they leave. Any thread puts; one thread gets.
 */
#ifndef FLOW_OUTBOX_H
#define FLOW_OUTBOX_H

#include "flow/flight.h"

struct outbox;

/* `limit`: credit that the other end granted at first; chunk_size: for the cost of data frames. */
struct outbox *outbox_new(uint64_t limit, uint32_t chunk_size); /* NULL: no memory */
void outbox_free(struct outbox *ob); /* drops what is left; NULL is fine */

/* These take the item over in every case; false: cancelled, and the item is dropped. */
bool outbox_put_urgent(struct outbox *ob, struct item *item);
bool outbox_put(struct outbox *ob, struct item *item);
bool outbox_put_data(struct outbox *ob, struct item *item); /* item->t.ticket is set */

/* As outbox_put and outbox_put_data, but the sending thread is not woken for it: many small messages then share one
 * wake-up and one write. Whoever does so calls outbox_kick before it waits for anything itself; enough of them
 * (OUTBOX_LATER_MAX) wake the thread too. */
enum { OUTBOX_LATER_MAX = 16 };
bool outbox_put_later(struct outbox *ob, struct item *item);
bool outbox_put_data_later(struct outbox *ob, struct item *item);
void outbox_kick(struct outbox *ob);

/* Waits until fewer than `most` control items are there. False: cancelled. */
bool outbox_wait_room(struct outbox *ob, unsigned most);
/* The same for the bytes of their bodies. */
bool outbox_wait_bytes(struct outbox *ob, uint64_t most);
/* The same for data items, which it kicks first. */
bool outbox_wait_data(struct outbox *ob, unsigned most);
uint64_t outbox_bytes(struct outbox *ob);

void outbox_raise(struct outbox *ob, uint64_t limit); /* a lower limit than before is ignored */
/* Whatever credit there is: what the other end has not processed costs no more than `most`, but for so few messages
 * (FLYING_MIN) that it may acknowledge none of them yet. It is kept in memory, and the credit is the other end's choice. */
enum { FLYING_MIN = 1024 };
void outbox_bound(struct outbox *ob, uint64_t most);
void outbox_flown(struct outbox *ob, struct flown flown); /* what it has processed by now */
/* An ACK, which stays the caller's: both of these. 0, or -1 and err (EXIT_STREAM). */
int outbox_take_ack(struct outbox *ob, struct flight *flight, const struct item *item, struct err *err);
/* A message of that cost can leave, when nothing waits before it. */
bool outbox_has_credit(struct outbox *ob, uint64_t cost);
/* No more puts; QUEUE_CLOSED once all is out. */
void outbox_close(struct outbox *ob);
void outbox_cancel(void *ob);

/* The next item that may be sent. timeout_ms: -1 waits, 0 does not. */
enum queue_result outbox_get(struct outbox *ob, struct item **ret, int timeout_ms);
/* As outbox_get, and more of what may be sent at once, up to `most` items, of which the last one reaches OUTBOX_BATCH_DATA
 * bytes of data, or lacks its data: so that one buffer is enough to read it into. *ret_count is at least 1 with
 * QUEUE_OK. So that many small messages share one system call. */
enum { OUTBOX_BATCH_DATA = 64 * 1024 };
enum queue_result outbox_get_batch(struct outbox *ob, struct item **ret, unsigned most, unsigned *ret_count,
                                   int timeout_ms);
/* Sending thread: what it got is sent, or kept elsewhere; it holds nothing of the outbox any more. To be called before
 * the next outbox_get. */
void outbox_sent(struct outbox *ob);

/* Sending thread: before until_ms (os_now_ms) it gets nothing but urgent items. 0 ends that. */
void outbox_rest(struct outbox *ob, int64_t until_ms);

/* Sending thread: the item that it got costs less than it was charged with. */
void outbox_refund(struct outbox *ob, struct item *item);

/* ---- after a break; reading thread ---- */

/* From now on nothing can be got; waits until the sending thread holds nothing. False: cancelled. */
bool outbox_hold(struct outbox *ob);
/* While it is held: `chain` (see flight_take) goes first, `cost` that it had taken is given back, and urgent frames
 * that take the place of refused ones are dropped. */
void outbox_rewind(struct outbox *ob, struct ticketed *chain, uint64_t cost);
/* While it is held: calls fn for every item that was never sent. */
void outbox_each(struct outbox *ob, void (*fn)(struct item *item));
void outbox_release(struct outbox *ob);

/* Ordered messages without tickets that wait for credit, or to be sent. */
unsigned outbox_waiting(struct outbox *ob);
/* True when nothing is in it (sendable or not). */
bool outbox_is_empty(struct outbox *ob);
/* Waits for outbox_cancel, at most timeout_ms. */
void outbox_wait_cancelled(struct outbox *ob, int timeout_ms);

#endif
