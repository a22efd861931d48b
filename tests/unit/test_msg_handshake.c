/* test_msg_handshake.c: HELLO and WELCOME, REJECT and ABORT, FILE_FAIL and FILE_ERROR, AUTH. */
#include "wire_help.h"

enum { HELLO_SIZE = 56, CONTROL_WINDOW = 2 * (FRAME_COST + BODY_MAX) };

MESSAGE(hello)
MESSAGE(text)
MESSAGE(file_text)
MESSAGE(auth)
MESSAGE(challenge)

static struct msg_hello sample_hello(void) {
    return (struct msg_hello){
        .version = 1,
        .role = ROLE_SENDER,
        .intent = INTENT_NEW,
        .features = 0xF000000000000001,
        .session_id = "0123456789abcde",
        .codecs = 0x80000001,
        .chunk_size = CHUNK_SIZE_DEFAULT,
        .window = CONTROL_WINDOW,
        .streams = 1,
    };
}

static struct msg_hello sample_resume(void) {
    struct msg_hello m = sample_hello();
    m.intent = INTENT_RESUME;
    m.stream = 3;
    m.streams = 4;
    m.processed = UINT64_MAX;
    return m;
}

/* The exit code of a HELLO with these bytes as tags. */
static int code_with_tags(const void *tags, size_t n) {
    struct msg_hello m = sample_hello();
    m.tags = (struct span){.p = tags, .n = n};
    return through_hello(&m);
}

static void hello_keeps_every_field(void **state) {
    (void)state;
    struct msg_hello m = sample_resume(), back;
    size_t n = encode_hello(&m);
    assert_int_equal(n, HELLO_SIZE);
    assert_int_equal(msg_hello_decode((struct span){body_bytes, n}, &back, NULL), 0);
    assert_int_equal(back.version, 1);
    assert_int_equal(back.role, ROLE_SENDER);
    assert_int_equal(back.intent, INTENT_RESUME);
    assert_int_equal(back.features, 0xF000000000000001);
    assert_memory_equal(back.session_id, m.session_id, SESSION_ID_SIZE);
    assert_int_equal(back.codecs, 0x80000001);
    assert_int_equal(back.chunk_size, CHUNK_SIZE_DEFAULT);
    assert_int_equal(back.window, CONTROL_WINDOW);
    assert_int_equal(back.stream, 3);
    assert_int_equal(back.streams, 4);
    assert_int_equal(back.processed, UINT64_MAX);
    assert_int_equal(back.tags.n, 0);
}

static void hello_of_every_shorter_length_is_refused(void **state) {
    (void)state;
    struct msg_hello m = sample_hello();
    size_t n = encode_hello(&m);
    uint8_t *whole = exact(body_bytes, n);
    assert_prefixes_refused(try_hello, whole, n, n);
    free(whole);
    ASSERT_ROOM(hello, m);
}

static void hello_fields_are_held_to_their_limits(void **state) {
    (void)state;
    struct msg_hello m = sample_hello();
    REFUSES(hello, m, version, 0);
    REFUSES(hello, m, version, PROTOCOL_VERSION_MAX + 1);
    REFUSES(hello, m, role, 0);
    REFUSES(hello, m, role, 3);
    REFUSES(hello, m, intent, 0);
    REFUSES(hello, m, intent, 4);
    REFUSES(hello, m, codecs, 0xFFFFFFFE);
    ACCEPTS(hello, m, codecs, 1);
    REFUSES(hello, m, chunk_size, CHUNK_SIZE_MIN - 1);
    ACCEPTS(hello, m, chunk_size, CHUNK_SIZE_MIN);
    ACCEPTS(hello, m, chunk_size, CHUNK_SIZE_MAX);
    REFUSES(hello, m, chunk_size, CHUNK_SIZE_MAX + 1);
    REFUSES(hello, m, streams, 0);
    ACCEPTS(hello, m, streams, UINT16_MAX);
}

static void window_must_hold_two_of_the_largest_frames(void **state) {
    (void)state;
    struct msg_hello m = sample_hello();
    ACCEPTS(hello, m, window, CONTROL_WINDOW);
    REFUSES(hello, m, window, CONTROL_WINDOW - 1);
    ACCEPTS(hello, m, window, INT64_MAX);
    REFUSES(hello, m, window, (uint64_t)INT64_MAX + 1);
    m.role = ROLE_RECEIVER;
    m.chunk_size = CHUNK_SIZE_MAX;
    ACCEPTS(hello, m, window, CONTROL_WINDOW + 2 * (uint64_t)CHUNK_SIZE_MAX);
    REFUSES(hello, m, window, CONTROL_WINDOW + 2 * (uint64_t)CHUNK_SIZE_MAX - 1);
}

