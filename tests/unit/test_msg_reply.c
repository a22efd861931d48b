/* test_msg_reply.c: VERDICTS, DURABLE, REFUSED, BASIS, NAMES, ACK, FINISH, and messages without a body. */
#include "wire_help.h"

MESSAGE(refused)
MESSAGE(basis)
MESSAGE(ack)
MESSAGE(totals)
MESSAGE(names)

static const uint64_t past_int64 = (uint64_t)INT64_MAX + 1;

/* ---- runs ----------------------------------------------------------------------------------------- */

static int read_runs(struct span body, unsigned type, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct run_of_ids run;
    int got;
    while ((got = run_next(&r, type, &run, err)) > 0)
        assert_true(run.first_id >= 1 && run.count >= 1);
    return got;
}

static int try_verdicts(struct span body, struct err *err) {
    return read_runs(body, MSG_VERDICTS, err);
}

static int try_durable(struct span body, struct err *err) {
    return read_runs(body, MSG_DURABLE, err);
}

static int run_code(try_fn *try, uint64_t first_id, uint32_t count, uint8_t verdict) {
    const struct run_of_ids run = {.first_id = first_id, .count = count, .verdict = verdict};
    struct wr w = wr_of(body_bytes, sizeof body_bytes);
    run_encode(&w, &run);
    assert_int_equal(wr_used(&w), RUN_SIZE);
    return code_of(try, body_bytes, RUN_SIZE);
}

static void runs_come_in_order(void **state) {
    (void)state;
    uint8_t bytes[3 * RUN_SIZE];
    struct wr w = wr_of(bytes, sizeof bytes);
    const struct run_of_ids runs[] = {{1, 2, VERDICT_MADE}, {3, 16384, VERDICT_WANT}, {9, 1, VERDICT_SKIP}};
    for (size_t i = 0; i < 3; i++)
        run_encode(&w, &runs[i]);
    struct rd r = rd_of(bytes, sizeof bytes);
    struct run_of_ids run;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(run_next(&r, MSG_VERDICTS, &run, NULL), 1);
        assert_int_equal(run.first_id, runs[i].first_id);
        assert_int_equal(run.count, runs[i].count);
        assert_int_equal(run.verdict, runs[i].verdict);
    }
    assert_int_equal(run_next(&r, MSG_VERDICTS, &run, NULL), 0);
    for (size_t n = 0; n <= sizeof bytes; n++)
        assert_int_equal(code_of(try_verdicts, bytes, n), n % RUN_SIZE ? EXIT_STREAM : 0);
}

static void runs_are_held_to_their_limits(void **state) {
    (void)state;
    assert_int_equal(run_code(try_verdicts, 1, 1, 0), EXIT_STREAM);
    assert_int_equal(run_code(try_verdicts, 1, 1, VERDICT_SKIP), 0);
    assert_int_equal(run_code(try_verdicts, 1, 1, VERDICT_GONE), 0);
    assert_int_equal(run_code(try_verdicts, 1, 1, VERDICT_GONE + 1), EXIT_STREAM);
    assert_int_equal(run_code(try_durable, 1, 1, 0), 0);
    assert_int_equal(run_code(try_durable, 1, 1, 1), EXIT_STREAM);
    assert_int_equal(run_code(try_durable, 0, 1, 0), EXIT_STREAM);
    assert_int_equal(run_code(try_durable, 1, 0, 0), EXIT_STREAM);
    assert_int_equal(run_code(try_durable, 1, UNSETTLED_MAX, 0), 0);
    assert_int_equal(run_code(try_durable, 1, UNSETTLED_MAX + 1, 0), EXIT_STREAM);
    assert_int_equal(run_code(try_durable, UINT64_MAX - 5, 5, 0), 0);
    assert_int_equal(run_code(try_durable, UINT64_MAX - 4, 5, 0), EXIT_STREAM);
    run_code(try_durable, 1, 1, 0);
    uint8_t *body = exact(body_bytes, RUN_SIZE);
    assert_reserved(try_durable, body, RUN_SIZE, 13, 3);
    free(body);
}

/* ---- the others ----------------------------------------------------------------------------------- */

