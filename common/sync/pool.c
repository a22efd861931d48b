#include "sync/sync.h"

#include "os/os_waits.h"

#include <stdlib.h>

struct pool {
    struct os_mutex lock;
    struct os_cond back; /* a buffer came back, or cancelled */
    struct buf *idle; /* lock; last in, first out */
    size_t cap;
    struct block_store *store; /* NULL: buffers have memory of their own */
    unsigned most; /* lock */
    unsigned lent; /* lock */
    bool cancelled; /* lock */
};

struct pool *pool_new(size_t cap, unsigned most) {
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    os_mutex_init(&pool->lock);
    os_cond_init(&pool->back);
    pool->cap = cap;
    pool->most = most;
    return pool;
}

struct pool *pool_new_on(struct block_store *store, unsigned most) {
    struct pool *pool = pool_new(block_store_cap(store), most);
    if (pool)
        pool->store = store;
    return pool;
}

void pool_free(struct pool *pool) {
    if (pool == NULL)
        return;
    while (pool->idle) {
        struct buf *buf = pool->idle;
        pool->idle = buf->next;
        os_page_free(buf->data);
        free(buf);
    }
    os_cond_free(&pool->back);
    os_mutex_free(&pool->lock);
    free(pool);
}

static struct buf *buf_new(struct pool *pool) {
    struct buf *buf = malloc(sizeof *buf);
    if (buf == NULL)
        return NULL;
    *buf = (struct buf){.cap = pool->cap, .home = pool};
    if (pool->store) /* it gets a block each time it is lent */
        return buf;
    buf->data = os_page_alloc(pool->cap);
    if (buf->data)
        return buf;
    free(buf);
    return NULL;
}

/* Lock held. NULL when nothing can be had now. */
static struct buf *take(struct pool *pool) {
    struct buf *buf = pool->idle;
    if (pool->lent >= pool->most)
        return NULL;
    if (buf)
        pool->idle = buf->next;
    else
        buf = buf_new(pool);
    pool->lent += buf != NULL;
    return buf;
}

/* A buffer that was taken, with memory; NULL when there is none. */
static struct buf *furnish(struct buf *buf) {
    if (buf == NULL || buf->home->store == NULL)
        return buf;
    buf->block = block_take(buf->home->store);
    if (buf->block) {
        buf->data = buf->block->data;
        return buf;
    }
    buf_release(buf);
    return NULL;
}

struct buf *pool_get(struct pool *pool) {
    os_lock(&pool->lock);
    struct buf *buf = NULL;
    while (!pool->cancelled) {
        buf = take(pool);
        if (buf || pool->lent < pool->most) /* no memory: who waits may hold all that were made */
            break;
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &pool->back, &pool->lock, INT64_MAX);
    }
    os_unlock(&pool->lock);
    return furnish(buf);
}

int pool_error(struct pool *pool, struct err *err) {
    os_lock(&pool->lock);
    bool cancelled = pool->cancelled;
    os_unlock(&pool->lock);
    return cancelled ? err_set(err, EXIT_SIGNAL, "cancelled while waiting for a buffer")
                     : err_set(err, EXIT_MEMORY, "out of memory");
}

struct buf *pool_try_get(struct pool *pool) {
    os_lock(&pool->lock);
    struct buf *buf = pool->cancelled ? NULL : take(pool);
    os_unlock(&pool->lock);
    return furnish(buf);
}

void buf_release(struct buf *buf) {
    if (buf == NULL)
        return;
    struct pool *pool = buf->home;
    if (pool->store) {
        block_drop(buf->block);
        buf->block = NULL;
        buf->data = NULL;
    }
    os_lock(&pool->lock);
    buf->next = pool->idle;
    pool->idle = buf;
    pool->lent--;
    os_cond_signal(&pool->back);
    os_unlock(&pool->lock);
}

static void stand_on(struct buf *buf, struct block *block) {
    block_drop(buf->block);
    buf->block = block;
    buf->data = block->data;
}

void buf_stand_on(struct buf *buf, struct block *block) {
    stand_on(buf, block_hold(block));
}

bool buf_make_own(struct buf *buf) {
    /* Only who holds a block can let others have it: what has one user here keeps it. */
    if (buf->block == NULL || atomic_load_explicit(&buf->block->users, memory_order_acquire) == 1)
        return true;
    struct block *block = block_take(buf->home->store);
    if (block)
        stand_on(buf, block);
    return block != NULL;
}

void pool_lend(struct pool *pool, unsigned most) {
    os_lock(&pool->lock);
    pool->most = most;
    os_cond_broadcast(&pool->back);
    os_unlock(&pool->lock);
}

void pool_cancel(void *arg) {
    struct pool *pool = arg;
    os_lock(&pool->lock);
    pool->cancelled = true;
    os_cond_broadcast(&pool->back);
    os_unlock(&pool->lock);
}
