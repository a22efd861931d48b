/* The header of vsock packets: what cannot be is refused. */
#include "vsock_hdr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct vsock_hdr sample = {
    .src = {.cid = 0x1122334455667788ULL, .port = 0xA0B0C0D0},
    .dst = {.cid = 42, .port = 5000},
    .len = 10,
    .type = VIRTIO_VSOCK_TYPE_SEQPACKET,
    .op = VIRTIO_VSOCK_OP_RW,
    .flags = 3,
    .buf_alloc = 0x40000,
    .fwd_cnt = 0xFFFFFFF0,
};

static int decode(struct vsock_hdr h, size_t data) {
    uint8_t bytes[VSOCK_HDR_BYTES];
    struct vsock_hdr ret = {.op = 77};
    struct err err = {.code = 0};
    vsock_hdr_encode(&h, bytes);
    int result = vsock_hdr_decode(bytes, data, &ret, &err);
    assert_int_equal(err.code, result == 0 ? 0 : EXIT_PROTOCOL);
    assert_int_equal(ret.op, result == 0 ? h.op : 77);
    return result;
}

static void a_header_is_laid_out_as_the_kernel_has_it(void **state) {
    uint8_t bytes[VSOCK_HDR_BYTES], again[VSOCK_HDR_BYTES];
    struct virtio_vsock_hdr k;
    struct vsock_hdr back;
    (void)state;
    vsock_hdr_encode(&sample, bytes);
    memcpy(&k, bytes, sizeof k);
    assert_true(k.src_cid == sample.src.cid && k.dst_cid == 42 && k.src_port == sample.src.port);
    assert_true(k.dst_port == 5000 && k.len == 10 && k.type == 2 && k.op == 5 && k.flags == 3);
    assert_true(k.buf_alloc == 0x40000 && k.fwd_cnt == 0xFFFFFFF0);
    assert_int_equal(vsock_hdr_decode(bytes, 10, &back, NULL), 0);
    vsock_hdr_encode(&back, again);
    assert_memory_equal(again, bytes, sizeof bytes);
}

static void more_data_than_the_packet_has_is_refused(void **state) {
    struct vsock_hdr h = sample;
    (void)state;
    assert_int_equal(decode(h, 10), 0);
    assert_int_equal(decode(h, 11), 0);
    assert_int_equal(decode(h, 9), -1);
    assert_int_equal(decode(h, 0), -1);
    h.len = UINT32_MAX;
    assert_int_equal(decode(h, 1 << 20), -1);
    h.len = VSOCK_DATA_MAX;
    assert_int_equal(decode(h, VSOCK_DATA_MAX), 0);
    h.len = VSOCK_DATA_MAX + 1;
    assert_int_equal(decode(h, 1 << 20), -1);
}

static void types_and_operations_that_do_not_exist_are_refused(void **state) {
    struct vsock_hdr h = sample;
    (void)state;
    h.len = 0;
    for (unsigned op = 0; op < 12; op++) {
        h.op = (uint16_t)op;
        assert_int_equal(decode(h, 0), op >= 1 && op <= 7 ? 0 : -1);
    }
    h.op = 0x0105;
    assert_int_equal(decode(h, 0), -1);
    h.op = VIRTIO_VSOCK_OP_RST;
    for (unsigned type = 0; type < 5; type++) {
        h.type = (uint16_t)type;
        assert_int_equal(decode(h, 0), type == 1 || type == 2 ? 0 : -1);
    }
}

static void only_data_packets_have_data(void **state) {
    struct vsock_hdr h = sample;
    (void)state;
    for (unsigned op = 1; op <= 7; op++) {
        h.op = (uint16_t)op;
        assert_int_equal(decode(h, 10), op == VIRTIO_VSOCK_OP_RW ? 0 : -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_laid_out_as_the_kernel_has_it),
        cmocka_unit_test(more_data_than_the_packet_has_is_refused),
        cmocka_unit_test(types_and_operations_that_do_not_exist_are_refused),
        cmocka_unit_test(only_data_packets_have_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
