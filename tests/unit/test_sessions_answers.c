/* What a sender does with answers that its state allows, but that do not fit what it asked. */
#include "session_rig.h"

static struct stage_set set;
static struct send_rig rig;
static uint64_t file, dir; /* listed */

static int start(void **state) {
    (void)state;
    stage_set_up(&set);
    return 0;
}

static int stop(void **state) {
    (void)state;
    stage_set_free(&set);
    return 0;
}

static int fresh(void **state) {
    (void)state;
    send_rig_new(&rig, set.source, SEND_TRANSFER);
    dir = send_rig_list(&rig, ENTRY_DIR, "a");
    file = send_rig_list(&rig, ENTRY_FILE, "large");
    return 0;
}

static int done(void **state) {
    (void)state;
    send_rig_free(&rig);
    return 0;
}

static void require_broken(struct item *item, const char *part) {
    struct err err;
    assert_int_equal(send_rig_take(&rig, item, &err), EXIT_STREAM);
    if (strstr(err.msg, part) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, part);
}

static struct item *verdict(uint64_t id, enum verdict v) {
    return say_runs(MSG_VERDICTS, id, 1, (uint8_t)v);
}

static void answer_for_what_was_never_listed_is_refused(void **state) {
    (void)state;
    require_broken(verdict(77, VERDICT_WANT), "does not wait for it");
    require_broken(verdict(77, VERDICT_SKIP), "does not wait for it");
    require_broken(say_runs(MSG_DURABLE, 77, 1, 0), "does not wait for it");
    require_broken(say_text(MSG_FILE_ERROR, 77), "does not wait for it");
    require_broken(say_basis(77, 9), "does not wait for it");
    require_broken(say_runs(MSG_VERDICTS, file, 2, VERDICT_WANT), "does not wait for it");
}

static void verdict_must_fit_the_kind_of_entry(void **state) {
    (void)state;
    require_broken(verdict(file, VERDICT_MADE), "does not wait for it");
    require_broken(verdict(dir, VERDICT_WANT), "does not wait for it");
    dir = send_rig_list(&rig, ENTRY_DIR, "a/b");
    require_broken(verdict(dir, VERDICT_SKIP), "does not wait for it");
    dir = send_rig_list(&rig, ENTRY_DIR, "empty");
    require_broken(say_runs(MSG_DURABLE, dir, 1, 0), "does not wait for it");
    require_broken(say_basis(dir, 9), "does not wait for it");
}

static void entry_is_answered_once(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(dir, VERDICT_MADE));
    require_broken(verdict(dir, VERDICT_MADE), "does not wait for it");
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    require_broken(verdict(file, VERDICT_WANT), "does not wait for it");
    require_broken(verdict(file, VERDICT_SKIP), "does not wait for it");
    require_broken(say_basis(file, 9), "does not wait for it");
}

/* As the send stage does. */
static void leaves(struct item *item) {
    struct err err;
    assert_int_equal(ledger_leaves(rig.session.ledger, item, PAIR_CHUNK, &err), 0);
    item_free(item);
}

static void settled_file_has_no_more_answers(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(say_end(file, 9, 1, 9));
    send_rig_good(&rig, say_runs(MSG_DURABLE, file, 1, 0));
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
    require_broken(say_text(MSG_FILE_ERROR, file), "does not wait for it");
}

static void only_what_was_wanted_becomes_durable(void **state) {
    (void)state;
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
}

/* Its end was not sent: whoever acknowledges it does not have it. */
static void what_was_not_sent_is_not_durable(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
    leaves(say_begin(file, 9));
    leaves(say_chunk(rig.pool, file, 0, 9));
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
    leaves(say_same(file));
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
}

static void all_members_of_a_bundle_that_left_can_be_durable(void **state) {
    (void)state;
    const uint64_t ids[] = {file, send_rig_list(&rig, ENTRY_FILE, "0"), send_rig_list(&rig, ENTRY_FILE, "1")};
    send_rig_good(&rig, say_runs(MSG_VERDICTS, file, 3, VERDICT_WANT));
    leaves(say_bundle(rig.pool, ids, 3, 7));
    send_rig_good(&rig, say_runs(MSG_DURABLE, file, 3, 0));
    assert_int_equal(atomic_load(&rig.report.bytes_committed), 21);
}