static void refused_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_refused m = {.refused_order = UINT64_MAX};
    ASSERT_FIXED(refused, m, 8);
    ASSERT_ROOM(refused, m);
    ACCEPTS(refused, m, refused_order, 1);
    ACCEPTS(refused, m, refused_order, 0);
}

static const uint8_t digests[4 * DIGEST_SIZE] = "four digests";

static struct msg_basis sample_basis(uint8_t kind, uint32_t count) {
    return (struct msg_basis){.file_id = 7,
                              .size = 3 * CHUNK_SIZE_MIN + 1, /* four blocks */
                              .kind = kind,
                              .block_size = CHUNK_SIZE_MIN,
                              .count = count,
                              .digests = {digests, count * (size_t)DIGEST_SIZE}};
}

static void basis_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_basis m = sample_basis(BASIS_CONTENT, 1);
    ASSERT_FIXED(basis, m, 56);
    ASSERT_ROOM(basis, m);
    encode_basis(&m);
    uint8_t *body = exact(body_bytes, 56);
    assert_reserved(try_basis, body, 56, 17, 3);
    assert_reserved(try_basis, body, 56, 36, 4);
    free(body);
    REFUSES(basis, m, file_id, 0);
    ACCEPTS(basis, m, file_id, 1);
    REFUSES(basis, m, kind, 0);
    REFUSES(basis, m, kind, 3);
    ACCEPTS(basis, m, size, 0);
    ACCEPTS(basis, m, size, INT64_MAX);
    REFUSES(basis, m, size, past_int64);
    REFUSES(basis, m, block_size, BASIS_BLOCK_MIN - 1);
    ACCEPTS(basis, m, block_size, BASIS_BLOCK_MIN);
    ACCEPTS(basis, m, block_size, CHUNK_SIZE_MAX);
    REFUSES(basis, m, block_size, CHUNK_SIZE_MAX + 1);
    REFUSES(basis, m, count, 0);
    REFUSES(basis, m, count, 2);
    REFUSES(basis, m, first_block, 1);
}

static void basis_of_content_has_one_digest(void **state) {
    (void)state;
    struct msg_basis m = sample_basis(BASIS_CONTENT, 2);
    assert_int_equal(through_basis(&m), EXIT_STREAM);
    m = sample_basis(BASIS_CONTENT, 0);
    assert_int_equal(through_basis(&m), EXIT_STREAM);
}

static void basis_blocks_lie_inside_the_file(void **state) {
    (void)state;
    struct msg_basis m = sample_basis(BASIS_BLOCKS, 4);
    assert_int_equal(through_basis(&m), 0);
    REFUSES(basis, m, first_block, 1);
    REFUSES(basis, m, size, 3 * CHUNK_SIZE_MIN);
    REFUSES(basis, m, size, 0);
    m = sample_basis(BASIS_BLOCKS, 2);
    ACCEPTS(basis, m, first_block, 2);
    REFUSES(basis, m, first_block, 3);
    REFUSES(basis, m, first_block, UINT64_MAX);
}

static void basis_without_blocks_says_that_no_more_come(void **state) {
    (void)state;
    struct msg_basis m = sample_basis(BASIS_BLOCKS, 0);
    assert_int_equal(through_basis(&m), 0);
    m.digests.n = DIGEST_SIZE;
    assert_int_equal(through_basis(&m), EXIT_STREAM);
}

static void ack_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_ack m = {.processed = UINT64_MAX, .credit = INT64_MAX, .written = UINT64_MAX};
    ASSERT_FIXED(ack, m, 24);
    ASSERT_ROOM(ack, m);
    ACCEPTS(ack, m, credit, 0);
    REFUSES(ack, m, credit, past_int64);
}

static void totals_must_add_up(void **state) {
    (void)state;
    struct msg_totals m = {
        .entries = 10, .committed = 1, .skipped = 2, .made = 3, .failed = 4, .bytes = UINT64_MAX};
    ASSERT_FIXED(totals, m, 48);
    ASSERT_ROOM(totals, m);
    REFUSES(totals, m, entries, 9);
    REFUSES(totals, m, entries, 11);
    REFUSES(totals, m, committed, 2);
    REFUSES(totals, m, failed, UINT64_MAX);
    REFUSES(totals, m, skipped, UINT64_MAX - 1);
    REFUSES(totals, m, made, UINT64_MAX);
    m = (struct msg_totals){.entries = UINT64_MAX, .made = UINT64_MAX};
    assert_int_equal(through_totals(&m), 0);
}

