/* ahead.h: blocks of an old file that are in the new one before the sender has said that they belong there.
 *
 * What is read to be digested is written at once, from the same memory, and its digest is kept: a block that turns out to
 * be equal is not read a second time. One that differs is written over, and where nothing comes a hole is made. The threads
 * of basis_step put, the sink opens, claims, takes and closes. What the sink has claimed nobody else writes to.
 */
#ifndef RECEIVER_AHEAD_H
#define RECEIVER_AHEAD_H

#include "codec/digest.h"
#include "os/os_file.h"

struct ahead;

struct ahead *ahead_new(void); /* NULL: no memory */
void ahead_free(struct ahead *a); /* NULL is fine */

/* From now on blocks of that file may be put into `file`, which is borrowed until ahead_close. */
void ahead_open(struct ahead *a, uint64_t file_id, struct os_file file, uint32_t block_size);
/* Nothing is put any more. Where the last that was put ends. */
uint64_t ahead_close(struct ahead *a);
/* Nothing before `end` is put any more. Where the last that was put ends. */
uint64_t ahead_claim(struct ahead *a, uint64_t end);
/* True when the block at `offset`, which is claimed, is in the file; *ret is its digest. */
bool ahead_take(struct ahead *a, uint64_t offset, struct digest *ret);

/* True while blocks of that file may be put. */
bool ahead_has(struct ahead *a, uint64_t file_id);
/* n bytes at `offset`, and the digests of their blocks. They are written if that may be of use. One thread at a time writes,
 * the others wait: in the kernel they would do so without sleeping. */
void ahead_put(struct ahead *a, uint64_t file_id, uint64_t offset, const uint8_t *data, size_t n,
               const struct digest *digests);

#endif
