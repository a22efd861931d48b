/* test_msg_data.c: FILE_BEGIN, CHUNK, HOLE, REUSE, BUNDLE, FILE_END, FILE_SAME. */
#include "wire_help.h"

static uint32_t data_length, chunk_size = CHUNK_SIZE_MIN; /* what the frame and the session say */

MESSAGE(file_begin)
MESSAGE(chunk, data_length, chunk_size)
MESSAGE(hole)
MESSAGE(bundle, data_length, chunk_size)
MESSAGE(file_end)
MESSAGE(file_same)

static const uint64_t past_int64 = (uint64_t)INT64_MAX + 1;

static void file_begin_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_file_begin m = {
        .file_id = 7, .size = 100, .data_size = 100, .mtime_sec = -1, .mtime_nsec = 5, .mode = 0644};
    ASSERT_FIXED(file_begin, m, 40);
    ASSERT_ROOM(file_begin, m);
    REFUSES(file_begin, m, file_id, 0);
    ACCEPTS(file_begin, m, file_id, 1);
    ACCEPTS(file_begin, m, file_id, UINT64_MAX);
    REFUSES(file_begin, m, data_size, 101);
    ACCEPTS(file_begin, m, data_size, 0);
    ACCEPTS(file_begin, m, size, INT64_MAX);
    REFUSES(file_begin, m, size, past_int64);
    ACCEPTS(file_begin, m, mtime_sec, INT64_MIN);
    ACCEPTS(file_begin, m, mtime_nsec, 999999999);
    REFUSES(file_begin, m, mtime_nsec, 1000000000);
    ACCEPTS(file_begin, m, mtime_nsec, 0);
    ACCEPTS(file_begin, m, mode, 0);
    ACCEPTS(file_begin, m, mode, 07777);
    REFUSES(file_begin, m, mode, 010000);
    m.data_size = 0;
    ACCEPTS(file_begin, m, size, 0);
}

static void file_begin_keeps_every_field(void **state) {
    (void)state;
    struct msg_file_begin back,
        m = {.file_id = 7, .size = 100, .data_size = 99, .mtime_sec = -2, .mtime_nsec = 5, .mode = 0644};
    size_t n = encode_file_begin(&m);
    assert_int_equal(msg_file_begin_decode((struct span){body_bytes, n}, &back, NULL), 0);
    assert_int_equal(back.file_id, 7);
    assert_int_equal(back.size, 100);
    assert_int_equal(back.data_size, 99);
    assert_int_equal(back.mtime_sec, -2);
    assert_int_equal(back.mtime_nsec, 5);
    assert_int_equal(back.mode, 0644);
}

static struct msg_chunk sample_chunk(uint8_t codec, uint32_t raw_length, uint32_t length) {
    data_length = length;
    return (struct msg_chunk){
        .file_id = 7, .offset = 9, .raw_length = raw_length, .codec = codec, .digest = "digest"};
}

static void chunk_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_chunk m = sample_chunk(CODEC_NONE, 10, 10);
    ASSERT_FIXED(chunk, m, 40);
    ASSERT_ROOM(chunk, m);
    encode_chunk(&m);
    uint8_t *body = exact(body_bytes, 40);
    assert_reserved(try_chunk, body, 40, 21, 3);
    free(body);
    REFUSES(chunk, m, file_id, 0);
    ACCEPTS(chunk, m, file_id, 1);
    ACCEPTS(chunk, m, offset, INT64_MAX - 10);
    REFUSES(chunk, m, offset, INT64_MAX - 9);
    REFUSES(chunk, m, offset, UINT64_MAX);
    m = sample_chunk(CODEC_NONE, chunk_size, chunk_size);
    assert_int_equal(through_chunk(&m), 0);
    m = sample_chunk(CODEC_NONE, chunk_size + 1, chunk_size + 1);
    assert_int_equal(through_chunk(&m), EXIT_STREAM);
    m = sample_chunk(CODEC_NONE, 0, 0);
    assert_int_equal(through_chunk(&m), EXIT_STREAM);
}