static void stream_and_processed_must_fit_the_intent(void **state) {
    (void)state;
    struct msg_hello m = sample_hello();
    m.streams = 4;
    ACCEPTS(hello, m, stream, 0);
    REFUSES(hello, m, stream, 1);
    REFUSES(hello, m, processed, 1);
    m.intent = INTENT_JOIN;
    REFUSES(hello, m, stream, 0);
    ACCEPTS(hello, m, stream, 1);
    ACCEPTS(hello, m, stream, 3);
    REFUSES(hello, m, stream, 4);
    m.stream = 1;
    REFUSES(hello, m, processed, 1);
    m = sample_resume();
    ACCEPTS(hello, m, stream, 0);
    ACCEPTS(hello, m, stream, 3);
    REFUSES(hello, m, stream, 4);
    ACCEPTS(hello, m, processed, 0);
}

static void hello_tags_have_their_lengths(void **state) {
    (void)state;
    static const struct {
        uint16_t tag;
        size_t length;
        int code;
    } cases[] = {
        {TAG_AGENT, 0, 0},  {TAG_AGENT, 255, 0},           {TAG_AGENT, 256, EXIT_STREAM},
        {TAG_NONCE, 32, 0}, {TAG_NONCE, 31, EXIT_STREAM},  {TAG_NONCE, 33, EXIT_STREAM},
        {TAG_MAC, 32, 0},   {TAG_MAC, 31, EXIT_STREAM},    {TAG_MAC, 33, EXIT_STREAM},
        {0x01FF, 300, 0},   {0x81FF, 0, EXIT_UNSUPPORTED}, {TAG_LINK_TARGET, 1, EXIT_UNSUPPORTED},
    };
    static const uint8_t value[512];
    uint8_t tags[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wr w = wr_of(tags, sizeof tags);
        tag_encode(&w, cases[i].tag, value, cases[i].length);
        assert_int_equal(code_with_tags(tags, wr_used(&w)), cases[i].code);
    }
}

static void a_hello_tag_may_not_come_twice(void **state) {
    (void)state;
    static const uint8_t value[32];
    static const uint16_t known[] = {TAG_AGENT, TAG_NONCE, TAG_MAC};
    for (size_t i = 0; i < 3; i++) {
        uint8_t tags[128];
        struct wr w = wr_of(tags, sizeof tags);
        tag_encode(&w, known[i], value, 32);
        assert_int_equal(code_with_tags(tags, wr_used(&w)), 0);
        tag_encode(&w, known[i], value, 32);
        assert_int_equal(code_with_tags(tags, wr_used(&w)), EXIT_STREAM);
    }
}

static const uint8_t sample_nonce[NONCE_SIZE] = "nonce";

static void tags_cut_anywhere_are_refused(void **state) {
    (void)state;
    uint8_t tags[64];
    struct wr w = wr_of(tags, sizeof tags);
    tag_encode(&w, TAG_AGENT, "hvsend", 6);
    size_t first = wr_used(&w);
    tag_encode(&w, TAG_NONCE, sample_nonce, NONCE_SIZE);
    for (size_t n = 0; n <= wr_used(&w); n++)
        assert_int_equal(code_with_tags(tags, n), n == 0 || n == first || n == wr_used(&w) ? 0 : EXIT_STREAM);
}

static void a_tag_that_does_not_fit_is_not_written(void **state) {
    (void)state;
    uint8_t room[16];
    struct wr w = wr_of(room, sizeof room);
    tag_encode(&w, TAG_AGENT, "123456789abc", 12);
    assert_false(w.bad);
    w = wr_of(room, sizeof room);
    tag_encode(&w, TAG_AGENT, "123456789abcd", 13);
    assert_true(w.bad);
    assert_int_equal(wr_used(&w), 0);
    static const uint8_t value[UINT16_MAX + 1];
    w = wr_of(body_bytes, sizeof body_bytes);
    tag_encode(&w, TAG_AGENT, value, UINT16_MAX);
    assert_int_equal(wr_used(&w), 4 + UINT16_MAX);
    tag_encode(&w, TAG_AGENT, value, UINT16_MAX + 1);
    assert_true(w.bad);
}

