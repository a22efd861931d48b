/* The outbox: urgent before control before data, data by ticket, and credit to the byte. */
#include "threads_help.h"

#include "flow/outbox.h"

enum { CHUNK = CHUNK_SIZE_MIN };

static struct item *message(uint8_t type, uint32_t body_length) {
    struct item *item = item_new(type, body_length);
    assert_non_null(item);
    memset(item->body, 7, body_length);
    item->frame.body_length = body_length;
    return item;
}

static struct item *chunk(uint64_t ticket, uint32_t data_length) {
    struct item *item = message(MSG_CHUNK, 40);
    item->t.ticket = ticket;
    item->frame.data_length = data_length;
    return item;
}

static struct item *bundle(uint64_t ticket, uint32_t data_length) {
    struct item *item = chunk(ticket, data_length);
    item->frame.type = MSG_BUNDLE;
    return item;
}

static struct item *message_with_ticket(uint8_t type, uint64_t ticket) {
    struct item *item = message(type, 0);
    item->t.ticket = ticket;
    return item;
}

/* Gets one and frees it; its type, 0 when there is none. */
static unsigned next_type(struct outbox *ob, uint64_t *ret_cost) {
    struct item *item;
    if (outbox_get(ob, &item, 0) != QUEUE_OK)
        return 0;
    unsigned type = item->frame.type;
    if (ret_cost)
        *ret_cost = item->cost;
    item_free(item);
    return type;
}

static void urgent_goes_before_control_before_data(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    assert_true(outbox_is_empty(ob));
    assert_true(outbox_put_data(ob, chunk(1, 100)));
    assert_true(outbox_put_data(ob, chunk(2, 100)));
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 10)));
    assert_true(outbox_put(ob, message(MSG_LIST_END, 0)));
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_true(outbox_put_urgent(ob, message(MSG_HEARTBEAT, 0)));
    assert_false(outbox_is_empty(ob));
    static const unsigned order[] = {MSG_ACK, MSG_HEARTBEAT, MSG_ENTRIES, MSG_LIST_END, MSG_CHUNK, MSG_CHUNK};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        assert_int_equal(next_type(ob, NULL), order[i]);
    assert_true(outbox_is_empty(ob));
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_free(ob);
    outbox_free(NULL);
}

static void data_leaves_in_the_order_of_its_tickets(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    static const uint64_t tickets[] = {4, 2, 1, 5, 3};
    struct item *item;
    assert_true(outbox_put_data(ob, chunk(tickets[0], 1)));
    assert_true(outbox_put_data(ob, chunk(tickets[1], 1)));
    assert_int_equal(outbox_get(ob, &item, 0), QUEUE_TIMEOUT); /* 1 has not come */
    assert_int_equal(outbox_get(ob, &item, 1), QUEUE_TIMEOUT);
    for (size_t i = 2; i < 5; i++)
        assert_true(outbox_put_data(ob, chunk(tickets[i], 1)));
    for (uint64_t ticket = 1; ticket <= 5; ticket++) {
        assert_int_equal(outbox_get(ob, &item, -1), QUEUE_OK);
        assert_int_equal(item->t.ticket, ticket);
        item_free(item);
    }
    outbox_free(ob);
}

static void credit_is_taken_to_the_byte(void **state) {
    (void)state;
    const uint64_t control = FRAME_COST + 10, data = FRAME_COST + 40 + CHUNK;
    struct outbox *ob = outbox_new(control + data - 1, CHUNK);
    uint64_t cost = 0;
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 10)));
    assert_true(outbox_put_data(ob, chunk(1, 1)));
    assert_int_equal(next_type(ob, &cost), MSG_ENTRIES);
    assert_int_equal(cost, control);
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_raise(ob, 1); /* a lower limit is no news */
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_raise(ob, control + data);
    assert_int_equal(next_type(ob, &cost), MSG_CHUNK);
    assert_int_equal(cost, data); /* a whole chunk, however short its data */
    assert_true(outbox_put(ob, message(MSG_SYNC, 0)));
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_raise(ob, control + data + FRAME_COST - 1);
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_raise(ob, control + data + FRAME_COST);
    assert_int_equal(next_type(ob, &cost), MSG_SYNC);
    assert_int_equal(cost, FRAME_COST);
    outbox_free(ob);
}