static void data_length_must_fit_codec_and_raw_length(void **state) {
    (void)state;
    static const struct {
        uint8_t codec;
        uint32_t raw_length, data_length;
        int code;
    } cases[] = {
        {CODEC_NONE, 10, 9, EXIT_STREAM}, {CODEC_NONE, 10, 11, EXIT_STREAM},
        {CODEC_ZLIB, 10, 9, 0},           {CODEC_ZLIB, 10, 1, 0},
        {CODEC_ZLIB, 10, 0, EXIT_STREAM}, {CODEC_ZLIB, 10, 10, EXIT_STREAM},
        {CODEC_ZSTD, 10, 9, 0},           {CODEC_COUNT, 10, 9, EXIT_STREAM},
        {255, 10, 9, EXIT_STREAM},        {CODEC_ZLIB, 1, 1, EXIT_STREAM},
        {CODEC_ZLIB, 1, 0, EXIT_STREAM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct msg_chunk m = sample_chunk(cases[i].codec, cases[i].raw_length, cases[i].data_length);
        assert_int_equal(through_chunk(&m), cases[i].code);
    }
}

static void hole_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_hole m = {.file_id = 7, .offset = 4096, .length = 1};
    ASSERT_FIXED(hole, m, 24);
    ASSERT_ROOM(hole, m);
    REFUSES(hole, m, file_id, 0);
    ACCEPTS(hole, m, file_id, 1);
    ACCEPTS(hole, m, offset, 0);
    REFUSES(hole, m, length, 0);
    ACCEPTS(hole, m, length, INT64_MAX - 4096);
    REFUSES(hole, m, length, INT64_MAX - 4095);
    REFUSES(hole, m, length, past_int64);
    REFUSES(hole, m, length, UINT64_MAX);
    REFUSES(hole, m, length, UINT64_MAX - 4096);
    ACCEPTS(hole, m, offset, INT64_MAX - 1);
    REFUSES(hole, m, offset, INT64_MAX);
    REFUSES(hole, m, offset, UINT64_MAX);
}

static struct bundle_member sample_member(uint64_t file_id, uint32_t size) {
    return (struct bundle_member){
        .file_id = file_id, .mtime_sec = -7, .mtime_nsec = 999999999, .mode = 07777, .size = size};
}

static uint8_t member_bytes[(BUNDLE_FILES_MAX + 1) * BUNDLE_MEMBER_SIZE];

/* A bundle of these members, whose sizes add up. */
static struct msg_bundle sample_bundle(const struct bundle_member *members, uint32_t count) {
    struct msg_bundle m = {.codec = CODEC_NONE, .digest = "digest", .count = count};
    struct wr w = wr_of(member_bytes, sizeof member_bytes);
    for (uint32_t i = 0; i < count; i++) {
        bundle_member_encode(&w, &members[i]);
        m.raw_length += members[i].size;
    }
    data_length = m.raw_length;
    m.members = (struct span){member_bytes, wr_used(&w)};
    return m;
}

static void bundle_keeps_every_member(void **state) {
    (void)state;
    const struct bundle_member members[] = {sample_member(3, 5), sample_member(4, 0),
                                            sample_member(UINT64_MAX, 7)};
    struct msg_bundle m = sample_bundle(members, 3), back;
    ASSERT_FIXED(bundle, m, BUNDLE_HEAD_SIZE + 3 * BUNDLE_MEMBER_SIZE);
    ASSERT_ROOM(bundle, m);
    size_t n = encode_bundle(&m);
    assert_int_equal(msg_bundle_decode((struct span){body_bytes, n}, 12, chunk_size, &back, NULL), 0);
    assert_int_equal(back.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct bundle_member member = bundle_member_at(&back, i);
        assert_int_equal(member.file_id, members[i].file_id);
        assert_int_equal(member.mtime_sec, -7);
        assert_int_equal(member.mtime_nsec, 999999999);
        assert_int_equal(member.mode, 07777);
        assert_int_equal(member.size, members[i].size);
    }
}

static void bundle_is_held_to_its_limits(void **state) {
    (void)state;
    struct bundle_member member = sample_member(3, 5);
    struct msg_bundle m = sample_bundle(&member, 1);
    encode_bundle(&m);
    uint8_t *body = exact(body_bytes, 64);
    assert_reserved(try_bundle, body, 64, 5, 3);
    assert_reserved(try_bundle, body, 64, 28, 4);
    assert_reserved(try_bundle, body, 64, 60, 4);
    free(body);
    REFUSES(bundle, m, count, 0);
    REFUSES(bundle, m, count, 2);
    REFUSES(bundle, m, count, UINT32_MAX);
    REFUSES(bundle, m, members.n, BUNDLE_MEMBER_SIZE - 1);
    REFUSES(bundle, m, members.n, BUNDLE_MEMBER_SIZE + 1);
    REFUSES(bundle, m, raw_length, 4);
    REFUSES(bundle, m, raw_length, 6);
    data_length = 4; /* packed from 5 */
    ACCEPTS(bundle, m, codec, CODEC_ZSTD);
    REFUSES(bundle, m, codec, CODEC_COUNT);
    REFUSES(bundle, m, codec, 255);
    REFUSES(bundle, m, codec, CODEC_NONE);
    member = sample_member(3, chunk_size);
    m = sample_bundle(&member, 1);
    assert_int_equal(through_bundle(&m), 0);
    member = sample_member(3, chunk_size + 1);
    m = sample_bundle(&member, 1);
    assert_int_equal(through_bundle(&m), EXIT_STREAM);
}

