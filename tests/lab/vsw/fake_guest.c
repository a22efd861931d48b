/* fake_guest.c: see fake_guest.h. */
#include "fake_guest.h"

#include "core/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RING_BYTES = 0x1000, BUFFERS_BYTES = FAKE_RING_NUM * FAKE_BUFFER_BYTES, FEATURES_BIT = 30 };

_Static_assert(RINGS *(RING_BYTES + BUFFERS_BYTES) <= FAKE_MEM_BYTES, "everything has its place");

static void lay_out(struct fake_guest *g, unsigned ring) {
    struct fake_ring *r = &g->ring[ring];
    r->desc_at = ring * RING_BYTES;
    r->avail_at = r->desc_at + 0x400;
    r->used_at = r->desc_at + 0x800;
    r->buffers_at = RINGS * RING_BYTES + ring * BUFFERS_BYTES;
    r->desc = (void *)(g->mem + r->desc_at);
    r->avail = (void *)(g->mem + r->avail_at);
    r->used = (void *)(g->mem + r->used_at);
    r->kick = eventfd(0, EFD_CLOEXEC);
    r->call = eventfd(0, EFD_CLOEXEC);
    assert_true(r->kick >= 0 && r->call >= 0);
}

void fake_guest_init(struct fake_guest *g) {
    *g = (struct fake_guest){.socket = -1};
    g->fd = memfd_create("guest", MFD_CLOEXEC);
    assert_true(g->fd >= 0);
    assert_int_equal(ftruncate(g->fd, FAKE_MEM_BYTES), 0);
    g->mem = mmap(NULL, FAKE_MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
    assert_ptr_not_equal(g->mem, MAP_FAILED);
    for (unsigned i = 0; i < RINGS; i++)
        lay_out(g, i);
}

void fake_guest_end(struct fake_guest *g) {
    for (unsigned i = 0; i < RINGS; i++) {
        (void)close(g->ring[i].kick);
        (void)close(g->ring[i].call);
    }
    (void)munmap(g->mem, FAKE_MEM_BYTES);
    (void)close(g->fd);
    if (g->socket >= 0)
        (void)close(g->socket);
}

static void request(struct device *d, struct vu_msg m, int fd) {
    struct vu_reply reply;
    struct err err = {.code = 0};
    int fds[VU_FDS_MAX] = {fd};
    m.has_fd = m.request == VU_SET_VRING_KICK || m.request == VU_SET_VRING_CALL;
    if (device_request(d, &m, fds, &reply, &err) != 0)
        fail_msg("%s", err.msg);
}

void fake_guest_plug(struct fake_guest *g, struct device *d) {
    struct vu_msg mem = {.request = VU_SET_MEM_TABLE, .mem = {.count = 1}};
    mem.mem.region[0] =
        (struct vu_region){.guest = FAKE_GUEST_BASE, .size = FAKE_MEM_BYTES, .user = FAKE_USER_BASE};
    d->is_connected = true;
    request(d, (struct vu_msg){.request = VU_SET_FEATURES, .value = 1ULL << FEATURES_BIT}, -1);
    request(d, mem, g->fd);
    for (unsigned i = 0; i < RINGS; i++) {
        const struct fake_ring *r = &g->ring[i];
        struct vu_msg addr = {.request = VU_SET_VRING_ADDR, .ring = i};
        addr.addr.desc = FAKE_USER_BASE + r->desc_at;
        addr.addr.avail = FAKE_USER_BASE + r->avail_at;
        addr.addr.used = FAKE_USER_BASE + r->used_at;
        request(d, (struct vu_msg){.request = VU_SET_VRING_NUM, .ring = i, .value = FAKE_RING_NUM}, -1);
        request(d, (struct vu_msg){.request = VU_SET_VRING_BASE, .ring = i}, -1);
        request(d, addr, -1);
        request(d, (struct vu_msg){.request = VU_SET_VRING_KICK, .ring = i}, dup(r->kick));
        request(d, (struct vu_msg){.request = VU_SET_VRING_CALL, .ring = i}, dup(r->call));
        request(d, (struct vu_msg){.request = VU_SET_VRING_ENABLE, .ring = i, .value = 1}, -1);
    }
}

uint64_t fake_guest_buffer(const struct fake_guest *g, unsigned ring, uint16_t desc) {
    return FAKE_GUEST_BASE + g->ring[ring].buffers_at + (uint64_t)desc * FAKE_BUFFER_BYTES;
}

uint16_t fake_guest_desc(struct fake_guest *g, unsigned ring, uint64_t addr, uint32_t bytes, uint16_t flags,
                         uint16_t next) {
    struct fake_ring *r = &g->ring[ring];
    uint16_t index = r->next_desc;
    r->next_desc = (uint16_t)((index + 1) % FAKE_RING_NUM);
    r->desc[index] = (struct vring_desc){.addr = addr, .len = bytes, .flags = flags, .next = next};
    return index;
}

void fake_guest_make_avail(struct fake_guest *g, unsigned ring, uint16_t head) {
    struct fake_ring *r = &g->ring[ring];
    r->avail->ring[r->next_avail % FAKE_RING_NUM] = head;
    r->next_avail++;
    __atomic_store_n(&r->avail->idx, r->next_avail, __ATOMIC_RELEASE);
}

void fake_guest_post(struct fake_guest *g, unsigned count, uint32_t bytes) {
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = fake_guest_buffer(g, RING_RX, g->ring[RING_RX].next_desc);
        fake_guest_make_avail(g, RING_RX, fake_guest_desc(g, RING_RX, at, bytes, VRING_DESC_F_WRITE, 0));
    }
}

