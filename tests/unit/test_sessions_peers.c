/* Peers that shake hands well and then break a rule which only a whole session can watch. */
#include "session_peer.h"

static struct stage_set set;
static struct peer peer;

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

/* The session tells the test why it ends, and ends with that code. */
static void require_abort(struct real_end *e, int code, const char *part) {
    struct side side;
    assert_true(peer_hear(&peer, MSG_ABORT, NULL));
    real_end_join(e, &peer, &side);
    assert_int_equal(side.code, code);
    if (strstr(side.message, part) == NULL)
        fail_msg("'%s' does not say '%s'", side.message, part);
    struct tree now = tree_look(set.dest);
    const char *problem = tree_mixed(&now, &set.old, &set.wanted);
    tree_free(&now);
    if (problem)
        fail_msg("%s", problem);
}

/* ---- a sender that breaks rules --------------------------------------------------------------------------------- */

static const struct listed large = {.id = 1, .type = ENTRY_FILE, .path = "kept", .size = 1 << 20};

/* A receiver that has asked for file 1, which is open. */
static struct real_end *open_file(bool serial) {
    struct pair_options opt = {.receiver_serial = serial};
    stage_set_reset(&set);
    struct real_end *e = real_end_start(ROLE_RECEIVER, &opt, set.dest, true, &peer);
    assert_true(peer_say(&peer, say_start(0)));
    assert_true(peer_say(&peer, say_entries(&large, 1)));
    assert_true(peer_hear(&peer, MSG_VERDICTS, NULL));
    assert_true(peer_say(&peer, say_begin(1, 1 << 20)));
    return e;
}

static struct item *damaged_chunk(uint64_t offset) {
    struct item *item = say_chunk(peer.pool, 1, offset, 1000);
    item->data->data[7] ^= 1;
    return item;
}

static void more_than_the_credit_ends_the_session(void **state) {
    (void)state;
    for (int serial = 0; serial < 2; serial++) {
        struct real_end *e = open_file(serial);
        /* Nothing is processed, and so nothing granted, until what was refused comes again. */
        assert_true(peer_say(&peer, damaged_chunk(0)));
        uint64_t offset = 1000, cost = 0;
        while (cost <= peer.agreed.their_window) {
            struct item *item = say_chunk(peer.pool, 1, offset, 1000);
            cost += frame_cost(&item->frame, PAIR_CHUNK);
            offset += 1000;
            if (!peer_say(&peer, item))
                break; /* it has hung up already */
        }
        require_abort(e, EXIT_STREAM, "more than its credit");
    }
}

static void bye_does_not_hide_refused_data(void **state) {
    (void)state;
    for (int serial = 0; serial < 2; serial++) {
        struct real_end *e = open_file(serial);
        assert_true(peer_say(&peer, damaged_chunk(0)));
        assert_true(peer_hear(&peer, MSG_REFUSED, NULL));
        assert_true(peer_say(&peer, say_empty(MSG_BYE)));
        if (serial) { /* goes on reading: the end of the stream ends it */
            struct side side;
            real_end_join(e, &peer, &side);
            assert_int_equal(side.code, EXIT_STREAM);
        } else {
            require_abort(e, EXIT_STREAM, "BYE: it came before");
        }
    }
}

static void bye_at_once_does_not_hide_damaged_data(void **state) {
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct real_end *e = open_file(false);
        assert_true(peer_say(&peer, damaged_chunk(0)));
        assert_true(peer_say(&peer, say_empty(MSG_BYE)));
        require_abort(e, EXIT_STREAM, "BYE: it came before");
    }
}

static void data_comes_again_only_when_it_was_refused(void **state) {
    (void)state;
    for (int serial = 0; serial < 2; serial++) {
        struct real_end *e = open_file(serial);
        struct item *again = say_chunk(peer.pool, 1, 0, 1000);
        again->frame.flags = FRAME_RESENT;
        again->frame.order = 2;
        assert_true(peer_say(&peer, again));
        require_abort(e, EXIT_STREAM, "was resent without being refused");
    }
}

static void data_that_was_never_sent_does_not_come_again(void **state) {
    (void)state;
    struct real_end *e = open_file(false);
    struct item *again = say_chunk(peer.pool, 1, 0, 1000);
    again->frame.flags = FRAME_RESENT;
    again->frame.order = 77;
    assert_true(peer_say(&peer, again));
    require_abort(e, EXIT_STREAM, "was never sent");
}

