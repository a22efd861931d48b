/* share.c: chunks of large files, and what they and bundles are packed to. */
#include "sender/share_impl.h"

#include "os/os_waits.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEPT_BYTES = 16 * 1024 * 1024, /* read, and as much packed: sessions in step are not further apart */
    KEPT_MIN = 4,
    KEPT_MAX = 64,
};

/* Each session works at one slot at most, so that as many more are always enough. */
static uint32_t slots_for(unsigned sessions, uint32_t chunk_size) {
    uint32_t kept = KEPT_BYTES / chunk_size;
    kept = kept < KEPT_MIN ? KEPT_MIN : kept > KEPT_MAX ? KEPT_MAX : kept;
    return kept + sessions;
}

struct share *share_new(unsigned sessions, uint32_t chunk_size) {
    uint32_t slots = slots_for(sessions, chunk_size);
    struct share *share = calloc(1, sizeof *share + slots * sizeof share->slots[0]);
    if (share == NULL)
        return NULL;
    share->store = block_store_new(chunk_size);
    if (share->store == NULL) {
        free(share);
        return NULL;
    }
    share->slot_count = slots;
    os_mutex_init(&share->lock);
    os_cond_init(&share->changed);
    return share;
}

void share_free(struct share *share) {
    if (share == NULL)
        return;
    for (uint32_t i = 0; i < share->slot_count; i++) {
        share_clear(&share->slots[i]);
        free(share->slots[i].members);
    }
    block_store_free(share->store);
    os_cond_free(&share->changed);
    os_mutex_free(&share->lock);
    free(share);
}

struct block_store *share_store(struct share *share) {
    return share->store;
}

struct share_counts share_counts(struct share *share) {
    os_lock(&share->lock);
    struct share_counts counts = share->counts;
    os_unlock(&share->lock);
    return counts;
}

void share_join(struct share_user *user, struct share *share) {
    *user = (struct share_user){.share = share};
}

void share_cancel(void *arg) {
    struct share_user *user = arg;
    os_lock(&user->share->lock);
    user->cancelled = true;
    os_cond_broadcast(&user->share->changed);
    os_unlock(&user->share->lock);
}

struct share_file share_file_of(const struct pending *p) {
    return (struct share_file){
        .device = p->st.device,
        .inode = p->st.inode,
        .size = p->st.size,
        .mtime_sec = p->st.mtime_sec,
        .ctime_sec = p->st.ctime_sec,
        .mtime_nsec = p->st.mtime_nsec,
        .ctime_nsec = p->st.ctime_nsec,
        .root = (uint64_t)p->root,
        .path = digest_of(p->path, strlen(p->path)),
    };
}

/* ---- under the lock ---------------------------------------------------------------------------------------- */

void share_clear(struct share_slot *slot) {
    block_drop(slot->raw);
    block_drop(slot->packed);
    *slot = (struct share_slot){.members = slot->members};
}

void share_wait(struct share *share) {
    (void)os_cond_wait_for(OS_WAIT_INPUT, &share->changed, &share->lock, INT64_MAX);
}

struct share_slot *share_occupy(struct share *share, enum slot_state state, bool is_bundle) {
    struct share_slot *best = NULL;
    for (uint32_t i = 0; i < share->slot_count; i++) {
        struct share_slot *slot = &share->slots[i];
        if (slot->state == SLOT_FREE || slot->state == SLOT_READY)
            if (best == NULL || slot->number < best->number) /* a free one has 0 */
                best = slot;
    }
    if (best == NULL)
        return NULL;
    bool awaited = best->packing == PACKING_BUSY;
    share_clear(best);
    if (awaited)
        os_cond_broadcast(&share->changed);
    best->state = state;
    best->is_bundle = is_bundle;
    best->number = ++share->last_number;
    return best;
}

static struct share_slot *find_chunk(struct share *share, const struct share_file *file, uint64_t offset,
                                     uint32_t n) {
    for (uint32_t i = 0; i < share->slot_count; i++) {
        struct share_slot *slot = &share->slots[i];
        if (slot->state != SLOT_FREE && !slot->is_bundle && slot->offset == offset && slot->length == n &&
            memcmp(&slot->file, file, sizeof *file) == 0)
            return slot;
    }
    return NULL;
}

