/* harm.h: what happens to the frames of two ends on their way, as a script says, and what passed. */
#ifndef FUZZ_HARM_H
#define FUZZ_HARM_H

#include "../sim/sim_net.h"
#include "wire/frame.h"

enum harm_kind {
    HARM_NONE,
    HARM_DROP,
    HARM_DOUBLE,
    HARM_SWAP, /* with the frame that follows it on the same stream */
    HARM_CUT, /* both directions end before the frame */
    HARM_CUT_LOSSY, /* … and what is on its way is lost */
    HARM_CUT_INSIDE, /* … after some of its bytes */
    HARM_FLIP_HEADER, /* or the preamble */
    HARM_FLIP_BODY,
    HARM_FLIP_DATA,
    HARM_DELAY,
    HARM_STALL, /* nothing more passes in this direction of the stream */
    HARM_REFUSE, /* cut, and the next dials are refused */
    HARM_KINDS,
};

struct harm {
    enum harm_kind kind;
    unsigned direction; /* as in sim_net.h */
    unsigned index; /* which frame, or preamble, of all in this direction; from 0 */
    unsigned arg; /* bit, bytes or ms */
};

enum { HARMS_MAX = 24, HARM_STREAMS_MAX = 1024 };
struct harm_script {
    struct harm harms[HARMS_MAX];
    unsigned count;
};

struct harm_state {
    struct harm_script script;
    /* Of each frame that an end writes, harmed or not. */
    void (*seen)(void *ctx, const struct frame *f, const uint8_t *body);
    void *ctx;
    unsigned index[2];
    struct held {
        uint8_t *bytes;
        size_t n;
        unsigned stream;
    } held[2];
    bool stalled[2][HARM_STREAMS_MAX];
    /* What was done. */
    bool greeting; /* something to the first greeting */
    unsigned flips; /* of data */
    bool farewell; /* FINISH_ACK was written, and after that something was done, or it was itself hit */
    bool finishing;
    uint8_t hit[MSG_TYPE_LIMIT];
};

/* For struct sim_net; ctx is a struct harm_state. */
void harm_tap(void *ctx, struct sim_stream *s, unsigned direction, const uint8_t *p, size_t n);
void harm_free(struct harm_state *h);

#endif
