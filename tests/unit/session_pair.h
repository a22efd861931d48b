/* session_pair.h: a sender and a receiver, each on its own thread as in the programs, with a relay between them.
 *
 * What they print is caught; `pair_said` shows it. Only the test's thread uses cmocka's assertions.
 */
#ifndef SESSION_PAIR_H
#define SESSION_PAIR_H

#include "session_relay.h"
#include "session_tree.h"

#include "receiver/receiver.h"
#include "sender/sender.h"

enum {
    PAIR_CHUNK = CHUNK_SIZE_MIN,
    PATIENT_MS = 120 * 1000, /* for what must succeed: far more than it takes */
    HASTY_MS = 450, /* for what is to fail: a lost frame shows at the next heartbeat, a third of it */
};

/* Where sessions are slow (sanitizers, Wine), tests of many sessions take every STRIDEth case only.
 * HVFERRY_TEST_STRIDE in the environment sets it. */
unsigned pair_stride(void);

struct pair_options {
    bool sender_serial, receiver_serial;
    bool receiver_dials;
    const char *const *selects; /* of a receiver that dials */
    unsigned select_count;
    uint64_t flags; /* 0: recursive, links, modes, times */
    unsigned codec; /* enum codec_id */
    enum durable durable;
    uint32_t sender_chunk, receiver_chunk; /* 0: PAIR_CHUNK */
    int timeout_ms; /* 0: PATIENT_MS */
    struct share *share; /* sender's; NULL: none */
    const struct plan *plan;
    /* After so many microseconds, end one side as a signal would; 0: not. */
    unsigned stop_sender_us, stop_receiver_us;
};

struct side {
    int code;
    char message[ERR_MESSAGE_MAX]; /* "" when the session itself did not fail */
    uint64_t committed, skipped, failed, resent, raw;
};

struct pair_result {
    struct side sender, receiver;
    struct passed passed[DIRECTIONS];
    const char *leak; /* NULL, or what was left behind: static text */
};

/* One session from `source` to `dest`. */
void pair_run(const struct pair_options *opt, struct os_dir source, struct os_dir dest,
              struct pair_result *ret);

/* The parts of it. From pair_catch on what is printed is caught; what was caught before is forgotten. */
void pair_catch(void);
struct sender_config pair_sender_config(const struct pair_options *opt, const struct source_root *root);
struct receiver_config pair_receiver_config(const struct pair_options *opt, struct os_dir dest);

/* What both ends printed in the last run. */
const char *pair_said(void);

/* ---- a source, and a destination that is made anew for each session ---- */

struct stage_set {
    struct scratch scratch;
    struct os_dir source, dest;
    struct tree wanted; /* the source */
    struct tree old; /* the destination before a session */
};
void stage_set_up(struct stage_set *set);
void stage_set_free(struct stage_set *set);
void stage_set_reset(struct stage_set *set); /* the destination is as before again */

/* A session from set->source to a fresh set->dest, and all that holds whatever happened to it: both ended, nothing is
 * left behind, each name is old or new, a 0 means that the trees agree. NULL, or what is wrong (static text). */
const char *stage_run(struct stage_set *set, const struct pair_options *opt, struct pair_result *ret);
/* … and what must come of the one fault in opt->plan. */
const char *stage_run_fault(struct stage_set *set, const struct pair_options *opt, struct pair_result *ret);

/* Fails the test unless `problem` is NULL; says which case it was. */
void pair_require(const char *problem, const struct pair_options *opt, const struct pair_result *result);

#endif
