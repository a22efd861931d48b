#include "sync/sync.h"

#include <stdlib.h>

struct credit {
    struct os_mutex lock;
    struct os_cond raised;
    uint64_t limit, spent; /* lock */
    bool cancelled; /* lock */
};

struct credit *credit_new(uint64_t limit) {
    struct credit *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    os_mutex_init(&c->lock);
    os_cond_init(&c->raised);
    c->limit = limit;
    return c;
}

void credit_free(struct credit *c) {
    if (c == NULL)
        return;
    os_cond_free(&c->raised);
    os_mutex_free(&c->lock);
    free(c);
}

enum queue_result credit_spend(struct credit *c, uint64_t cost, int timeout_ms) {
    int64_t deadline = timeout_ms > 0 ? os_now_ms() + timeout_ms : 0;
    enum queue_result result = QUEUE_OK;
    os_lock(&c->lock);
    while (c->limit - c->spent < cost && !c->cancelled && result == QUEUE_OK) {
        if (timeout_ms < 0)
            os_cond_wait(&c->raised, &c->lock);
        else if (timeout_ms == 0 || !os_cond_wait_until(&c->raised, &c->lock, deadline))
            result = QUEUE_TIMEOUT;
    }
    if (c->cancelled) {
        result = QUEUE_CLOSED;
    } else if (c->limit - c->spent >= cost) {
        c->spent += cost;
        result = QUEUE_OK;
    }
    os_unlock(&c->lock);
    return result;
}

void credit_raise(struct credit *c, uint64_t limit) {
    os_lock(&c->lock);
    if (limit > c->limit) {
        c->limit = limit;
        os_cond_broadcast(&c->raised);
    }
    os_unlock(&c->lock);
}

void credit_cancel(void *arg) {
    struct credit *c = arg;
    os_lock(&c->lock);
    c->cancelled = true;
    os_cond_broadcast(&c->raised);
    os_unlock(&c->lock);
}
