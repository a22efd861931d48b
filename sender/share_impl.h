/* share_impl.h: shared by share.c and share_bundle.c only. */
#ifndef SENDER_SHARE_IMPL_H
#define SENDER_SHARE_IMPL_H

#include "sender/share.h"

/* A file as somebody saw it. No padding: it is compared as bytes. */
struct share_file {
    uint64_t device, inode, size;
    int64_t mtime_sec, ctime_sec;
    uint32_t mtime_nsec, ctime_nsec;
    uint64_t root;
    struct digest path;
};
_Static_assert(sizeof(struct share_file) == 72, "struct share_file has padding");

enum slot_state {
    SLOT_FREE,
    SLOT_OPEN, /* a bundle that is being filled; its members can be taken one by one */
    SLOT_BUSY, /* claimed: a chunk that is being read, a bundle that is being digested */
    SLOT_READY, /* until the place is needed */
};

enum slot_packing { PACKING_NONE, PACKING_BUSY, PACKING_DONE };

/* One chunk or bundle. */
struct share_slot {
    enum slot_state state;
    uint64_t number; /* counts up: the lowest is the oldest */
    bool is_bundle;
    uint32_t length;
    struct share_file file; /* of a chunk */
    uint64_t offset;
    struct share_member {
        struct share_file file;
        uint32_t offset; /* in the block */
    } * members; /* of a bundle: BUNDLE_FILES of them; kept from bundle to bundle */
    uint32_t count; /* members that are complete; the next one may be claimed */
    struct block *raw;
    struct digest digest;
    enum slot_packing packing;
    uint8_t codec;
    uint32_t packed_length;
    struct block *packed;
};

/* Where a small file is found: a member of the slot that has this number. */
struct share_cell {
    uint64_t number;
    uint16_t slot, member;
};
enum { SHARE_CELLS = 8192 }; /* files that fall together push each other out */

struct share {
    struct os_mutex lock;
    struct os_cond changed; /* a claim has ended, or a session was cancelled */
    struct block_store *store;
    uint64_t last_number; /* lock, as everything below */
    struct share_counts counts;
    struct share_cell cells[SHARE_CELLS];
    uint32_t slot_count;
    struct share_slot slots[];
};

struct share_file share_file_of(const struct pending *p);

/* Under the lock. */
/* A free slot, or the oldest that nobody works at, emptied; it has a number. NULL: there is none. */
struct share_slot *share_occupy(struct share *share, enum slot_state state, bool is_bundle);
void share_clear(struct share_slot *slot);
void share_wait(struct share *share);

#endif
