/* Faults: each does what its command says, and nothing else. */
#include "router_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ULL

static void delayed_packets_come_when_they_are_due(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    router_rig_command(rig, "delay 250", "ok delay=250\n");
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    rig->now += 100 * MS;
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_SHUTDOWN, NULL, 0);
    assert_int_equal(router_rig_run(rig), 150 * MS);
    router_rig_expect_nothing(rig, GUEST);
    rig->now += 150 * MS;
    assert_int_equal(router_rig_run(rig), 100 * MS);
    (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RW);
    router_rig_expect_nothing(rig, GUEST);
    rig->now += 100 * MS;
    assert_true(router_rig_run(rig) == ROUTER_IDLE);
    (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_SHUTDOWN);
}

static void clear_lets_delayed_packets_go_at_once(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    router_rig_command(rig, "delay 3600000", "ok");
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    router_rig_expect_nothing(rig, GUEST);
    router_rig_command(rig, "clear", "ok\n");
    (void)router_rig_run(rig);
    (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RW);
}

static void a_rate_spaces_packets_by_their_size(void **state) {
    struct router_rig *rig = *state;
    static const uint8_t data[1000 - VSOCK_HDR_BYTES];
    router_rig_connect(rig);
    router_rig_command(rig, "rate 100000", "ok rate=100000\n");
    for (unsigned i = 0; i < 3; i++)
        router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, data, sizeof data);
    for (unsigned i = 0; i < 3; i++) {
        (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RW);
        router_rig_expect_nothing(rig, GUEST);
        uint64_t wait = router_rig_run(rig);
        assert_true(wait == (i < 2 ? 10 * MS : ROUTER_IDLE));
        rig->now += 10 * MS;
        (void)router_rig_run(rig);
    }
}

static void reset_tells_both_ends(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    router_rig_command(rig, "reset", "ok streams=1\n");
    (void)router_rig_run(rig);
    struct vsock_hdr h = router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
    assert_true(h.src.cid == GUEST_CID && h.src.port == GUEST_PORT && h.dst.port == HOST_PORT);
    h = router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RST);
    assert_true(h.src.cid == HOST_CID && h.src.port == HOST_PORT && h.dst.port == GUEST_PORT);
    router_rig_command(rig, "reset", "ok streams=0\n");
}

static void reset_of_a_cid_leaves_other_streams_alone(void **state) {
    struct router_rig *rig = *state;
    device_init(&rig->router.device[RIG_GUESTS], 43);
    rig->router.count++;
    router_rig_connect(rig);
    router_rig_command(rig, "reset 43", "ok streams=0\n");
    router_rig_command(rig, "reset 42", "ok streams=1\n");
    rig->router.count--;
}

static void a_stream_that_was_reset_by_its_end_is_known_no_more(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    router_rig_send(rig, GUEST, VIRTIO_VSOCK_OP_RST, NULL, 0);
    (void)router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
    router_rig_command(rig, "reset", "ok streams=0\n");
}

static void a_guest_that_vanished_is_silent_in_both_directions(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    (void)fake_guest_sent(&rig->guest[HOST]);
    router_rig_command(rig, "vanish 42", "ok\n");
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    router_rig_send(rig, GUEST, VIRTIO_VSOCK_OP_RW, "y", 1);
    router_rig_send(rig, GUEST, VIRTIO_VSOCK_OP_RST, NULL, 0);
    router_rig_expect_nothing(rig, HOST);
    router_rig_expect_nothing(rig, GUEST);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 1); /* as if it had been sent */
    assert_int_equal(rig->router.device[GUEST].stats.drops, 2);
    router_rig_command(rig, "return 42", "ok\n");
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "z", 1);
    (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RW);
}

static void what_waits_for_a_guest_that_vanishes_is_dropped(void **state) {
    struct router_rig *rig = *state;
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    assert_int_equal(rig->router.device[GUEST].queued, 1);
    router_rig_command(rig, "vanish 42", "ok\n");
    (void)router_rig_run(rig);
    assert_int_equal(rig->router.device[GUEST].queued, 0);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 1);
}

