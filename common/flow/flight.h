/* flight.h: the ordered messages of one direction that were sent and that the other end has not processed yet.
 *
 * They are kept for two reasons: the data of one may be refused, and after a break all of them are sent again. Of a
 * data frame only header and body are kept; its data is read from the file anew. Credit bounds how much is in it.
 */
#ifndef FLOW_FLIGHT_H
#define FLOW_FLIGHT_H

#include "flow/item.h"

/* What the other end has processed, since the session began. */
struct flown {
    uint64_t count; /* messages */
    uint64_t cost; /* the credit that they took */
    uint64_t moved; /* the messages without those that refusals and breaks alone lead to */
};

struct flight;
struct flight *flight_new(void); /* NULL: no memory */
void flight_free(struct flight *f);

/* Sending thread, before the item is written, which has its order: the flight owns it from now on, but keeps it whole
 * until flight_sent. Orders ascend, but for items that are sent again after flight_take. */
void flight_add(struct flight *f, struct item *item);
/* Any thread that writes: an item that was added with `unnumbered` is about to be written, and may be refused from now
 * on. */
void flight_leaves(struct flight *f, struct item *item);
/* Any thread that writes: this item was added and is written, or will not be. Its buffer is given back. As flight_done, for
 * the other end may have been faster. */
struct flown flight_sent(struct flight *f, struct item *item);

/* Reading thread. */
/* True when a message of that order was added, or none has to have been: 0; and all up to it have begun to leave. */
bool flight_was_sent(struct flight *f, uint64_t order);
/* Everything up to `processed` has arrived well. What that is in all, of what was sent: a message that is still being written
 * counts when it is, and so do those behind it. */
struct flown flight_done(struct flight *f, uint64_t processed);
/* A refused data frame: a copy of its type and body, without data, and how often it was refused; NULL when that order is not in flight or carries no data. */
struct item *flight_refused(struct flight *f, uint64_t order);
/* An empty VOID takes its place, which cannot be refused. */
void flight_void(struct flight *f, uint64_t order);

/* While all threads that write are held still: takes everything above `processed` out, as a chain in ascending order;
 * *ret_cost is what the credit for it was. What is up to `processed` is dropped. False when `processed` is lower than it
 * was before: that is gone. */
bool flight_take(struct flight *f, uint64_t processed, struct ticketed **ret, uint64_t *ret_cost);

#endif
