/* The link: what is sent is numbered, what arrives is checked against order and credit. */
#include "threads_help.h"

#include "flow/link.h"

enum { CHUNK = CHUNK_SIZE_MIN, WINDOW = 4 * CHUNK };

static struct frame frame_of(uint8_t type, uint64_t order, uint32_t body_length, uint32_t data_length) {
    return (struct frame){
        .type = type, .order = order, .body_length = body_length, .data_length = data_length};
}

static int arrived(struct link_in *in, struct frame f, uint64_t *ret_cost) {
    struct err err = {.code = 0};
    uint64_t cost = 77;
    int result = link_in_arrived(in, &f, &cost, &err);
    assert_int_equal(result, err.code ? -1 : 0);
    if (ret_cost)
        *ret_cost = cost;
    return err.code;
}

/* ---- items ------------------------------------------------------------------------------------------ */

static void items_know_whether_they_are_ordered(void **state) {
    (void)state;
    static const uint8_t free_ones[] = {MSG_HELLO,     MSG_WELCOME, MSG_REJECT,    MSG_AUTH,
                                        MSG_CHALLENGE, MSG_ACK,     MSG_HEARTBEAT, MSG_ABORT};
    for (uint8_t type = 1; type < MSG_TYPE_LIMIT; type++) {
        if (type > MSG_CHALLENGE && type < MSG_START)
            continue; /* no message has these numbers */
        struct item *item = item_new(type, 3);
        assert_non_null(item);
        assert_int_equal(item->ordered, memchr(free_ones, type, sizeof free_ones) == NULL);
        assert_int_equal(item->frame.type, type);
        assert_int_equal(item->capacity, 3);
        assert_int_equal(item_body(item).n, 0);
        item_free(item);
    }
    item_free(NULL);
}

static void item_gives_its_buffer_back(void **state) {
    (void)state;
    struct pool *pool = pool_new(16, 1);
    struct item *item = item_new(MSG_CHUNK, 0);
    item->data = pool_get(pool);
    assert_null(pool_try_get(pool));
    item_drop(item);
    struct buf *buf = pool_try_get(pool);
    assert_non_null(buf);
    item = item_new(MSG_CHUNK, 0);
    item->data = buf;
    item_drop_ticketed(&item->t);
    buf_release(pool_get(pool));
    pool_free(pool);
}

static void text_items_cut_what_is_too_long(void **state) {
    (void)state;
    char text[2 * MESSAGE_TEXT_MAX + 1];
    struct err err;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct msg_text m;
    struct item *item = item_of_text(MSG_ABORT, EXIT_NO_SPACE, text);
    assert_int_equal(msg_text_decode(item_body(item), &m, &err), 0);
    assert_int_equal(m.code, EXIT_NO_SPACE);
    assert_int_equal(m.text.n, MESSAGE_TEXT_MAX);
    item_free(item);
    struct msg_file_text f;
    item = item_of_file_text(MSG_FILE_ERROR, 9, EXIT_PARTIAL, text);
    assert_int_equal(msg_file_text_decode(item_body(item), &f, &err), 0);
    assert_int_equal(f.file_id, 9);
    assert_int_equal(f.text.text.n, MESSAGE_TEXT_MAX);
    item_free(item);
    item = item_of_text(MSG_REJECT, EXIT_REFUSED, "");
    assert_int_equal(msg_text_decode(item_body(item), &m, &err), 0);
    assert_int_equal(m.text.n, 0);
    item_free(item);
}

static void ack_item_holds_its_numbers(void **state) {
    (void)state;
    const struct msg_ack ack = {.processed = 1ULL << 40, .credit = INT64_MAX, .written = UINT64_MAX};
    struct msg_ack got;
    struct err err;
    struct item *item = item_of_ack(&ack);
    assert_false(item->ordered);
    assert_int_equal(msg_ack_decode(item_body(item), &got, &err), 0);
    assert_int_equal(got.processed, ack.processed);
    assert_int_equal(got.credit, ack.credit);
    assert_int_equal(got.written, ack.written);
    item_free(item);
}

/* ---- out -------------------------------------------------------------------------------------------- */

