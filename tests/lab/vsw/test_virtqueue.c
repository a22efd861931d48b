/* Virtqueues: rings that a hostile guest writes are refused with a reason, and never read outside its memory. */
#include "fake_guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct fake_guest guest;
    struct device device;
};

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    fake_guest_init(&rig->guest);
    device_init(&rig->device, 42);
    fake_guest_plug(&rig->guest, &rig->device);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    device_reset(&rig->device);
    fake_guest_end(&rig->guest);
    free(rig);
    return 0;
}

static struct virtqueue *tx(struct rig *rig) {
    return &rig->device.ring[RING_TX];
}

static int peek(struct rig *rig, struct vq_chain *chain) {
    struct err err = {.code = 0};
    int got = vq_peek(tx(rig), &rig->device.mem, VQ_READABLE, chain, &err);
    assert_int_equal(err.code, got < 0 ? EXIT_PROTOCOL : 0);
    return got;
}

/* One descriptor, made available; the result of vq_peek(). */
static int peek_at(struct rig *rig, uint64_t addr, uint32_t bytes, uint16_t flags) {
    struct vq_chain chain;
    struct fake_guest *g = &rig->guest;
    fake_guest_make_avail(g, RING_TX, fake_guest_desc(g, RING_TX, addr, bytes, flags, 0));
    return peek(rig, &chain);
}

static void a_chain_is_what_the_guest_made_of_its_memory(void **state) {
    struct rig *rig = *state;
    struct fake_guest *g = &rig->guest;
    struct vq_chain chain;
    assert_int_equal(peek(rig, &chain), 0);
    (void)fake_guest_desc(g, RING_TX, FAKE_GUEST_BASE + 100, 44, VRING_DESC_F_NEXT, 7);
    g->ring[RING_TX].desc[7] = (struct vring_desc){.addr = FAKE_GUEST_BASE + FAKE_MEM_BYTES - 10, .len = 10};
    fake_guest_make_avail(g, RING_TX, 0);
    assert_int_equal(peek(rig, &chain), 1);
    assert_int_equal(chain.head, 0);
    assert_int_equal(chain.count, 2);
    assert_int_equal(chain.bytes, 54);
    chain.seg[1].at[9] = 'z';
    assert_int_equal(g->mem[FAKE_MEM_BYTES - 1], 'z');
}

static void a_chain_stays_until_it_is_taken_and_comes_back_when_completed(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    assert_int_equal(peek_at(rig, FAKE_GUEST_BASE, 44, 0), 1);
    assert_int_equal(peek(rig, &chain), 1);
    vq_take(tx(rig));
    assert_int_equal(peek(rig, &chain), 0);
    assert_int_equal(fake_guest_sent(&rig->guest), 0);
    vq_complete(tx(rig), chain.head, 33);
    assert_int_equal(rig->guest.ring[RING_TX].used->ring[0].len, 33);
    assert_int_equal(fake_guest_sent(&rig->guest), 1);
}

static void addresses_outside_the_memory_are_refused(void **state) {
    assert_int_equal(peek_at(*state, FAKE_GUEST_BASE + FAKE_MEM_BYTES - 43, 44, 0), -1);
}

static void addresses_that_wrap_around_are_refused(void **state) {
    assert_int_equal(peek_at(*state, UINT64_MAX - 10, 44, 0), -1);
}

static void a_front_end_address_is_no_guest_address(void **state) {
    assert_int_equal(peek_at(*state, FAKE_USER_BASE, 44, 0), -1);
}

static void empty_descriptors_are_refused(void **state) {
    assert_int_equal(peek_at(*state, FAKE_GUEST_BASE, 0, 0), -1);
}

static void huge_descriptors_are_refused(void **state) {
    assert_int_equal(peek_at(*state, FAKE_GUEST_BASE, VQ_CHAIN_BYTES_MAX + 1, 0), -1);
}

static void the_length_of_a_chain_cannot_overflow(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, 44, VRING_DESC_F_NEXT, 1);
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, UINT32_MAX - 20, 0, 0);
    fake_guest_make_avail(&rig->guest, RING_TX, 0);
    assert_int_equal(peek(rig, &chain), -1);
}

static void indirect_descriptors_are_refused(void **state) {
    assert_int_equal(peek_at(*state, FAKE_GUEST_BASE, 64, VRING_DESC_F_INDIRECT), -1);
}

static void writable_and_readable_descriptors_do_not_mix(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, 44, VRING_DESC_F_NEXT, 1);
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, 44, VRING_DESC_F_WRITE, 0);
    fake_guest_make_avail(&rig->guest, RING_TX, 0);
    assert_int_equal(peek(rig, &chain), -1);
    struct err err = {.code = 0};
    assert_int_equal(vq_peek(tx(rig), &rig->device.mem, VQ_WRITABLE, &chain, &err), -1);
}

static void a_chain_that_loops_is_refused(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, 1, VRING_DESC_F_NEXT, 1);
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, 1, VRING_DESC_F_NEXT, 0);
    fake_guest_make_avail(&rig->guest, RING_TX, 0);
    assert_int_equal(peek(rig, &chain), -1);
}