static void bundle_that_is_void_was_not_sent(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(say_bundle(rig.pool, &file, 1, 9));
    send_rig_sent(&rig, say_bundle(rig.pool, &file, 1, 9), 5);
    send_rig_good(&rig, say_refused(5));
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
}

static void compared_file_is_skipped_once_it_is_said_to_be_the_same(void **state) {
    (void)state;
    send_rig_good(&rig, say_basis(file, 9));
    require_broken(verdict(file, VERDICT_SKIP), "does not wait for it");
    leaves(say_same(file));
    send_rig_good(&rig, verdict(file, VERDICT_SKIP));
}

static void basis_needs_its_feature(void **state) {
    (void)state;
    rig.session.agreed.features = FEATURE_DELTA;
    require_broken(say_basis(file, 9), "was not agreed on");
}

static int take_ack(uint64_t processed) {
    struct err err = {0};
    struct item *ack = item_of_ack(&(struct msg_ack){.processed = processed});
    assert_non_null(ack);
    (void)send_session_take(&rig.session, ack, &err);
    return err.code;
}

static void check_comes_once(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_CHECK));
    require_broken(verdict(file, VERDICT_CHECK), "does not wait for it");
    rig.session.agreed.features = 0;
    require_broken(verdict(file, VERDICT_CHECK), "no comparison");
}

static void end_of_a_directory_is_answered_once_it_is_sent(void **state) {
    (void)state;
    uint64_t end = send_rig_list(&rig, ENTRY_DIR_END, "a"); /* held: `file` is not settled */
    require_broken(verdict(end, VERDICT_MADE), "does not wait for it");
    send_rig_good(&rig, verdict(dir, VERDICT_MADE));
    send_rig_good(&rig, verdict(file, VERDICT_SKIP));
    assert_non_null(answer_of(&rig.answers, MSG_ENTRIES));
    send_rig_good(&rig, verdict(end, VERDICT_MADE));
}

static void acknowledgement_of_what_was_never_sent_is_refused(void **state) {
    (void)state;
    send_rig_sent(&rig, say_chunk(rig.pool, file, 0, 9), 5);
    assert_int_equal(take_ack(5), 0);
    assert_int_equal(take_ack(6), EXIT_STREAM);
}

static void file_that_was_not_given_up_is_not_gone(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    require_broken(verdict(file, VERDICT_GONE), "does not wait for it");
}

static void file_that_was_given_up_is_gone(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(say_text(MSG_FILE_FAIL, file));
    send_rig_good(&rig, verdict(file, VERDICT_GONE));
    require_broken(verdict(file, VERDICT_GONE), "does not wait for it");
}

static void file_error_is_the_exit_code(void **state) {
    (void)state;
    send_rig_good(&rig, say_text(MSG_FILE_ERROR, file));
    assert_int_equal(atomic_load(&rig.report.worst), EXIT_PARTIAL);
}

static void finish_ack_waits_for_finish(void **state) {
    (void)state;
    const struct msg_totals nothing = {0};
    require_broken(say_totals(MSG_FINISH_ACK, &nothing), "nothing was finished yet");
    assert_int_equal(rig.session.state, SEND_TRANSFER);
}

static void totals_must_agree(void **state) {
    (void)state;
    const struct msg_totals right = {.entries = 2, .skipped = 1, .made = 1};
    const struct msg_totals wrong = {.entries = 2, .committed = 1, .made = 1};
    send_rig_good(&rig, verdict(dir, VERDICT_MADE));
    assert_int_equal(ledger_list_end(rig.session.ledger, NULL), 0);
    send_rig_good(&rig, verdict(file, VERDICT_SKIP));
    assert_non_null(answer_of(&rig.answers, MSG_FINISH));
    require_broken(say_totals(MSG_FINISH_ACK, &wrong), "the totals differ");
    assert_int_equal(rig.session.state, SEND_TRANSFER);
    send_rig_good(&rig, say_totals(MSG_FINISH_ACK, &right));
    assert_int_equal(rig.session.state, SEND_DONE);
    assert_non_null(answer_of(&rig.answers, MSG_BYE));
}