/* The guest tells the host how much it has taken. */
static void give_credit(struct router_rig *rig, uint16_t op, uint32_t fwd_cnt) {
    struct vsock_hdr h =
        vsock_hdr_make((struct vsock_addr){GUEST_CID, GUEST_PORT}, (struct vsock_addr){HOST_CID, HOST_PORT},
                       VIRTIO_VSOCK_TYPE_STREAM, op);
    h.buf_alloc = 1 << 18;
    h.fwd_cnt = fwd_cnt;
    h.len = op == VIRTIO_VSOCK_OP_RW;
    fake_guest_send(&rig->guest[GUEST], &h, "d");
    (void)router_rig_run(rig);
}

static void a_stalled_guest_gives_no_more_credit_until_it_goes(void **state) {
    static const char *const stalled[] = {"stall 42", "stall 2"}, *const going[] = {"go 42", "go 2"};
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    for (unsigned i = 0; i < 2; i++) { /* it is the same from either side */
        uint32_t base = i * 1000;
        give_credit(rig, VIRTIO_VSOCK_OP_CREDIT_UPDATE, base + 100);
        assert_int_equal(router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_CREDIT_UPDATE).fwd_cnt, base + 100);
        router_rig_command(rig, stalled[i], "ok\n");
        give_credit(rig, VIRTIO_VSOCK_OP_CREDIT_UPDATE, base + 200);
        router_rig_expect_nothing(rig, HOST);
        give_credit(rig, VIRTIO_VSOCK_OP_RW, base + 300); /* data passes, with the old credit */
        assert_int_equal(router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RW).fwd_cnt, base + 100);
        router_rig_command(rig, going[i], "ok\n");
        (void)router_rig_run(rig);
        struct vsock_hdr h = router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
        assert_true(h.fwd_cnt == base + 300 && h.buf_alloc == 1 << 18 && h.src.cid == GUEST_CID);
        router_rig_expect_nothing(rig, HOST);
    }
}

static void a_stream_that_opens_while_stalled_gets_its_credit_later(void **state) {
    struct router_rig *rig = *state;
    router_rig_command(rig, "stall 42", "ok\n");
    router_rig_connect(rig);
    router_rig_command(rig, "go 42", "ok\n");
    (void)router_rig_run(rig);
    assert_int_equal(router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_CREDIT_UPDATE).buf_alloc, 1 << 18);
    assert_int_equal(router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_CREDIT_UPDATE).buf_alloc, 1 << 18);
}

static void stats_count_what_went_through(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "hello", 5);
    router_rig_command(
        rig, "stats",
        "ok streams=1 cid=2 connected=1 rx_packets=1 rx_bytes=0 tx_packets=2 tx_bytes=5 drops=0 "
        "backlog=0 cid=42 connected=1 rx_packets=2 rx_bytes=5 tx_packets=1 tx_bytes=0 drops=0 "
        "backlog=0\n");
}

static void what_is_no_command_is_an_error_and_changes_nothing(void **state) {
    static const char *const bad[] = {"",          "nonsense",      "delay",     "delay x",    "delay -1",
                                      "delay 1 2", "vanish",        "vanish 77", "vanish 42x", "stall",
                                      "rate",      "stats 1",       "clear all", "DELAY 1",    " delay 1",
                                      "delayed 1", "delay 3600001", "go  42"};
    struct router_rig *rig = *state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        router_rig_command(rig, bad[i], "error ");
    assert_true(rig->router.delay_ns == 0 && rig->router.rate == 0);
    assert_false(rig->router.device[GUEST].is_vanished || rig->router.device[GUEST].is_stalled);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, router_rig_setup, router_rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(delayed_packets_come_when_they_are_due),
        CASE(clear_lets_delayed_packets_go_at_once),
        CASE(a_rate_spaces_packets_by_their_size),
        CASE(reset_tells_both_ends),
        CASE(reset_of_a_cid_leaves_other_streams_alone),
        CASE(a_stream_that_was_reset_by_its_end_is_known_no_more),
        CASE(a_guest_that_vanished_is_silent_in_both_directions),
        CASE(what_waits_for_a_guest_that_vanishes_is_dropped),
        CASE(a_stalled_guest_gives_no_more_credit_until_it_goes),
        CASE(a_stream_that_opens_while_stalled_gets_its_credit_later),
        CASE(stats_count_what_went_through),
        CASE(what_is_no_command_is_an_error_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
