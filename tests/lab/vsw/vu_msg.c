/* vu_msg.c: see vu_msg.h. */
#include "vu_msg.h"

#include "core/bytes.h"

enum {
    FLAG_VERSION_MASK = 3,
    FLAG_VERSION = 1,
    FLAG_REPLY = 4,
    FLAG_NEED_REPLY = 8,
    RING_INDEX_MASK = 0xFF, /* in the number of KICK, CALL and ERR */
    RING_NO_FD = 0x100,
};

/* What a payload is made of. */
enum shape {
    SHAPE_NONE,
    SHAPE_NUMBER, /* u64 */
    SHAPE_RING_STATE, /* ring u32, value u32 */
    SHAPE_RING_FD, /* u64: ring, and whether a file comes with it */
    SHAPE_RING_ADDR,
    SHAPE_ONE_FD, /* nothing, and one file */
    SHAPE_MEM,
    SHAPE_CONFIG,
};

/* Requests by number. Those that are not here are never sent to a back-end that offers what ours does. */
static const struct known {
    bool is_known;
    enum shape shape;
} known[] = {
    [VU_GET_FEATURES] = {true, SHAPE_NONE},
    [VU_SET_FEATURES] = {true, SHAPE_NUMBER},
    [VU_SET_OWNER] = {true, SHAPE_NONE},
    [VU_RESET_OWNER] = {true, SHAPE_NONE},
    [VU_SET_MEM_TABLE] = {true, SHAPE_MEM},
    [VU_SET_VRING_NUM] = {true, SHAPE_RING_STATE},
    [VU_SET_VRING_ADDR] = {true, SHAPE_RING_ADDR},
    [VU_SET_VRING_BASE] = {true, SHAPE_RING_STATE},
    [VU_GET_VRING_BASE] = {true, SHAPE_RING_STATE},
    [VU_SET_VRING_KICK] = {true, SHAPE_RING_FD},
    [VU_SET_VRING_CALL] = {true, SHAPE_RING_FD},
    [VU_SET_VRING_ERR] = {true, SHAPE_RING_FD},
    [VU_GET_PROTOCOL_FEATURES] = {true, SHAPE_NONE},
    [VU_SET_PROTOCOL_FEATURES] = {true, SHAPE_NUMBER},
    [VU_GET_QUEUE_NUM] = {true, SHAPE_NONE},
    [VU_SET_VRING_ENABLE] = {true, SHAPE_RING_STATE},
    [VU_SET_BACKEND_REQ_FD] = {true, SHAPE_ONE_FD},
    [VU_GET_CONFIG] = {true, SHAPE_CONFIG},
    [VU_SET_CONFIG] = {true, SHAPE_CONFIG},
};

int vu_decode_header(const uint8_t bytes[VU_HEADER_BYTES], struct vu_header *ret, struct err *err) {
    uint32_t request = le32(bytes), flags = le32(bytes + 4), size = le32(bytes + 8);
    if ((flags & FLAG_VERSION_MASK) != FLAG_VERSION)
        return err_set(err, EXIT_PROTOCOL, "request %u is of vhost-user version %u, not %d", request,
                       flags & FLAG_VERSION_MASK, FLAG_VERSION);
    if (flags & FLAG_REPLY)
        return err_set(err, EXIT_PROTOCOL, "request %u is marked as a reply", request);
    if (size > VU_PAYLOAD_MAX)
        return err_set(err, EXIT_PROTOCOL, "request %u has %u bytes, more than %d", request, size,
                       VU_PAYLOAD_MAX);
    *ret = (struct vu_header){.request = request, .size = size, .need_reply = (flags & FLAG_NEED_REPLY) != 0};
    return 0;
}

static void read_ring_state(struct rd *r, struct vu_msg *m) {
    m->ring = rd_u32(r);
    m->value = rd_u32(r);
}

