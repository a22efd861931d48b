/* share_bundle.c: small files and the bundles that they travel in.
 *
 * A session that reads a file for its bundle lets the others copy it from there, at once and not when the bundle is full.
 * When two sessions have put the same files together, the second takes the bundle of the first with its digest.
 */
#include "sender/share_impl.h"

#include "sender/source.h"

#include <stdlib.h>
#include <string.h>

/* ---- under the lock ---------------------------------------------------------------------------------------- */

static struct share_cell *cell_of(struct share *share, const struct share_file *file) {
    uint32_t hash;
    memcpy(&hash, file->path.b, sizeof hash);
    return &share->cells[(hash + file->root) % SHARE_CELLS];
}

/* The slot that the cell points to, if it is still that one. */
static struct share_slot *slot_at(struct share *share, const struct share_cell *cell) {
    struct share_slot *slot = &share->slots[cell->slot];
    return cell->number != 0 && slot->number == cell->number ? slot : NULL;
}

static bool is_being_read(const struct share_slot *slot, const struct share_cell *cell) {
    return slot->state == SLOT_OPEN && cell->member == slot->count;
}

static bool same_members(const struct share_slot *a, const struct share_slot *b) {
    if (a->count != b->count || a->length != b->length)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (memcmp(&a->members[i].file, &b->members[i].file, sizeof a->members[i].file) != 0)
            return false;
    return true;
}

/* A complete bundle of the same files. */
static struct share_slot *find_bundle(struct share *share, const struct share_slot *like) {
    for (uint32_t i = 0; i < share->slot_count; i++) {
        struct share_slot *slot = &share->slots[i];
        if (slot->is_bundle && (slot->state == SLOT_BUSY || slot->state == SLOT_READY) &&
            same_members(slot, like))
            return slot;
    }
    return NULL;
}

static void note_member(struct share_slot *slot, const struct share_file *file) {
    slot->members[slot->count] = (struct share_member){.file = *file, .offset = slot->length};
}

static void complete_member(struct share_slot *slot) {
    slot->length += (uint32_t)slot->members[slot->count].file.size;
    slot->count++;
}

static void claim_member(struct share *share, struct share_user *user, struct share_cell *cell) {
    struct share_slot *slot = user->bundle, *held = slot_at(share, cell);
    if (held && is_being_read(held, cell)) /* another file falls together with this one */
        return;
    *cell = (struct share_cell){
        .number = slot->number,
        .slot = (uint16_t)(slot - share->slots),
        .member = (uint16_t)slot->count,
    };
    user->claimed = true;
}

/* Who looks for files in `from` finds them in `to`, which has the same. */
static void move_cells(struct share *share, const struct share_slot *from, const struct share_slot *to) {
    for (uint32_t i = 0; i < from->count; i++) {
        struct share_cell *cell = cell_of(share, &from->members[i].file);
        if (cell->number != from->number || cell->member != i)
            continue;
        cell->number = to->number;
        cell->slot = (uint16_t)(to - share->slots);
    }
}

/* ---- files -------------------------------------------------------------------------------------------------- */

void share_begin_bundle(struct share_user *user, const struct buf *buf) {
    if (user == NULL)
        return;
    struct share *share = user->share;
    os_lock(&share->lock);
    struct share_slot *slot = share_occupy(share, SLOT_OPEN, true);
    if (slot && slot->members == NULL)
        slot->members = calloc(BUNDLE_FILES, sizeof slot->members[0]);
    if (slot && slot->members) {
        slot->raw = block_hold(buf->block);
    } else if (slot) {
        share_clear(slot);
        slot = NULL;
    }
    os_unlock(&share->lock);
    user->bundle = slot;
    user->claimed = false;
}

/* The block that has the file, held, and where; NULL: there is none. Waits while another session reads the file. */
static struct block *find_file(struct share_user *user, const struct share_file *file, uint32_t *ret_offset) {
    struct share *share = user->share;
    struct share_cell *cell = cell_of(share, file);
    struct share_slot *slot;
    while ((slot = slot_at(share, cell)) &&
           memcmp(&slot->members[cell->member].file, file, sizeof *file) == 0) {
        if (!is_being_read(slot, cell)) {
            *ret_offset = slot->members[cell->member].offset;
            return block_hold(slot->raw);
        }
        if (user->cancelled)
            return NULL;
        share_wait(share);
    }
    return NULL;
}

bool share_take_file(struct share_user *user, const struct pending *p, uint8_t *to) {
    if (user == NULL)
        return false;
    struct share *share = user->share;
    const struct share_file file = share_file_of(p);
    uint32_t offset = 0;
    os_lock(&share->lock);
    struct block *block = find_file(user, &file, &offset);
    share->counts.files_taken += block != NULL;
    if (user->bundle) {
        note_member(user->bundle, &file);
        if (block)
            complete_member(user->bundle);
        else
            claim_member(share, user, cell_of(share, &file));
    }
    os_unlock(&share->lock);
    if (block == NULL)
        return false;
    memcpy(to, block->data + offset, (size_t)file.size);
    block_drop(block);
    return true;
}

void share_put_file(struct share_user *user) {
    if (user == NULL)
        return;
    struct share *share = user->share;
    os_lock(&share->lock);
    share->counts.files_read++;
    if (user->bundle)
        complete_member(user->bundle);
    if (user->claimed)
        os_cond_broadcast(&share->changed);
    os_unlock(&share->lock);
    user->claimed = false;
}

void share_drop_file(struct share_user *user) {
    if (user == NULL || !user->claimed)
        return;
    struct share *share = user->share;
    const struct share_slot *slot = user->bundle;
    os_lock(&share->lock);
    *cell_of(share, &slot->members[slot->count].file) = (struct share_cell){0};
    os_cond_broadcast(&share->changed);
    os_unlock(&share->lock);
    user->claimed = false;
}

/* ---- bundles ------------------------------------------------------------------------------------------------ */

/* True: another session has the same bundle, and `buf` stands on it now. False: it is this session's to digest. */
static bool take_bundle(struct share_user *user, struct buf *buf, struct share_chunk *ret) {
    struct share *share = user->share;
    struct share_slot *own = user->bundle, *same;
    os_lock(&share->lock);
    while ((same = find_bundle(share, own)) && same->state == SLOT_BUSY && !user->cancelled)
        share_wait(share);
    bool taken = same && same->state == SLOT_READY;
    if (taken) {
        buf_stand_on(buf, same->raw);
        ret->digest = same->digest;
        ret->id = same->number;
        move_cells(share, own, same);
        share_clear(own);
        share->counts.bundles_taken++;
    } else {
        own->state = SLOT_BUSY;
    }
    os_unlock(&share->lock);
    return taken;
}

bool share_end_bundle(struct share_user *user, struct buf *buf, uint32_t n, struct share_chunk *ret) {
    *ret = (struct share_chunk){0};
    if (user == NULL || user->bundle == NULL)
        return false;
    struct share *share = user->share;
    struct share_slot *own = user->bundle;
    if (!take_bundle(user, buf, ret)) {
        ret->digest = digest_of(buf->data, n);
        os_lock(&share->lock);
        own->digest = ret->digest;
        own->state = SLOT_READY;
        ret->id = own->number;
        share->counts.bundles_digested++;
        os_cond_broadcast(&share->changed);
        os_unlock(&share->lock);
    }
    user->bundle = NULL;
    return true;
}

void share_forget_bundle(struct share_user *user) {
    if (user == NULL || user->bundle == NULL)
        return;
    os_lock(&user->share->lock);
    share_clear(user->bundle);
    os_unlock(&user->share->lock);
    user->bundle = NULL;
}
