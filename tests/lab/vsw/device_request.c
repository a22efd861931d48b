/* device_request.c: what a front-end may ask of its device. */
#include "device.h"

#include "core/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <unistd.h>

static const uint64_t OFFERED =
    1ULL << VIRTIO_F_VERSION_1 | 1ULL << VU_F_PROTOCOL_FEATURES | 1ULL << VIRTIO_VSOCK_F_SEQPACKET;
static const uint64_t PROTOCOL_OFFERED =
    1ULL << VU_PROTOCOL_F_REPLY_ACK | 1ULL << VU_PROTOCOL_F_BACKEND_REQ | 1ULL << VU_PROTOCOL_F_CONFIG;

static void reply_number(struct vu_reply *ret, uint64_t value) {
    put_le64(ret->payload, value);
    ret->size = sizeof value;
}

/* Before a ring or the memory changes: no packet may point there any more. */
static int let_go(struct device *d, struct err *err) {
    struct packet *p;
    while ((p = TAILQ_FIRST(&d->pinned)) != NULL) {
        if (packet_own(p) != 0)
            return err_set(err, EXIT_MEMORY, "no memory for %u bytes of a packet", p->left);
        TAILQ_REMOVE(&d->pinned, p, in_pinned);
        device_complete(d, RING_TX, p->head, 0);
        p->from = NULL;
    }
    device_tell(d);
    return 0;
}

static int set_features(const struct vu_msg *m, uint64_t offered, uint64_t *ret, struct err *err) {
    if (m->value & ~offered)
        return err_set(err, EXIT_PROTOCOL, "features %#llx were not offered",
                       (unsigned long long)(m->value & ~offered));
    *ret = m->value;
    return 0;
}

static int set_mem(struct device *d, const struct vu_msg *m, const int *fds, struct err *err) {
    if (let_go(d, err) != 0 || guest_mem_map(&d->mem, m->mem.region, fds, m->mem.count, err) != 0)
        return -1;
    for (unsigned i = 0; i < RINGS; i++)
        if (vq_bind(&d->ring[i], &d->mem, err) != 0)
            return -1;
    return 0;
}

static int set_num(struct virtqueue *vq, uint64_t num, struct err *err) {
    if (num == 0 || num > VQ_NUM_MAX || (num & (num - 1)) != 0)
        return err_set(err, EXIT_PROTOCOL, "ring of %llu descriptors", (unsigned long long)num);
    vq->num = (unsigned)num;
    return 0;
}

/* NUM, ADDR, BASE: the ring as it was is given up first. */
static int change_ring(struct device *d, const struct vu_msg *m, struct err *err) {
    struct virtqueue *vq = &d->ring[m->ring];
    if (let_go(d, err) != 0)
        return -1;
    if (m->request == VU_SET_VRING_BASE) {
        vq->next_avail = (uint16_t)m->value;
    } else if (m->request == VU_SET_VRING_ADDR) {
        vq->desc_user = m->addr.desc;
        vq->avail_user = m->addr.avail;
        vq->used_user = m->addr.used;
    } else if (set_num(vq, m->value, err) != 0) {
        return -1;
    }
    return vq_bind(vq, &d->mem, err);
}

static int stop_ring(struct device *d, const struct vu_msg *m, struct vu_reply *ret, struct err *err) {
    struct virtqueue *vq = &d->ring[m->ring];
    if (let_go(d, err) != 0)
        return -1;
    vq->is_started = false;
    put_le32(ret->payload, m->ring);
    put_le32(ret->payload + 4, vq->next_avail);
    ret->size = 8;
    return 0;
}

/* Keeps a file that came with KICK or CALL, so that neither reading nor writing it can block. */
static int take_file(int *to, const struct vu_msg *m, int *fds, struct err *err) {
    if (*to >= 0)
        (void)close(*to);
    *to = -1;
    if (!m->has_fd)
        return 0;
    int flags = fcntl(fds[0], F_GETFL);
    if (flags < 0 || fcntl(fds[0], F_SETFL, flags | O_NONBLOCK) != 0)
        return err_sys(err, EXIT_PROTOCOL, errno, "file of ring %u", m->ring);
    *to = fds[0];
    fds[0] = -1;
    return 0;
}

