/* streams.h: the streams that are open through the switch, so that both ends can be told when one is gone, and
 * the credit that each end was last seen to give, so that it can be withheld.
 *
 * A stream is there from its REQUEST until an RST, which is how every vsock stream ends.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "vsock_hdr.h"

#include <stdbool.h>

enum { STREAMS_MAX = 8192 };

struct credit {
    uint32_t buf_alloc, fwd_cnt;
};

struct stream {
    struct vsock_addr end[2];
    uint16_t type;
    bool is_open; /* false: this slot is free */
    struct credit given[2]; /* what end i gave last */
    struct credit shown[2]; /* what the other end was told of it */
    struct stream *next; /* with the same hash, or in the list of free slots */
};

struct stream_table;

/* NULL when there is no memory. */
struct stream_table *streams_new(void);
void streams_free(struct stream_table *t);
unsigned streams_count(const struct stream_table *t);

/* The stream between the two, or NULL. `ret_side` (may be NULL) is which end is `src`. */
struct stream *streams_find(struct stream_table *t, struct vsock_addr src, struct vsock_addr dst,
                            unsigned *ret_side);

/* Opens a stream with `src` as end 0, or gives the one that is there. NULL when there are STREAMS_MAX. */
struct stream *streams_open(struct stream_table *t, struct vsock_addr src, struct vsock_addr dst,
                            uint16_t type);
void streams_close(struct stream_table *t, struct stream *s);

/* The first open stream after `after` (NULL: the first of all); NULL at the end. `after` may just have been
 * closed. */
struct stream *streams_next(struct stream_table *t, const struct stream *after);

/* Which end of `s` is at `cid`: 0, 1, or -1. */
int stream_side(const struct stream *s, uint64_t cid);

#endif