static void read_ring_fd(struct rd *r, struct vu_msg *m) {
    uint64_t number = rd_u64(r);
    m->ring = (unsigned)(number & RING_INDEX_MASK);
    m->has_fd = !(number & RING_NO_FD);
}

static void read_ring_addr(struct rd *r, struct vu_msg *m) {
    m->ring = rd_u32(r);
    (void)rd_u32(r); /* flags: only logging, which is not offered */
    m->addr.desc = rd_u64(r);
    m->addr.used = rd_u64(r);
    m->addr.avail = rd_u64(r);
    (void)rd_u64(r); /* log address */
}

/* A front-end may send room for more regions than it has. */
static int read_mem(struct rd *r, struct vu_msg *m, struct err *err) {
    uint32_t count = rd_u32(r);
    (void)rd_u32(r);
    if (count > VU_REGIONS_MAX)
        return err_set(err, EXIT_PROTOCOL, "memory of %u regions, more than %d", count, VU_REGIONS_MAX);
    for (m->mem.count = 0; m->mem.count < count; m->mem.count++) {
        struct vu_region *region = &m->mem.region[m->mem.count];
        region->guest = rd_u64(r);
        region->size = rd_u64(r);
        region->user = rd_u64(r);
        region->offset = rd_u64(r);
    }
    return 0;
}

static int read_config(struct rd *r, struct vu_msg *m, struct err *err) {
    m->config.offset = rd_u32(r);
    m->config.size = rd_u32(r);
    (void)rd_u32(r);
    if (m->config.size > VU_CONFIG_MAX || m->config.offset > VU_CONFIG_MAX - m->config.size)
        return err_set(err, EXIT_PROTOCOL, "%u bytes of configuration at %u are outside its %d",
                       m->config.size, m->config.offset, VU_CONFIG_MAX);
    (void)rd_bytes(r, m->config.size);
    return 0;
}

static int read_payload(enum shape shape, struct rd *r, struct vu_msg *m, struct err *err) {
    switch (shape) {
    case SHAPE_NUMBER: m->value = rd_u64(r); return 0;
    case SHAPE_RING_STATE: read_ring_state(r, m); return 0;
    case SHAPE_RING_FD: read_ring_fd(r, m); return 0;
    case SHAPE_RING_ADDR: read_ring_addr(r, m); return 0;
    case SHAPE_MEM: return read_mem(r, m, err);
    case SHAPE_CONFIG: return read_config(r, m, err);
    default: return 0;
    }
}

static unsigned wanted_fds(enum shape shape, const struct vu_msg *m) {
    if (shape == SHAPE_MEM)
        return m->mem.count;
    return shape == SHAPE_ONE_FD || (shape == SHAPE_RING_FD && m->has_fd) ? 1 : 0;
}

int vu_decode(const struct vu_header *h, const uint8_t *payload, unsigned fds, struct vu_msg *ret,
              struct err *err) {
    struct vu_msg m = {.need_reply = h->need_reply, .size = h->size};
    struct rd r = rd_of(payload, h->size);
    if (h->request >= sizeof known / sizeof known[0] || !known[h->request].is_known)
        return err_set(err, EXIT_PROTOCOL, "request %u is not known", h->request);
    m.request = (enum vu_request)h->request;
    enum shape shape = known[h->request].shape;
    if (read_payload(shape, &r, &m, err) != 0)
        return err_wrap(err, "request %u", h->request);
    if (r.bad)
        return err_set(err, EXIT_PROTOCOL, "request %u has only %u bytes", h->request, h->size);
    if (fds != wanted_fds(shape, &m))
        return err_set(err, EXIT_PROTOCOL, "request %u came with %u files, not %u", h->request, fds,
                       wanted_fds(shape, &m));
    *ret = m;
    return 0;
}

void vu_encode_reply_header(enum vu_request request, uint32_t size, uint8_t ret[VU_HEADER_BYTES]) {
    put_le32(ret, (uint32_t)request);
    put_le32(ret + 4, FLAG_VERSION | FLAG_REPLY);
    put_le32(ret + 8, size);
}
