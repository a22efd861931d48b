/* device.h: one virtio-vsock device as its front-end sets it up: memory, rings, files, and the packets that wait.
 *
 * The CID and the faults stay for the life of the program; everything else is from one front-end and goes with
 * it. One thread.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "packet.h"

enum { RING_RX, RING_TX, RING_EVENT, RINGS };

struct device_stats {
    uint64_t rx_packets, rx_bytes; /* to the guest; bytes are of data */
    uint64_t tx_packets, tx_bytes; /* from the guest */
    uint64_t drops; /* packets to or from this guest that were thrown away */
};

struct device {
    uint64_t cid;
    bool is_connected; /* a front-end is there */
    struct err failure; /* set when the guest broke a rule: its connection is to be closed */

    struct guest_mem mem;
    struct virtqueue ring[RINGS];
    int kick[RINGS], call[RINGS]; /* -1: none */
    bool has_news[RINGS]; /* chains were completed that the guest was not told of */
    int backend_req; /* -1: none. Nothing is ever sent there, but user-mode Linux wants it to be taken */
    uint64_t features;

    struct packet_list queue; /* packets for this guest, oldest first */
    unsigned queued, answers; /* packets in it; those of them that the switch made */
    uint64_t queued_bytes;
    struct packet_list pinned; /* packets of this guest in the queues of others */
    bool is_starved; /* its queue waits for receive buffers */
    bool is_held; /* its next packet waits for another guest, or for this one to take its answers */

    bool is_vanished, is_stalled; /* faults */
    uint64_t free_ns; /* when the next packet may be delivered under a rate */
    struct device_stats stats;
};

/* The answer to a request. */
struct vu_reply {
    uint32_t size; /* 0: no reply */
    uint8_t payload[VU_PAYLOAD_MAX];
};

void device_init(struct device *d, uint64_t cid);

/* Does what a decoded request asks for. Of the files `fds`, those that are kept become -1. 0 and `ret`; -1 when
 * the request is refused, in which case the connection is to be closed. */
int device_request(struct device *d, const struct vu_msg *m, int *fds, struct vu_reply *ret, struct err *err);

/* The front-end is gone: its packets in other queues and those that wait for it are thrown away. */
void device_reset(struct device *d);

/* Puts a copy of `p` at the end of `to`'s queue. 0, or -1 for no memory: `to` has failed, and the packet's chain
 * is still the caller's. */
int device_enqueue(struct device *to, const struct packet *p);

/* Takes a packet out of its queue, completes its chain and frees it. */
void device_dequeue(struct packet *p);

/* Gives a taken chain back; the guest is told by device_tell(). */
void device_complete(struct device *d, unsigned ring, uint16_t head, uint32_t written);

/* Tells the guest of completed chains, if it wants to know. */
void device_tell(struct device *d);

/* What the other guests may count on. */
bool device_takes_packets(const struct device *d);

#endif
