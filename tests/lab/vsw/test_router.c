/* Routing: packets reach the guest that they are for, whole and in order; guests that break the rules fail. */
#include "router_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 31 + (i >> 8));
}

static void fill(uint8_t *data, size_t n, size_t from) {
    for (size_t i = 0; i < n; i++)
        data[i] = byte_at(from + i);
}

/* Takes everything that has arrived at `to`, checks it against byte_at(), and posts the buffers again. */
static size_t take_all(struct router_rig *rig, unsigned to, size_t from) {
    struct vsock_hdr h;
    static uint8_t data[FAKE_BUFFER_BYTES];
    size_t n = 0;
    unsigned used = 0;
    for (; fake_guest_receive(&rig->guest[to], &h, data, sizeof data); used++) {
        assert_int_equal(h.op, VIRTIO_VSOCK_OP_RW);
        for (size_t i = 0; i < h.len; i++)
            assert_int_equal(data[i], byte_at(from + n + i));
        n += h.len;
    }
    fake_guest_post(&rig->guest[to], used, FAKE_RX_BYTES);
    return n;
}

static void a_stream_is_set_up_and_carries_data_both_ways(void **state) {
    struct router_rig *rig = *state;
    uint8_t data[1000];
    router_rig_connect(rig);
    fill(data, sizeof data, 0);
    for (unsigned to = 0; to < RIG_GUESTS; to++) {
        (void)fake_guest_sent(&rig->guest[1 - to]);
        router_rig_send(rig, 1 - to, VIRTIO_VSOCK_OP_RW, data, sizeof data);
        assert_int_equal(take_all(rig, to, 0), sizeof data);
        assert_int_equal(fake_guest_sent(&rig->guest[1 - to]), 1);
    }
    assert_int_equal(rig->router.device[0].stats.drops, 0);
}

static void large_packets_are_split_to_the_size_of_the_buffers(void **state) {
    struct router_rig *rig = *state;
    static uint8_t data[VSOCK_DATA_MAX];
    router_rig_connect(rig);
    fill(data, sizeof data, 0);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, data, sizeof data);
    size_t got = 0;
    for (unsigned i = 0; i < 10 && got < sizeof data; i++) {
        got += take_all(rig, GUEST, got);
        (void)router_rig_run(rig);
    }
    assert_int_equal(got, sizeof data);
}

static void the_end_of_a_message_is_with_its_last_part(void **state) {
    struct router_rig *rig = *state;
    static uint8_t data[FAKE_RX_BYTES * 2];
    struct vsock_hdr h = vsock_hdr_make((struct vsock_addr){HOST_CID, 1}, (struct vsock_addr){GUEST_CID, 2},
                                        VIRTIO_VSOCK_TYPE_SEQPACKET, VIRTIO_VSOCK_OP_RW);
    h.len = sizeof data;
    h.flags = VIRTIO_VSOCK_SEQ_EOM;
    fake_guest_post(&rig->guest[GUEST], 4, FAKE_RX_BYTES);
    fake_guest_send(&rig->guest[HOST], &h, data);
    (void)router_rig_run(rig);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RW).flags,
                         i < 2 ? 0 : VIRTIO_VSOCK_SEQ_EOM);
}

static void a_guest_that_takes_nothing_makes_the_sender_wait_and_nothing_is_lost(void **state) {
    struct router_rig *rig = *state;
    static uint8_t data[VSOCK_DATA_MAX];
    size_t sent = 0, got = 0;
    router_rig_connect(rig);
    (void)fake_guest_sent(&rig->guest[HOST]);
    fake_guest_post(&rig->guest[GUEST], 1, FAKE_RX_BYTES); /* one was used by the handshake */
    for (; sent < FAKE_RING_NUM / 2 * sizeof data; sent += sizeof data) {
        fill(data, sizeof data, sent);
        router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, data, sizeof data);
    }
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 0); /* the buffers hold less than the first one */
    assert_int_equal(rig->router.device[GUEST].queued, FAKE_RING_NUM / 2);
    for (unsigned i = 0; i < 100 && got < sent; i++) {
        got += take_all(rig, GUEST, got);
        (void)router_rig_run(rig);
    }
    assert_int_equal(got, sent);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), FAKE_RING_NUM / 2);
    assert_int_equal(rig->router.device[GUEST].queued, 0);
}