static void orders_have_no_gaps(void **state) {
    (void)state;
    struct real_end *e = open_file(false);
    peer.stream->out.next_order++;
    assert_true(peer_say(&peer, say_chunk(peer.pool, 1, 0, 1000)));
    require_abort(e, EXIT_STREAM, "is next");
}

static void codec_that_was_not_agreed_is_refused(void **state) {
    (void)state;
    struct real_end *e = open_file(false);
    struct item *item = say_chunk(peer.pool, 1, 0, 1000);
    struct msg_chunk m = {.file_id = 1, .raw_length = 2000, .codec = CODEC_COUNT};
    struct wr w = item_writer(item);
    msg_chunk_encode(&w, &m);
    assert_true(peer_say(&peer, item));
    require_abort(e, EXIT_STREAM, "codec");
}

/* ---- a receiver that breaks rules ----------------------------------------------------------------------------------- */

static void data_is_not_for_a_sender(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct pair_options opt = {.receiver_dials = i & 1, .sender_serial = i & 2};
        stage_set_reset(&set);
        struct real_end *e = real_end_start(ROLE_SENDER, &opt, set.source, true, &peer);
        assert_true(peer_say(&peer, say_chunk(peer.pool, 1, 0, 1000)));
        require_abort(e, EXIT_STREAM, "CHUNK is not allowed");
    }
}

static void receiver_resends_nothing(void **state) {
    (void)state;
    struct pair_options opt = {0};
    stage_set_reset(&set);
    struct real_end *e = real_end_start(ROLE_SENDER, &opt, set.source, true, &peer);
    assert_true(peer_hear(&peer, MSG_ENTRIES, NULL));
    assert_true(peer_say(&peer, say_runs(MSG_VERDICTS, 1, 1, VERDICT_MADE)));
    struct item *again = say_runs(MSG_VERDICTS, 1, 1, VERDICT_MADE);
    again->frame.flags = FRAME_RESENT;
    again->frame.order = 1;
    assert_true(peer_say(&peer, again));
    require_abort(e, EXIT_STREAM, "a receiver resends nothing");
}

static void replies_have_credit_too(void **state) {
    (void)state;
    struct pair_options opt = {0};
    stage_set_reset(&set);
    struct real_end *e = real_end_start(ROLE_SENDER, &opt, set.source, true, &peer);
    /* Optional messages that a sender does not know: they cost credit, and it grants it anew. */
    const uint64_t cost = FRAME_COST + BODY_MAX;
    struct msg_ack ack = {.credit = peer.agreed.their_window};
    for (uint64_t spent = 0; spent <= 3 * peer.agreed.their_window; spent += cost) {
        while (ack.credit < spent + cost) {
            struct item *answer = NULL;
            assert_true(peer_hear(&peer, MSG_ACK, &answer));
            assert_int_equal(msg_ack_decode(item_body(answer), &ack, NULL), 0);
            item_free(answer);
        }
        struct item *item = item_new(60, BODY_MAX);
        item->frame.flags = FRAME_OPTIONAL;
        item->frame.body_length = BODY_MAX;
        memset(item->body, 0, BODY_MAX);
        assert_true(peer_say(&peer, item));
    }
    struct side side;
    real_end_join(e, &peer, &side);
    /* The test hung up, with answers unread: an end of file or a reset. */
    assert_true(side.code == EXIT_STREAM || side.code == EXIT_SOCKET);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_the_credit_ends_the_session),
        cmocka_unit_test(bye_does_not_hide_refused_data),
        cmocka_unit_test(bye_at_once_does_not_hide_damaged_data),
        cmocka_unit_test(data_comes_again_only_when_it_was_refused),
        cmocka_unit_test(data_that_was_never_sent_does_not_come_again),
        cmocka_unit_test(orders_have_no_gaps),
        cmocka_unit_test(codec_that_was_not_agreed_is_refused),
        cmocka_unit_test(data_is_not_for_a_sender),
        cmocka_unit_test(receiver_resends_nothing),
        cmocka_unit_test(replies_have_credit_too),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