static void urgent_passes_what_waits_for_credit(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(0, CHUNK);
    uint64_t cost = 1;
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 10)));
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_int_equal(next_type(ob, &cost), MSG_ACK);
    assert_int_equal(cost, 0);
    assert_int_equal(next_type(ob, NULL), 0);
    assert_false(outbox_is_empty(ob));
    outbox_free(ob);
}

static void data_does_not_pass_control_that_waits_for_credit(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(FRAME_COST + 40 + CHUNK, CHUNK);
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 2 * CHUNK)));
    assert_true(outbox_put_data(ob, chunk(1, 1))); /* alone it would fit */
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_raise(ob, 4 * CHUNK);
    assert_int_equal(next_type(ob, NULL), MSG_ENTRIES);
    assert_int_equal(next_type(ob, NULL), MSG_CHUNK);
    outbox_free(ob);
}

static void closed_outbox_gives_what_it_has_and_takes_nothing(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    struct item *item;
    assert_true(outbox_put(ob, message(MSG_FINISH, 48)));
    assert_true(outbox_put_data(ob, chunk(1, 1)));
    outbox_close(ob);
    assert_false(outbox_put(ob, message(MSG_BYE, 0)));
    assert_false(outbox_put_data(ob, chunk(2, 1)));
    assert_false(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_int_equal(next_type(ob, NULL), MSG_FINISH);
    assert_int_equal(next_type(ob, NULL), MSG_CHUNK);
    assert_int_equal(outbox_get(ob, &item, -1), QUEUE_CLOSED);
    outbox_free(ob);
}

static void cancelled_outbox_gives_and_takes_nothing(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    struct item *item;
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 24)));
    assert_true(outbox_put_data(ob, chunk(1, 1)));
    outbox_cancel(ob);
    assert_int_equal(outbox_get(ob, &item, -1), QUEUE_CLOSED);
    assert_false(outbox_put(ob, message(MSG_BYE, 0)));
    assert_false(outbox_wait_room(ob, 1));
    outbox_wait_cancelled(ob, LONG_MS);
    outbox_free(ob); /* a leak checker sees that it drops all three */
}

struct patient {
    struct outbox *ob;
    atomic_uint went_on;
};

static void *wait_for_data_to_leave(void *arg) {
    struct patient *p = arg;
    atomic_fetch_add(&p->went_on, outbox_wait_data(p->ob, 2));
    return NULL;
}

static void no_more_data_waits_than_may(void **state) {
    (void)state;
    struct patient p = {.ob = outbox_new(0, CHUNK)};
    struct waiters w;
    assert_true(outbox_put_data_later(p.ob, message_with_ticket(MSG_HOLE, 1)));
    assert_true(outbox_wait_data(p.ob, 2));
    assert_true(outbox_put_data_later(p.ob, message_with_ticket(MSG_HOLE, 2)));
    waiters_start(&w, 1, wait_for_data_to_leave, &p);
    os_sleep_ms(20);
    assert_int_equal(atomic_load(&p.went_on), 0);
    outbox_raise(p.ob, FRAME_COST);
    assert_int_equal(next_type(p.ob, NULL), MSG_HOLE);
    waiters_join(&w);
    assert_int_equal(atomic_load(&p.went_on), 1);
    assert_true(outbox_put_data_later(p.ob, message_with_ticket(MSG_HOLE, 3)));
    waiters_start(&w, 1, wait_for_data_to_leave, &p);
    outbox_cancel(p.ob);
    waiters_join(&w);
    assert_int_equal(atomic_load(&p.went_on), 1);
    outbox_free(p.ob);
}

struct shared {
    struct outbox *ob;
    atomic_uint closed, room;
};

static void *get_one(void *arg) {
    struct shared *s = arg;
    struct item *item;
    atomic_fetch_add(&s->closed, outbox_get(s->ob, &item, -1) == QUEUE_CLOSED);
    return NULL;
}

