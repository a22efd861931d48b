/* packet.h: a packet on its way, and copying between chains of buffers.
 *
 * A packet with data leaves the data where the sending guest has it: its chain stays taken from the guest's ring
 * until the last byte is delivered. So what waits is bounded by the rings, nothing is copied twice, and a guest
 * that sends faster than the other one takes runs out of descriptors. Only when a ring goes away under its
 * packets are they copied (packet_own()).
 */
#ifndef PACKET_H
#define PACKET_H

#include "virtqueue.h"
#include "vsock_hdr.h"

#include <sys/queue.h>

struct device;

/* A place in a chain of buffers. */
struct seg_cursor {
    const struct vq_seg *seg;
    uint32_t used; /* bytes of the first segment that are behind */
};

/* Moves both on by n bytes; the chains must have as many. */
void cursor_copy(struct seg_cursor *to, struct seg_cursor *from, uint32_t n);
void cursor_read(struct seg_cursor *from, void *to, uint32_t n);
void cursor_write(struct seg_cursor *to, const void *from, uint32_t n);

struct packet {
    struct vsock_hdr hdr;
    struct seg_cursor data; /* what is left of it */
    uint32_t left; /* bytes of it */
    uint64_t taken_ns; /* when the switch took it; CLOCK_MONOTONIC */
    struct device *from; /* whose taken chain `head` is; NULL when the packet owns its data, or has none */
    uint16_t head;
    struct device *to; /* in whose queue it is */
    bool is_answer; /* made by the switch */
    TAILQ_ENTRY(packet) in_queue; /* of `to` */
    TAILQ_ENTRY(packet) in_pinned; /* of `from` */
    uint8_t *copy; /* owned data */
    struct vq_seg seg[]; /* what `data` points into, once the packet is in a queue */
};

TAILQ_HEAD(packet_list, packet);

/* A packet of `p` that can wait: with its own segments. NULL when there is no memory. */
struct packet *packet_keep(const struct packet *p);

/* Copies the data that is left out of the chain, which is then free to be completed. 0, or -1 for no memory. */
int packet_own(struct packet *p);

/* The packet is in no list and its chain is completed. */
void packet_free(struct packet *p);

#endif