static struct frame sent(struct link_out *out, struct item *item, unsigned parts_expected) {
    struct span parts[3];
    struct frame f;
    assert_int_equal(link_out_frame(out, item, parts), parts_expected);
    assert_ptr_equal(parts[0].p, item->header);
    assert_int_equal(parts[0].n, FRAME_HEADER_SIZE);
    assert_int_equal(frame_decode(item->header, BODY_MAX, CHUNK, &f, NULL), 0);
    assert_int_equal(frame_check_body(&f, item->body, NULL), 0);
    unsigned at = 1;
    if (f.body_length) {
        assert_ptr_equal(parts[at].p, item->body);
        assert_int_equal(parts[at++].n, f.body_length);
    }
    if (f.data_length) {
        assert_ptr_equal(parts[at].p, item->data->data);
        assert_int_equal(parts[at++].n, f.data_length);
    }
    assert_int_equal(at, parts_expected);
    return f;
}

static void ordered_frames_are_numbered_and_resent_ones_keep_theirs(void **state) {
    (void)state;
    struct pool *pool = pool_new(CHUNK, 1);
    struct link_out out;
    link_out_init(&out);
    struct item *free_one = item_new(MSG_HEARTBEAT, 0), *entries = item_new(MSG_ENTRIES, 8),
                *chunk = item_new(MSG_CHUNK, 40);
    memset(entries->body, 1, 8);
    memset(chunk->body, 2, 40);
    entries->frame.body_length = 8;
    chunk->frame.body_length = 40;
    chunk->frame.data_length = 500;
    chunk->data = pool_get(pool);
    struct frame f = sent(&out, free_one, 1);
    assert_true(f.seq == 0 && f.order == 0);
    f = sent(&out, entries, 2);
    assert_true(f.seq == 1 && f.order == 1);
    f = sent(&out, chunk, 3);
    assert_true(f.seq == 2 && f.order == 2);
    chunk->frame.flags |= FRAME_RESENT;
    f = sent(&out, chunk, 3);
    assert_true(f.seq == 3 && f.order == 2 && f.flags == FRAME_RESENT);
    f = sent(&out, entries, 2); /* it was sent before a break */
    assert_true(f.seq == 4 && f.order == 1);
    entries->frame.order = 0;
    f = sent(&out, entries, 2);
    assert_true(f.seq == 5 && f.order == 3);
    item_free(free_one);
    item_free(entries);
    item_free(chunk);
    pool_free(pool);
}

static void seq_goes_round(void **state) {
    (void)state;
    struct link_out out;
    link_out_init(&out);
    out.next_seq = UINT32_MAX;
    struct item *item = item_new(MSG_HEARTBEAT, 0);
    assert_int_equal(sent(&out, item, 1).seq, UINT32_MAX);
    assert_int_equal(sent(&out, item, 1).seq, 0);
    item_free(item);
}

/* ---- in --------------------------------------------------------------------------------------------- */

static void ordered_frames_must_follow_each_other(void **state) {
    (void)state;
    struct link_in in;
    link_in_init(&in, WINDOW, CHUNK);
    assert_int_equal(arrived(&in, frame_of(MSG_START, 2, 0, 0), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_START, 0, 0, 0), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_START, 1, 0, 0), NULL), 0);
    assert_int_equal(arrived(&in, frame_of(MSG_START, 1, 0, 0), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_START, 3, 0, 0), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_START, 2, 0, 0), NULL), 0);
}

static void free_frames_cost_nothing_and_have_no_order(void **state) {
    (void)state;
    static const uint8_t types[] = {MSG_ACK, MSG_HEARTBEAT, MSG_ABORT};
    struct link_in in;
    link_in_init(&in, 0, CHUNK);
    for (size_t i = 0; i < sizeof types; i++) {
        uint64_t cost = 77;
        assert_int_equal(arrived(&in, frame_of(types[i], 0, 0, 0), &cost), 0);
        assert_int_equal(cost, 0);
        assert_int_equal(arrived(&in, frame_of(types[i], 1, 24, 0), NULL), EXIT_STREAM);
        struct frame resent = frame_of(types[i], 0, 24, 0);
        resent.flags = FRAME_RESENT;
        assert_int_equal(arrived(&in, resent, NULL), EXIT_STREAM);
    }
    assert_int_equal(in.used, 0);
}

static void heartbeat_has_no_body(void **state) {
    (void)state;
    struct link_in in;
    link_in_init(&in, WINDOW, CHUNK);
    assert_int_equal(arrived(&in, frame_of(MSG_HEARTBEAT, 0, 0, 0), NULL), 0);
    assert_int_equal(arrived(&in, frame_of(MSG_HEARTBEAT, 0, 1, 0), NULL), EXIT_STREAM);
}

