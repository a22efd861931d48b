#include "os/os_waits.h"

static _Thread_local struct {
    bool on;
    struct os_waits sum;
} mine;

void os_waits_begin(void) {
    mine.on = true;
    mine.sum = (struct os_waits){0};
}

struct os_waits os_waits(void) {
    return mine.sum;
}

int64_t os_wait_begin(void) {
    return mine.on ? os_now_ns() : 0;
}

void os_wait_end(int64_t begin, enum os_wait what) {
    if (begin == 0)
        return;
    uint64_t ns = (uint64_t)(os_now_ns() - begin);
    if (what == OS_WAIT_INPUT)
        mine.sum.input_ns += ns;
    else
        mine.sum.output_ns += ns;
}

bool os_cond_wait_for(enum os_wait what, struct os_cond *c, struct os_mutex *m, int64_t deadline_ms) {
    bool in_time = true;
    int64_t begin = os_wait_begin();
    if (deadline_ms == INT64_MAX)
        os_cond_wait(c, m);
    else
        in_time = os_cond_wait_until(c, m, deadline_ms);
    os_wait_end(begin, what);
    return in_time;
}