static void totals_are_equal_only_in_every_field(void **state) {
    (void)state;
    const struct msg_totals m = {1, 2, 3, 4, 5, 6};
    assert_true(msg_totals_equal(&m, &m));
    for (size_t i = 0; i < 6; i++) {
        uint64_t fields[6] = {1, 2, 3, 4, 5, 6};
        fields[i]++;
        const struct msg_totals other = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
        assert_false(msg_totals_equal(&m, &other));
    }
}

#define NAMES(list, number)                                                                                  \
    (struct msg_names) {                                                                                     \
        .file_id = 7, .last = 1, .count = (number), .names = {(const uint8_t *)(list), sizeof(list) - 1 }    \
    }

static void names_are_held_to_their_limits(void **state) {
    (void)state;
    struct msg_names m = NAMES("\x01"
                               "a"
                               "\x03"
                               "b.c",
                               2);
    ASSERT_FIXED(names, m, 16 + 6);
    ASSERT_ROOM(names, m);
    encode_names(&m);
    uint8_t *body = exact(body_bytes, 22);
    assert_reserved(try_names, body, 22, 9, 3);
    free(body);
    REFUSES(names, m, file_id, 0);
    ACCEPTS(names, m, file_id, 1);
    ACCEPTS(names, m, last, 0);
    REFUSES(names, m, last, 2);
    REFUSES(names, m, count, 1);
    REFUSES(names, m, count, 3);
    REFUSES(names, m, count, UINT32_MAX);
    m = NAMES("", 0);
    assert_int_equal(through_names(&m), 0);
}

static void bad_names_are_refused(void **state) {
    (void)state;
    const struct msg_names bad[] = {
        NAMES("\x01"
              "a"
              "\x00",
              2),
        NAMES("\x01"
              ".",
              1),
        NAMES("\x02"
              "..",
              1),
        NAMES("\x03"
              "a/b",
              1),
        NAMES("\x02"
              "a\0",
              1),
        NAMES("\x0a"
              ".hvferry.1",
              1),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(through_names(&bad[i]), EXIT_STREAM);
}

static void messages_without_a_body_have_none(void **state) {
    (void)state;
    struct err err = {.code = 0};
    assert_int_equal(msg_empty_decode((struct span){NULL, 0}, "SYNC", &err), 0);
    assert_int_equal(err.code, 0);
    assert_int_equal(msg_empty_decode((struct span){(const uint8_t *)"x", 1}, "SYNC", &err), -1);
    assert_int_equal(err.code, EXIT_STREAM);
    assert_string_equal(err.msg, "SYNC: has a body of 1 bytes");
}

static void a_message_says_which_field_is_wrong(void **state) {
    (void)state;
    const struct run_of_ids run = {.first_id = 1, .count = UNSETTLED_MAX + 1, .verdict = VERDICT_WANT};
    struct wr w = wr_of(body_bytes, sizeof body_bytes);
    struct err err = {.code = 0};
    run_encode(&w, &run);
    assert_int_equal(try_verdicts((struct span){body_bytes, RUN_SIZE}, &err), -1);
    assert_string_equal(err.msg, "VERDICTS: count 16385 is not in 1…16384");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_come_in_order),
        cmocka_unit_test(runs_are_held_to_their_limits),
        cmocka_unit_test(refused_is_held_to_its_limits),
        cmocka_unit_test(basis_is_held_to_its_limits),
        cmocka_unit_test(basis_of_content_has_one_digest),
        cmocka_unit_test(basis_blocks_lie_inside_the_file),
        cmocka_unit_test(basis_without_blocks_says_that_no_more_come),
        cmocka_unit_test(ack_is_held_to_its_limits),
        cmocka_unit_test(totals_must_add_up),
        cmocka_unit_test(totals_are_equal_only_in_every_field),
        cmocka_unit_test(names_are_held_to_their_limits),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(messages_without_a_body_have_none),
        cmocka_unit_test(a_message_says_which_field_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
