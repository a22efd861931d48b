/* The sequencer: whatever order items come in, they leave in the order of their tickets, each once. */
#include "threads_help.h"

#include "sync/sync.h"

enum { TICKETS = 10000, PUTTERS = 4 };

static struct ticketed *items_of(size_t n) {
    struct ticketed *items = calloc(n, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i < n; i++)
        items[i].ticket = i + 1;
    return items;
}

static void shuffle(struct ticketed *items, size_t n, uint32_t seed) {
    for (size_t i = n - 1; i > 0; i--) {
        size_t k = scatter(&seed) % (i + 1);
        uint64_t t = items[i].ticket;
        items[i].ticket = items[k].ticket;
        items[k].ticket = t;
    }
}

static void assert_next(struct sequencer *seq, uint64_t ticket) {
    struct ticketed *got;
    assert_int_equal(sequencer_get(seq, &got, 0), QUEUE_OK);
    assert_int_equal(got->ticket, ticket);
    assert_null(got->next);
}

static void random_order_leaves_sorted(void **state) {
    (void)state;
    struct sequencer *seq = sequencer_new();
    struct ticketed *items = items_of(TICKETS);
    shuffle(items, TICKETS, 1);
    for (size_t i = 0; i < TICKETS; i++)
        assert_int_equal(sequencer_put(seq, &items[i]), SEQ_PUT);
    for (uint64_t ticket = 1; ticket <= TICKETS; ticket++)
        assert_next(seq, ticket);
    struct ticketed *got;
    assert_int_equal(sequencer_get(seq, &got, 0), QUEUE_TIMEOUT);
    sequencer_free(seq, NULL);
    free(items);
}

static void gap_holds_back_what_is_behind_it(void **state) {
    (void)state;
    struct sequencer *seq = sequencer_new();
    struct ticketed *items = items_of(4), *got = items;
    assert_int_equal(sequencer_put(seq, &items[3]), SEQ_PUT);
    assert_int_equal(sequencer_put(seq, &items[1]), SEQ_PUT);
    assert_int_equal(sequencer_get(seq, &got, 0), QUEUE_TIMEOUT);
    assert_int_equal(sequencer_get(seq, &got, 1), QUEUE_TIMEOUT);
    assert_ptr_equal(got, items);
    assert_int_equal(sequencer_put(seq, &items[0]), SEQ_PUT);
    assert_next(seq, 1);
    assert_next(seq, 2);
    assert_int_equal(sequencer_get(seq, &got, 0), QUEUE_TIMEOUT);
    assert_int_equal(sequencer_put(seq, &items[2]), SEQ_PUT);
    assert_next(seq, 3);
    assert_next(seq, 4);
    sequencer_free(seq, NULL);
    free(items);
}

static void duplicate_is_refused_before_and_after_it_left(void **state) {
    (void)state;
    struct sequencer *seq = sequencer_new();
    struct ticketed *items = items_of(5);
    struct ticketed again = {.ticket = 0};
    assert_int_equal(sequencer_put(seq, &again), SEQ_DUPLICATE); /* tickets begin with 1 */
    assert_int_equal(sequencer_put(seq, &items[0]), SEQ_PUT);
    assert_int_equal(sequencer_put(seq, &items[2]), SEQ_PUT);
    assert_int_equal(sequencer_put(seq, &items[4]), SEQ_PUT);
    for (again.ticket = 1; again.ticket <= 5; again.ticket += 2)
        assert_int_equal(sequencer_put(seq, &again), SEQ_DUPLICATE);
    assert_next(seq, 1);
    again.ticket = 1;
    assert_int_equal(sequencer_put(seq, &again), SEQ_DUPLICATE);
    sequencer_free(seq, NULL);
    free(items);
}

static void lacks_says_what_was_neither_put_nor_taken(void **state) {
    (void)state;
    struct sequencer *seq = sequencer_new();
    struct ticketed *items = items_of(3);
    assert_int_equal(sequencer_put(seq, &items[0]), SEQ_PUT);
    assert_int_equal(sequencer_put(seq, &items[2]), SEQ_PUT);
    assert_false(sequencer_lacks(seq, 0));
    assert_false(sequencer_lacks(seq, 1));
    assert_true(sequencer_lacks(seq, 2));
    assert_false(sequencer_lacks(seq, 3));
    assert_true(sequencer_lacks(seq, 4));
    assert_true(sequencer_lacks(seq, UINT64_MAX));
    assert_next(seq, 1);
    assert_false(sequencer_lacks(seq, 1));
    sequencer_free(seq, NULL);
    free(items);
}