static uint8_t *memory_at(const struct fake_guest *g, uint64_t guest) {
    return g->mem + (guest - FAKE_GUEST_BASE);
}

void fake_guest_send(struct fake_guest *g, const struct vsock_hdr *hdr, const void *data) {
    uint16_t first = g->ring[RING_TX].next_desc;
    uint16_t second = (uint16_t)((first + 1) % FAKE_RING_NUM);
    uint64_t at = fake_guest_buffer(g, RING_TX, first);
    vsock_hdr_encode(hdr, memory_at(g, at));
    (void)fake_guest_desc(g, RING_TX, at, VSOCK_HDR_BYTES, hdr->len > 0 ? VRING_DESC_F_NEXT : 0, second);
    if (hdr->len > 0) {
        at = fake_guest_buffer(g, RING_TX, second);
        memcpy(memory_at(g, at), data, hdr->len);
        (void)fake_guest_desc(g, RING_TX, at, hdr->len, 0, 0);
    }
    fake_guest_make_avail(g, RING_TX, first);
}

bool fake_guest_receive(struct fake_guest *g, struct vsock_hdr *ret, void *data, size_t room) {
    struct fake_ring *r = &g->ring[RING_RX];
    struct err err = {.code = 0};
    if (__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) == r->seen_used)
        return false;
    const struct vring_used_elem *e = &r->used->ring[r->seen_used++ % FAKE_RING_NUM];
    const uint8_t *at = memory_at(g, r->desc[e->id].addr);
    assert_true(e->len >= VSOCK_HDR_BYTES);
    if (vsock_hdr_decode(at, e->len - VSOCK_HDR_BYTES, ret, &err) != 0)
        fail_msg("%s", err.msg);
    assert_true(ret->len <= room);
    if (ret->len > 0)
        memcpy(data, at + VSOCK_HDR_BYTES, ret->len);
    return true;
}

unsigned fake_guest_sent(struct fake_guest *g) {
    struct fake_ring *r = &g->ring[RING_TX];
    unsigned count = (uint16_t)(__atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE) - r->seen_used);
    r->seen_used = (uint16_t)(r->seen_used + count);
    return count;
}

/* --- As a front-end on a socket */

