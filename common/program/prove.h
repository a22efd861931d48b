/* prove.h: both ends of a new stream prove to each other that they have the key, before anything is granted
 * (docs/protocol.md, "Authentication"). All return 0, or -1 and err (EXIT_REFUSED; what else may fail, as handshake): then
 * the peer has been told no more than that authentication failed, whatever the reason. err is for this end's log.
 */
#ifndef PROGRAM_PROVE_H
#define PROGRAM_PROVE_H

#include "program/meeting.h"

/* Listener with a key: HELLO came, with this body; sends CHALLENGE. */
int prove_challenge(struct meeting *m, const struct msg_hello *hello, struct span body, struct err *err);
/* And waits for AUTH. */
int prove_await_auth(struct meeting *m, struct err *err);
/* Listener, session with a key: TAG_MAC, under the mac of this stream's AUTH, as the last tag of WELCOME. */
int prove_in_welcome(const struct key *key, const uint8_t auth[MAC_SIZE], struct wr *welcome,
                     struct err *err);

/* Dialler with a key: CHALLENGE came; sends AUTH. */
int prove_answer(struct meeting *m, struct span hello, struct span challenge, struct err *err);
/* And WELCOME, with this body. */
int prove_check_welcome(struct meeting *m, const struct msg_hello *welcome, struct span body,
                        struct err *err);
/* Dialler with a key: WELCOME came without CHALLENGE. */
int prove_missing(struct meeting *m, struct err *err);

#endif
