/* vhost-user messages: only whole, known requests with the right files are taken. */
#include "vu_msg.h"

#include "core/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PLAIN = 1 };

static int decode(uint32_t request, const void *payload, uint32_t size, unsigned fds, struct vu_msg *ret) {
    uint8_t head[VU_HEADER_BYTES];
    struct vu_header h;
    struct err err = {.code = 0};
    put_le32(head, request);
    put_le32(head + 4, PLAIN);
    put_le32(head + 8, size);
    assert_int_equal(vu_decode_header(head, &h, NULL), 0);
    uint8_t *exact = malloc(size ? size : 1); /* so that a sanitizer sees a read past the end */
    if (size > 0)
        memcpy(exact, payload, size);
    int result = vu_decode(&h, exact, fds, ret, &err);
    assert_int_equal(err.code, result == 0 ? 0 : EXIT_PROTOCOL);
    free(exact);
    return result;
}

static int decode_header(uint32_t flags, uint32_t size) {
    uint8_t head[VU_HEADER_BYTES];
    struct vu_header h;
    put_le32(head, VU_GET_FEATURES);
    put_le32(head + 4, flags);
    put_le32(head + 8, size);
    return vu_decode_header(head, &h, NULL);
}

static void headers_of_another_version_replies_and_long_ones_are_refused(void **state) {
    (void)state;
    assert_int_equal(decode_header(1, 0), 0);
    assert_int_equal(decode_header(9, VU_PAYLOAD_MAX), 0);
    assert_int_equal(decode_header(0, 0), -1);
    assert_int_equal(decode_header(2, 0), -1);
    assert_int_equal(decode_header(5, 0), -1);
    assert_int_equal(decode_header(1, VU_PAYLOAD_MAX + 1), -1);
    assert_int_equal(decode_header(1, UINT32_MAX), -1);
}

