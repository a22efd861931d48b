/* What a session counts as progress between two breaks: what moves the transfer, and nothing that a peer can repeat. */
#include "session_rig.h"

/* ---- receiver ---------------------------------------------------------------------------------------------- */

static struct recv_rig receiver;

static int start_receiver(void **state) {
    (void)state;
    recv_rig_new(&receiver, NULL);
    recv_rig_reach(&receiver, RECV_TRANSFER);
    return 0;
}

static int stop_receiver(void **state) {
    (void)state;
    recv_rig_free(&receiver);
    return 0;
}

/* True when the message, which must be accepted, is progress. */
static bool moves_receiver(struct item *item) {
    uint64_t before = atomic_load(&receiver.session->progress);
    recv_rig_good(&receiver, item);
    uint64_t after = atomic_load(&receiver.session->progress);
    assert_true(after >= before);
    return after > before;
}

static struct item *unknown(void) {
    struct item *item = say_empty(200);
    item->frame.flags = FRAME_OPTIONAL;
    return item;
}

static struct item *resent_void(void) {
    struct item *item = say_empty(MSG_VOID);
    item->frame.flags = FRAME_RESENT;
    return item;
}

static void each_part_of_a_file_moves_the_receiver(void **state) {
    (void)state;
    static const struct listed large = {.id = 2, .type = ENTRY_FILE, .path = "large", .size = 1 << 30};
    assert_true(moves_receiver(say_entries(&large, 1)));
    assert_false(moves_receiver(say_begin(2, 1 << 30)));
    for (uint64_t offset = 0; offset < 10000; offset += 1000)
        assert_true(moves_receiver(say_chunk(receiver.pool, 2, offset, 1000)));
    assert_true(moves_receiver(say_hole(2, 10000, 1 << 20)));
}

static void small_files_move_the_receiver(void **state) {
    (void)state;
    const uint64_t id = 1;
    assert_true(moves_receiver(say_bundle(receiver.pool, &id, 1, 9)));
    assert_true(moves_receiver(say_empty(MSG_SYNC))); /* it is committed */
}

static void what_says_nothing_does_not_move_the_receiver(void **state) {
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(moves_receiver(unknown()));
        assert_false(moves_receiver(resent_void()));
        assert_false(moves_receiver(say_empty(MSG_SYNC)));
        assert_false(moves_receiver(item_of_unlisted("nine", EXIT_PARTIAL, "not listed by the test")));
    }
}

/* A source that changes while it is read is begun again, but not for ever. */
static void a_file_that_is_begun_again_and_again_does_not_move_the_receiver(void **state) {
    (void)state;
    unsigned moved = 0, times = 100;
    for (unsigned i = 0; i < times; i++) {
        assert_false(moves_receiver(say_begin(1, 9)));
        moved += moves_receiver(say_chunk(receiver.pool, 1, 0, 9));
    }
    assert_in_range(moved, 8, times / 2);
}

static void a_file_that_failed_does_not_move_the_receiver(void **state) {
    (void)state;
    recv_rig_good(&receiver, say_text(MSG_FILE_FAIL, 1));
    for (unsigned i = 0; i < 3; i++) {
        assert_false(moves_receiver(say_begin(1, 9)));
        assert_false(moves_receiver(say_chunk(receiver.pool, 1, 0, 9)));
        assert_false(moves_receiver(say_hole(1, 9, 1000)));
    }
}

/* ---- sender ------------------------------------------------------------------------------------------------ */

static struct scratch source;
static struct send_rig sender;
static uint64_t dir, file;

static int start_sender(void **state) {
    (void)state;
    source = tree_scratch();
    send_rig_new(&sender, source.dir, SEND_TRANSFER);
    dir = send_rig_list(&sender, ENTRY_DIR, "d");
    file = send_rig_list(&sender, ENTRY_FILE, "d/one");
    return 0;
}

static int stop_sender(void **state) {
    (void)state;
    send_rig_free(&sender);
    scratch_free(&source);
    return 0;
}

static bool moves_sender(struct item *item) {
    uint64_t before = send_session_progress(&sender.session);
    send_rig_good(&sender, item);
    uint64_t after = send_session_progress(&sender.session);
    assert_true(after >= before);
    return after > before;
}

static void each_answer_moves_the_sender(void **state) {
    (void)state;
    assert_true(moves_sender(say_runs(MSG_VERDICTS, dir, 1, VERDICT_MADE)));
    assert_true(moves_sender(say_runs(MSG_VERDICTS, file, 1, VERDICT_WANT)));
    assert_true(moves_sender(say_text(MSG_FILE_ERROR, file)));
}

static struct item *digest_of_block(uint64_t block) {
    static const uint8_t digest[DIGEST_SIZE];
    struct item *item = item_new(MSG_BASIS, 128);
    assert_non_null(item);
    struct wr w = item_writer(item);
    msg_basis_encode(&w, &(struct msg_basis){.file_id = file,
                                             .kind = BASIS_BLOCKS,
                                             .block_size = 4096,
                                             .size = 1 << 30,
                                             .first_block = block,
                                             .count = 1,
                                             .digests = {.p = digest, .n = sizeof digest}});
    item_written(item, &w);
    return item;
}

