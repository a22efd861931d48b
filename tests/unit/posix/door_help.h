/* door_help.h: a place to listen at that nobody else has. */
#ifndef DOOR_HELP_H
#define DOOR_HELP_H

#include "stream_help.h"

#include <errno.h>
#include <unistd.h>

/* What dialling fails with while nobody listens. */
#define DOOR_MISSING ENOENT
#define DOOR_MISSING_SAYS "no such socket"

struct door {
    char address[96];
};

static inline void door_make(struct door *door) {
    (void)snprintf(door->address, sizeof door->address, "unix:/tmp/hvferry-door-%d.sock", (int)getpid());
}

/* Who dials it from this process. */
static inline struct peer_id door_peer(void) {
    return (struct peer_id){.kind = PEER_UNIX, .uid = geteuid()};
}

/* Somebody who cannot be the same. */
static inline struct peer_id door_stranger(void) {
    return (struct peer_id){.kind = PEER_UNIX, .uid = geteuid() + 1};
}

#endif
