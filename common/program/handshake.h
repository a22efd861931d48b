/* handshake.h: preamble, HELLO and WELCOME on a new stream (docs/protocol.md, "Handshake"). */
#ifndef PROGRAM_HANDSHAKE_H
#define PROGRAM_HANDSHAKE_H

#include "program/stream.h"

struct handshake {
    enum role role;
    bool dialler;
    uint32_t chunk_size; /* wanted (sender), accepted at most (receiver) */
    uint64_t features;
};

/* What both ends agreed on. */
struct agreement {
    uint8_t session_id[SESSION_ID_SIZE];
    uint32_t codecs, chunk_size;
    uint64_t features;
    uint64_t our_window; /* credit that we granted */
    uint64_t their_window; /* credit that we were granted */
    char agent[64]; /* what the peer is, escaped */
};

/* The window that an end with this role and chunk size grants: the memory that a session may hold. */
uint64_t window_for(enum role role, uint32_t chunk_size);

/* Main thread. timeout_ms bounds all of it. 0, or -1 and err: EXIT_PROTOCOL, EXIT_TIMEOUT, EXIT_STREAM, or the code
 * that the peer refused us with. */
int handshake(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
              struct err *err);

/* The listener's answer to a dialler that it does not serve: preamble and REJECT, before anything is read from it, then
 * a bounded wait until it has read that and closes. */
void handshake_refuse(struct stream *s, const struct err *why);

#endif
