/* meeting.h: a stream whose handshake is not over: the preambles, and one message at a time. For handshake.c and prove.c. */
#ifndef PROGRAM_MEETING_H
#define PROGRAM_MEETING_H

#include "auth/proof.h"
#include "program/stream.h"

struct meeting {
    struct stream *stream;
    int64_t deadline_ms; /* of all of it, os_now_ms */
    const struct key *key; /* NULL: nobody has to prove anything */
    unsigned version;
    uint8_t ours[PREAMBLE_SIZE], theirs[PREAMBLE_SIZE];
    bool heard; /* the last message arrived whole: the peer may be told what is wrong with it */
    uint8_t proof[MAC_SIZE]; /* with a key: the mac of AUTH, as sent or as expected */
    struct err unsent; /* why our greeting did not leave; the peer may have said more before it hung up */
};

/* Both preambles, and the version to speak. 0, or -1 and err as handshake. */
int meeting_begin(struct meeting *m, struct err *err);

/* Does not take the item over. 0, or -1 and err. */
int meeting_send(struct meeting *m, struct item *item, struct err *err);
/* The next message, which is one of two types (0: only one). 0 and *ret, or -1 and err; REJECT and ABORT are failures with
 * the peer's code. */
int meeting_recv(struct meeting *m, uint8_t type, uint8_t other_type, struct item **ret, struct err *err);
/* The last word on this stream, unless the peer ended it or it was said: REJECT, or ABORT of a dialler. */
void meeting_end(struct stream *s, uint8_t type, const struct err *why);

/* Preamble of this end, sent. */
int preamble_send(struct stream *s, uint8_t sent[PREAMBLE_SIZE], struct err *err);

#endif