void fake_guest_say(struct fake_guest *g, uint32_t number, uint32_t flags, const void *payload, uint32_t size,
                    const int *fds, unsigned fd_count) {
    uint8_t bytes[VU_HEADER_BYTES + VU_PAYLOAD_MAX];
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * 32)];
    } control = {.room = {0}};
    struct iovec part = {.iov_base = bytes, .iov_len = VU_HEADER_BYTES + size};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
    put_le32(bytes, number);
    put_le32(bytes + 4, flags);
    put_le32(bytes + 8, size);
    if (size > 0)
        memcpy(bytes + VU_HEADER_BYTES, payload, size);
    if (fd_count > 0) {
        h.msg_control = &control;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    assert_int_equal(sendmsg(g->socket, &h, MSG_NOSIGNAL), (ssize_t)(VU_HEADER_BYTES + size));
}

long fake_guest_hear(struct fake_guest *g, uint32_t *ret_request, void *payload, size_t room) {
    uint8_t head[VU_HEADER_BYTES];
    ssize_t n = recv(g->socket, head, sizeof head, MSG_DONTWAIT | MSG_WAITALL);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) /* the latter when it had not read everything */
        return -1;
    assert_int_equal(n, sizeof head);
    assert_int_equal(le32(head + 4), 5); /* version 1, a reply */
    *ret_request = le32(head);
    uint32_t size = le32(head + 8);
    assert_true(size <= room);
    assert_int_equal(recv(g->socket, payload, size, MSG_DONTWAIT), size);
    return (long)size;
}

static void say_state(struct fake_guest *g, uint32_t number, uint32_t ring, uint32_t value) {
    uint8_t p[8];
    put_le32(p, ring);
    put_le32(p + 4, value);
    fake_guest_say(g, number, 1, p, sizeof p, NULL, 0);
}

static void say_number(struct fake_guest *g, uint32_t request_number, uint64_t value, int fd) {
    uint8_t p[8];
    put_le64(p, value);
    fake_guest_say(g, request_number, 1, p, sizeof p, &fd, fd >= 0 ? 1 : 0);
}

static void say_mem(struct fake_guest *g) {
    uint8_t p[8 + 32];
    struct wr w = wr_of(p, sizeof p);
    wr_u64(&w, 1);
    wr_u64(&w, FAKE_GUEST_BASE);
    wr_u64(&w, FAKE_MEM_BYTES);
    wr_u64(&w, FAKE_USER_BASE);
    wr_u64(&w, 0);
    fake_guest_say(g, VU_SET_MEM_TABLE, 1, p, sizeof p, &g->fd, 1);
}

static void say_ring(struct fake_guest *g, unsigned ring) {
    const struct fake_ring *r = &g->ring[ring];
    uint8_t p[40];
    struct wr w = wr_of(p, sizeof p);
    wr_u64(&w, ring);
    wr_u64(&w, FAKE_USER_BASE + r->desc_at);
    wr_u64(&w, FAKE_USER_BASE + r->used_at);
    wr_u64(&w, FAKE_USER_BASE + r->avail_at);
    wr_u64(&w, 0);
    say_state(g, VU_SET_VRING_NUM, ring, FAKE_RING_NUM);
    say_state(g, VU_SET_VRING_BASE, ring, 0);
    fake_guest_say(g, VU_SET_VRING_ADDR, 1, p, sizeof p, NULL, 0);
    say_number(g, VU_SET_VRING_KICK, ring, r->kick);
    say_number(g, VU_SET_VRING_CALL, ring, r->call);
    say_state(g, VU_SET_VRING_ENABLE, ring, 1);
}

void fake_guest_dial(struct fake_guest *g, int socket) {
    g->socket = socket;
    fake_guest_say(g, VU_SET_OWNER, 1, NULL, 0, NULL, 0);
    say_number(g, VU_SET_FEATURES, 1ULL << 32 | 1ULL << FEATURES_BIT, -1);
    say_mem(g);
    for (unsigned i = 0; i < RINGS; i++)
        say_ring(g, i);
}
