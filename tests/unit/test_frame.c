/* test_frame.c: preamble and frame header. */
#include "wire_help.h"

#include "wire/frame.h"

#include <stdio.h>

enum { LIMIT = 256 };

/* ---- preamble ------------------------------------------------------------------------------------- */

static void preamble_survives_a_round_trip(void **state) {
    (void)state;
    const struct preamble p = {.version_min = 1, .version_max = 513};
    struct preamble back;
    uint8_t bytes[PREAMBLE_SIZE];
    preamble_encode(&p, bytes);
    assert_memory_equal(bytes, "\x89HVF\r\n\x1a\n\x01\x00\x01\x02", 12);
    assert_int_equal(preamble_decode(bytes, &back, NULL), 0);
    assert_int_equal(back.version_min, 1);
    assert_int_equal(back.version_max, 513);
}

static void every_flipped_bit_of_a_preamble_is_found(void **state) {
    (void)state;
    const struct preamble p = {.version_min = 1, .version_max = 1};
    uint8_t bytes[PREAMBLE_SIZE];
    preamble_encode(&p, bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        struct preamble back = {.version_min = 99, .version_max = 99};
        struct err err = {.code = 0};
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(preamble_decode(bytes, &back, &err), -1);
        assert_int_equal(err.code, bit < 64 ? EXIT_PROTOCOL : EXIT_STREAM);
        assert_int_equal(back.version_min, 99);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void other_protocols_are_called_by_name(void **state) {
    (void)state;
    static const struct {
        const char *sent, *name;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request", "HTTP"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP"},
        {"SSH-2.0-OpenSSH_9.2", "SSH"},
        {"\x16\x03\x01\x02...............", "TLS"},
        {"@RSYNCD: 31.0 sha512", "rsync"},
        {"hello, who is there?", "something else"},
        {"\x89PNG\r\n\x1a\n........", "\\211PNG"}, /* what was sent is shown, escaped */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct preamble p;
        struct err err = {.code = 0};
        assert_int_equal(preamble_decode((const uint8_t *)cases[i].sent, &p, &err), -1);
        assert_int_equal(err.code, EXIT_PROTOCOL);
        assert_non_null(strstr(err.msg, cases[i].name));
        assert_null(strchr(err.msg, '\r'));
    }
}

static void the_highest_common_version_is_chosen(void **state) {
    (void)state;
    static const struct {
        struct preamble ours, theirs;
        unsigned version;
        const char *says;
    } cases[] = {
        {{1, 1}, {1, 1}, 1, NULL},
        {{1, 3}, {2, 9}, 3, NULL},
        {{1, 9}, {2, 3}, 3, NULL},
        {{2, 2}, {1, 1}, 0, "the peer is older"},
        {{1, 1}, {2, 2}, 0, "this end is older"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {.code = 0};
        unsigned version = 0;
        int result = version_choose(&cases[i].ours, &cases[i].theirs, &version, &err);
        assert_int_equal(version, cases[i].version);
        assert_int_equal(result, cases[i].says ? -1 : 0);
        assert_int_equal(err.code, cases[i].says ? EXIT_PROTOCOL : 0);
        if (cases[i].says)
            assert_non_null(strstr(err.msg, cases[i].says));
    }
}

/* ---- header --------------------------------------------------------------------------------------- */

static const uint8_t sample_body[100] = "a body";

static struct frame sample_frame(uint8_t type, uint32_t body_length, uint32_t data_length) {
    return (struct frame){.type = type, .body_length = body_length, .data_length = data_length, .order = 1};
}

/* Exit code of decoding the header of `f` with LIMIT for both lengths. */
static int header_code(const struct frame *f) {
    static uint8_t body[LIMIT + 1];
    uint8_t header[FRAME_HEADER_SIZE];
    struct frame back;
    struct err err = {.code = 0};
    frame_encode(f, body, header);
    int result = frame_decode(header, LIMIT, LIMIT, &back, &err);
    assert_int_equal(result, err.code ? -1 : 0);
    return err.code;
}

static void header_survives_a_round_trip(void **state) {
    (void)state;
    const struct frame f = {.type = MSG_CHUNK,
                            .flags = FRAME_RESENT | FRAME_OPTIONAL,
                            .body_length = 100,
                            .data_length = 17,
                            .seq = 0xFEDCBA98,
                            .order = 0x0123456789ABCDEF};
    struct frame back;
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(&f, sample_body, header);
    assert_int_equal(frame_decode(header, 100, 17, &back, NULL), 0);
    assert_int_equal(back.type, f.type);
    assert_int_equal(back.flags, f.flags);
    assert_int_equal(back.body_length, 100);
    assert_int_equal(back.data_length, 17);
    assert_int_equal(back.seq, f.seq);
    assert_int_equal(back.order, f.order);
    assert_int_equal(frame_check_body(&back, sample_body, NULL), 0);
}

static void every_flipped_bit_of_a_header_is_found(void **state) {
    (void)state;
    const struct frame f = sample_frame(MSG_CHUNK, sizeof sample_body, 17);
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(&f, sample_body, header);
    for (size_t bit = 0; bit < 8 * sizeof header; bit++) {
        struct frame back = {.type = 99};
        struct err err = {.code = 0};
        header[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(frame_decode(header, BODY_MAX, CHUNK_SIZE_MAX, &back, &err), -1);
        assert_int_equal(err.code, EXIT_STREAM);
        assert_int_equal(back.type, 99);
        header[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void every_flipped_bit_of_a_body_is_found(void **state) {
    (void)state;
    struct frame f = sample_frame(MSG_ENTRIES, sizeof sample_body, 0);
    uint8_t header[FRAME_HEADER_SIZE], body[sizeof sample_body];
    memcpy(body, sample_body, sizeof body);
    frame_encode(&f, body, header);
    assert_int_equal(frame_decode(header, LIMIT, 0, &f, NULL), 0);
    for (size_t bit = 0; bit < 8 * sizeof body; bit++) {
        struct err err = {.code = 0};
        body[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(frame_check_body(&f, body, &err), -1);
        assert_int_equal(err.code, EXIT_STREAM);
        body[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void lengths_are_held_to_their_limits(void **state) {
    (void)state;
    struct frame f = sample_frame(MSG_BUNDLE, LIMIT, LIMIT);
    assert_int_equal(header_code(&f), 0);
    f = sample_frame(MSG_BUNDLE, LIMIT + 1, 0);
    assert_int_equal(header_code(&f), EXIT_STREAM);
    f = sample_frame(MSG_BUNDLE, 0, LIMIT + 1);
    assert_int_equal(header_code(&f), EXIT_STREAM);
}

static void only_chunk_and_bundle_have_a_data_area(void **state) {
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool data = type == MSG_CHUNK || type == MSG_BUNDLE;
        struct frame f = sample_frame((uint8_t)type, 0, 1);
        assert_int_equal(header_code(&f), data ? 0 : EXIT_STREAM);
        f = sample_frame((uint8_t)type, 0, 0);
        assert_int_equal(header_code(&f), type == MSG_CHUNK ? EXIT_STREAM : 0);
    }
}

static void unknown_flags_are_refused(void **state) {
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        struct frame f = sample_frame(MSG_SYNC, 0, 0);
        f.flags = (uint8_t)flags;
        assert_int_equal(header_code(&f), flags <= 3 ? 0 : EXIT_STREAM);
    }
}

static void a_frame_with_data_costs_a_whole_chunk(void **state) {
    (void)state;
    struct frame f = sample_frame(MSG_CHUNK, 40, 1);
    assert_int_equal(frame_cost(&f, CHUNK_SIZE_MAX), FRAME_COST + 40 + CHUNK_SIZE_MAX);
    f = sample_frame(MSG_BUNDLE, BODY_MAX, 0);
    assert_int_equal(frame_cost(&f, CHUNK_SIZE_MAX), FRAME_COST + BODY_MAX);
}

static void every_type_has_a_name(void **state) {
    (void)state;
    char text[16];
    assert_string_equal(msg_type_name(MSG_HELLO), "HELLO");
    assert_string_equal(msg_type_name(MSG_ABORT), "ABORT");
    for (unsigned type = 0; type < 256; type++) {
        (void)snprintf(text, sizeof text, "message %u", type);
        bool known = (type >= 1 && type <= 5) || (type >= 16 && type <= 39) || (type >= 48 && type <= 50) ||
                     type == 56;
        assert_true(known == (strcmp(msg_type_name(type), text) != 0));
    }
    assert_string_equal(msg_type_name(1000), "message ?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preamble_survives_a_round_trip),
        cmocka_unit_test(every_flipped_bit_of_a_preamble_is_found),
        cmocka_unit_test(other_protocols_are_called_by_name),
        cmocka_unit_test(the_highest_common_version_is_chosen),
        cmocka_unit_test(header_survives_a_round_trip),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_found),
        cmocka_unit_test(every_flipped_bit_of_a_body_is_found),
        cmocka_unit_test(lengths_are_held_to_their_limits),
        cmocka_unit_test(only_chunk_and_bundle_have_a_data_area),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(a_frame_with_data_costs_a_whole_chunk),
        cmocka_unit_test(every_type_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
