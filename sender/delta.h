/* delta.h: the receiver's digests of a file that it has something of, from when they come until the file is read.
 *
 * The ack stage adds them, the read stage uses them up in the order of the file and waits for those that are on their way.
 * The receiver sends digests only so far ahead (BASIS_AHEAD_MAX, over all files); one that does not keep to that is refused.
 *
 * Lock order: ledger -> delta_box.
 */
#ifndef SENDER_DELTA_H
#define SENDER_DELTA_H

#include "codec/digest.h"
#include "sync/sync.h"
#include "wire/msg.h"

#include <stdatomic.h>

struct delta_box; /* the digests of all files of a session */
struct delta { /* those of one */
    struct delta_box *box;
    uint64_t size; /* of what the receiver has; constant */
    uint32_t block_size; /* constant */
    uint64_t next; /* box's lock; first block that may still come */
    struct delta_piece *first, *last; /* box's lock */
    bool complete; /* box's lock; nothing comes any more */
    bool closed; /* box's lock; what comes is dropped */
};

struct delta_box *delta_box_new(void); /* NULL: no memory */
void delta_box_free(struct delta_box *box); /* after all its deltas; NULL is fine */
void delta_box_cancel(struct delta_box *box);
/* Digests that came while their file was not read: no more of a file than it has, and of all files BASIS_AHEAD_MAX. */
uint64_t delta_box_kept(struct delta_box *box);
void delta_box_wake(struct delta_box *box); /* some file has failed */

/* BASIS of kind BASIS_BLOCKS; *delta is NULL for the first one of a file. 0, or -1 and err. */
int delta_add(struct delta_box *box, struct delta **delta, const struct msg_basis *m, struct err *err);
void delta_free(struct delta *delta); /* NULL is fine */

/* The digest of `block`. Blocks are asked for in ascending order; those before are dropped. */
enum delta_answer { DELTA_AWAITED, DELTA_HERE, DELTA_NONE };
enum delta_answer delta_get(struct delta *delta, uint64_t block, struct digest *ret);
/* Waits until delta_get knows about `block`, or `*failed`. False: cancelled. */
bool delta_wait(struct delta *delta, uint64_t block, const _Atomic bool *failed);
/* No block is asked for any more. */
void delta_close(struct delta *delta);
bool delta_is_closed(struct delta *delta);

#endif
