#include "sync/sync.h"

#include "os/os_waits.h"

#include <stdlib.h>

struct queue {
    struct os_mutex lock;
    struct os_cond filled, emptied;
    size_t capacity;
    size_t head, count; /* lock */
    size_t few; /* lock; so many left wake whoever waits for room or fewer items */
    bool closed, cancelled; /* lock */
    void *items[]; /* lock; ring of `capacity` */
};

struct queue *queue_new(size_t capacity) {
    struct queue *q = calloc(1, sizeof *q + capacity * sizeof q->items[0]);
    if (q == NULL)
        return NULL;
    os_mutex_init(&q->lock);
    os_cond_init(&q->filled);
    os_cond_init(&q->emptied);
    q->capacity = q->few = capacity;
    return q;
}

static void *pop(struct queue *q) {
    void *item = q->items[q->head];
    q->head = (q->head + 1) % q->capacity;
    q->count--;
    return item;
}

void queue_free(struct queue *q, void (*drop)(void *item)) {
    if (q == NULL)
        return;
    while (drop && q->count > 0)
        drop(pop(q));
    os_cond_free(&q->emptied);
    os_cond_free(&q->filled);
    os_mutex_free(&q->lock);
    free(q);
}

bool queue_put(struct queue *q, void *item) {
    os_lock(&q->lock);
    while (q->count == q->capacity && !q->closed && !q->cancelled)
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &q->emptied, &q->lock, INT64_MAX);
    bool open = !q->closed && !q->cancelled;
    if (open) {
        q->items[(q->head + q->count) % q->capacity] = item;
        q->count++;
        os_cond_signal(&q->filled);
    }
    os_unlock(&q->lock);
    return open;
}

bool queue_wait_few(struct queue *q, size_t few) {
    os_lock(&q->lock);
    q->few = few;
    while (q->count > few && !q->closed && !q->cancelled)
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &q->emptied, &q->lock, INT64_MAX);
    q->few = q->capacity;
    bool go_on = !q->cancelled;
    os_unlock(&q->lock);
    return go_on;
}

enum queue_result queue_get(struct queue *q, void **ret, int timeout_ms) {
    int64_t deadline = timeout_ms > 0 ? os_now_ms() + timeout_ms : INT64_MAX;
    enum queue_result result = QUEUE_OK;
    os_lock(&q->lock);
    while (q->count == 0 && !q->closed && !q->cancelled && result == QUEUE_OK) {
        if (timeout_ms == 0 || !os_cond_wait_for(OS_WAIT_INPUT, &q->filled, &q->lock, deadline))
            result = QUEUE_TIMEOUT;
    }
    if (q->cancelled || (q->count == 0 && q->closed)) {
        result = QUEUE_CLOSED;
    } else if (q->count > 0) {
        *ret = pop(q);
        if (q->count <= q->few)
            os_cond_signal(&q->emptied);
        result = QUEUE_OK;
    }
    os_unlock(&q->lock);
    return result;
}

static void stop(struct queue *q, bool *flag) {
    os_lock(&q->lock);
    *flag = true;
    os_cond_broadcast(&q->filled);
    os_cond_broadcast(&q->emptied);
    os_unlock(&q->lock);
}

void queue_close(struct queue *q) {
    stop(q, &q->closed);
}

void queue_cancel(void *arg) {
    struct queue *q = arg;
    stop(q, &q->cancelled);
}

size_t queue_length(struct queue *q) {
    os_lock(&q->lock);
    size_t n = q->count;
    os_unlock(&q->lock);
    return n;
}