static int start_ring(struct device *d, const struct vu_msg *m, int *fds, struct err *err) {
    struct virtqueue *vq = &d->ring[m->ring];
    if (!m->has_fd)
        return err_set(err, EXIT_PROTOCOL, "ring %u has no kick file, and is not polled", m->ring);
    if (take_file(&d->kick[m->ring], m, fds, err) != 0)
        return -1;
    vq->is_started = true;
    if (!(d->features >> VU_F_PROTOCOL_FEATURES & 1))
        vq->is_enabled = true;
    return 0;
}

static int request_of_ring(struct device *d, const struct vu_msg *m, int *fds, struct vu_reply *ret,
                           struct err *err) {
    if (m->ring >= RINGS)
        return err_set(err, EXIT_PROTOCOL, "request %u for ring %u", (unsigned)m->request, m->ring);
    switch (m->request) {
    case VU_GET_VRING_BASE: return stop_ring(d, m, ret, err);
    case VU_SET_VRING_KICK: return start_ring(d, m, fds, err);
    case VU_SET_VRING_CALL: return take_file(&d->call[m->ring], m, fds, err);
    case VU_SET_VRING_ERR: return 0;
    case VU_SET_VRING_ENABLE: d->ring[m->ring].is_enabled = m->value != 0; return 0;
    default: return change_ring(d, m, err);
    }
}

/* The configuration space is the CID; a front-end may ask for more, which reads as zero. */
static int get_config(const struct device *d, const struct vu_msg *m, struct vu_reply *ret) {
    enum { HEAD = 12 };
    uint8_t space[VU_CONFIG_MAX] = {0};
    put_le64(space, d->cid);
    put_le32(ret->payload, m->config.offset);
    put_le32(ret->payload + 4, m->config.size);
    put_le32(ret->payload + 8, 0);
    memcpy(ret->payload + HEAD, space + m->config.offset, m->config.size);
    ret->size = HEAD + m->config.size;
    return 0;
}

static int answer(struct device *d, const struct vu_msg *m, int *fds, struct vu_reply *ret, struct err *err) {
    uint64_t unused;
    switch (m->request) {
    case VU_GET_FEATURES: reply_number(ret, OFFERED); return 0;
    case VU_SET_FEATURES: return set_features(m, OFFERED, &d->features, err);
    case VU_GET_PROTOCOL_FEATURES: reply_number(ret, PROTOCOL_OFFERED); return 0;
    case VU_SET_PROTOCOL_FEATURES: return set_features(m, PROTOCOL_OFFERED, &unused, err);
    case VU_GET_QUEUE_NUM: reply_number(ret, RINGS); return 0;
    case VU_SET_OWNER:
    case VU_RESET_OWNER: return 0;
    case VU_SET_MEM_TABLE: return set_mem(d, m, fds, err);
    case VU_SET_BACKEND_REQ_FD:
        if (d->backend_req >= 0)
            (void)close(d->backend_req);
        d->backend_req = fds[0];
        fds[0] = -1;
        return 0;
    case VU_GET_CONFIG: return get_config(d, m, ret);
    case VU_SET_CONFIG: return err_set(err, EXIT_PROTOCOL, "the configuration cannot be written");
    default: return request_of_ring(d, m, fds, ret, err);
    }
}

int device_request(struct device *d, const struct vu_msg *m, int *fds, struct vu_reply *ret,
                   struct err *err) {
    ret->size = 0;
    if (answer(d, m, fds, ret, err) != 0)
        return -1;
    if (ret->size == 0 && m->need_reply)
        reply_number(ret, 0); /* success */
    return 0;
}