static void credit_ends_at_the_window_to_the_byte(void **state) {
    (void)state;
    const uint32_t data_cost = FRAME_COST + 40 + CHUNK;
    struct link_in in;
    uint64_t cost = 77;
    link_in_init(&in, data_cost + FRAME_COST, CHUNK);
    assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, 1, 40, 1), &cost), 0);
    assert_int_equal(cost, data_cost);
    assert_int_equal(arrived(&in, frame_of(MSG_SYNC, 2, 1, 0), NULL), EXIT_STREAM); /* a byte too much */
    assert_int_equal(arrived(&in, frame_of(MSG_SYNC, 2, 0, 0), &cost), 0);
    assert_int_equal(cost, FRAME_COST);
    assert_int_equal(arrived(&in, frame_of(MSG_SYNC, 3, 0, 0), NULL), EXIT_STREAM);
    struct msg_ack ack;
    assert_true(link_in_done(&in, 1, data_cost, &ack));
    assert_int_equal(ack.credit, 2 * data_cost + FRAME_COST);
    assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, 3, 40, CHUNK), NULL), 0);
    assert_int_equal(arrived(&in, frame_of(MSG_SYNC, 4, 0, 0), NULL), EXIT_STREAM);
}

static void resent_frame_costs_nothing_and_was_sent_before(void **state) {
    (void)state;
    struct link_in in;
    link_in_init(&in, FRAME_COST + 40 + CHUNK, CHUNK);
    struct frame f = frame_of(MSG_CHUNK, 1, 40, 9);
    f.flags = FRAME_RESENT;
    assert_int_equal(arrived(&in, f, NULL), EXIT_STREAM);
    f.flags = 0;
    assert_int_equal(arrived(&in, f, NULL), 0);
    f.flags = FRAME_RESENT;
    uint64_t cost = 77;
    assert_int_equal(arrived(&in, f, &cost), 0); /* though no credit is left */
    assert_int_equal(cost, 0);
    f.order = 2;
    assert_int_equal(arrived(&in, f, NULL), EXIT_STREAM);
    f.order = 0;
    assert_int_equal(arrived(&in, f, NULL), EXIT_STREAM);
    assert_int_equal(in.next_order, 2);
}

static void ack_is_due_for_a_quarter_of_the_window(void **state) {
    (void)state;
    struct link_in in;
    struct msg_ack ack;
    link_in_init(&in, WINDOW, CHUNK);
    in.written = 123;
    assert_false(link_in_done(&in, 1, WINDOW / 4 - 1, &ack));
    assert_true(link_in_done(&in, 2, 1, &ack));
    assert_int_equal(ack.processed, 2);
    assert_int_equal(ack.credit, WINDOW + WINDOW / 4);
    assert_int_equal(ack.written, 123);
    assert_int_equal(atomic_load(&in.granted), ack.credit);
    assert_false(link_in_done(&in, 3, WINDOW / 4 - 1, &ack));
}

static void ack_is_due_for_many_small_messages(void **state) {
    (void)state;
    struct link_in in;
    struct msg_ack ack = {.processed = 0};
    uint64_t order = 0, acks = 0;
    link_in_init(&in, 1ULL << 40, CHUNK);
    while (order < 1024)
        if (link_in_done(&in, ++order, FRAME_COST, &ack)) {
            assert_int_equal(ack.processed, order);
            assert_int_equal(ack.credit, (1ULL << 40) + order * FRAME_COST);
            acks++;
        }
    assert_int_equal(acks, 4);
    assert_int_equal(ack.processed, 1024);
}

/* Both ends of a session whose sender always uses all it was granted: it must never stand still. */
static void sender_that_uses_all_its_credit_never_stalls(void **state) {
    (void)state;
    struct link_in in;
    uint64_t limit = 2 * (FRAME_COST + BODY_MAX) + 2 * CHUNK, spent = 0, order = 0;
    link_in_init(&in, limit, CHUNK);
    uint32_t seed = 3;
    for (int turn = 0; turn < 5000; turn++) {
        uint64_t costs[64];
        uint64_t first = order + 1;
        unsigned n = 0;
        while (n < 64) {
            uint32_t r = scatter(&seed);
            struct frame f =
                frame_of(r & 1 ? MSG_CHUNK : MSG_ENTRIES, order + 1, r % BODY_MAX, r & 1 ? r % CHUNK + 1 : 0);
            if (spent + frame_cost(&f, CHUNK) > limit)
                break;
            assert_int_equal(arrived(&in, f, &costs[n]), 0);
            spent += costs[n++];
            order++;
        }
        assert_true(n > 0);
        for (unsigned i = 0; i < n; i++) {
            struct msg_ack ack;
            if (link_in_done(&in, first + i, costs[i], &ack))
                limit = ack.credit;
        }
    }
}

