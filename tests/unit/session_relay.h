/* session_relay.h: stands between two ends, reads the frames that pass and does to one of them what a plan says.
 *
 * One thread a direction. Frames are counted from 0, after the preamble, in each direction by itself.
 */
#ifndef SESSION_RELAY_H
#define SESSION_RELAY_H

#include "os/os.h"
#include "wire/frame.h"

#include <stdatomic.h>

enum direction { TO_RECEIVER, TO_SENDER, DIRECTIONS };

enum fault_kind {
    FAULT_NONE,
    FAULT_DROP,
    FAULT_DUPLICATE,
    FAULT_SWAP, /* with the frame that follows; without one: dropped */
    FAULT_CUT_BEFORE, /* both directions end before the frame */
    FAULT_CUT_INSIDE, /* … after some of its bytes; `bit` says how many */
    FAULT_FLIP_HEADER, /* bit `bit` modulo the number there */
    FAULT_FLIP_BODY, /* nothing happens to a frame without a body */
    FAULT_FLIP_DATA, /* … without a data area */
    FAULT_FLIP_PREAMBLE,
    FAULT_STALL, /* from this frame on nothing passes in this direction */
    FAULT_KINDS,
};
extern const char *const fault_names[FAULT_KINDS];

enum { EVERY_FRAME = 0x7fffffff };
struct fault {
    enum fault_kind kind;
    enum direction direction;
    unsigned index; /* which frame: of `type` if that is given, else of all; EVERY_FRAME */
    uint8_t type; /* 0: any; data that is sent again does not count */
    uint64_t bit;
    unsigned repeat; /* do it to this many later frames with the same order too */
};

enum { PLAN_FAULTS = 4, RECORD_FRAMES = 256, RELAY_DATA_MAX = 1024 * 1024 };
struct plan {
    struct fault faults[PLAN_FAULTS];
    unsigned count;
};

/* What passed in one direction. */
struct passed {
    unsigned count;
    struct frame frames[RECORD_FRAMES]; /* the first ones */
    unsigned hits; /* frames that a fault was done to */
    unsigned harms; /* those that damaged more than a data area */
    uint8_t hit_type; /* of the first of them */
    unsigned unseen; /* those of a packed data area out of which the same comes */
    bool finish_ack, bye; /* this frame passed whole, and so did everything before it but for data areas */
    bool unreadable; /* an end sent what is no frame */
};

struct relay;
/* Joins the two sockets, which it takes over. `plan` may be NULL and must outlive it. NULL: no memory. */
struct relay *relay_start(int sender_side, int receiver_side, const struct plan *plan);
/* Waits until both ends are gone. */
void relay_join(struct relay *r, struct passed ret[DIRECTIONS]);

#endif