static void unknown_requests_are_refused(void **state) {
    static const uint32_t unknown[] = {0, 6, 7, 19, 20, 22, 26, 31, 34, 37, 255, UINT32_MAX};
    uint8_t payload[64] = {0};
    struct vu_msg m;
    (void)state;
    for (unsigned i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(decode(unknown[i], payload, sizeof payload, 0, &m), -1);
}

static void every_request_with_a_byte_too_few_is_refused(void **state) {
    static const struct {
        uint32_t request, size;
        unsigned fds;
    } needs[] = {
        {VU_SET_FEATURES, 8, 0},     {VU_SET_MEM_TABLE, 8, 0},  {VU_SET_VRING_NUM, 8, 0},
        {VU_SET_VRING_ADDR, 40, 0},  {VU_SET_VRING_BASE, 8, 0}, {VU_GET_VRING_BASE, 8, 0},
        {VU_SET_VRING_KICK, 8, 1},   {VU_SET_VRING_CALL, 8, 1}, {VU_SET_VRING_ERR, 8, 1},
        {VU_SET_VRING_ENABLE, 8, 0}, {VU_GET_CONFIG, 12, 0},
    };
    uint8_t payload[64] = {0};
    struct vu_msg m;
    (void)state;
    for (unsigned i = 0; i < sizeof needs / sizeof needs[0]; i++) {
        assert_int_equal(decode(needs[i].request, payload, needs[i].size, needs[i].fds, &m), 0);
        assert_int_equal(m.request, needs[i].request);
        assert_int_equal(decode(needs[i].request, payload, needs[i].size - 1, needs[i].fds, &m), -1);
        assert_int_equal(decode(needs[i].request, payload, 0, needs[i].fds, &m), -1);
    }
}

static void files_must_be_as_many_as_the_request_says(void **state) {
    uint8_t ring[8] = {1}, ring_without[8] = {1, 1}, two[8 + 64] = {2};
    struct vu_msg m;
    (void)state;
    assert_int_equal(decode(VU_SET_VRING_KICK, ring, 8, 1, &m), 0);
    assert_true(m.has_fd && m.ring == 1);
    assert_int_equal(decode(VU_SET_VRING_KICK, ring, 8, 0, &m), -1);
    assert_int_equal(decode(VU_SET_VRING_KICK, ring, 8, 2, &m), -1);
    assert_int_equal(decode(VU_SET_VRING_CALL, ring_without, 8, 0, &m), 0);
    assert_false(m.has_fd);
    assert_int_equal(decode(VU_SET_VRING_CALL, ring_without, 8, 1, &m), -1);
    assert_int_equal(decode(VU_SET_MEM_TABLE, two, sizeof two, 2, &m), 0);
    assert_int_equal(decode(VU_SET_MEM_TABLE, two, sizeof two, 1, &m), -1);
    assert_int_equal(decode(VU_SET_MEM_TABLE, two, sizeof two, 3, &m), -1);
    assert_int_equal(decode(VU_SET_OWNER, NULL, 0, 1, &m), -1);
    assert_int_equal(decode(VU_SET_BACKEND_REQ_FD, NULL, 0, 0, &m), -1);
    assert_int_equal(decode(VU_SET_BACKEND_REQ_FD, NULL, 0, 1, &m), 0);
}

static void a_memory_table_holds_the_regions_it_counts(void **state) {
    uint8_t p[8 + VU_REGIONS_MAX * 32 + 32] = {0};
    struct vu_msg m;
    (void)state;
    put_le32(p, VU_REGIONS_MAX);
    put_le64(p + 8 + 7 * 32, 0x1122334455667788ULL);
    put_le64(p + 8 + 7 * 32 + 24, 99);
    assert_int_equal(decode(VU_SET_MEM_TABLE, p, 8 + VU_REGIONS_MAX * 32, VU_REGIONS_MAX, &m), 0);
    assert_int_equal(m.mem.count, VU_REGIONS_MAX);
    assert_true(m.mem.region[7].guest == 0x1122334455667788ULL && m.mem.region[7].offset == 99);
    assert_int_equal(decode(VU_SET_MEM_TABLE, p, 8 + VU_REGIONS_MAX * 32 - 1, VU_REGIONS_MAX, &m), -1);
    put_le32(p, VU_REGIONS_MAX + 1);
    assert_int_equal(decode(VU_SET_MEM_TABLE, p, sizeof p, VU_REGIONS_MAX, &m), -1);
    put_le32(p, UINT32_MAX);
    assert_int_equal(decode(VU_SET_MEM_TABLE, p, sizeof p, VU_REGIONS_MAX, &m), -1);
}

static void configuration_stays_inside_its_space(void **state) {
    uint8_t p[12 + VU_CONFIG_MAX] = {0};
    struct vu_msg m;
    (void)state;
    put_le32(p + 4, VU_CONFIG_MAX);
    assert_int_equal(decode(VU_GET_CONFIG, p, sizeof p, 0, &m), 0);
    assert_int_equal(decode(VU_GET_CONFIG, p, sizeof p - 1, 0, &m), -1);
    put_le32(p, 1);
    assert_int_equal(decode(VU_GET_CONFIG, p, sizeof p, 0, &m), -1);
    put_le32(p, UINT32_MAX);
    put_le32(p + 4, 8);
    assert_int_equal(decode(VU_GET_CONFIG, p, sizeof p, 0, &m), -1);
    put_le32(p, 0);
    put_le32(p + 4, UINT32_MAX);
    assert_int_equal(decode(VU_GET_CONFIG, p, sizeof p, 0, &m), -1);
}

static void a_reply_says_that_it_is_one(void **state) {
    uint8_t head[VU_HEADER_BYTES];
    struct vu_header h;
    (void)state;
    vu_encode_reply_header(VU_GET_CONFIG, 20, head);
    assert_int_equal(le32(head), VU_GET_CONFIG);
    assert_int_equal(le32(head + 4), 5);
    assert_int_equal(le32(head + 8), 20);
    assert_int_equal(vu_decode_header(head, &h, NULL), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_another_version_replies_and_long_ones_are_refused),
        cmocka_unit_test(unknown_requests_are_refused),
        cmocka_unit_test(every_request_with_a_byte_too_few_is_refused),
        cmocka_unit_test(files_must_be_as_many_as_the_request_says),
        cmocka_unit_test(a_memory_table_holds_the_regions_it_counts),
        cmocka_unit_test(configuration_stays_inside_its_space),
        cmocka_unit_test(a_reply_says_that_it_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