/* ---- refused data ---------------------------------------------------------------------------------------------- */

static void only_data_in_flight_is_refused(void **state) {
    (void)state;
    require_broken(say_refused(1), "carries no data, or is acknowledged");
    send_rig_sent(&rig, say_chunk(rig.pool, file, 0, 9), 5);
    require_broken(say_refused(4), "carries no data, or is acknowledged");
    require_broken(say_refused(6), "carries no data, or is acknowledged");
    flight_done(rig.session.flight, 5);
    require_broken(say_refused(5), "carries no data, or is acknowledged");
}

enum { READ_BYTES = 50 };

/* A chunk of "large", as it was read. */
static struct item *chunk_of_large(uint64_t id, uint64_t offset) {
    struct item *item = say_chunk(rig.pool, id, offset, READ_BYTES);
    struct msg_chunk m;
    struct os_file large;
    assert_int_equal(msg_chunk_decode(item_body(item), READ_BYTES, PAIR_CHUNK, &m, NULL), 0);
    assert_int_equal(os_open_read(set.source, "large", &large), 0);
    assert_int_equal(os_pread(large, item->data->data, READ_BYTES, offset), READ_BYTES);
    os_close(&large);
    struct digest digest = digest_of(item->data->data, READ_BYTES);
    memcpy(m.digest, digest.b, DIGEST_SIZE);
    struct wr w = item_writer(item);
    msg_chunk_encode(&w, &m);
    item->reading = 1;
    return item;
}

/* It takes the place of what was refused, and gets its data, or becomes VOID, as it leaves. */
static const struct item *what_comes_again(uint64_t order) {
    struct err err;
    send_rig_good(&rig, say_refused(order));
    const struct item *again = answer_of(&rig.answers, MSG_CHUNK);
    assert_non_null(again);
    assert_int_equal(again->frame.order, order);
    assert_int_equal(again->frame.flags, FRAME_RESENT);
    assert_true(item_lacks_data(again));
    assert_int_equal(send_session_reread(&rig.session, rig.answers.items[0], &err), 0);
    return again;
}

static void refused_chunk_is_read_again(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    send_rig_sent(&rig, chunk_of_large(file, 100), 5);
    const struct item *again = what_comes_again(5);
    struct msg_chunk m;
    assert_int_equal(msg_chunk_decode(item_body(again), again->frame.data_length, PAIR_CHUNK, &m, NULL), 0);
    assert_int_equal(m.file_id, file);
    assert_int_equal(m.offset, 100);
    assert_int_equal(m.raw_length, READ_BYTES);
    struct digest digest = digest_of(again->data->data, READ_BYTES);
    assert_memory_equal(digest.b, m.digest, DIGEST_SIZE);
}

/* Each is read when it leaves: no number of them is too large. */
static void any_number_of_chunks_can_be_refused_at_once(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    for (uint64_t order = 1; order <= 100; order++) {
        struct item *item = chunk_of_large(file, order);
        send_rig_sent(&rig, item, order);
    }
    for (uint64_t order = 1; order <= 100; order++)
        assert_non_null(what_comes_again(order)->data);
}

static void require_void(const struct item *item, uint64_t order) {
    assert_int_equal(item->frame.type, MSG_VOID);
    assert_int_equal(item->frame.order, order);
    assert_int_equal(item->frame.flags, FRAME_RESENT);
    require_broken(say_refused(order), "carries no data, or is acknowledged");
}

static void refused_chunk_of_a_failed_file_is_void(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    send_rig_sent(&rig, chunk_of_large(file, 100), 5);
    send_rig_good(&rig, say_text(MSG_FILE_ERROR, file));
    require_void(what_comes_again(5), 5);
}

static void refused_chunk_that_cannot_be_read_again_is_void(void **state) {
    (void)state;
    uint64_t vanished = send_rig_list(&rig, ENTRY_FILE, "no such file");
    send_rig_good(&rig, verdict(vanished, VERDICT_WANT));
    send_rig_sent(&rig, chunk_of_large(vanished, 100), 5);
    require_void(what_comes_again(5), 5);
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    send_rig_sent(&rig, say_chunk(rig.pool, file, UINT32_MAX, 50), 6); /* it has shrunk since */
    require_void(what_comes_again(6), 6);
}