static void *wait_room(void *arg) {
    struct shared *s = arg;
    bool room = outbox_wait_room(s->ob, 1);
    atomic_fetch_add(room ? &s->room : &s->closed, 1);
    return NULL;
}

static void *wait_cancelled(void *arg) {
    struct shared *s = arg;
    outbox_wait_cancelled(s->ob, LONG_MS);
    atomic_fetch_add(&s->closed, 1);
    return NULL;
}

static void cancel_wakes_every_waiter(void **state) {
    (void)state;
    struct shared s = {.ob = outbox_new(0, CHUNK)};
    struct waiters get, room, end;
    assert_true(outbox_put(s.ob, message(MSG_ENTRIES, 1)));
    waiters_start(&get, 1, get_one, &s);
    waiters_start(&room, 3, wait_room, &s);
    waiters_start(&end, 2, wait_cancelled, &s);
    outbox_cancel(s.ob);
    waiters_join(&get);
    waiters_join(&room);
    waiters_join(&end);
    assert_int_equal(atomic_load(&s.closed), 6);
    outbox_free(s.ob);
}

static void close_wakes_the_getter(void **state) {
    (void)state;
    struct shared s = {.ob = outbox_new(0, CHUNK)};
    struct waiters get;
    waiters_start(&get, 1, get_one, &s);
    outbox_close(s.ob);
    waiters_join(&get);
    assert_int_equal(atomic_load(&s.closed), 1);
    outbox_free(s.ob);
}

static void taking_a_control_item_makes_room(void **state) {
    (void)state;
    struct shared s = {.ob = outbox_new(UINT64_MAX, CHUNK)};
    struct waiters room;
    assert_true(outbox_put(s.ob, message(MSG_ENTRIES, 1)));
    waiters_start(&room, WAITERS, wait_room, &s);
    assert_int_equal(next_type(s.ob, NULL), MSG_ENTRIES);
    waiters_join(&room);
    assert_int_equal(atomic_load(&s.room), WAITERS);
    outbox_free(s.ob);
}

enum { CONTROLS = 500, CHUNKS = 1500, HEARTBEATS = 300, ALL = CONTROLS + CHUNKS + HEARTBEATS };

struct crowd {
    struct outbox *ob;
    atomic_uint next_ticket;
};

static void *put_data(void *arg) {
    struct crowd *c = arg;
    for (uint32_t i; (i = atomic_fetch_add(&c->next_ticket, 1)) <= CHUNKS;) {
        struct item *item = item_new(MSG_CHUNK, 40);
        item->t.ticket = i;
        item->frame.body_length = 40;
        item->frame.data_length = 5;
        (void)outbox_put_data(c->ob, item);
    }
    return NULL;
}

static void *put_control(void *arg) {
    struct crowd *c = arg;
    for (unsigned i = 0; i < CONTROLS; i++) {
        struct item *item = item_new(MSG_ENTRIES, 40);
        item->frame.body_length = 40;
        item->raw_length = i;
        if (outbox_wait_room(c->ob, 4))
            (void)outbox_put(c->ob, item);
    }
    return NULL;
}

static void *put_urgent(void *arg) {
    struct crowd *c = arg;
    for (unsigned i = 0; i < HEARTBEATS; i++)
        (void)outbox_put_urgent(c->ob, item_new(MSG_HEARTBEAT, 0));
    return NULL;
}

