/* source_impl.h: shared by source.c and source_large.c only. */
#ifndef SENDER_SOURCE_IMPL_H
#define SENDER_SOURCE_IMPL_H

#include "sender/source.h"

/* What became of one attempt to read a file. */
enum attempt {
    ATTEMPT_DONE, /* emitted, or in the bundle, or given up */
    ATTEMPT_CHANGED, /* it changed meanwhile; p->st is what it is now */
    ATTEMPT_FATAL, /* err is set: the session is over */
};

enum attempt source_read_large(struct source *s, struct pending *p, struct err *err);
/* -c: compare with what the receiver has. ATTEMPT_CHANGED: it differs, send it. */
enum attempt source_compare(struct source *s, struct pending *p, struct err *err);

/* Open p for reading; `found` is what it is at this moment. 0, or a negative result. */
int source_open(struct source *s, const struct pending *p, struct os_file *ret, struct os_stat *ret_found);
/* Close a file that was read, together with others, at the latest when the bundle is emitted. */
void source_close_later(struct source *s, struct os_file file);
/* Before the first byte is read: wait until any change to the file, which was `st` when or after it was listed, would change
 * its ctime from now on. For 40 ms at most (4 s where times are whole seconds), and for a write that goes on (os_await_write). */
void source_await_rest(const struct source *s, struct os_file file, const struct os_stat *st);
bool same_file(const struct os_stat *a, const struct os_stat *b);
/* Give p up: report it, and FILE_FAIL. */
enum attempt source_give_up(struct source *s, struct pending *p, int code, int result, const char *what,
                            struct err *err);
/* The same for the result of a system call on it. */
enum attempt source_failed(struct source *s, struct pending *p, int result, const char *what,
                           struct err *err);
/* A pooled buffer, or NULL and err. */
struct buf *source_buffer(struct source *s, struct err *err);
/* A chunk of the n bytes in `buf`, which is taken over. `known`: their digest and where they are shared; NULL: the digest
 * is still to be taken. */
int source_put_chunk(struct source *s, const struct pending *p, struct buf *buf, uint64_t offset, uint32_t n,
                     const struct share_chunk *known, struct err *err);
int source_put(struct source *s, struct item *item, struct err *err); /* item NULL: out of memory */

/* source_delta.c: comparing a file with the digests of what the receiver has. `records` counts what enters the file digest. */
struct compare;
struct compare *compare_new(const struct source *s, struct pending *p); /* NULL: all of it is sent */
void compare_free(struct compare *c); /* NULL is fine */
uint64_t compare_chunk(const struct compare *c); /* most bytes of a chunk */
/* False: at `offset` nothing is to be compared. NULL is fine. */
bool compare_pays(const struct compare *c, uint64_t offset);
/* Reads [offset, end) and emits what differs of it. 1, 0 when the file is shorter now, -1 and err; *ret_result is the
 * failure of the file itself, if any. */
int compare_emit(struct source *s, struct pending *p, struct compare *c, struct os_file file, uint64_t offset,
                 uint64_t end, uint64_t *records, int *ret_result, struct err *err);
/* Emits the equal blocks that wait for their neighbours. NULL is fine. */
int compare_flush(struct source *s, const struct pending *p, struct compare *c, uint64_t *records,
                  struct err *err);

#endif
