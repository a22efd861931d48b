/* virtqueue.h: the device's side of a split virtqueue (virtio 1.x, without indirect descriptors and event index).
 *
 * The rings lie in memory that the guest may change at any time, so every field is read once, checked, and only
 * the copy is used. Nothing here blocks or allocates. A guest that breaks the rules gets -1, after which its
 * rings must not be used any more.
 */
#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include "guest_mem.h"

#include <linux/virtio_ring.h>

enum {
    VQ_NUM_MAX = 1024, /* descriptors of a ring */
    VQ_SEGS_MAX = 32, /* descriptors of a chain: Linux uses 2, or 1 for each page of 64 KiB and the header */
    VQ_CHAIN_BYTES_MAX = 1 << 20,
};

struct vq_seg {
    uint8_t *at;
    uint32_t bytes; /* not 0 */
};

/* A chain of buffers, all readable or all writable. */
struct vq_chain {
    uint16_t head; /* its name in vq_complete() */
    unsigned count;
    uint32_t bytes; /* of all segments; at most VQ_CHAIN_BYTES_MAX */
    struct vq_seg seg[VQ_SEGS_MAX];
};

enum vq_way { VQ_READABLE, VQ_WRITABLE };

struct virtqueue {
    unsigned num; /* 0: not set */
    uint64_t desc_user, avail_user, used_user; /* front-end addresses; 0: not set */
    uint16_t next_avail, next_used;
    unsigned taken; /* chains taken and not completed yet, at most num */
    bool is_started, is_enabled; /* chains are taken only when it is both */
    const struct vring_desc *desc; /* these three are NULL while the ring is not bound */
    struct vring_avail *avail;
    struct vring_used *used;
};

/* Looks the addresses up in `mem`: after any change of either. 0 with the ring bound, or unbound as long as
 * something is not set; -1 when the ring is misaligned or not in memory. */
int vq_bind(struct virtqueue *vq, const struct guest_mem *mem, struct err *err);

/* True when chains may be taken: bound, started and enabled. */
bool vq_is_ready(const struct virtqueue *vq);

/* The next chain, which stays where it is: 1; 0 when there is none or the ring is not ready; -1 when the guest
 * broke a rule. */
int vq_peek(const struct virtqueue *vq, const struct guest_mem *mem, enum vq_way way, struct vq_chain *ret,
            struct err *err);

/* Takes the chain that vq_peek() gave; it must be completed some day. */
void vq_take(struct virtqueue *vq);

/* Gives a taken chain back, with `written` bytes in it. */
void vq_complete(struct virtqueue *vq, uint16_t head, uint32_t written);

/* Whether the guest wants to be told of completed chains. */
bool vq_wants_call(const struct virtqueue *vq);

/* Whether the guest shall tell of new chains. After switching this on the caller must look once more. */
void vq_want_kicks(struct virtqueue *vq, bool wanted);

/* True when chains are there that were not taken. */
bool vq_has_chains(const struct virtqueue *vq);

#endif