static void what_waits_survives_a_stop_of_the_senders_ring(void **state) {
    struct router_rig *rig = *state;
    static uint8_t data[VSOCK_DATA_MAX];
    struct vu_msg stop = {.request = VU_GET_VRING_BASE, .ring = RING_TX};
    struct vu_reply reply;
    router_rig_connect(rig);
    (void)fake_guest_sent(&rig->guest[HOST]);
    fill(data, sizeof data, 0);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, data, sizeof data);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 0);
    assert_int_equal(device_request(&rig->router.device[HOST], &stop, NULL, &reply, NULL), 0);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 1);
    memset(rig->guest[HOST].mem, 0xEE, FAKE_MEM_BYTES); /* the guest may do with it what it likes */
    size_t got = 0;
    for (unsigned i = 0; i < 10 && got < sizeof data; i++) {
        got += take_all(rig, GUEST, got);
        (void)router_rig_run(rig);
    }
    assert_int_equal(got, sizeof data);
}

static void the_backlog_of_small_packets_is_bounded(void **state) {
    struct router_rig *rig = *state;
    for (unsigned i = 0; i < BACKLOG_PACKETS_MAX; i++) { /* the guest posts nothing, ever */
        router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_CREDIT_REQUEST, NULL, 0);
        assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 1);
    }
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_CREDIT_REQUEST, NULL, 0);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 0);
    assert_int_equal(rig->router.device[GUEST].queued, BACKLOG_PACKETS_MAX);
    fake_guest_post(&rig->guest[GUEST], 1, FAKE_RX_BYTES);
    (void)router_rig_run(rig);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 1);
}

static void answers_that_are_not_taken_are_bounded(void **state) {
    struct router_rig *rig = *state;
    struct vsock_hdr h = vsock_hdr_make((struct vsock_addr){HOST_CID, 1}, (struct vsock_addr){77, 1},
                                        VIRTIO_VSOCK_TYPE_STREAM, VIRTIO_VSOCK_OP_REQUEST);
    for (unsigned i = 0; i < ANSWERS_MAX + 1; i++) {
        fake_guest_send(&rig->guest[HOST], &h, NULL);
        (void)router_rig_run(rig);
        assert_int_equal(fake_guest_sent(&rig->guest[HOST]), i < ANSWERS_MAX);
    }
    assert_int_equal(rig->router.device[HOST].answers, ANSWERS_MAX);
}

static void packets_for_nobody_are_answered_with_a_reset(void **state) {
    static const uint64_t nobody[] = {77, 0, 1, HOST_CID, UINT64_MAX};
    struct router_rig *rig = *state;
    fake_guest_post(&rig->guest[HOST], FAKE_RING_NUM, FAKE_RX_BYTES);
    for (unsigned i = 0; i < sizeof nobody / sizeof nobody[0]; i++) {
        struct vsock_hdr h =
            vsock_hdr_make((struct vsock_addr){HOST_CID, 7}, (struct vsock_addr){nobody[i], 8},
                           VIRTIO_VSOCK_TYPE_STREAM, VIRTIO_VSOCK_OP_REQUEST);
        fake_guest_send(&rig->guest[HOST], &h, NULL);
        (void)router_rig_run(rig);
        struct vsock_hdr answer = router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
        assert_true(answer.src.cid == nobody[i] && answer.src.port == 8 && answer.dst.port == 7);
        h.op = VIRTIO_VSOCK_OP_RST; /* which is not answered */
        fake_guest_send(&rig->guest[HOST], &h, NULL);
        (void)router_rig_run(rig);
        router_rig_expect_nothing(rig, HOST);
    }
}

