/* vu_msg.h: vhost-user messages between a front-end (QEMU, user-mode Linux) and this back-end, decoded and
 * checked. Pure: bytes in, a message or an error out. The numbers are those of QEMU's
 * docs/interop/vhost-user.rst; integers on the socket are in the machine's order, which is little-endian here.
 */
#ifndef VU_MSG_H
#define VU_MSG_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vu_request {
    VU_GET_FEATURES = 1,
    VU_SET_FEATURES = 2,
    VU_SET_OWNER = 3,
    VU_RESET_OWNER = 4,
    VU_SET_MEM_TABLE = 5,
    VU_SET_VRING_NUM = 8,
    VU_SET_VRING_ADDR = 9,
    VU_SET_VRING_BASE = 10,
    VU_GET_VRING_BASE = 11,
    VU_SET_VRING_KICK = 12,
    VU_SET_VRING_CALL = 13,
    VU_SET_VRING_ERR = 14,
    VU_GET_PROTOCOL_FEATURES = 15,
    VU_SET_PROTOCOL_FEATURES = 16,
    VU_GET_QUEUE_NUM = 17,
    VU_SET_VRING_ENABLE = 18,
    VU_SET_BACKEND_REQ_FD = 21,
    VU_GET_CONFIG = 24,
    VU_SET_CONFIG = 25,
};

/* Bits of the features and protocol features. */
enum {
    VU_F_PROTOCOL_FEATURES = 30,
    VU_PROTOCOL_F_REPLY_ACK = 3,
    VU_PROTOCOL_F_BACKEND_REQ = 5, /* user-mode Linux takes its interrupts only when this is there */
    VU_PROTOCOL_F_CONFIG = 9,
};

enum {
    VU_HEADER_BYTES = 12,
    VU_REGIONS_MAX = 8,
    VU_FDS_MAX = VU_REGIONS_MAX,
    VU_CONFIG_MAX = 256, /* bytes of configuration space in one message */
    VU_PAYLOAD_MAX = 512, /* more than any request above needs */
};

struct vu_header {
    uint32_t request;
    uint32_t size; /* bytes of payload, at most VU_PAYLOAD_MAX */
    bool need_reply;
};

/* One region of guest memory, in a file that came with the message. */
struct vu_region {
    uint64_t guest; /* guest physical address */
    uint64_t size;
    uint64_t user; /* address in the front-end: ring addresses are given in these */
    uint64_t offset; /* in the file */
};

struct vu_msg {
    enum vu_request request;
    bool need_reply;
    uint32_t size; /* of the payload; GET_CONFIG is answered with as much */
    uint64_t value; /* of requests that carry one number */
    unsigned ring; /* of requests about a ring: any 32-bit number, the device checks it */
    bool has_fd; /* KICK, CALL, ERR */
    struct {
        uint64_t desc, used, avail; /* front-end addresses */
    } addr;
    struct {
        unsigned count;
        struct vu_region region[VU_REGIONS_MAX];
    } mem;
    struct {
        uint32_t offset, size; /* offset + size <= VU_CONFIG_MAX */
    } config;
};

/* 0, or -1 when these are not the first bytes of a request. */
int vu_decode_header(const uint8_t bytes[VU_HEADER_BYTES], struct vu_header *ret, struct err *err);

/* `payload` has h->size bytes, and `fds` files came with the message. 0, or -1 when the request is not known,
 * its payload is too short or contradicts itself, or the number of files is wrong. */
int vu_decode(const struct vu_header *h, const uint8_t *payload, unsigned fds, struct vu_msg *ret,
              struct err *err);

/* The header of a reply of `size` payload bytes. */
void vu_encode_reply_header(enum vu_request request, uint32_t size, uint8_t ret[VU_HEADER_BYTES]);

#endif
