#include "sync/sync.h"

#include <stdlib.h>

struct block_store {
    struct os_mutex lock;
    struct block *idle; /* lock; last in, first out */
    size_t cap;
};

struct block_store *block_store_new(size_t cap) {
    struct block_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    os_mutex_init(&store->lock);
    store->cap = cap;
    return store;
}

void block_store_free(struct block_store *store) {
    if (store == NULL)
        return;
    while (store->idle) {
        struct block *block = store->idle;
        store->idle = block->next;
        os_page_free(block->data);
        free(block);
    }
    os_mutex_free(&store->lock);
    free(store);
}

size_t block_store_cap(const struct block_store *store) {
    return store->cap;
}

static struct block *block_new(struct block_store *store) {
    struct block *block = calloc(1, sizeof *block);
    uint8_t *data = block ? os_page_alloc(store->cap) : NULL;
    if (data == NULL) {
        free(block);
        return NULL;
    }
    block->data = data;
    block->home = store;
    return block;
}

struct block *block_take(struct block_store *store) {
    os_lock(&store->lock);
    struct block *block = store->idle;
    if (block)
        store->idle = block->next;
    os_unlock(&store->lock);
    if (block == NULL)
        block = block_new(store);
    if (block)
        atomic_store_explicit(&block->users, 1, memory_order_relaxed);
    return block;
}

struct block *block_hold(struct block *block) {
    atomic_fetch_add_explicit(&block->users, 1, memory_order_relaxed);
    return block;
}

void block_drop(struct block *block) {
    if (block == NULL || atomic_fetch_sub_explicit(&block->users, 1, memory_order_acq_rel) != 1)
        return;
    struct block_store *store = block->home;
    os_lock(&store->lock);
    block->next = store->idle;
    store->idle = block;
    os_unlock(&store->lock);
}
