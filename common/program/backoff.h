/* backoff.h: how long to wait before the next try, so that a crowd of peers does not come back all at once. */
#ifndef PROGRAM_BACKOFF_H
#define PROGRAM_BACKOFF_H

#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 500, /* by default */
    BACKOFF_MOST_MS = 30000, /* where doubling ends, unless it began above */
};

/* The wait in ms after the `failures`-th failure in a row (from 1): first_ms (0…86400000), doubled each time, and a
 * quarter more or less as `random` (all 32 bits are used) says. */
int backoff_ms(int first_ms, unsigned failures, uint32_t random);
/* The same, with a random number of its own. */
int backoff_pause_ms(int first_ms, unsigned failures);

#endif
