/* fuzz_vsw.c: no pair of guests and front-ends makes the switch crash, hang, or keep more than it may.
 *
 * The input is a script, one step after the other: a byte that says what is done and by which of two guests, then
 * what that needs. A guest that fails is plugged in anew, as by a front-end that dials again.
 */
#include "command.h"
#include "fake_guest.h"

#include "../../fuzz/fuzz.h"
#include "core/bytes.h"

#include <unistd.h>

enum { GUESTS = 2, STEPS_MAX = 400, RINGS_BYTES = RINGS * 0x1000, TURNS = 64 };

#define NS_PER_MS 1000000ULL

static const struct vsock_addr address[GUESTS] = {{2, 1000}, {42, 5000}};

static struct rig {
    struct router router;
    struct fake_guest guest[GUESTS];
    uint64_t now;
} rig;

static void plug(unsigned who) {
    struct fake_guest *g = &rig.guest[who];
    memset(g->mem, 0, RINGS_BYTES);
    for (unsigned i = 0; i < RINGS; i++)
        g->ring[i].next_avail = g->ring[i].next_desc = g->ring[i].seen_used = 0;
    fake_guest_plug(g, &rig.router.device[who]);
}

static void unplug(unsigned who) {
    router_disconnect(&rig.router, &rig.router.device[who]);
    plug(who);
}

/* Any bytes anywhere in the rings. */
static void poke(struct rd *r, unsigned who) {
    uint16_t offset = rd_u16(r) % RINGS_BYTES;
    uint8_t n = rd_u8(r);
    const uint8_t *bytes = rd_bytes(r, n);
    if (bytes)
        memcpy(rig.guest[who].mem + offset, bytes, n);
}

/* Any request, with up to three files, which are the guest's memory. */
static void ask(struct rd *r, unsigned who) {
    struct vu_header h = {.request = rd_u8(r), .size = rd_u8(r), .need_reply = true};
    unsigned count = rd_u8(r) % 4;
    const uint8_t *payload = rd_bytes(r, h.size);
    int fds[VU_FDS_MAX];
    struct vu_msg m;
    struct vu_reply reply;
    if (!payload)
        return;
    for (unsigned i = 0; i < count; i++)
        fds[i] = dup(rig.guest[who].fd);
    bool is_good = vu_decode(&h, payload, count, &m, NULL) == 0 &&
                   device_request(&rig.router.device[who], &m, fds, &reply, NULL) == 0;
    MUST(!is_good || (reply.size > 0 && reply.size <= sizeof reply.payload));
    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    if (!is_good)
        unplug(who);
}

/* A packet that is almost right. */
static void send_packet(struct rd *r, unsigned who) {
    static const uint8_t data[VSOCK_DATA_MAX];
    struct vsock_hdr h = vsock_hdr_make(address[who], address[1 - who], rd_u8(r) % 4, rd_u8(r) % 10);
    h.src.port += rd_u8(r);
    h.dst.cid += rd_u8(r) == 255;
    h.len = h.op == VIRTIO_VSOCK_OP_RW ? rd_u16(r) : 0;
    h.fwd_cnt = rd_u8(r);
    fake_guest_send(&rig.guest[who], &h, data);
}

static void order(struct rd *r) {
    static const char *const lines[] = {"delay 1",   "rate 100000", "reset",    "reset 2",
                                        "vanish 42", "return 42",   "stall 42", "go 42",
                                        "stall 2",   "go 2",        "clear",    "stats"};
    char reply[COMMAND_REPLY_MAX];
    command_run(&rig.router, lines[rd_u8(r) % (sizeof lines / sizeof lines[0])], reply);
    MUST(memcmp(reply, "ok", 2) == 0);
}

static void must_be_bounded(const struct device *d) {
    MUST(d->queued <= BACKLOG_PACKETS_MAX + RESETS_MAX && d->answers <= RESETS_MAX);
    MUST(d->queued_bytes <= BACKLOG_BYTES_MAX + VSOCK_DATA_MAX);
    MUST(d->ring[RING_TX].taken <= VQ_NUM_MAX && d->ring[RING_RX].taken == 0);
}

static void run(struct rd *r) {
    rig.now += rd_u8(r) * NS_PER_MS;
    for (unsigned i = 0; i < TURNS; i++)
        if (router_run(&rig.router, rig.now) > 0)
            break;
    for (unsigned i = 0; i < GUESTS; i++) {
        must_be_bounded(&rig.router.device[i]);
        if (rig.router.device[i].failure.code != 0)
            unplug(i);
    }
}

static void step(struct rd *r) {
    uint8_t what = rd_u8(r);
    unsigned who = what & 1;
    switch (what >> 1 & 7) {
    case 0: poke(r, who); break;
    case 1: ask(r, who); break;
    case 2: fake_guest_post(&rig.guest[who], rd_u8(r) % FAKE_RING_NUM, rd_u16(r)); break;
    case 3: order(r); break;
    case 4: unplug(who); break;
    case 5: send_packet(r, who); break;
    default: run(r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    struct rd r = rd_of(input, n);
    if (!rig.router.streams) /* made once: it is large */
        rig.router.streams = streams_new();
    MUST(rig.router.streams);
    rig.router = (struct router){.streams = rig.router.streams, .count = GUESTS};
    for (unsigned i = 0; i < GUESTS; i++) {
        if (!rig.guest[i].mem)
            fake_guest_init(&rig.guest[i]);
        device_init(&rig.router.device[i], address[i].cid);
        plug(i);
    }
    for (unsigned i = 0; i < STEPS_MAX && !r.bad; i++)
        step(&r);
    for (unsigned i = 0; i < GUESTS; i++)
        router_disconnect(&rig.router, &rig.router.device[i]);
    for (unsigned i = 0; i < GUESTS; i++)
        device_reset(&rig.router.device[i]);
    MUST(streams_count(rig.router.streams) == 0);
    return 0;
}
