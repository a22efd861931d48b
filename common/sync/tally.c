#include "sync/sync.h"

void tally_init(struct tally *t) {
    os_mutex_init(&t->lock);
    os_cond_init(&t->zero);
    t->n = 0;
    t->cancelled = false;
}

void tally_free(struct tally *t) {
    os_cond_free(&t->zero);
    os_mutex_free(&t->lock);
}

void tally_up(struct tally *t) {
    os_lock(&t->lock);
    t->n++;
    os_unlock(&t->lock);
}

void tally_down(struct tally *t) {
    os_lock(&t->lock);
    if (--t->n == 0)
        os_cond_broadcast(&t->zero);
    os_unlock(&t->lock);
}

enum queue_result tally_wait(struct tally *t, int64_t deadline_ms) {
    bool in_time = true;
    os_lock(&t->lock);
    while (t->n > 0 && !t->cancelled && in_time)
        in_time = os_cond_wait_until(&t->zero, &t->lock, deadline_ms);
    bool open = !t->cancelled;
    os_unlock(&t->lock);
    return !open ? QUEUE_CLOSED : in_time ? QUEUE_OK : QUEUE_TIMEOUT;
}

void tally_cancel(void *arg) {
    struct tally *t = arg;
    os_lock(&t->lock);
    t->cancelled = true;
    os_cond_broadcast(&t->zero);
    os_unlock(&t->lock);
}