static void a_guest_without_a_driver_refuses_connections_and_keeps_the_rest(void **state) {
    struct router_rig *rig = *state;
    struct vu_msg stop = {.request = VU_GET_VRING_BASE, .ring = RING_RX};
    struct vu_reply reply;
    router_rig_connect(rig);
    assert_int_equal(device_request(&rig->router.device[GUEST], &stop, NULL, &reply, NULL), 0);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    (void)router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    router_rig_expect_nothing(rig, HOST);
    router_rig_expect_nothing(rig, GUEST);
    rig->router.device[GUEST].ring[RING_RX].is_started = true;
    (void)router_rig_run(rig);
    (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RW);
}

static void the_other_end_is_told_when_a_guest_is_gone(void **state) {
    struct router_rig *rig = *state;
    router_rig_connect(rig);
    router_disconnect(&rig->router, &rig->router.device[GUEST]);
    (void)router_rig_run(rig);
    struct vsock_hdr h = router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
    assert_true(h.src.cid == GUEST_CID && h.src.port == GUEST_PORT && h.dst.port == HOST_PORT);
    router_rig_expect_nothing(rig, HOST);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    (void)router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
    assert_int_equal(streams_count(rig->router.streams), 0);
}

static void data_of_a_guest_that_is_gone_is_not_read_any_more(void **state) {
    struct router_rig *rig = *state;
    static uint8_t data[VSOCK_DATA_MAX];
    router_rig_connect(rig);
    fill(data, sizeof data, 0);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, data, sizeof data);
    assert_int_equal(rig->router.device[GUEST].queued, 1);
    router_disconnect(&rig->router, &rig->router.device[HOST]);
    (void)take_all(rig, GUEST, 0);
    assert_int_equal(rig->router.device[GUEST].queued, 1); /* the RST */
    (void)router_rig_run(rig);
    (void)router_rig_expect(rig, GUEST, VIRTIO_VSOCK_OP_RST);
}

static void too_many_streams_are_refused(void **state) {
    struct router_rig *rig = *state;
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        (void)streams_open(rig->router.streams, (struct vsock_addr){HOST_CID, i + 1},
                           (struct vsock_addr){GUEST_CID, 1}, 1);
    fake_guest_post(&rig->guest[HOST], 1, FAKE_RX_BYTES);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    (void)router_rig_expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
}