static void closed_sequencer_ends_at_the_first_gap(void **state) {
    (void)state;
    struct sequencer *seq = sequencer_new();
    struct ticketed *items = items_of(4), *got;
    assert_int_equal(sequencer_put(seq, &items[0]), SEQ_PUT);
    assert_int_equal(sequencer_put(seq, &items[1]), SEQ_PUT);
    assert_int_equal(sequencer_put(seq, &items[3]), SEQ_PUT);
    sequencer_close(seq);
    assert_int_equal(sequencer_put(seq, &items[2]), SEQ_CLOSED);
    assert_next(seq, 1);
    assert_next(seq, 2);
    assert_int_equal(sequencer_get(seq, &got, -1), QUEUE_CLOSED);
    sequencer_free(seq, NULL);
    free(items);
}

static unsigned dropped;
static void drop(struct ticketed *item) {
    dropped++;
    free(item);
}

static void cancelled_sequencer_keeps_what_it_has_for_free(void **state) {
    (void)state;
    struct sequencer *seq = sequencer_new();
    struct ticketed *got, refused = {.ticket = 3};
    for (uint64_t t = 1; t <= 5; t += 2) {
        struct ticketed *item = calloc(1, sizeof *item);
        item->ticket = t;
        assert_int_equal(sequencer_put(seq, item), SEQ_PUT);
    }
    sequencer_cancel(seq);
    assert_int_equal(sequencer_get(seq, &got, -1), QUEUE_CLOSED);
    assert_int_equal(sequencer_put(seq, &refused), SEQ_CLOSED);
    sequencer_free(seq, drop);
    assert_int_equal(dropped, 3);
    sequencer_free(NULL, drop);
}

struct shared {
    struct sequencer *seq;
    int timeout_ms;
    atomic_uint closed, got;
};

static void *get_one(void *arg) {
    struct shared *s = arg;
    struct ticketed *item;
    enum queue_result result = sequencer_get(s->seq, &item, s->timeout_ms);
    atomic_fetch_add(&s->closed, result == QUEUE_CLOSED);
    atomic_fetch_add(&s->got, result == QUEUE_OK);
    return NULL;
}

static void close_and_cancel_wake_every_waiter(void **state) {
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct shared s = {.seq = sequencer_new(), .timeout_ms = -1};
        struct waiters w;
        waiters_start(&w, WAITERS, get_one, &s);
        if (turn == 0)
            sequencer_close(s.seq);
        else
            sequencer_cancel(s.seq);
        waiters_join(&w);
        assert_int_equal(atomic_load(&s.closed), WAITERS);
        sequencer_free(s.seq, NULL);
    }
}

/* The first ticket comes last: one put makes items ready for all of those that wait. */
static void each_of_many_waiters_gets_one(void **state) {
    (void)state;
    for (int turn = 0; turn < 50; turn++) {
        struct shared s = {.seq = sequencer_new(), .timeout_ms = LONG_MS};
        struct ticketed *items = items_of(WAITERS);
        struct waiters w;
        waiters_start(&w, WAITERS, get_one, &s);
        for (size_t i = WAITERS; i > 0; i--)
            assert_int_equal(sequencer_put(s.seq, &items[i - 1]), SEQ_PUT);
        waiters_join(&w);
        assert_int_equal(atomic_load(&s.got), WAITERS);
        sequencer_free(s.seq, NULL);
        free(items);
    }
}

struct crowd {
    struct sequencer *seq;
    struct ticketed *items;
    atomic_uint next, duplicates, double_puts;
};

/* Each item is put by one thread, and a second time by the same: exactly one of the two may be taken. */
static void *put_some(void *arg) {
    struct crowd *c = arg;
    for (uint32_t i; (i = atomic_fetch_add(&c->next, 1)) < TICKETS;) {
        uint64_t ticket = c->items[i].ticket;
        atomic_fetch_add(&c->double_puts, sequencer_put(c->seq, &c->items[i]) != SEQ_PUT);
        struct ticketed again = {.ticket = ticket};
        atomic_fetch_add(&c->duplicates, sequencer_put(c->seq, &again) == SEQ_DUPLICATE);
    }
    return NULL;
}