static struct share_slot *find_number(struct share *share, uint64_t number) {
    for (uint32_t i = 0; i < share->slot_count; i++)
        if (share->slots[i].number == number)
            return &share->slots[i];
    return NULL;
}

/* ---- chunks ------------------------------------------------------------------------------------------------- */

bool share_take(struct share_user *user, const struct pending *p, uint64_t offset, uint32_t n,
                struct buf *buf, struct share_chunk *ret) {
    *ret = (struct share_chunk){0};
    if (user == NULL)
        return false;
    struct share *share = user->share;
    const struct share_file file = share_file_of(p);
    struct share_slot *slot;
    bool taken = false;
    os_lock(&share->lock);
    while ((slot = find_chunk(share, &file, offset, n)) && slot->state == SLOT_BUSY && !user->cancelled)
        share_wait(share);
    if (slot && slot->state == SLOT_READY) {
        buf_stand_on(buf, slot->raw);
        ret->digest = slot->digest;
        ret->id = slot->number;
        share->counts.chunks_taken++;
        taken = true;
    } else if (slot == NULL && (slot = share_occupy(share, SLOT_BUSY, false)) != NULL) {
        slot->file = file;
        slot->offset = offset;
        slot->length = n;
        ret->claim = slot;
    }
    os_unlock(&share->lock);
    return taken;
}

void share_put(struct share_user *user, const struct buf *buf, struct share_chunk *chunk) {
    struct share_slot *slot = chunk->claim;
    if (user == NULL)
        return;
    struct share *share = user->share;
    os_lock(&share->lock);
    share->counts.chunks_read++;
    if (slot) {
        slot->raw = block_hold(buf->block);
        slot->digest = chunk->digest;
        slot->state = SLOT_READY;
        chunk->id = slot->number;
        os_cond_broadcast(&share->changed);
    }
    os_unlock(&share->lock);
    chunk->claim = NULL;
}

void share_drop(struct share_user *user, struct share_chunk *chunk) {
    if (user == NULL || chunk->claim == NULL)
        return;
    struct share *share = user->share;
    os_lock(&share->lock);
    share_clear(chunk->claim);
    os_cond_broadcast(&share->changed);
    os_unlock(&share->lock);
    chunk->claim = NULL;
}

/* ---- packing ------------------------------------------------------------------------------------------------ */

enum share_packing share_take_packed(struct share_user *user, uint64_t id, uint8_t codec, struct buf *buf,
                                     uint32_t *ret_length) {
    if (user == NULL || id == 0)
        return SHARE_ALONE;
    struct share *share = user->share;
    struct share_slot *slot;
    enum share_packing found = SHARE_ALONE;
    os_lock(&share->lock);
    while ((slot = find_number(share, id)) && slot->packing == PACKING_BUSY && slot->codec == codec &&
           !user->cancelled)
        share_wait(share);
    if (slot && slot->packing == PACKING_NONE) {
        slot->packing = PACKING_BUSY;
        slot->codec = codec;
        found = SHARE_PACK;
    } else if (slot && slot->packing == PACKING_DONE && slot->codec == codec) {
        if (slot->packed_length > 0)
            buf_stand_on(buf, slot->packed);
        *ret_length = slot->packed_length;
        share->counts.packed_taken++;
        found = SHARE_PACKED;
    }
    os_unlock(&share->lock);
    return found;
}

/* The claim ends. `buf`: NULL when there is nothing to take. */
static void end_packing(struct share *share, uint64_t id, enum slot_packing packing, const struct buf *buf,
                        uint32_t length) {
    os_lock(&share->lock);
    struct share_slot *slot = find_number(share, id);
    share->counts.packed += packing == PACKING_DONE;
    if (slot) { /* else its place was needed for another */
        slot->packing = packing;
        slot->packed = buf ? block_hold(buf->block) : NULL;
        slot->packed_length = length;
        os_cond_broadcast(&share->changed);
    }
    os_unlock(&share->lock);
}

void share_put_packed(struct share_user *user, uint64_t id, const struct buf *buf, uint32_t length) {
    end_packing(user->share, id, PACKING_DONE, length > 0 ? buf : NULL, length);
}

void share_drop_packed(struct share_user *user, uint64_t id) {
    end_packing(user->share, id, PACKING_NONE, NULL, 0);
}
