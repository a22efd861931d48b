/* share.h: what the sessions of one process, to several receivers, share: what one has read, digested and packed, the
 * others take while it is still at hand.
 *
 * Nothing is promised: a session that finds nothing reads and packs by itself, as if it were alone. So none waits for a
 * slow one. It waits only while a thread of another session is in the middle of reading, digesting or packing that very
 * chunk (a *claim*), between which and the end of it that thread waits for nobody; and a cancel ends that wait too.
 *
 * Why what is taken is as good as what is read. A chunk of a large file is found only under the status (size, mtime, ctime
 * and all that same_file compares) which the reader saw before it read, and which the taker saw when it opened the file.
 * The reader had let the tick of the clock pass, so that any change since then shows in ctime. Both look at the status
 * again after their last chunk, that is after the read. So the taker, too, has seen it unchanged before and after. A small
 * file is found only when its reader has seen, after reading, the status that the taker's listing shows: the taker sends
 * what the file was at that moment, whole. The path is compared as well, by its digest, for file systems whose inode
 * numbers are not unique. A bundle is found only under the list of all its files, each with its status.
 *
 * One lock, which is taken last but for that of the store of blocks: run -> share -> block store. Memory is copied without it.
 */
#ifndef SENDER_SHARE_H
#define SENDER_SHARE_H

#include "codec/digest.h"
#include "sender/ledger.h"
#include "sync/sync.h"

#include <stdbool.h>
#include <stdint.h>

struct share;
struct share_slot;

/* For so many sessions at a time, which have the same roots. chunk_size: the largest of any of them. NULL: no memory. */
struct share *share_new(unsigned sessions, uint32_t chunk_size);
void share_free(struct share *share); /* all sessions are over; NULL is fine */
struct block_store *share_store(struct share *share); /* what the pools of its sessions stand on */

/* What was read or packed here, and what was taken instead. */
struct share_counts {
    uint64_t chunks_read, chunks_taken; /* of large files */
    uint64_t files_read, files_taken; /* small ones */
    uint64_t bundles_digested, bundles_taken;
    uint64_t packed, packed_taken;
};
struct share_counts share_counts(struct share *share);

/* One session's part in it. Everything below may be called with NULL in its place: there is nothing to share. */
struct share_user {
    struct share *share;
    bool cancelled; /* share's lock */
    /* Read stage. */
    struct share_slot *bundle; /* that is being filled; NULL: not shared */
    bool claimed; /* the file that is being read for it */
};
void share_join(struct share_user *user, struct share *share);
void share_cancel(void *user); /* for run_on_cancel */

/* A chunk or bundle as a session comes by it. */
struct share_chunk {
    struct digest digest; /* of the raw bytes */
    uint64_t id; /* under which the packed bytes are found; 0: they are not */
    struct share_slot *claim;
};

/* ---- read stage ------------------------------------------------------------------------------------------ */

/* A chunk of a large file that is open. True: `buf` stands on its bytes now, and *ret tells the digest. False: read and
 * digest it, and say what came of it: share_put, or share_drop. */
bool share_take(struct share_user *user, const struct pending *p, uint64_t offset, uint32_t n,
                struct buf *buf, struct share_chunk *ret);
void share_put(struct share_user *user, const struct buf *buf, struct share_chunk *chunk);
void share_drop(struct share_user *user, struct share_chunk *chunk);

/* A bundle is begun in `buf`. Its files follow, each with what came of it, then its end. */
void share_begin_bundle(struct share_user *user, const struct buf *buf);
/* True: the bytes of p stand at `to`. False: read it, and say what came of it: share_put_file, or share_drop_file. */
bool share_take_file(struct share_user *user, const struct pending *p, uint8_t *to);
void share_put_file(struct share_user *user);
void share_drop_file(struct share_user *user);
/* True: *ret tells the digest of its n bytes, and `buf` may stand on another's. False: it was not shared. */
bool share_end_bundle(struct share_user *user, struct buf *buf, uint32_t n, struct share_chunk *ret);
/* Nobody else gets what is in the bundle, nor what comes into it. */
void share_forget_bundle(struct share_user *user);

/* ---- packing --------------------------------------------------------------------------------------------- */

enum share_packing {
    SHARE_ALONE, /* pack it by yourself */
    SHARE_PACK, /* the same, and say what came of it: share_put_packed, or share_drop_packed */
    SHARE_PACKED, /* the buffer stands on the packed bytes now; 0 of them: it does not shrink */
};
enum share_packing share_take_packed(struct share_user *user, uint64_t id, uint8_t codec, struct buf *buf,
                                     uint32_t *ret_length);
/* length 0: it does not shrink, and `buf` is not looked at. */
void share_put_packed(struct share_user *user, uint64_t id, const struct buf *buf, uint32_t length);
void share_drop_packed(struct share_user *user, uint64_t id);

#endif
