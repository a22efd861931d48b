/* os_waits.h: how long a thread has waited, and what for, so that a run can say which of its stages held it up.
 *
 * Off in each thread until os_waits_begin; then each wait costs two looks at the clock.
 */
#ifndef OS_OS_WAITS_H
#define OS_OS_WAITS_H

#include "os/os.h"

enum os_wait {
    OS_WAIT_INPUT, /* for something to do: the thread is starved */
    OS_WAIT_OUTPUT, /* for room to put what it has done: it is blocked */
};

struct os_waits {
    uint64_t input_ns, output_ns;
};

/* This thread. */
void os_waits_begin(void);
struct os_waits os_waits(void); /* since then */

/* Around a wait of any kind: what os_wait_begin returned (0: off) goes to os_wait_end. */
int64_t os_wait_begin(void);
void os_wait_end(int64_t begin, enum os_wait what);

/* os_cond_wait, or, with a deadline other than INT64_MAX, os_cond_wait_until, counted. */
bool os_cond_wait_for(enum os_wait what, struct os_cond *c, struct os_mutex *m, int64_t deadline_ms);

#endif
