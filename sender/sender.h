/* sender.h: one session of a sender, from the open stream to the goodbye. */
#ifndef SENDER_SENDER_H
#define SENDER_SENDER_H

#include "program/bwlimit.h"
#include "program/line.h"
#include "program/options.h"
#include "program/serve.h"
#include "sender/pack.h"
#include "sender/send_session.h"
#include "sender/source.h"

struct sender_config {
    const struct source_root *roots; /* borrowed */
    int root_count;
    uint64_t flags; /* OPT_* */
    enum durable durable;
    const char *into; /* NULL: the receiver's root */
    unsigned codec; /* enum codec_id or CODEC_AUTO */
    int level;
    uint32_t chunk_size; /* wanted */
    unsigned streams; /* wanted (dialler), at most (listener) */
    enum delta_choice delta;
    int timeout_ms, handshake_ms;
    const struct key *key; /* borrowed; NULL: none */
    struct share *share; /* borrowed; of several sessions that run at the same time; NULL: none */
    bool dialler, serial;
    struct bwlimit bwlimit;
    struct pace *pace; /* borrowed: the limit is kept by several sessions together; NULL: by each alone */
    struct report_style style;
};

struct sender {
    const struct sender_config *config;
    struct line line;
    struct run run;
    struct report report;
    struct send_session session;
    uint64_t flags; /* the command line's, and those of a REQUEST */
    struct scan *scan;
    struct source source;
    uint64_t next_ticket; /* read stage: of the next data item */
    struct pack_policy policy;
    struct share_user share; /* when the config has one */
    struct pool *pool, *parts; /* parts: see source.h */
    unsigned pack_threads; /* 0: the read stage packs */
    unsigned lent; /* read stage: chunks that may be in hand, 0: as many as the pool has */
    struct queue *raw; /* read -> pack; not with 0 */
    struct packer packer; /* read stage, with 0 */
    struct outbox *out; /* scan, pack, ack -> send */
    struct pace own_pace;
    struct pace *pace; /* NULL until there is one */
    struct file_digest *digest; /* send stage: of the file whose chunks pass */
};

/* For serve.h and endpoint.h: config is a struct sender_config, the session a struct sender. Everything is
 * reported by the session itself. */
extern const struct session_ops sender_ops;

#endif