static void many_threads_put_and_one_gets_each_lane_in_order(void **state) {
    (void)state;
    const uint64_t chunk_cost = FRAME_COST + 40 + CHUNK, entry_cost = FRAME_COST + 40;
    struct crowd c = {.ob = outbox_new(0, CHUNK), .next_ticket = 1};
    struct waiters data, control, urgent;
    waiters_start(&data, 3, put_data, &c);
    waiters_start(&control, 1, put_control, &c);
    waiters_start(&urgent, 1, put_urgent, &c);
    uint64_t spent = 0, granted = 0, chunks = 0, controls = 0, heartbeats = 0;
    while (chunks + controls + heartbeats < ALL) {
        struct item *item;
        outbox_raise(c.ob, granted += chunk_cost); /* as another end would, now and then */
        if (outbox_get(c.ob, &item, LONG_MS) != QUEUE_OK)
            fail_msg("nothing came any more");
        spent += item->cost;
        assert_true(spent <= granted);
        if (item->frame.type == MSG_CHUNK)
            assert_int_equal(item->t.ticket, ++chunks);
        else if (item->frame.type == MSG_ENTRIES)
            assert_int_equal(item->raw_length, controls++);
        else
            heartbeats++;
        item_free(item);
    }
    waiters_join(&data);
    waiters_join(&control);
    waiters_join(&urgent);
    assert_int_equal(spent, CHUNKS * chunk_cost + CONTROLS * entry_cost);
    assert_true(outbox_is_empty(c.ob));
    outbox_free(c.ob);
}

/* ---- after a break ----------------------------------------------------------------------------------- */

struct hold {
    struct outbox *ob;
    atomic_bool held;
};

static void *hold_it(void *arg) {
    struct hold *h = arg;
    atomic_store(&h->held, outbox_hold(h->ob));
    return NULL;
}

static void holding_waits_until_the_sender_has_nothing_in_hand(void **state) {
    (void)state;
    struct hold h = {.ob = outbox_new(UINT64_MAX, CHUNK)};
    struct item *item;
    struct waiters w;
    assert_true(outbox_put(h.ob, message(MSG_ENTRIES, 10)));
    assert_true(outbox_put(h.ob, message(MSG_LIST_END, 0)));
    assert_int_equal(outbox_get(h.ob, &item, 0), QUEUE_OK);
    waiters_start(&w, 1, hold_it, &h);
    os_sleep_ms(20);
    assert_false(atomic_load(&h.held));
    outbox_sent(h.ob);
    waiters_join(&w);
    assert_true(atomic_load(&h.held));
    item_free(item);
    assert_int_equal(next_type(h.ob, NULL), 0);
    outbox_release(h.ob);
    assert_int_equal(next_type(h.ob, NULL), MSG_LIST_END);
    outbox_sent(h.ob);
    outbox_cancel(h.ob);
    assert_false(outbox_hold(h.ob));
    outbox_free(h.ob);
}

static struct item *ordered(uint8_t type, uint64_t order) {
    struct item *item = message(type, 0);
    item->frame.order = order;
    return item;
}

