/* router_rig.c: see router_rig.h. */
#include "router_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct vsock_addr address[RIG_GUESTS] = {
    [HOST] = {.cid = HOST_CID, .port = HOST_PORT},
    [GUEST] = {.cid = GUEST_CID, .port = GUEST_PORT},
};

int router_rig_setup(void **state) {
    struct router_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->router = (struct router){.streams = streams_new(), .count = RIG_GUESTS};
    rig->now = 1000000;
    for (unsigned i = 0; i < RIG_GUESTS; i++) {
        fake_guest_init(&rig->guest[i]);
        device_init(&rig->router.device[i], address[i].cid);
        fake_guest_plug(&rig->guest[i], &rig->router.device[i]);
    }
    *state = rig;
    return 0;
}

int router_rig_teardown(void **state) {
    struct router_rig *rig = *state;
    for (unsigned i = 0; i < RIG_GUESTS; i++) {
        device_reset(&rig->router.device[i]);
        fake_guest_end(&rig->guest[i]);
    }
    streams_free(rig->router.streams);
    free(rig);
    return 0;
}

uint64_t router_rig_run(struct router_rig *rig) {
    uint64_t wait = 0;
    for (unsigned i = 0; i < 100000 && wait == 0; i++)
        wait = router_run(&rig->router, rig->now);
    assert_true(wait > 0); /* it comes to rest */
    return wait;
}

void router_rig_send(struct router_rig *rig, unsigned from, uint16_t op, const void *data, uint32_t len) {
    struct vsock_hdr h = vsock_hdr_make(address[from], address[1 - from], VIRTIO_VSOCK_TYPE_STREAM, op);
    h.len = len;
    h.buf_alloc = 1 << 18;
    fake_guest_send(&rig->guest[from], &h, data);
    (void)router_rig_run(rig);
}

struct vsock_hdr router_rig_expect(struct router_rig *rig, unsigned to, uint16_t op) {
    struct vsock_hdr h = {.op = 0};
    uint8_t data[FAKE_RX_BYTES];
    assert_true(fake_guest_receive(&rig->guest[to], &h, data, sizeof data));
    assert_int_equal(h.op, op);
    assert_int_equal(h.dst.cid, address[to].cid);
    return h;
}

void router_rig_expect_nothing(struct router_rig *rig, unsigned to) {
    struct vsock_hdr h;
    uint8_t data[FAKE_RX_BYTES];
    assert_false(fake_guest_receive(&rig->guest[to], &h, data, sizeof data));
}

void router_rig_connect(struct router_rig *rig) {
    fake_guest_post(&rig->guest[HOST], FAKE_RING_NUM, FAKE_RX_BYTES);
    fake_guest_post(&rig->guest[GUEST], FAKE_RING_NUM, FAKE_RX_BYTES);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    struct vsock_hdr h = router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST);
    assert_true(h.src.cid == HOST_CID && h.src.port == HOST_PORT && h.dst.port == GUEST_PORT);
    router_rig_send(rig, GUEST, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
    (void)router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RESPONSE);
}

void router_rig_command(struct router_rig *rig, const char *line, const char *reply) {
    char text[COMMAND_REPLY_MAX];
    command_run(&rig->router, line, text);
    if (strncmp(text, reply, strlen(reply)) != 0)
        fail_msg("'%s' was answered with: %s", line, text);
    assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
}
