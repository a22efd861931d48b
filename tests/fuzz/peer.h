/* peer.h: the fuzzer as one end of a session: its input is what that end does on its streams. */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include "program/serve.h"
#include "transport/transport.h"

#include <stddef.h>
#include <stdint.h>

struct digest;

struct peer_plan {
    const struct session_ops *ops; /* of the real end */
    const void *config;
    uint8_t role; /* of the fuzzer's end */
    bool real_dials; /* endpoint_run; else a server */
};

/* Runs the steps of the input (peer.c lists them) against the real end, to its end. The world of sim/ is begun by the
 * caller, and the real end's exit code is returned: PEER_STOPPED for a server that no session had ended. */
enum { PEER_STOPPED = -1 };
int peer_run(const struct peer_plan *plan, const uint8_t *steps, size_t n);
/* How many whole frames of that type the fuzzer's end sent, and the real one wrote, in the last run. */
unsigned peer_sent(uint8_t type);
unsigned peer_heard(uint8_t type);

/* What both targets begin and end with; the input's first 8 bytes are the head. False: there is nothing to do. */
enum { PEER_HEAD = 8, PEER_REAL_DIALS = 1, PEER_CHECKSUM = 2, PEER_SERIAL = 4, PEER_SHORT_READS = 8 };
bool peer_begin(const uint8_t *input, size_t n);
void peer_end(void);

#endif