/* ---- a source that changed before its data is sent again ------------------------------------------------------- */

/* A chunk of "large" that was not as it is now, in that reading of the file. */
static void spoil(unsigned reading, uint64_t order) {
    struct item *item = say_chunk(rig.pool, file, 100, READ_BYTES);
    item->reading = reading;
    send_rig_sent(&rig, item, order);
    require_void(what_comes_again(order), order);
}

static struct item *end_of(unsigned reading) {
    struct item *item = say_end(file, 9, 1, 9);
    item->reading = reading;
    return item;
}

static void require_not_durable(void) {
    require_broken(say_runs(MSG_DURABLE, file, 1, 0), "does not wait for it");
}

static void file_that_changed_is_sent_again_once(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    spoil(1, 5);
    require_broken(verdict(file, VERDICT_WANT), "does not wait for it"); /* not before its end */
    leaves(end_of(1));
    require_not_durable();
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    assert_int_equal(atomic_load(&rig.report.worst), 0);
    spoil(2, 6);
    leaves(end_of(2));
    require_not_durable();
    require_broken(verdict(file, VERDICT_WANT), "does not wait for it");
}

/* The stream broke after FILE_END had left, and the file changed before it leaves again. */
static void file_that_changed_after_its_end_had_left_is_sent_again(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(end_of(1));
    require_broken(verdict(file, VERDICT_WANT), "does not wait for it");
    spoil(1, 5);
    struct item *end = end_of(1);
    end->again = true;
    leaves(end);
    require_not_durable();
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(end_of(2));
    send_rig_good(&rig, say_runs(MSG_DURABLE, file, 1, 0));
    assert_int_equal(atomic_load(&rig.report.worst), 0);
}

/* What the receiver finds out, and does not ask for again, is told as what it is. */
static void failure_of_a_file_that_changed_is_told_as_that(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(end_of(1));
    spoil(1, 5);
    struct item *error = item_of_file_text(MSG_FILE_ERROR, file, EXIT_VERIFY, "the digest is wrong");
    assert_non_null(error);
    send_rig_good(&rig, error);
    assert_int_equal(atomic_load(&rig.report.worst), EXIT_VANISHED);
}

static void file_that_did_not_change_fails_with_the_receivers_code(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    leaves(end_of(1));
    struct item *error = item_of_file_text(MSG_FILE_ERROR, file, EXIT_VERIFY, "the digest is wrong");
    assert_non_null(error);
    send_rig_good(&rig, error);
    assert_int_equal(atomic_load(&rig.report.worst), EXIT_VERIFY);
}

/* Data of the reading before is refused late: the receiver drops it anyway. */
static void file_that_started_over_is_not_given_up_for_what_was_before(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    spoil(1, 5);
    leaves(end_of(2));
    send_rig_good(&rig, say_runs(MSG_DURABLE, file, 1, 0));
    assert_int_equal(atomic_load(&rig.report.worst), 0);
}

/* ---- refused bundles --------------------------------------------------------------------------------------------- */

/* VOID, with the order of what was refused, and the session goes on. */
static void require_void_for(uint64_t order) {
    send_rig_good(&rig, say_refused(order));
    const struct item *answer = answer_of(&rig.answers, MSG_VOID);
    assert_non_null(answer);
    assert_int_equal(answer->frame.order, order);
    assert_int_equal(answer->frame.flags, FRAME_RESENT);
}

static void refused_bundle_is_void_once(void **state) {
    (void)state;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    send_rig_sent(&rig, say_bundle(rig.pool, &file, 1, 9), 5);
    require_void_for(5);
    require_broken(say_refused(5), "carries no data, or is acknowledged");
}

