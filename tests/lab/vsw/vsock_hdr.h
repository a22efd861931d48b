/* vsock_hdr.h: the header of a virtio-vsock packet (virtio 1.2, 5.10.6), decoded and checked. Pure. */
#ifndef VSOCK_HDR_H
#define VSOCK_HDR_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_vsock.h>

enum {
    VSOCK_HDR_BYTES = 44,
    VSOCK_DATA_MAX = 64 << 10, /* of one packet: the most that Linux sends and that its vhost takes */
};

/* One end of a stream. */
struct vsock_addr {
    uint64_t cid;
    uint32_t port;
};

struct vsock_hdr {
    struct vsock_addr src, dst;
    uint32_t len; /* bytes of data after the header */
    uint16_t type, op; /* VIRTIO_VSOCK_TYPE_..., VIRTIO_VSOCK_OP_... */
    uint32_t flags;
    uint32_t buf_alloc, fwd_cnt; /* the sender's receive buffer, and how much it has taken out of it so far */
};

/* `bytes` are VSOCK_HDR_BYTES of a packet that has `data` more. 0, or -1 when type, op or len cannot be. */
int vsock_hdr_decode(const uint8_t *bytes, size_t data, struct vsock_hdr *ret, struct err *err);
void vsock_hdr_encode(const struct vsock_hdr *h, uint8_t ret[VSOCK_HDR_BYTES]);

/* A packet without data from `src` to `dst`. */
struct vsock_hdr vsock_hdr_make(struct vsock_addr src, struct vsock_addr dst, uint16_t type, uint16_t op);

#endif