static void what_is_sent_again_goes_first_and_pays_again(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(4 * FRAME_COST, CHUNK);
    struct item *item;
    for (unsigned i = 0; i < 5; i++)
        assert_true(outbox_put(ob, message(MSG_ENTRIES, 0)));
    struct item *taken[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(outbox_get(ob, &taken[i], 0), QUEUE_OK);
    assert_int_equal(outbox_get(ob, &item, 0), QUEUE_TIMEOUT); /* no credit is left */
    assert_true(outbox_put_urgent(ob, ordered(MSG_ACK, 0)));
    struct item *resent = ordered(MSG_VOID, 2);
    resent->frame.flags = FRAME_RESENT;
    assert_true(outbox_put_urgent(ob, resent));
    outbox_sent(ob);
    assert_true(outbox_hold(ob));
    for (unsigned i = 0; i < 4; i++)
        taken[i]->frame.order = i + 1;
    item_free(taken[0]); /* this one was processed */
    for (unsigned i = 1; i < 4; i++)
        taken[i]->t.next = i < 3 ? &taken[i + 1]->t : NULL;
    outbox_rewind(ob, &taken[1]->t, 3 * FRAME_COST);
    outbox_release(ob);
    assert_int_equal(next_type(ob, NULL), MSG_ACK); /* … and what stood in for a refused frame is gone */
    for (uint64_t order = 2; order <= 4; order++) {
        assert_int_equal(outbox_get(ob, &item, 0), QUEUE_OK);
        assert_int_equal(item->frame.order, order);
        assert_int_equal(item->cost, FRAME_COST);
        item_free(item);
    }
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_raise(ob, 5 * FRAME_COST);
    assert_int_equal(outbox_get(ob, &item, 0), QUEUE_OK);
    assert_int_equal(item->frame.order, 0);
    item_free(item);
    outbox_free(ob);
}

static void what_turns_out_smaller_is_given_credit_back(void **state) {
    (void)state;
    uint64_t cost = FRAME_COST + 40 + CHUNK;
    struct outbox *ob = outbox_new(cost + FRAME_COST, CHUNK);
    struct item *item;
    assert_true(outbox_put_data(ob, chunk(1, 100)));
    assert_true(outbox_put_data(ob, chunk(2, 100)));
    assert_int_equal(outbox_get(ob, &item, 0), QUEUE_OK);
    assert_int_equal(next_type(ob, NULL), 0);
    item_make_void(item);
    outbox_refund(ob, item);
    assert_int_equal(item->cost, FRAME_COST);
    item_free(item);
    assert_int_equal(next_type(ob, NULL), MSG_CHUNK);
    outbox_free(ob);
}

static void the_latest_ack_stands_for_those_before_it(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(0, CHUNK);
    struct item *item;
    for (uint8_t i = 1; i <= 3; i++) {
        struct item *ack = message(MSG_ACK, 24);
        ack->body[0] = i;
        assert_true(outbox_put_urgent(ob, ack));
        assert_true(outbox_put_urgent(ob, ordered(MSG_VOID, i)));
    }
    assert_int_equal(outbox_get(ob, &item, 0), QUEUE_OK);
    assert_int_equal(item->frame.type, MSG_ACK);
    assert_int_equal(item->body[0], 3);
    item_free(item);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(next_type(ob, NULL), MSG_VOID);
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_true(outbox_put_urgent(ob, message(MSG_HEARTBEAT, 0))); /* behind the one that is left */
    assert_int_equal(next_type(ob, NULL), MSG_ACK);
    assert_int_equal(next_type(ob, NULL), MSG_HEARTBEAT);
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_free(ob);
}

/* The credit is no bound: the other end gives it. */
static void no_more_is_on_its_way_than_may_be(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    outbox_bound(ob, 2 * FLYING_MIN * FRAME_COST);
    struct item *item;
    for (unsigned i = 0; i < 3 * FLYING_MIN; i++)
        assert_true(outbox_put(ob, message(MSG_ENTRIES, 0)));
    assert_int_equal(outbox_waiting(ob), 3 * FLYING_MIN);
    for (unsigned i = 0; i < 2 * FLYING_MIN; i++)
        assert_int_equal(next_type(ob, NULL), MSG_ENTRIES);
    assert_int_equal(next_type(ob, NULL), 0);
    assert_false(outbox_has_credit(ob, FRAME_COST));
    outbox_flown(ob, (struct flown){.count = 1, .cost = FRAME_COST});
    assert_true(outbox_has_credit(ob, FRAME_COST));
    assert_int_equal(next_type(ob, NULL), MSG_ENTRIES);
    assert_int_equal(next_type(ob, NULL), 0);
    assert_int_equal(outbox_waiting(ob), FLYING_MIN - 1);
    assert_true(outbox_hold(ob)); /* one comes back, and is the next */
    outbox_rewind(ob, &ordered(MSG_LIST_END, 7)->t, FRAME_COST);
    outbox_release(ob);
    assert_int_equal(outbox_get(ob, &item, 0), QUEUE_OK);
    assert_int_equal(item->frame.type, MSG_LIST_END);
    item_free(item);
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_free(ob);
}

static void few_messages_go_whatever_they_cost(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    outbox_bound(ob, 0);
    for (unsigned i = 0; i <= FLYING_MIN; i++)
        assert_true(outbox_put(ob, message(MSG_ENTRIES, 0)));
    for (unsigned i = 0; i < FLYING_MIN; i++)
        assert_int_equal(next_type(ob, NULL), MSG_ENTRIES);
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_free(ob);
}

static void outbox_that_rests_gives_urgent_items_only(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    assert_true(outbox_put_data(ob, chunk(1, 100)));
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 10)));
    outbox_rest(ob, INT64_MAX);
    assert_int_equal(next_type(ob, NULL), 0);
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_int_equal(next_type(ob, NULL), MSG_ACK);
    assert_int_equal(next_type(ob, NULL), 0);
    outbox_rest(ob, 0);
    assert_int_equal(next_type(ob, NULL), MSG_ENTRIES);
    outbox_rest(ob, os_now_ms() + 1);
    struct item *item = NULL;
    assert_int_equal(outbox_get(ob, &item, -1), QUEUE_OK); /* wakes by itself */
    assert_int_equal(item->frame.type, MSG_CHUNK);
    item_free(item);
    outbox_free(ob);
}

