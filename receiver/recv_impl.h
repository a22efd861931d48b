/* recv_impl.h: shared by the files of the receiving session only. */
#ifndef RECEIVER_RECV_IMPL_H
#define RECEIVER_RECV_IMPL_H

#include "receiver/recv_session.h"

typedef int recv_handler(struct recv_session *s, struct item *item, struct err *err);

recv_handler recv_start, recv_entries, recv_unlisted, recv_list_end; /* recv_tree.c */
recv_handler recv_file_begin, recv_chunk, recv_hole, recv_bundle, recv_file_end; /* recv_file.c */
recv_handler recv_reuse; /* recv_delta.c */
recv_handler recv_file_fail, recv_file_same, recv_void; /* recv_file.c */

/* What a sink says with EXIT_SIGNAL: the session ends. Always -1. */
static inline int recv_cancelled(struct err *err) {
    return err_set(err, EXIT_SIGNAL, "cancelled");
}

struct wanted *recv_find(struct recv_session *s, uint64_t file_id); /* NULL: not wanted */
/* A new id: it is not too far ahead of the oldest that is wanted. 0, or -1 and err (EXIT_STREAM). */
int recv_check_span(struct recv_session *s, uint64_t file_id, struct err *err);
int recv_want(struct recv_session *s, const struct entry *e, struct err *err);
void recv_forget(struct recv_session *s, struct wanted *w); /* frees it */

/* Add an id to the VERDICTS that are collected. 0, or -1 and err (EXIT_MEMORY). */
int recv_verdict(struct recv_session *s, uint64_t file_id, enum verdict verdict, struct err *err);

/* The transfer moved. Not for what a sender can repeat without end. */
void recv_progress(struct recv_session *s);

/* A listed file failed here: FILE_ERROR, message, totals. `why` names the path. */
void recv_file_error(struct recv_session *s, uint64_t file_id, const char *path, const struct err *why);
/* The sink's callback. */
void recv_settled(void *ctx, uint64_t file_id, uint64_t size, const struct err *err);

/* recv_tree.c: */
/* The list is over: what was asked for by name, and nothing of it was offered, is a failure. */
void recv_report_missing(struct recv_session *s);

/* recv_delta.c: */
/* Answers a file with digests of what there is of it, if that may pay. 1: it did; 0: it is to be sent whole; -1 and err. */
int recv_offer_basis(struct recv_session *s, struct wanted *w, uint64_t size, struct err *err);
/* No digest of it is of use any more. */
void recv_stop_basis(struct recv_session *s, struct wanted *w);
/* The digest of a file that took over blocks, or that has a gap, is wrong: it is asked for again, whole. 1: it is; 0: not a
 * second time; -1 and err. */
int recv_want_whole(struct recv_session *s, struct wanted *w, struct err *err);

/* recv_file.c: */
/* The open file failed here: what still comes for it is passed over. */
void recv_fail_open_file(struct recv_session *s, const struct err *why);
/* The message belongs to the open file and does not go back in it; *ret_end is where it ends. */
int recv_check_place(struct recv_session *s, const char *name, uint64_t file_id, uint64_t offset,
                     uint64_t length, uint64_t *ret_end, struct err *err);
/* Everything before `end` has come. */
void recv_moved(struct recv_session *s, uint64_t end);

#endif
