/* fake_guest.h: a guest for the tests: memory in a memfd, rings as a driver keeps them, and both ways to make a
 * device of it: requests as structs (fake_guest_plug), or bytes on a socket as a front-end sends them
 * (fake_guest_dial). Everything asserts; one thread.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include "device.h"

#define FAKE_GUEST_BASE 0x100000ULL /* guest physical address of the memory */
#define FAKE_USER_BASE 0x7F0000000000ULL /* the same for the front-end */

enum {
    FAKE_RING_NUM = 16,
    FAKE_MEM_BYTES = 4 << 20,
    FAKE_BUFFER_BYTES = VSOCK_DATA_MAX + VSOCK_HDR_BYTES, /* room of each descriptor's buffer */
    FAKE_RX_BYTES = 4096, /* what is posted as receive buffer unless said otherwise */
};

struct fake_ring {
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uint64_t desc_at, avail_at, used_at; /* offsets in the memory */
    uint64_t buffers_at; /* of the buffer of descriptor 0 */
    uint16_t next_avail, seen_used, next_desc;
    int kick, call; /* eventfds of the guest's side */
};

struct fake_guest {
    int fd; /* of the memory */
    uint8_t *mem;
    struct fake_ring ring[RINGS];
    int socket; /* to the back-end, when dialled; -1 */
};

void fake_guest_init(struct fake_guest *g);
void fake_guest_end(struct fake_guest *g);

/* Sets up `d` as a front-end would. */
void fake_guest_plug(struct fake_guest *g, struct device *d);

/* A chain of one descriptor of `bytes` at buffer `slot`; `flags` as in vring_desc. Returns its index. */
uint16_t fake_guest_desc(struct fake_guest *g, unsigned ring, uint64_t addr, uint32_t bytes, uint16_t flags,
                         uint16_t next);
void fake_guest_make_avail(struct fake_guest *g, unsigned ring, uint16_t head);
uint64_t fake_guest_buffer(const struct fake_guest *g, unsigned ring, uint16_t desc); /* its guest address */

/* Posts `count` receive buffers of `bytes`. */
void fake_guest_post(struct fake_guest *g, unsigned count, uint32_t bytes);

/* Puts a packet in the TX ring: a header, and hdr->len bytes of `data` in a second descriptor. */
void fake_guest_send(struct fake_guest *g, const struct vsock_hdr *hdr, const void *data);

/* The next packet that arrived, its data (at most `room`) in `data`. False when there is none. */
bool fake_guest_receive(struct fake_guest *g, struct vsock_hdr *ret, void *data, size_t room);

/* TX chains that came back since the last call. */
unsigned fake_guest_sent(struct fake_guest *g);

/* --- As a front-end on a socket */

/* One request, with files. */
void fake_guest_say(struct fake_guest *g, uint32_t request, uint32_t flags, const void *payload,
                    uint32_t size, const int *fds, unsigned fd_count);

/* What the back-end answered: bytes of payload, or -1 when it closed the connection. */
long fake_guest_hear(struct fake_guest *g, uint32_t *ret_request, void *payload, size_t room);

/* The whole handshake on `socket`, which becomes the guest's. No answer is read. */
void fake_guest_dial(struct fake_guest *g, int socket);

#endif