static void bundle_members_are_held_to_their_limits(void **state) {
    (void)state;
    struct bundle_member bad[3] = {sample_member(0, 1), sample_member(3, 1), sample_member(3, 1)};
    bad[1].mtime_nsec = 1000000000;
    bad[2].mode = 010000;
    const struct bundle_member least[] = {{.file_id = 1}, {.file_id = 2}};
    struct msg_bundle empty = sample_bundle(least, 2);
    assert_int_equal(through_bundle(&empty), 0);
    for (size_t i = 0; i < 3; i++) {
        const struct bundle_member members[] = {sample_member(1, 1), bad[i]};
        struct msg_bundle m = sample_bundle(members, 2);
        assert_int_equal(through_bundle(&m), EXIT_STREAM);
    }
}

static void a_bundle_holds_at_most_1024_files(void **state) {
    (void)state;
    static struct bundle_member members[BUNDLE_FILES_MAX + 1];
    for (uint32_t i = 0; i <= BUNDLE_FILES_MAX; i++)
        members[i] = sample_member(i + 1, 1);
    struct msg_bundle m = sample_bundle(members, BUNDLE_FILES_MAX);
    assert_int_equal(through_bundle(&m), 0);
    m = sample_bundle(members, BUNDLE_FILES_MAX + 1);
    assert_int_equal(through_bundle(&m), EXIT_STREAM);
}

static void sizes_that_add_up_only_modulo_2_32_are_refused(void **state) {
    (void)state;
    const struct bundle_member members[] = {sample_member(1, UINT32_MAX), sample_member(2, 11)};
    struct msg_bundle m = sample_bundle(members, 2);
    assert_int_equal(m.raw_length, 10);
    assert_int_equal(through_bundle(&m), EXIT_STREAM);
}

static void a_bundle_of_empty_files_has_no_data(void **state) {
    (void)state;
    struct bundle_member member = sample_member(3, 0);
    struct msg_bundle m = sample_bundle(&member, 1);
    assert_int_equal(through_bundle(&m), 0);
    REFUSES(bundle, m, codec, CODEC_ZLIB);
    data_length = 1;
    assert_int_equal(through_bundle(&m), EXIT_STREAM);
}

static void file_end_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_file_end m = {.file_id = 7, .size = 10, .chunks = 10, .digest = "digest"};
    ASSERT_FIXED(file_end, m, 40);
    ASSERT_ROOM(file_end, m);
    REFUSES(file_end, m, file_id, 0);
    ACCEPTS(file_end, m, file_id, 1);
    REFUSES(file_end, m, chunks, 11);
    ACCEPTS(file_end, m, chunks, 0);
    ACCEPTS(file_end, m, size, INT64_MAX);
    REFUSES(file_end, m, size, past_int64);
}

static void file_same_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_file_same m = {.file_id = 7, .mtime_sec = INT64_MIN, .mtime_nsec = 999999999, .mode = 07777};
    ASSERT_FIXED(file_same, m, 24);
    ASSERT_ROOM(file_same, m);
    REFUSES(file_same, m, file_id, 0);
    ACCEPTS(file_same, m, file_id, 1);
    ACCEPTS(file_same, m, mtime_nsec, 0);
    ACCEPTS(file_same, m, mode, 0);
    REFUSES(file_same, m, mtime_nsec, 1000000000);
    REFUSES(file_same, m, mode, 010000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_begin_is_held_to_its_limits),
        cmocka_unit_test(file_begin_keeps_every_field),
        cmocka_unit_test(chunk_is_held_to_its_limits),
        cmocka_unit_test(data_length_must_fit_codec_and_raw_length),
        cmocka_unit_test(hole_is_held_to_its_limits),
        cmocka_unit_test(bundle_keeps_every_member),
        cmocka_unit_test(bundle_is_held_to_its_limits),
        cmocka_unit_test(bundle_members_are_held_to_their_limits),
        cmocka_unit_test(a_bundle_holds_at_most_1024_files),
        cmocka_unit_test(sizes_that_add_up_only_modulo_2_32_are_refused),
        cmocka_unit_test(a_bundle_of_empty_files_has_no_data),
        cmocka_unit_test(file_end_is_held_to_its_limits),
        cmocka_unit_test(file_same_is_held_to_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
