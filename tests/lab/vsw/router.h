/* router.h: moves packets between the devices, by destination CID.
 *
 * What is kept: every packet for a connected guest is delivered, in the order in which it came from its sender,
 * unless a fault says otherwise. A guest that takes nothing makes its senders wait: their packets stay in their
 * rings. What nobody can take is answered with RST, as a host does.
 *
 * Time is given by the caller (CLOCK_MONOTONIC, nanoseconds), so that delays can be tested without waiting.
 */
#ifndef ROUTER_H
#define ROUTER_H

#include "device.h"
#include "streams.h"

enum {
    PORTS_MAX = 16,
    BACKLOG_PACKETS_MAX = 4096, /* that wait for one guest, before its senders do */
    BACKLOG_BYTES_MAX = 8 << 20,
    ANSWERS_MAX = 256, /* RSTs that wait for a guest, before nothing is taken from it any more */
    RESETS_MAX = 4 * STREAMS_MAX, /* RSTs that wait for a guest, before it has failed */
};

#define ROUTER_IDLE UINT64_MAX

struct router {
    struct device device[PORTS_MAX];
    unsigned count;
    struct stream_table *streams;
    uint64_t delay_ns; /* faults: each packet waits this long ... */
    uint64_t rate; /* ... and bytes a second into each guest; 0: no limit */
    uint64_t drained; /* packets that have left a queue, ever */
};

/* Moves what can be moved now, at most a batch from and to each device. Returns after how many nanoseconds there
 * is more to do unless a guest kicks: 0 for at once, ROUTER_IDLE for never. Devices that failed stand still. */
uint64_t router_run(struct router *r, uint64_t now);

/* The device of a CID, or NULL. */
struct device *router_find(struct router *r, uint64_t cid);

/* RST to both ends of every stream, or of every stream of `device` unless NULL. Returns how many streams. */
unsigned router_reset_streams(struct router *r, const struct device *device);

/* The front-end of `d` is gone: its streams are reset at their other ends, and device_reset(). */
void router_disconnect(struct router *r, struct device *d);

/* Tells the ends of the streams of `d` what credit was withheld from them. */
void router_show_credit(struct router *r, const struct device *d);

#endif