static void guests_are_told_only_when_they_want_to_know(void **state) {
    struct router_rig *rig = *state;
    uint64_t count;
    router_rig_connect(rig);
    assert_int_equal(read(rig->guest[GUEST].ring[RING_RX].call, &count, sizeof count), sizeof count);
    rig->guest[GUEST].ring[RING_RX].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    rig->guest[GUEST].ring[RING_RX].avail->flags = 0;
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "y", 1);
    assert_int_equal(read(rig->guest[GUEST].ring[RING_RX].call, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
}

/* A packet that must make the device of its sender fail; nothing of it arrives. */
static void must_fail(struct router_rig *rig, struct vsock_hdr h, const char *data) {
    h.dst.cid = h.dst.cid ? h.dst.cid : GUEST_CID;
    fake_guest_send(&rig->guest[HOST], &h, data);
    (void)router_rig_run(rig);
    assert_int_equal(rig->router.device[HOST].failure.code, EXIT_PROTOCOL);
    assert_int_equal(rig->router.device[GUEST].failure.code, 0);
    router_rig_expect_nothing(rig, GUEST);
}

static void a_guest_cannot_speak_for_another(void **state) {
    must_fail(*state, (struct vsock_hdr){.src = {GUEST_CID, 1}, .type = 1, .op = VIRTIO_VSOCK_OP_REQUEST},
              NULL);
}

static void an_unknown_operation_fails_the_guest(void **state) {
    must_fail(*state, (struct vsock_hdr){.src = {HOST_CID, 1}, .type = 1, .op = 8}, NULL);
}

static void an_unknown_type_fails_the_guest(void **state) {
    must_fail(*state, (struct vsock_hdr){.src = {HOST_CID, 1}, .type = 3, .op = 1}, NULL);
}

static void a_chain_shorter_than_its_packet_fails_the_guest(void **state) {
    struct router_rig *rig = *state;
    struct vsock_hdr h = {.src = {HOST_CID, 1}, .type = 1, .op = VIRTIO_VSOCK_OP_RW, .len = 5};
    fake_guest_send(&rig->guest[HOST], &h, "12345");
    rig->guest[HOST].ring[RING_TX].desc[1].len = 4;
    (void)router_rig_run(rig);
    assert_int_equal(rig->router.device[HOST].failure.code, EXIT_PROTOCOL);
}

static void a_chain_shorter_than_a_header_fails_the_guest(void **state) {
    struct router_rig *rig = *state;
    fake_guest_make_avail(
        &rig->guest[HOST], RING_TX,
        fake_guest_desc(&rig->guest[HOST], RING_TX, FAKE_GUEST_BASE, VSOCK_HDR_BYTES - 1, 0, 0));
    (void)router_rig_run(rig);
    assert_int_equal(rig->router.device[HOST].failure.code, EXIT_PROTOCOL);
}

static void receive_buffers_without_room_fail_the_guest_not_the_sender(void **state) {
    struct router_rig *rig = *state;
    fake_guest_post(&rig->guest[GUEST], 1, VSOCK_HDR_BYTES);
    router_rig_send(rig, HOST, VIRTIO_VSOCK_OP_RW, "x", 1);
    assert_int_equal(rig->router.device[GUEST].failure.code, EXIT_PROTOCOL);
    assert_int_equal(rig->router.device[HOST].failure.code, 0);
    assert_int_equal(fake_guest_sent(&rig->guest[HOST]), 1);
}

static void a_guest_whose_memory_was_cut_short_fails(void **state) {
    struct router_rig *rig = *state;
    guest_mem_guard();
    router_rig_connect(rig);
    assert_int_equal(ftruncate(rig->guest[HOST].fd, 0), 0);
    (void)router_run(&rig->router, rig->now);
    assert_int_equal(rig->router.device[HOST].failure.code, EXIT_PROTOCOL);
    assert_int_equal(ftruncate(rig->guest[HOST].fd, FAKE_MEM_BYTES), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, router_rig_setup, router_rig_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_stream_is_set_up_and_carries_data_both_ways),
        CASE(large_packets_are_split_to_the_size_of_the_buffers),
        CASE(the_end_of_a_message_is_with_its_last_part),
        CASE(a_guest_that_takes_nothing_makes_the_sender_wait_and_nothing_is_lost),
        CASE(what_waits_survives_a_stop_of_the_senders_ring),
        CASE(the_backlog_of_small_packets_is_bounded),
        CASE(answers_that_are_not_taken_are_bounded),
        CASE(packets_for_nobody_are_answered_with_a_reset),
        CASE(a_guest_without_a_driver_refuses_connections_and_keeps_the_rest),
        CASE(the_other_end_is_told_when_a_guest_is_gone),
        CASE(data_of_a_guest_that_is_gone_is_not_read_any_more),
        CASE(too_many_streams_are_refused),
        CASE(guests_are_told_only_when_they_want_to_know),
        CASE(a_guest_cannot_speak_for_another),
        CASE(an_unknown_operation_fails_the_guest),
        CASE(an_unknown_type_fails_the_guest),
        CASE(a_chain_shorter_than_its_packet_fails_the_guest),
        CASE(a_chain_shorter_than_a_header_fails_the_guest),
        CASE(receive_buffers_without_room_fail_the_guest_not_the_sender),
        CASE(a_guest_whose_memory_was_cut_short_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
