/* recv_session.h: what a receiver does with each ordered message: a table handler[state][message].
 *
 * Sans-IO towards the peer: messages come in by recv_session_apply, in order, and answers go into the outbox (kick it
 * before waiting).
 * Towards the disk it calls the sink. All of it runs on one thread (the sink stage).
 */
#ifndef RECEIVER_RECV_SESSION_H
#define RECEIVER_RECV_SESSION_H

#include "flow/outbox.h"
#include "program/handshake.h"
#include "program/report.h"
#include "receiver/basis.h"
#include "receiver/sink.h"

enum { BASES_PER_REPLY = 64 };

enum recv_state {
    RECV_AWAIT_START, /* nothing but START */
    RECV_TRANSFER, /* entries, data */
    RECV_FINISHED, /* totals agreed, everything flushed: only BYE */
    RECV_DONE, /* BYE came: close */
    RECV_STATES,
};

/* A file that was asked for, until it is settled. */
struct wanted {
    uint64_t file_id;
    uint32_t uid, gid;
    struct win_attr win;
    size_t bytes; /* what it counts against UNSETTLED_BYTES_MAX */
    struct sink_basis basis; /* size 0: all of it is to come */
    struct basis_job *job; /* its digests, until they are of no use any more; NULL: none */
    unsigned attempts; /* FILE_BEGIN came so often */
    struct file_state was; /* with `told`: what was digested */
    bool told; /* the sender has its content digest, and may say that it is the same */
    bool again; /* it was asked for a second time, whole */
    bool complete; /* it waits to be committed */
    char path[];
};

struct recv_config {
    struct os_dir root; /* borrowed */
    const char *const *selects; /* pull: every path must lie under one of these; NULL: anything */
    unsigned select_count;
    uint64_t flags_or; /* OPT_* that the receiver's own command line adds */
    bool durable_given; /* the receiver's --durable counts, not the sender's */
    enum durable durable;
    uint32_t umask;
    bool no_partial; /* nothing of an interrupted file stays */
    struct usage *usage; /* of the peer; borrowed; NULL: without limits */
    const atomic_bool *cancelled; /* the session ends: what takes long stops; NULL: never */
};

struct recv_session {
    enum recv_state state;
    struct recv_config config;
    struct agreement agreed;
    struct link_in *in;
    struct outbox *out;
    struct report *report;
    struct sink *sink;
    struct basis *basis; /* NULL without FEATURE_DELTA */
    uint64_t flags;
    uint64_t highest_id;
    struct msg_totals totals;
    _Atomic uint64_t progress; /* grows with what is listed, arrives of a wanted file, and is settled */
    bool *select_came; /* for each of config.selects: something of it was offered */
    struct wanted *wanted[UNSETTLED_MAX]; /* by file_id % UNSETTLED_MAX */
    size_t wanted_bytes;
    unsigned wanted_count;
    uint64_t oldest_id; /* none below is wanted */
    uint64_t last_dir_end; /* file_id of the last DIR_END */
    struct {
        bool open; /* between FILE_BEGIN and FILE_END */
        bool ignored; /* it has failed: what comes for it is passed over */
        struct msg_file_begin begin;
        bool counts; /* what comes of it is progress: it was not begun too often */
        bool reused; /* a part of it is of the basis */
        bool gap; /* VOID came in the place of a part of it */
        uint64_t next_offset, chunks;
        struct file_digest *digest;
    } file;
    struct item *verdicts, *durables; /* runs that are being collected */
    struct item *bases[BASES_PER_REPLY]; /* so are these: a burst of them wakes the other end once */
    unsigned base_count;
    struct err out_of_space; /* a full destination ends the session: what follows would fail too */
    bool attributes_lost; /* of Windows, and it was said */
    bool asked; /* REQUEST went out: what comes, and where it goes, is for this end to say */
    bool no_memory; /* for an answer that the sender waits for: the session ends */
    char path[PATH_BYTES_MAX]; /* of the entry at hand */
};

/* `in`, `out`, `report` outlive the session. 0, or -1 and err. */
int recv_session_new(const struct recv_config *config, const struct agreement *agreed, struct link_in *in,
                     struct outbox *out, struct report *report, struct recv_session **ret, struct err *err);
void recv_session_free(struct recv_session *s); /* removes what was not committed; NULL is fine */

/* A receiver that dialled speaks first: its REQUEST. */
int recv_session_request(struct recv_session *s, struct err *err);

/* The next ordered message; the item is used up. 0, or -1 and err: the session is over. */
int recv_session_apply(struct recv_session *s, struct item *item, struct err *err);

/* Before waiting for a message: all answers that were collected go into the outbox. */
void recv_session_answer(struct recv_session *s);

/* Nothing has come for a while: commit the batch that waits. As recv_session_apply. */
int recv_session_idle(struct recv_session *s, struct err *err);
static inline bool recv_session_has_batch(const struct recv_session *s) {
    return s->sink && sink_has_batch(s->sink);
}

#endif
