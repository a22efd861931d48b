/* basis.h: digests of what the receiver has of files that are to come (BASIS_BLOCKS), made beside everything else.
 *
 * One file at a time, in the order in which they were added, block by block, at most BASIS_AHEAD_MAX blocks ahead of what
 * has come of the files: that bounds the memory of the sender, which keeps digests until it gets there. Where the sender
 * does not wait for digests it finds no use for them, and is asked about ever fewer blocks. Digests that the sender does not
 * take are bounded here, too: those of files that were given up meanwhile count on.
 *
 * The sink stage adds, moves and drops; basis_step belongs to one thread at a time, which may have helpers for what is
 * large. Lock order: basis -> outbox, basis -> ahead.
 */
#ifndef RECEIVER_BASIS_H
#define RECEIVER_BASIS_H

#include "core/err.h"
#include "flow/outbox.h"
#include "os/os_file.h"
#include "receiver/sink.h"

struct basis;
struct basis_job; /* the digests of one file */

struct basis *basis_new(struct outbox *out); /* NULL: no memory */
/* From now on so many threads, at most, help basis_step: they are started when there is something to share, if they can be,
 * and end with basis_close. Never called: none. */
void basis_allow_helpers(struct basis *b, unsigned count);
void basis_free(struct basis *b); /* jobs that were not dropped too; NULL is fine */
/* Where blocks go that are digested; the basis has it. */
struct ahead *basis_ahead(struct basis *b);
/* What the paths of jobs are below; before the first of them. Taken over. */
void basis_set_root(struct basis *b, struct os_dir root);
/* NULL: no memory. Whoever adds a job drops it. */
struct basis_job *basis_add(struct basis *b, uint64_t file_id, const char *path,
                            const struct sink_basis *basis);
/* All before `offset` has come. */
void basis_move(struct basis *b, struct basis_job *job, uint64_t offset);
/* No BASIS of that file is put out from now on, and none of what it was made from is open any more: where a name cannot be
 * taken from an open file, the new one could not be renamed. NULL is fine. */
void basis_drop(struct basis *b, struct basis_job *job);

/* Makes one BASIS. 1: it did; 0: nothing to do now; -1 and err (EXIT_MEMORY). */
int basis_step(struct basis *b, struct err *err);
/* Waits until there is something to do. False: over. */
bool basis_wait(struct basis *b);
void basis_close(void *b); /* ends all waits, and helpers, for good */

#endif
