/* flight.h: data frames that were sent and not yet processed by the receiver, in case it refuses one. */
#ifndef SENDER_FLIGHT_H
#define SENDER_FLIGHT_H

#include "flow/item.h"

struct flight;
struct flight *flight_new(void); /* NULL: no memory */
void flight_free(struct flight *f);

/* Send stage, before it is sent: the item will have this order. False: no memory. */
bool flight_add(struct flight *f, const struct item *item, uint64_t order);
/* Ack stage: everything up to `processed` has arrived well. */
void flight_done(struct flight *f, uint64_t processed);
/* Ack stage: a copy of the frame's type and body, without data, or NULL when that order is not in flight. */
struct item *flight_find(struct flight *f, uint64_t order);
/* Ack stage: VOID takes its place, which cannot be refused. */
void flight_drop(struct flight *f, uint64_t order);

#endif