static void texts_are_held_to_their_limits(void **state) {
    (void)state;
    char words[MESSAGE_TEXT_MAX + 1];
    memset(words, '\033', sizeof words); /* any bytes: it is for the printer to escape */
    struct msg_text m = {.code = EXIT_REFUSED, .text = {(const uint8_t *)words, MESSAGE_TEXT_MAX}};
    assert_int_equal(through_text(&m), 0);
    REFUSES(text, m, code, 0);
    ACCEPTS(text, m, code, 1);
    ACCEPTS(text, m, code, 255);
    REFUSES(text, m, code, 256);
    ACCEPTS(text, m, text.n, 0);
    uint8_t body[4 + MESSAGE_TEXT_MAX + 1] = {1, 0, 0x01, 0x04}; /* 1025 bytes of text */
    assert_int_equal(code_of(try_text, body, sizeof body), EXIT_STREAM);
}

static void a_longer_text_is_cut_when_it_is_written(void **state) {
    (void)state;
    static const uint8_t words[MESSAGE_TEXT_MAX + 1];
    struct msg_text m = {.code = 1, .text = {words, sizeof words}};
    assert_int_equal(encode_text(&m), 4 + MESSAGE_TEXT_MAX);
    assert_int_equal(code_of(try_text, body_bytes, 4 + MESSAGE_TEXT_MAX), 0);
}

static void texts_of_any_other_length_are_refused(void **state) {
    (void)state;
    struct msg_text m = {.code = EXIT_REFUSED, .text = {(const uint8_t *)"no", 2}};
    ASSERT_FIXED(text, m, 6);
    ASSERT_ROOM(text, m);
    struct msg_file_text f = {.file_id = 9, .text = m};
    ASSERT_FIXED(file_text, f, 14);
    ASSERT_ROOM(file_text, f);
}

static void file_texts_name_a_file(void **state) {
    (void)state;
    struct msg_file_text m = {.file_id = 1, .text = {.code = EXIT_VANISHED, .text = {NULL, 0}}};
    ACCEPTS(file_text, m, file_id, 1);
    ACCEPTS(file_text, m, file_id, UINT64_MAX);
    REFUSES(file_text, m, file_id, 0);
    REFUSES(file_text, m, text.code, 0);
}

static void auth_is_32_bytes(void **state) {
    (void)state;
    struct msg_auth m, back;
    memset(m.mac, 0x5A, sizeof m.mac);
    ASSERT_FIXED(auth, m, MAC_SIZE);
    assert_int_equal(msg_auth_decode((struct span){m.mac, MAC_SIZE}, &back, NULL), 0);
    assert_memory_equal(back.mac, m.mac, MAC_SIZE);
}

static void challenge_is_32_bytes(void **state) {
    (void)state;
    struct msg_challenge m, back;
    memset(m.nonce, 0xA5, sizeof m.nonce);
    ASSERT_FIXED(challenge, m, NONCE_SIZE);
    assert_int_equal(msg_challenge_decode((struct span){m.nonce, NONCE_SIZE}, &back, NULL), 0);
    assert_memory_equal(back.nonce, m.nonce, NONCE_SIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_keeps_every_field),
        cmocka_unit_test(hello_of_every_shorter_length_is_refused),
        cmocka_unit_test(hello_fields_are_held_to_their_limits),
        cmocka_unit_test(window_must_hold_two_of_the_largest_frames),
        cmocka_unit_test(stream_and_processed_must_fit_the_intent),
        cmocka_unit_test(hello_tags_have_their_lengths),
        cmocka_unit_test(a_hello_tag_may_not_come_twice),
        cmocka_unit_test(tags_cut_anywhere_are_refused),
        cmocka_unit_test(a_tag_that_does_not_fit_is_not_written),
        cmocka_unit_test(texts_are_held_to_their_limits),
        cmocka_unit_test(a_longer_text_is_cut_when_it_is_written),
        cmocka_unit_test(texts_of_any_other_length_are_refused),
        cmocka_unit_test(file_texts_name_a_file),
        cmocka_unit_test(auth_is_32_bytes),
        cmocka_unit_test(challenge_is_32_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
