/* receiver.h: one session of a receiver, from the open stream to the goodbye. */
#ifndef RECEIVER_RECEIVER_H
#define RECEIVER_RECEIVER_H

#include "program/line.h"
#include "program/serve.h"
#include "receiver/recv_session.h"

struct receiver_config {
    struct recv_config session;
    uint32_t chunk_size; /* largest that is accepted */
    unsigned streams; /* wanted (dialler), at most (listener) */
    int timeout_ms; /* silence of the peer; -1: none */
    int handshake_ms;
    const struct key *key; /* borrowed; NULL: none */
    bool dialler;
    bool serial; /* one thread does everything */
    bool whole_files; /* --delta=off */
    struct report_style style;
    struct usage_table *usages; /* borrowed; NULL: nothing is limited */
};

/* A running session, so that another thread can end it. */
struct receiver {
    const struct receiver_config *config;
    struct line line;
    struct run run;
    struct report report;
    struct agreement agreed;
    struct link_in in;
    struct os_mutex arriving; /* of the threads that read: their part of `in` */
    struct outbox *out;
    struct flight *flight; /* answers that the sender has not processed */
    struct pool *pool;
    unsigned unpack_threads; /* 0: the ingest stage unpacks */
    struct queue *packed; /* ingest -> unpack; not with 0 */
    struct tally unpacking; /* data frames in `packed` and in the unpack stage */
    struct sequencer *ordered; /* ingest, unpack -> sink */
    struct refusals *refusals;
    struct recv_session *session;
};

/* For serve.h and endpoint.h: config is a struct receiver_config, the session a struct receiver. Everything is
 * reported by the session itself. */
extern const struct session_ops receiver_ops;

#endif
