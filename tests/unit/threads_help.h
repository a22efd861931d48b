/* threads_help.h: how the tests of shared objects start threads. Threads report through memory: only the thread
 * of the test may use cmocka's assertions. */
#ifndef THREADS_HELP_H
#define THREADS_HELP_H

#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    WAITERS = 6,
    LONG_MS = 60000, /* ends a wait that a lost wake-up would make endless; a sound one never takes so long */
};

struct waiters {
    struct os_thread threads[WAITERS];
    unsigned count;
};

static inline void waiters_start(struct waiters *w, unsigned count, void *(*fn)(void *), void *arg) {
    assert_true(count <= WAITERS);
    for (w->count = 0; w->count < count; w->count++)
        assert_int_equal(os_thread_start(&w->threads[w->count], "waiter", fn, arg, NULL), 0);
}

static inline void waiters_join(struct waiters *w) {
    for (unsigned i = 0; i < w->count; i++)
        os_thread_join(&w->threads[i]);
}

/* A sequence that looks random and is the same in every run (xorshift). */
static inline uint32_t scatter(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
