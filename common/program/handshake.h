/* handshake.h: preamble, HELLO and WELCOME on a new stream (docs/protocol.md, "Handshake"). */
#ifndef PROGRAM_HANDSHAKE_H
#define PROGRAM_HANDSHAKE_H

#include "auth/key.h"
#include "program/stream.h"

struct handshake {
    enum role role;
    bool dialler;
    uint32_t chunk_size; /* wanted (sender), accepted at most (receiver) */
    uint64_t features;
    unsigned streams; /* wanted (dialler), granted at most (listener); 0 is 1 */
    const struct key *key; /* borrowed; both ends must prove that they have it. NULL: none does */
    /* Listener, before it welcomes a new session, and after the dialler proved itself: 0, or -1 and err to reject it. NULL: always. */
    int (*admit)(void *ctx, struct err *err);
    void *admit_ctx;
};

/* What both ends agreed on. */
struct agreement {
    uint8_t session_id[SESSION_ID_SIZE];
    unsigned version;
    uint32_t codecs, chunk_size;
    uint64_t features;
    unsigned streams; /* that the session may have; 1 without FEATURE_STREAMS */
    uint64_t our_window; /* credit that we granted */
    uint64_t their_window; /* credit that we were granted */
    const struct key
        *key; /* of a session that was authenticated, and each of its streams has to be; else NULL */
    char agent[64]; /* what the peer is, escaped */
};

/* What a dialler says whose stream is for a session that there is: to go on with it after a break, or to join it. */
struct comeback {
    uint16_t version;
    uint8_t role; /* enum role, of the dialler */
    uint8_t intent; /* INTENT_RESUME or INTENT_JOIN */
    uint8_t session_id[SESSION_ID_SIZE];
    uint16_t stream; /* INTENT_JOIN: which one it is */
    uint64_t processed; /* INTENT_RESUME: what the dialler has processed */
    bool proven; /* it has our key */
    uint8_t proof[MAC_SIZE]; /* the mac of its AUTH then */
};

/* The window that an end with this role and chunk size grants: the memory that a session may hold. */
uint64_t window_for(enum role role, uint32_t chunk_size);

/* Main thread. timeout_ms bounds all of it. 0, or -1 and err: EXIT_PROTOCOL, EXIT_TIMEOUT, EXIT_STREAM, EXIT_REFUSED, or the
 * code that the peer refused us with. Until the peer has proven that it has the key, no more than HANDSHAKE_BODY_MAX bytes
 * and a header of what it sends are kept. */
int handshake(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
              struct err *err);

/* Only the preambles: whether an hvferry is at the other end. 0 and the version that both know, or -1 and err as
 * handshake. */
int handshake_probe(struct stream *s, int timeout_ms, unsigned *ret_version, struct err *err);

/* The listener's answer to a dialler that it does not serve: preamble and REJECT, before anything is read from it, then
 * a bounded wait until it has read that and closes. */
void handshake_refuse(struct stream *s, const struct err *why);

/* As handshake, for a listener that has sessions: HANDSHAKE_BACK and *ret_back when the dialler's stream is for one of
 * them. Nothing is answered then: handshake_accept, handshake_admit or handshake_reject does that. */
enum { HANDSHAKE_BACK = 1 };
int handshake_listen(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
                     struct comeback *ret_back, struct err *err);
/* The listener takes the dialler `back`: `processed` is what this end has processed. 0, or -1 and err. */
int handshake_accept(struct stream *s, enum role role, const struct agreement *agreed,
                     const struct comeback *back, uint64_t processed, struct err *err);
/* The same for a further stream. */
int handshake_admit(struct stream *s, enum role role, const struct agreement *agreed,
                    const struct comeback *back, struct err *err);
/* Unless the peer ended it. The last word on this stream, on which nothing follows. */
void handshake_reject(struct stream *s, const struct err *why);

/* A dialler comes back on a new stream. 0 and what the listener has processed, or -1 and err; EXIT_REFUSED when it does
 * not know the session any more. HANDSHAKE_VIOLATED and err: it answers for another session than was agreed on. */
enum { HANDSHAKE_VIOLATED = -2 };
int handshake_resume(struct stream *s, enum role role, const struct agreement *agreed, uint64_t processed,
                     int timeout_ms, uint64_t *ret_processed, struct err *err);
/* A dialler opens further stream `index`. 0, or -1 and err. */
int handshake_join(struct stream *s, enum role role, const struct agreement *agreed, unsigned index,
                   int timeout_ms, struct err *err);

#endif