/* Three arrive, one is processed, the stream breaks: the second comes again, and all of the credit is there again. */
static void after_a_break_the_next_is_what_was_not_processed(void **state) {
    (void)state;
    struct link_in in;
    struct msg_ack ack;
    uint64_t cost = 0, first = 0;
    link_in_init(&in, WINDOW, CHUNK);
    for (uint64_t order = 1; order <= 3; order++)
        assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, order, 0, 1), order == 1 ? &first : NULL), 0);
    (void)link_in_done(&in, 1, first, &ack);
    link_in_resume(&in);
    assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, 4, 0, 1), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, 2, 0, 1), &cost), 0);
    assert_int_equal(cost, FRAME_COST + CHUNK);
    ack = link_in_ack(&in);
    assert_int_equal(ack.processed, 1);
    assert_int_equal(ack.credit, first + WINDOW);
    uint64_t left = WINDOW - cost, n = 0; /* of what the ACK grants */
    for (uint64_t order = 3; left >= cost; order++, left -= cost, n++)
        assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, order, 0, 1), NULL), 0);
    assert_true(n > 0);
    assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, 3 + n, 0, 1), NULL), EXIT_STREAM);
}

/* Over several streams: any order that there is credit for, and what has not come is known to be missing. */
static void over_several_streams_messages_overtake_each_other(void **state) {
    (void)state;
    struct link_in in;
    struct msg_ack ack;
    uint64_t cost;
    link_in_init(&in, WINDOW, CHUNK);
    in.several = true;
    assert_int_equal(arrived(&in, frame_of(MSG_CHUNK, 3, 0, 1), &cost), 0);
    assert_int_equal(cost, FRAME_COST + CHUNK);
    assert_int_equal(in.missing, 2);
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, 1, 0, 0), NULL), 0);
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, 4, 0, 0), NULL), 0);
    assert_int_equal(in.missing, 1);
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, 2, 0, 0), NULL), 0);
    assert_int_equal(in.missing, 0);
    assert_int_equal(in.next_order, 5);
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, 2, 0, 0), NULL), EXIT_STREAM); /* twice */
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, 0, 0, 0), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, WINDOW / FRAME_COST + 1, 0, 0), NULL), EXIT_STREAM);
    assert_int_equal(arrived(&in, frame_of(MSG_ENTRIES, WINDOW / FRAME_COST, 0, 0), NULL), 0);
    (void)link_in_done(&in, 1, FRAME_COST, &ack);
    link_in_resume(&in);
    assert_int_equal(in.missing, 0);
    assert_int_equal(in.next_order, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_several_streams_messages_overtake_each_other),
        cmocka_unit_test(after_a_break_the_next_is_what_was_not_processed),
        cmocka_unit_test(items_know_whether_they_are_ordered),
        cmocka_unit_test(item_gives_its_buffer_back),
        cmocka_unit_test(text_items_cut_what_is_too_long),
        cmocka_unit_test(ack_item_holds_its_numbers),
        cmocka_unit_test(ordered_frames_are_numbered_and_resent_ones_keep_theirs),
        cmocka_unit_test(seq_goes_round),
        cmocka_unit_test(ordered_frames_must_follow_each_other),
        cmocka_unit_test(free_frames_cost_nothing_and_have_no_order),
        cmocka_unit_test(heartbeat_has_no_body),
        cmocka_unit_test(credit_ends_at_the_window_to_the_byte),
        cmocka_unit_test(resent_frame_costs_nothing_and_was_sent_before),
        cmocka_unit_test(ack_is_due_for_a_quarter_of_the_window),
        cmocka_unit_test(ack_is_due_for_many_small_messages),
        cmocka_unit_test(sender_that_uses_all_its_credit_never_stalls),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
