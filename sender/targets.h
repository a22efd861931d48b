/* targets.h: the receivers that hvsend connects to, DEST and those of --to, and a session with each of them.
 *
 * The sessions run at once, and one that fails, waits or is slow holds up no other. They share what they read from (SRC,
 * the key) and what they have read (share.h), and --bwlimit.
 */
#ifndef SENDER_TARGETS_H
#define SENDER_TARGETS_H

#include "sender/sender.h"
#include "transport/transport.h"

struct target {
    char name[512]; /* as it was written, or the beginning of that: every line of its session has it */
    struct addr addr;
    char *into; /* below the receiver's root; NULL: it itself */
};

/* How many of the arguments are SRC: all but a DEST, which is needed only without --to. */
int sources_count(const struct options *o);

/* 0 and the targets (targets_free), or -1 and err: EXIT_USAGE for an address that is wrong or is given twice. */
int targets_parse(const struct options *o, struct target **ret, unsigned *ret_count, struct err *err);
void targets_free(struct target *targets, unsigned count);

/* Sends SRC to all targets. `config` is that of each session, but for SRC and what depends on the target. The exit code, or
 * -1 and err, as endpoint_run. */
int targets_run(const struct target *targets, unsigned count, const struct options *o,
                const struct sender_config *config, struct err *err);

#endif