static void each_digest_of_a_block_moves_the_sender(void **state) {
    (void)state;
    for (uint64_t block = 0; block < 10; block++)
        assert_true(moves_sender(digest_of_block(block)));
}

/* A peer can make up as many as it likes. */
static void digests_that_come_too_late_do_not_move_the_sender(void **state) {
    (void)state;
    struct pending *p = ledger_borrow(sender.session.ledger, file);
    assert_non_null(p);
    assert_true(moves_sender(digest_of_block(0)));
    delta_close(p->delta); /* the file was read */
    for (uint64_t block = 1; block < 10; block++)
        assert_false(moves_sender(digest_of_block(block)));
    pending_release(p);
}

static void a_content_digest_moves_the_sender(void **state) {
    (void)state;
    assert_true(moves_sender(say_basis(file, 9)));
}

static void the_request_moves_the_sender(void **state) {
    (void)state;
    struct send_rig asked;
    send_rig_new(&asked, source.dir, SEND_AWAIT_REQUEST);
    uint64_t before = send_session_progress(&asked.session);
    send_rig_good(&asked, say_request(NULL));
    assert_true(send_session_progress(&asked.session) > before);
    send_rig_free(&asked);
}

static void what_says_nothing_does_not_move_the_sender(void **state) {
    (void)state;
    send_rig_sent(&sender, say_chunk(sender.pool, file, 0, 9), 7);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(moves_sender(unknown()));
        assert_false(moves_sender(say_empty(MSG_VERDICTS)));
        assert_false(moves_sender(say_refused(0)));
    }
    assert_false(moves_sender(say_runs(MSG_VERDICTS, file, 1, VERDICT_CHECK))); /* it promises only */
    assert_false(moves_sender(say_refused(7))); /* once: there is no such file, and VOID takes its place */
}

/* The bundle goes on its way, and the stream breaks; the code. */
static int break_at_bundle(uint64_t order, struct err *err) {
    *err = (struct err){.code = 0};
    struct ticketed *chain;
    uint64_t cost, before = send_session_progress(&sender.session);
    send_rig_sent(&sender, say_bundle(sender.pool, &file, 1, 9), order);
    assert_true(flight_take(sender.session.flight, order - 1, &chain, &cost));
    assert_non_null(chain);
    (void)send_session_prepare(&sender.session, chain, err);
    assert_int_equal(((struct item *)chain)->frame.type == MSG_VOID, err->code == 0);
    item_drop_ticketed(chain);
    assert_int_equal(send_session_progress(&sender.session), before);
    void *wanted;
    while (queue_get(ledger_wants(sender.session.ledger), &wanted, 0) == QUEUE_OK)
        pending_release(wanted);
    return err->code;
}

static void a_file_that_breaks_find_on_its_way_does_not_move_the_sender_and_is_given_up(void **state) {
    enum { TIMES_MIN = 64, TIMES_MAX = 1000 };
    (void)state;
    struct err err;
    uint64_t order = 1;
    send_rig_good(&sender, say_runs(MSG_VERDICTS, file, 1, VERDICT_WANT));
    while (order < TIMES_MAX && break_at_bundle(order, &err) == 0)
        order++;
    assert_in_range(order, TIMES_MIN, TIMES_MAX - 1);
    assert_int_equal(err.code, EXIT_STREAM);
    assert_non_null(strstr(err.msg, "d/one was on its way"));
}

int main(void) {
#define OF_RECEIVER(f) cmocka_unit_test_setup_teardown(f, start_receiver, stop_receiver)
#define OF_SENDER(f) cmocka_unit_test_setup_teardown(f, start_sender, stop_sender)
    const struct CMUnitTest tests[] = {
        OF_RECEIVER(each_part_of_a_file_moves_the_receiver),
        OF_RECEIVER(small_files_move_the_receiver),
        OF_RECEIVER(what_says_nothing_does_not_move_the_receiver),
        OF_RECEIVER(a_file_that_is_begun_again_and_again_does_not_move_the_receiver),
        OF_RECEIVER(a_file_that_failed_does_not_move_the_receiver),
        OF_SENDER(each_answer_moves_the_sender),
        OF_SENDER(each_digest_of_a_block_moves_the_sender),
        OF_SENDER(digests_that_come_too_late_do_not_move_the_sender),
        OF_SENDER(a_content_digest_moves_the_sender),
        OF_SENDER(the_request_moves_the_sender),
        OF_SENDER(what_says_nothing_does_not_move_the_sender),
        OF_SENDER(a_file_that_breaks_find_on_its_way_does_not_move_the_sender_and_is_given_up),
    };
    return cmocka_run_group_tests_name("sessions_progress", tests, NULL, NULL);
}
