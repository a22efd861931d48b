#include "receiver/ahead.h"

#include "sync/sync.h"
#include "wire/protocol.h"

#include <stdlib.h>
#include <string.h>

enum { WASTED_MAX = 4096 }; /* blocks that may be written over, beside as many as were taken */

struct slot {
    uint64_t turn, block; /* turn 0: empty */
    struct digest digest;
};

struct ahead {
    struct os_mutex lock;
    struct os_cond changed;
    struct slot *slots; /* lock; BASIS_AHEAD_MAX, by number of block; NULL until a file is open */
    struct os_file file; /* lock; NONE: nothing is to be put */
    bool writing; /* lock; a thread writes to what was `file` when it began */
    uint64_t from; /* lock; offset of what is being written */
    uint64_t turn; /* lock; counts the files */
    uint64_t file_id, claimed, end; /* lock; end: of what was put */
    uint64_t put, taken; /* lock; blocks */
    uint32_t block_size; /* lock */
};

struct ahead *ahead_new(void) {
    struct ahead *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    os_mutex_init(&a->lock);
    os_cond_init(&a->changed);
    a->file = OS_FILE_NONE;
    return a;
}

void ahead_free(struct ahead *a) {
    if (a == NULL)
        return;
    os_cond_free(&a->changed);
    os_mutex_free(&a->lock);
    free(a->slots);
    free(a);
}

void ahead_open(struct ahead *a, uint64_t file_id, struct os_file file, uint32_t block_size) {
    os_lock(&a->lock);
    if (a->slots == NULL)
        a->slots = calloc(BASIS_AHEAD_MAX, sizeof a->slots[0]);
    if (a->slots)
        a->file = file;
    a->turn++;
    a->file_id = file_id;
    a->block_size = block_size;
    a->claimed = a->end = a->put = a->taken = 0;
    os_unlock(&a->lock);
}

uint64_t ahead_close(struct ahead *a) {
    os_lock(&a->lock);
    a->file = OS_FILE_NONE;
    while (a->writing)
        os_cond_wait(&a->changed, &a->lock);
    uint64_t end = a->end;
    a->end = 0;
    os_unlock(&a->lock);
    return end;
}

uint64_t ahead_claim(struct ahead *a, uint64_t end) {
    os_lock(&a->lock);
    if (end > a->claimed)
        a->claimed = end;
    while (a->writing && a->from < end)
        os_cond_wait(&a->changed, &a->lock);
    uint64_t put = a->end;
    os_unlock(&a->lock);
    return put;
}

static struct slot *slot_of(const struct ahead *a, uint64_t offset) {
    return &a->slots[offset / a->block_size % BASIS_AHEAD_MAX];
}

bool ahead_take(struct ahead *a, uint64_t offset, struct digest *ret) {
    os_lock(&a->lock);
    bool open = os_file_is_open(a->file);
    const struct slot *slot = open ? slot_of(a, offset) : NULL;
    bool here = open && slot->turn == a->turn && slot->block == offset / a->block_size;
    if (here)
        *ret = slot->digest;
    a->taken += here;
    os_unlock(&a->lock);
    return here;
}

static bool is_zero(const uint8_t *p, size_t n) {
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Lock held. Where most of what was put has been written over, more of it is not wanted. */
static bool pays(const struct ahead *a) {
    uint64_t open = a->end > a->claimed ? (a->end - a->claimed) / a->block_size : 0;
    return a->put <= 2 * a->taken + open + WASTED_MAX;
}

/* Lock held. Zeros may be a hole, which is none any more once they are written. */
static bool is_wanted(const struct ahead *a, uint64_t file_id, uint64_t offset) {
    return os_file_is_open(a->file) && a->file_id == file_id && offset >= a->claimed && pays(a);
}

static void note(struct ahead *a, uint64_t offset, size_t n, const struct digest *digests) {
    for (size_t at = 0; at < n; at += a->block_size, a->put++)
        *slot_of(a, offset + at) = (struct slot){a->turn, (offset + at) / a->block_size, *digests++};
}

bool ahead_has(struct ahead *a, uint64_t file_id) {
    os_lock(&a->lock);
    bool result = os_file_is_open(a->file) && a->file_id == file_id;
    os_unlock(&a->lock);
    return result;
}

void ahead_put(struct ahead *a, uint64_t file_id, uint64_t offset, const uint8_t *data, size_t n,
               const struct digest *digests) {
    if (is_zero(data, n))
        return;
    os_lock(&a->lock);
    while (a->writing && is_wanted(a, file_id, offset))
        os_cond_wait(&a->changed, &a->lock);
    bool wanted = is_wanted(a, file_id, offset);
    struct os_file file = a->file;
    if (wanted) {
        a->writing = true;
        a->from = offset;
        a->end = offset + n > a->end ? offset + n : a->end; /* also when it fails half-way */
    }
    os_unlock(&a->lock);
    if (!wanted)
        return;
    int result = os_pwrite(file, data, n, offset);
    os_lock(&a->lock);
    a->writing = false;
    if (result == 0)
        note(a, offset, n, digests);
    else
        a->put = UINT64_MAX; /* no more; the sink will see what it is */
    os_cond_broadcast(&a->changed);
    os_unlock(&a->lock);
}
