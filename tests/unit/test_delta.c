/* The receiver's digests at the sender: used up in order, bounded, and waited for only while they can come. */
#include "threads_help.h"

#include "sender/delta.h"

enum { FILE_BLOCKS = 10, BLOCK = BASIS_BLOCK_MIN };

static struct delta_box *box;
static struct delta *delta;

static int start(void **state) {
    (void)state;
    box = delta_box_new();
    delta = NULL;
    return box == NULL;
}

static int stop(void **state) {
    (void)state;
    delta_free(delta);
    delta_box_free(box);
    return 0;
}

/* Digests whose first byte is the number of their block. */
static int add_to(struct delta **to, uint64_t size, uint64_t first, uint32_t count) {
    static struct digest digests[BASIS_AHEAD_MAX + 1];
    struct err err = {0};
    for (uint32_t i = 0; i < count; i++)
        digests[i].b[0] = (uint8_t)(first + i);
    struct msg_basis m = {.file_id = 1,
                          .size = size,
                          .kind = BASIS_BLOCKS,
                          .block_size = BLOCK,
                          .first_block = first,
                          .count = count,
                          .digests = {digests[0].b, count * sizeof digests[0]}};
    int result = delta_add(box, to, &m, &err);
    assert_int_equal(result, err.code ? -1 : 0);
    return err.code;
}

static int add(uint64_t first, uint32_t count) {
    return add_to(&delta, FILE_BLOCKS * BLOCK, first, count);
}

static void require(uint64_t block, enum delta_answer answer) {
    struct digest digest = {{0xff}};
    assert_int_equal(delta_get(delta, block, &digest), answer);
    if (answer == DELTA_HERE)
        assert_int_equal(digest.b[0], block);
}

static void blocks_are_here_awaited_or_left_out(void **state) {
    (void)state;
    assert_int_equal(add(0, 2), 0);
    require(0, DELTA_HERE);
    require(1, DELTA_HERE);
    require(2, DELTA_AWAITED);
    assert_int_equal(add(4, 2), 0);
    require(2, DELTA_NONE); /* passed over */
    require(5, DELTA_HERE);
    require(6, DELTA_AWAITED);
    assert_int_equal(add(9, 1), 0); /* the last block */
    require(8, DELTA_NONE);
    require(9, DELTA_HERE);
    require(10, DELTA_NONE);
}

static void none_are_awaited_after_the_end(void **state) {
    (void)state;
    assert_int_equal(add(0, 1), 0);
    assert_int_equal(add(0, 0), 0);
    require(1, DELTA_NONE);
    assert_int_equal(add(5, 1), EXIT_STREAM);
    assert_int_equal(add(0, 0), EXIT_STREAM);
}

static void file_may_have_no_digest_at_all(void **state) {
    (void)state;
    assert_int_equal(add(0, 0), 0);
    require(0, DELTA_NONE);
}

static void blocks_do_not_go_back(void **state) {
    (void)state;
    assert_int_equal(add(2, 3), 0);
    assert_int_equal(add(4, 1), EXIT_STREAM);
    assert_int_equal(add(0, 1), EXIT_STREAM);
    assert_int_equal(add(5, 1), 0);
}

static void all_of_a_file_has_one_size(void **state) {
    (void)state;
    assert_int_equal(add(0, 1), 0);
    assert_int_equal(add_to(&delta, (FILE_BLOCKS + 1) * BLOCK, 1, 1), EXIT_STREAM);
}

static void receiver_does_not_run_ahead_over_all_files(void **state) {
    (void)state;
    const uint64_t size = (uint64_t)BASIS_AHEAD_MAX * 4 * BLOCK;
    struct delta *other = NULL;
    assert_int_equal(add_to(&delta, size, 0, BASIS_AHEAD_MAX - 10), 0);
    assert_int_equal(add_to(&other, size, 0, 10), 0);
    assert_int_equal(add_to(&other, size, 10, 1), EXIT_STREAM);
    require(BASIS_AHEAD_MAX - 10, DELTA_AWAITED); /* all of this one is used up */
    assert_int_equal(add_to(&other, size, 11, BASIS_AHEAD_MAX - 10), 0);
    delta_close(other);
    assert_int_equal(add_to(&other, size, BASIS_AHEAD_MAX + 1, BASIS_AHEAD_MAX),
                     0); /* dropped: it costs nothing */
    assert_int_equal(add_to(&delta, size, BASIS_AHEAD_MAX - 10, BASIS_AHEAD_MAX), 0);
    delta_free(other);
}

static void closed_delta_waits_for_nothing(void **state) {
    (void)state;
    assert_int_equal(add(0, 2), 0);
    assert_false(delta_is_closed(delta));
    delta_close(delta);
    assert_true(delta_is_closed(delta));
    require(0, DELTA_NONE);
    require(5, DELTA_NONE);
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

static atomic_bool failed;

static void *wait_for_block_3(void *arg) {
    bool *ret = arg;
    *ret = delta_wait(delta, 3, &failed);
    return NULL;
}

static bool wait_while(void (*act)(void)) {
    bool result = false;
    struct os_thread thread;
    atomic_store(&failed, false);
    assert_int_equal(add(0, 2), 0);
    assert_int_equal(os_thread_start(&thread, "wait", wait_for_block_3, &result, NULL), 0);
    act();
    os_thread_join(&thread);
    return result;
}

static void bring(void) {
    assert_int_equal(add(2, 2), 0);
}

static void end(void) {
    assert_int_equal(add(0, 0), 0);
}

static void fail_it(void) {
    atomic_store(&failed, true);
    delta_box_wake(box);
}

static void cancel(void) {
    delta_box_cancel(box);
}

static void wait_ends_when_the_digest_is_there(void **state) {
    (void)state;
    assert_true(wait_while(bring));
    require(3, DELTA_HERE);
}

static void wait_ends_when_no_more_come(void **state) {
    (void)state;
    assert_true(wait_while(end));
    require(3, DELTA_NONE);
}

static void wait_ends_when_the_file_failed(void **state) {
    (void)state;
    assert_true(wait_while(fail_it));
}

static void wait_ends_with_the_session(void **state) {
    (void)state;
    assert_false(wait_while(cancel));
}

#define DELTA(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        DELTA(blocks_are_here_awaited_or_left_out), DELTA(none_are_awaited_after_the_end),
        DELTA(file_may_have_no_digest_at_all),      DELTA(blocks_do_not_go_back),
        DELTA(all_of_a_file_has_one_size),          DELTA(receiver_does_not_run_ahead_over_all_files),
        DELTA(closed_delta_waits_for_nothing),      DELTA(wait_ends_when_the_digest_is_there),
        DELTA(wait_ends_when_no_more_come),         DELTA(wait_ends_when_the_file_failed),
        DELTA(wait_ends_with_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
