/* vsock_hdr.c: see vsock_hdr.h. */
#include "vsock_hdr.h"

#include "core/bytes.h"

_Static_assert(VSOCK_HDR_BYTES == sizeof(struct virtio_vsock_hdr), "44 bytes, packed");

static int check(const struct vsock_hdr *h, size_t data, struct err *err) {
    if (h->type != VIRTIO_VSOCK_TYPE_STREAM && h->type != VIRTIO_VSOCK_TYPE_SEQPACKET)
        return err_set(err, EXIT_PROTOCOL, "packet of type %u", h->type);
    if (h->op == VIRTIO_VSOCK_OP_INVALID || h->op > VIRTIO_VSOCK_OP_CREDIT_REQUEST)
        return err_set(err, EXIT_PROTOCOL, "packet with operation %u", h->op);
    if (h->len > data || h->len > VSOCK_DATA_MAX)
        return err_set(err, EXIT_PROTOCOL, "packet of %u bytes in %zu", h->len, data);
    if (h->len > 0 && h->op != VIRTIO_VSOCK_OP_RW)
        return err_set(err, EXIT_PROTOCOL, "%u bytes of data with operation %u", h->len, h->op);
    return 0;
}

int vsock_hdr_decode(const uint8_t *bytes, size_t data, struct vsock_hdr *ret, struct err *err) {
    struct rd r = rd_of(bytes, VSOCK_HDR_BYTES);
    struct vsock_hdr h;
    h.src.cid = rd_u64(&r);
    h.dst.cid = rd_u64(&r);
    h.src.port = rd_u32(&r);
    h.dst.port = rd_u32(&r);
    h.len = rd_u32(&r);
    h.type = rd_u16(&r);
    h.op = rd_u16(&r);
    h.flags = rd_u32(&r);
    h.buf_alloc = rd_u32(&r);
    h.fwd_cnt = rd_u32(&r);
    if (check(&h, data, err) != 0)
        return -1;
    *ret = h;
    return 0;
}

void vsock_hdr_encode(const struct vsock_hdr *h, uint8_t ret[VSOCK_HDR_BYTES]) {
    struct wr w = wr_of(ret, VSOCK_HDR_BYTES);
    wr_u64(&w, h->src.cid);
    wr_u64(&w, h->dst.cid);
    wr_u32(&w, h->src.port);
    wr_u32(&w, h->dst.port);
    wr_u32(&w, h->len);
    wr_u16(&w, h->type);
    wr_u16(&w, h->op);
    wr_u32(&w, h->flags);
    wr_u32(&w, h->buf_alloc);
    wr_u32(&w, h->fwd_cnt);
}

struct vsock_hdr vsock_hdr_make(struct vsock_addr src, struct vsock_addr dst, uint16_t type, uint16_t op) {
    return (struct vsock_hdr){.src = src, .dst = dst, .type = type, .op = op};
}
