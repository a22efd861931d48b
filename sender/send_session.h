/* send_session.h: what a sender does with each ordered message of the receiver: a table handler[state][message].
 *
 * Sans-IO towards the peer. Runs on the ack stage; the handshake's main thread handles REQUEST before that.
 */
#ifndef SENDER_SEND_SESSION_H
#define SENDER_SEND_SESSION_H

#include "flow/flight.h"
#include "flow/link.h"
#include "program/handshake.h"
#include "sender/ledger.h"

enum send_state {
    SEND_AWAIT_REQUEST, /* this end listened: the receiver says what it wants */
    SEND_TRANSFER,
    SEND_DONE, /* totals agree, BYE is on its way */
    SEND_STATES,
};

struct send_session {
    enum send_state state;
    struct agreement agreed;
    struct link_in in;
    struct outbox *out;
    struct ledger *ledger;
    struct flight *flight;
    struct report *report;
    const struct source_root *roots;
    struct pool *spare; /* for chunks that are read again, one after another: never waits for the pipeline */
    /* From REQUEST. */
    uint64_t requested_flags;
    char **selects;
    unsigned select_count;
    bool has_selects;
};

void send_session_free(struct send_session *s); /* what the session allocated itself */

/* The next message; used up. Unordered ones (ACK, HEARTBEAT, ABORT) too. 0, or -1 and err: the session is over. */
int send_session_take(struct send_session *s, struct item *item, struct err *err);

/* After a break; see struct line_hooks. */
void send_session_settle(struct send_session *s, uint64_t *ret_processed);
int send_session_prepare(struct send_session *s, struct ticketed *chain, struct err *err);
uint64_t send_session_progress(struct send_session *s);
/* Send stage: the data of a chunk that lacks it, since it is sent again, or VOID in its place. 0, or -1 and err. */
int send_session_reread(struct send_session *s, struct item *item, struct err *err);

/* START, the first ordered message of the sender. */
int send_session_start(struct send_session *s, uint64_t flags, enum durable durable, const char *into,
                       struct err *err);

#endif