static void many_threads_put_and_one_gets_all_in_order(void **state) {
    (void)state;
    struct crowd c = {.seq = sequencer_new(), .items = items_of(TICKETS)};
    struct waiters w;
    for (size_t at = 0; at + 64 <= TICKETS; at += 64) /* workers reorder within a window */
        shuffle(c.items + at, 64, (uint32_t)at + 7);
    waiters_start(&w, PUTTERS, put_some, &c);
    for (uint64_t ticket = 1; ticket <= TICKETS; ticket++) {
        struct ticketed *got;
        assert_int_equal(sequencer_get(c.seq, &got, -1), QUEUE_OK);
        assert_int_equal(got->ticket, ticket);
    }
    waiters_join(&w);
    assert_int_equal(atomic_load(&c.double_puts), 0);
    assert_int_equal(atomic_load(&c.duplicates), TICKETS);
    sequencer_free(c.seq, NULL);
    free(c.items);
}

static unsigned drops;
static void count_drop(struct ticketed *item) {
    drops++;
    assert_int_equal(item->ticket, 5);
}

struct taker {
    struct sequencer *seq;
    atomic_uint taken;
};

static void *take_slowly(void *arg) {
    struct taker *t = arg;
    struct ticketed *got;
    while (sequencer_get(t->seq, &got, -1) == QUEUE_OK) {
        os_sleep_ms(5);
        atomic_fetch_add(&t->taken, 1);
    }
    return NULL;
}

static void settled_means_that_all_before_the_gap_is_done_with(void **state) {
    (void)state;
    struct taker t = {.seq = sequencer_new()};
    struct ticketed items[5] = {{.ticket = 1}, {.ticket = 2}, {.ticket = 3}, {.ticket = 5}, {.ticket = 4}};
    struct waiters w;
    waiters_start(&w, 1, take_slowly, &t);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(sequencer_put(t.seq, &items[i]), SEQ_PUT);
    assert_int_equal(sequencer_settle(t.seq, os_now_ms() + LONG_MS), QUEUE_OK);
    assert_int_equal(atomic_load(&t.taken), 3);
    drops = 0;
    sequencer_clear(t.seq, count_drop);
    assert_int_equal(drops, 1);
    assert_int_equal(sequencer_put(t.seq, &items[4]), SEQ_PUT);
    assert_int_equal(sequencer_settle(t.seq, os_now_ms() + LONG_MS), QUEUE_OK);
    assert_int_equal(atomic_load(&t.taken), 4);
    assert_true(sequencer_lacks(t.seq, 5));
    assert_int_equal(sequencer_settle(t.seq, os_now_ms()), QUEUE_OK);
    sequencer_cancel(t.seq);
    waiters_join(&w);
    assert_int_equal(sequencer_settle(t.seq, os_now_ms() + LONG_MS), QUEUE_CLOSED);
    sequencer_free(t.seq, NULL);
}

static void *count_down(void *tally) {
    os_sleep_ms(10);
    tally_down(tally);
    return NULL;
}

static void tally_waits_for_all_of_them(void **state) {
    (void)state;
    struct tally t;
    struct waiters w;
    tally_init(&t);
    assert_int_equal(tally_wait(&t, os_now_ms() + LONG_MS), QUEUE_OK);
    for (unsigned i = 0; i < WAITERS; i++)
        tally_up(&t);
    waiters_start(&w, WAITERS, count_down, &t);
    assert_int_equal(tally_wait(&t, os_now_ms() + LONG_MS), QUEUE_OK);
    assert_int_equal(t.n, 0);
    waiters_join(&w);
    tally_up(&t);
    assert_int_equal(tally_wait(&t, os_now_ms()), QUEUE_TIMEOUT);
    tally_cancel(&t);
    assert_int_equal(tally_wait(&t, os_now_ms() + LONG_MS), QUEUE_CLOSED);
    tally_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settled_means_that_all_before_the_gap_is_done_with),
        cmocka_unit_test(tally_waits_for_all_of_them),
        cmocka_unit_test(random_order_leaves_sorted),
        cmocka_unit_test(gap_holds_back_what_is_behind_it),
        cmocka_unit_test(duplicate_is_refused_before_and_after_it_left),
        cmocka_unit_test(lacks_says_what_was_neither_put_nor_taken),
        cmocka_unit_test(closed_sequencer_ends_at_the_first_gap),
        cmocka_unit_test(cancelled_sequencer_keeps_what_it_has_for_free),
        cmocka_unit_test(close_and_cancel_wake_every_waiter),
        cmocka_unit_test(each_of_many_waiters_gets_one),
        cmocka_unit_test(many_threads_put_and_one_gets_all_in_order),
    };
    return cmocka_run_group_tests_name("sequencer", tests, NULL, NULL);
}
