/* unwritten.h: how far a write of several parts has come. */
#ifndef TRANSPORT_UNWRITTEN_H
#define TRANSPORT_UNWRITTEN_H

#include "core/bytes.h"

/* What is still to be written: `parts` from the first on, of which `done` bytes are gone. */
struct unwritten {
    const struct span *parts;
    size_t count;
    size_t done;
};

/* n more bytes are written; never more than there are. */
static inline void unwritten_advance(struct unwritten *rest, size_t n) {
    while (rest->count > 0 && n >= rest->parts->n - rest->done) {
        n -= rest->parts->n - rest->done;
        rest->parts++;
        rest->count--;
        rest->done = 0;
    }
    rest->done += n;
}

#endif