static void file_in_too_many_refused_bundles_ends_the_session(void **state) {
    (void)state;
    struct err err;
    send_rig_good(&rig, verdict(file, VERDICT_WANT));
    for (uint64_t order = 1; order <= REFUSALS_MAX; order++) {
        send_rig_sent(&rig, say_bundle(rig.pool, &file, 1, 9), order);
        require_void_for(order);
    }
    send_rig_sent(&rig, say_bundle(rig.pool, &file, 1, 9), REFUSALS_MAX + 1);
    assert_int_equal(send_rig_take(&rig, say_refused(REFUSALS_MAX + 1), &err), EXIT_VERIFY);
}

/* ---- REQUEST ------------------------------------------------------------------------------------------------------ */

static void request_opens_the_session_once(void **state) {
    (void)state;
    struct err err;
    send_rig_free(&rig);
    send_rig_new(&rig, set.source, SEND_AWAIT_REQUEST);
    send_rig_good(&rig, say_request("a/b"));
    assert_int_equal(rig.session.state, SEND_TRANSFER);
    assert_int_equal(rig.session.select_count, 1);
    assert_string_equal(rig.session.selects[0], "a/b");
    assert_int_equal(send_rig_take(&rig, say_request(NULL), &err), EXIT_STREAM);
}

static void request_for_what_is_not_supported_is_refused(void **state) {
    (void)state;
    struct err err;
    send_rig_free(&rig);
    send_rig_new(&rig, set.source, SEND_AWAIT_REQUEST);
    struct item *request = say_start(OPT_HARD_LINKS);
    request->frame.type = MSG_REQUEST;
    assert_int_equal(send_rig_take(&rig, request, &err), EXIT_UNSUPPORTED);
    assert_int_equal(rig.session.state, SEND_AWAIT_REQUEST);
}

static void request_with_a_bad_name_is_refused(void **state) {
    (void)state;
    struct err err;
    send_rig_free(&rig);
    send_rig_new(&rig, set.source, SEND_AWAIT_REQUEST);
    assert_int_equal(send_rig_take(&rig, say_request("../../etc"), &err), EXIT_STREAM);
    assert_int_equal(rig.session.state, SEND_AWAIT_REQUEST);
}

#define ANSWER(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void) {
    const struct CMUnitTest tests[] = {
        ANSWER(answer_for_what_was_never_listed_is_refused),
        ANSWER(verdict_must_fit_the_kind_of_entry),
        ANSWER(entry_is_answered_once),
        ANSWER(settled_file_has_no_more_answers),
        ANSWER(only_what_was_wanted_becomes_durable),
        ANSWER(what_was_not_sent_is_not_durable),
        ANSWER(all_members_of_a_bundle_that_left_can_be_durable),
        ANSWER(bundle_that_is_void_was_not_sent),
        ANSWER(compared_file_is_skipped_once_it_is_said_to_be_the_same),
        ANSWER(basis_needs_its_feature),
        ANSWER(check_comes_once),
        ANSWER(end_of_a_directory_is_answered_once_it_is_sent),
        ANSWER(acknowledgement_of_what_was_never_sent_is_refused),
        ANSWER(file_that_was_not_given_up_is_not_gone),
        ANSWER(file_that_was_given_up_is_gone),
        ANSWER(file_error_is_the_exit_code),
        ANSWER(finish_ack_waits_for_finish),
        ANSWER(totals_must_agree),
        ANSWER(only_data_in_flight_is_refused),
        ANSWER(refused_chunk_is_read_again),
        ANSWER(any_number_of_chunks_can_be_refused_at_once),
        ANSWER(refused_chunk_of_a_failed_file_is_void),
        ANSWER(refused_chunk_that_cannot_be_read_again_is_void),
        ANSWER(file_that_changed_is_sent_again_once),
        ANSWER(file_that_changed_after_its_end_had_left_is_sent_again),
        ANSWER(failure_of_a_file_that_changed_is_told_as_that),
        ANSWER(file_that_did_not_change_fails_with_the_receivers_code),
        ANSWER(file_that_started_over_is_not_given_up_for_what_was_before),
        ANSWER(refused_bundle_is_void_once),
        ANSWER(file_in_too_many_refused_bundles_ends_the_session),
        ANSWER(request_opens_the_session_once),
        ANSWER(request_with_a_bad_name_is_refused),
        ANSWER(request_for_what_is_not_supported_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
