/* unpack.h: the unpack stage: from a data frame as it came to its raw bytes, checked. */
#ifndef RECEIVER_UNPACK_H
#define RECEIVER_UNPACK_H

#include "codec/codec.h"
#include "flow/item.h"

/* CHUNK or BUNDLE: item->data becomes the raw bytes and item->raw_length their number. When they are not
 * what the digest says, item->damaged is set instead: refuse it. `codecs`: those that were agreed. `pool` lends
 * the buffer for the raw bytes. 0, or -1 and err (EXIT_STREAM for a bad body, EXIT_MEMORY, EXIT_SIGNAL when
 * cancelled). One codec_state a thread. */
int unpack_item(struct item *item, uint32_t codecs, uint32_t chunk_size, struct codec_state *state,
                struct pool *pool, struct err *err);

/* CHUNK or BUNDLE: unpack_item will have to inflate it, which is worth another thread. */
bool unpack_inflates(const struct item *item, uint32_t chunk_size);

/* Data frames that were refused and have not come again. */
struct refusals;
struct refusals *refusals_new(void); /* NULL: no memory */
void refusals_free(struct refusals *r);
/* Unpack stage: refuse this item (its order and cost are remembered). 0, or -1 and err (EXIT_VERIFY) when it was
 * refused REFUSALS_MAX times. */
int refusals_add(struct refusals *r, const struct item *item, struct err *err);
/* Ingest stage: a resent frame came; its item gets the cost of the first. 0, or -1 and err (EXIT_STREAM) when it
 * was not refused. */
int refusals_answer(struct refusals *r, struct item *item, struct err *err);
/* Nothing is awaited any more: everything that was not processed comes again. */
void refusals_clear(struct refusals *r);
/* REFUSED as an item; NULL: no memory. */
struct item *item_of_refused(uint64_t order);

#endif