static void descriptors_outside_the_ring_are_refused(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    (void)fake_guest_desc(&rig->guest, RING_TX, FAKE_GUEST_BASE, 1, VRING_DESC_F_NEXT, FAKE_RING_NUM);
    fake_guest_make_avail(&rig->guest, RING_TX, 0);
    assert_int_equal(peek(rig, &chain), -1);
    rig->guest.ring[RING_TX].avail->ring[0] = 0xFFFF;
    assert_int_equal(peek(rig, &chain), -1);
}

static void more_chains_than_the_ring_holds_are_refused(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    rig->guest.ring[RING_TX].avail->idx = FAKE_RING_NUM + 1;
    assert_int_equal(peek(rig, &chain), -1);
    rig->guest.ring[RING_TX].avail->idx = 0xFFFF;
    assert_int_equal(peek(rig, &chain), -1);
}

static void chains_that_are_taken_count_too(void **state) {
    struct rig *rig = *state;
    struct fake_guest *g = &rig->guest;
    struct vq_chain chain;
    uint16_t head = fake_guest_desc(g, RING_TX, FAKE_GUEST_BASE, 44, 0, 0);
    for (unsigned i = 0; i < FAKE_RING_NUM; i++) {
        fake_guest_make_avail(g, RING_TX, head); /* the same one, again and again */
        assert_int_equal(peek(rig, &chain), 1);
        vq_take(tx(rig));
    }
    fake_guest_make_avail(g, RING_TX, head);
    assert_int_equal(peek(rig, &chain), -1);
}

static void indices_wrap_around_with_the_ring(void **state) {
    struct rig *rig = *state;
    struct vq_chain chain;
    for (unsigned i = 0; i < 0x10000 + 5; i++) {
        assert_int_equal(peek_at(rig, FAKE_GUEST_BASE + i % 100, 1 + i % 9, 0), 1);
        assert_int_equal(peek(rig, &chain), 1);
        assert_int_equal(chain.bytes, 1 + i % 9);
        vq_take(tx(rig));
        vq_complete(tx(rig), chain.head, 0);
        assert_int_equal(fake_guest_sent(&rig->guest), 1);
    }
}

static void rings_outside_the_memory_or_misaligned_are_refused(void **state) {
    struct rig *rig = *state;
    static const uint64_t bad[] = {FAKE_USER_BASE - 16, FAKE_USER_BASE + FAKE_MEM_BYTES - 16, UINT64_MAX - 15,
                                   FAKE_USER_BASE + 1, FAKE_GUEST_BASE};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct virtqueue vq = *tx(rig);
        uint64_t *const fields[] = {&vq.desc_user, &vq.avail_user, &vq.used_user};
        for (unsigned f = 0; f < 3; f++) {
            struct err err = {.code = 0};
            uint64_t good = *fields[f];
            *fields[f] = bad[i];
            assert_int_equal(vq_bind(&vq, &rig->device.mem, &err), -1);
            assert_false(vq_is_ready(&vq));
            *fields[f] = good;
        }
        assert_int_equal(vq_bind(&vq, &rig->device.mem, NULL), 0);
        assert_true(vq_is_ready(&vq));
    }
}

static void a_ring_that_is_not_set_up_gives_nothing(void **state) {
    struct rig *rig = *state;
    struct virtqueue empty = {.is_started = true, .is_enabled = true};
    struct vq_chain chain;
    assert_int_equal(vq_bind(&empty, &rig->device.mem, NULL), 0);
    assert_int_equal(vq_peek(&empty, &rig->device.mem, VQ_READABLE, &chain, NULL), 0);
    assert_false(vq_wants_call(&empty));
    assert_false(vq_has_chains(&empty));
    vq_want_kicks(&empty, true);
}

static void both_sides_can_do_without_being_told(void **state) {
    struct rig *rig = *state;
    struct fake_ring *r = &rig->guest.ring[RING_TX];
    assert_true(vq_wants_call(tx(rig)));
    r->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
    assert_false(vq_wants_call(tx(rig)));
    vq_want_kicks(tx(rig), false);
    assert_int_equal(r->used->flags, VRING_USED_F_NO_NOTIFY);
    vq_want_kicks(tx(rig), true);
    assert_int_equal(r->used->flags, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_chain_is_what_the_guest_made_of_its_memory),
        CASE(a_chain_stays_until_it_is_taken_and_comes_back_when_completed),
        CASE(addresses_outside_the_memory_are_refused),
        CASE(addresses_that_wrap_around_are_refused),
        CASE(a_front_end_address_is_no_guest_address),
        CASE(empty_descriptors_are_refused),
        CASE(huge_descriptors_are_refused),
        CASE(the_length_of_a_chain_cannot_overflow),
        CASE(indirect_descriptors_are_refused),
        CASE(writable_and_readable_descriptors_do_not_mix),
        CASE(a_chain_that_loops_is_refused),
        CASE(descriptors_outside_the_ring_are_refused),
        CASE(more_chains_than_the_ring_holds_are_refused),
        CASE(chains_that_are_taken_count_too),
        CASE(indices_wrap_around_with_the_ring),
        CASE(rings_outside_the_memory_or_misaligned_are_refused),
        CASE(a_ring_that_is_not_set_up_gives_nothing),
        CASE(both_sides_can_do_without_being_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
