/* router_rig.h: two fake guests, CID 2 and CID 42, on a router whose clock the test holds. */
#ifndef ROUTER_RIG_H
#define ROUTER_RIG_H

#include "command.h"
#include "fake_guest.h"

enum { HOST, GUEST, RIG_GUESTS };
enum { HOST_CID = 2, GUEST_CID = 42, HOST_PORT = 1000, GUEST_PORT = 5000 };

struct router_rig {
    struct router router;
    struct fake_guest guest[RIG_GUESTS];
    uint64_t now; /* nanoseconds */
};

int router_rig_setup(void **state);
int router_rig_teardown(void **state);

/* Runs the router until nothing moves any more; how long it says that it waits. */
uint64_t router_rig_run(struct router_rig *rig);

/* Sends one packet from a guest to the other one's port, and runs the router. */
void router_rig_send(struct router_rig *rig, unsigned from, uint16_t op, const void *data, uint32_t len);

/* Asserts that the next packet that reached `to` has this operation, and gives it. */
struct vsock_hdr router_rig_expect(struct router_rig *rig, unsigned to, uint16_t op);
void router_rig_expect_nothing(struct router_rig *rig, unsigned to);

/* A stream from CID 2 to CID 42: request and response have arrived. */
void router_rig_connect(struct router_rig *rig);

/* Runs a command, whose reply must begin with `reply`. */
void router_rig_command(struct router_rig *rig, const char *line, const char *reply);

#endif