static void small_messages_leave_together_up_to_a_large_one(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    const uint32_t lengths[] = {4096, 0, OUTBOX_BATCH_DATA - 4097, 4096, 4096, CHUNK, 1};
    struct item *items[8];
    unsigned n;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_true(outbox_put_data_later(ob, bundle(i + 1, lengths[i])));
    static const unsigned batches[] = {4, 2, 1}; /* the fourth and the sixth reach the bound */
    uint64_t ticket = 1;
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        assert_int_equal(outbox_get_batch(ob, items, 8, &n, 0), QUEUE_OK);
        assert_int_equal(n, batches[i]);
        for (unsigned j = 0; j < n; j++) {
            assert_int_equal(items[j]->t.ticket, ticket++);
            item_free(items[j]);
        }
    }
    assert_int_equal(outbox_get_batch(ob, items, 8, &n, 0), QUEUE_TIMEOUT);
    outbox_free(ob);
}

static struct item *refused(void) {
    struct item *item = chunk(0, 1);
    item->frame.flags = FRAME_RESENT;
    return item;
}

/* One buffer is enough to read the data into, whatever the chunks have been packed to. */
static void chunk_that_lacks_its_data_is_the_last_of_those_that_leave_together(void **state) {
    (void)state;
    struct outbox *ob = outbox_new(UINT64_MAX, CHUNK);
    struct item *items[8];
    unsigned n;
    assert_true(outbox_put_urgent(ob, message(MSG_ACK, 24)));
    assert_true(outbox_put_urgent(ob, refused()));
    assert_true(outbox_put_urgent(ob, refused()));
    assert_true(outbox_put(ob, message(MSG_ENTRIES, 0)));
    static const unsigned batches[] = {2, 1, 1};
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        assert_int_equal(outbox_get_batch(ob, items, 8, &n, 0), QUEUE_OK);
        assert_int_equal(n, batches[i]);
        for (unsigned j = 0; j < n; j++)
            item_free(items[j]);
    }
    outbox_free(ob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunk_that_lacks_its_data_is_the_last_of_those_that_leave_together),
        cmocka_unit_test(the_latest_ack_stands_for_those_before_it),
        cmocka_unit_test(no_more_is_on_its_way_than_may_be),
        cmocka_unit_test(no_more_data_waits_than_may),
        cmocka_unit_test(few_messages_go_whatever_they_cost),
        cmocka_unit_test(small_messages_leave_together_up_to_a_large_one),
        cmocka_unit_test(outbox_that_rests_gives_urgent_items_only),
        cmocka_unit_test(holding_waits_until_the_sender_has_nothing_in_hand),
        cmocka_unit_test(what_is_sent_again_goes_first_and_pays_again),
        cmocka_unit_test(what_turns_out_smaller_is_given_credit_back),
        cmocka_unit_test(urgent_goes_before_control_before_data),
        cmocka_unit_test(data_leaves_in_the_order_of_its_tickets),
        cmocka_unit_test(credit_is_taken_to_the_byte),
        cmocka_unit_test(urgent_passes_what_waits_for_credit),
        cmocka_unit_test(data_does_not_pass_control_that_waits_for_credit),
        cmocka_unit_test(closed_outbox_gives_what_it_has_and_takes_nothing),
        cmocka_unit_test(cancelled_outbox_gives_and_takes_nothing),
        cmocka_unit_test(cancel_wakes_every_waiter),
        cmocka_unit_test(close_wakes_the_getter),
        cmocka_unit_test(taking_a_control_item_makes_room),
        cmocka_unit_test(many_threads_put_and_one_gets_each_lane_in_order),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
