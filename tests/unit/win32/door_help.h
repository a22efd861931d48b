/* door_help.h: a place to listen at that nobody else has. */
#ifndef DOOR_HELP_H
#define DOOR_HELP_H

#include "os/os.h"
#include "stream_help.h"

#include <errno.h>

/* What dialling fails with while nobody listens. */
#define DOOR_MISSING ECONNREFUSED
#define DOOR_MISSING_SAYS "nobody"

struct door {
    char address[96];
};

static inline void door_make(struct door *door) {
    enum { TRIES = 50, PORT_FIRST = 20000, PORT_COUNT = 20000 };
    for (int i = 0; i < TRIES; i++) {
        uint16_t random;
        struct listener *listener = NULL;
        os_random(&random, sizeof random);
        (void)snprintf(door->address, sizeof door->address, "tcp://127.0.0.1:%d",
                       PORT_FIRST + random % PORT_COUNT);
        struct addr addr = address_of(true, door->address, "");
        int result = listener_open(&addr, &listener, NULL);
        addr_free(&addr);
        listener_close(listener);
        if (result == 0)
            return;
    }
    fail_msg("no port to listen on");
}

/* Who dials it from this process. */
static inline struct peer_id door_peer(void) {
    return (struct peer_id){.kind = PEER_TCP};
}

/* Somebody who cannot be the same. */
static inline struct peer_id door_stranger(void) {
    return (struct peer_id){.kind = PEER_HYPERV, .vm = {{1}}};
}

#endif
