/* The bounded queue: first in first out, and no wait that close or cancel would not end. */
#include "threads_help.h"

#include "sync/sync.h"

enum { CAPACITY = 3, PRODUCERS = 3, EACH = 4000 };

static char items[CAPACITY + 1];

static struct queue *full_queue(void) {
    struct queue *q = queue_new(CAPACITY);
    assert_non_null(q);
    for (size_t i = 0; i < CAPACITY; i++)
        assert_true(queue_put(q, &items[i]));
    return q;
}

static void items_leave_in_the_order_they_came(void **state) {
    (void)state;
    struct queue *q = full_queue();
    void *got;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(queue_get(q, &got, -1), QUEUE_OK);
        assert_ptr_equal(got, &items[i % CAPACITY]);
        assert_int_equal(queue_length(q), CAPACITY - 1);
        assert_true(queue_put(q, &items[i % CAPACITY]));
        assert_int_equal(queue_length(q), CAPACITY);
    }
    queue_free(q, NULL);
}

static void empty_queue_times_out_and_leaves_the_result_untouched(void **state) {
    (void)state;
    struct queue *q = queue_new(1);
    void *got = q;
    assert_int_equal(queue_get(q, &got, 0), QUEUE_TIMEOUT);
    assert_int_equal(queue_get(q, &got, 1), QUEUE_TIMEOUT);
    assert_ptr_equal(got, q);
    assert_true(queue_put(q, &items[0]));
    assert_int_equal(queue_get(q, &got, 0), QUEUE_OK);
    assert_ptr_equal(got, &items[0]);
    queue_free(q, NULL);
}

static void closed_queue_gives_what_it_has_and_takes_nothing(void **state) {
    (void)state;
    struct queue *q = full_queue();
    void *got;
    queue_close(q);
    assert_false(queue_put(q, &items[CAPACITY]));
    for (size_t i = 0; i < CAPACITY; i++) {
        assert_int_equal(queue_get(q, &got, -1), QUEUE_OK);
        assert_ptr_equal(got, &items[i]);
        assert_false(queue_put(q, &items[CAPACITY]));
    }
    assert_int_equal(queue_get(q, &got, -1), QUEUE_CLOSED);
    assert_int_equal(queue_get(q, &got, 0), QUEUE_CLOSED);
    queue_free(q, NULL);
}

static void cancelled_queue_keeps_what_it_has_for_free(void **state) {
    (void)state;
    struct queue *q = queue_new(CAPACITY);
    void *got;
    for (size_t i = 0; i < CAPACITY; i++)
        assert_true(queue_put(q, malloc(1)));
    queue_cancel(q);
    assert_int_equal(queue_get(q, &got, -1), QUEUE_CLOSED);
    assert_false(queue_put(q, &items[0]));
    assert_int_equal(queue_length(q), CAPACITY);
    queue_free(q, free); /* a leak checker counts them */
    queue_free(NULL, free);
}

struct shared {
    struct queue *q;
    atomic_uint refused;
};

static void *put_one(void *arg) {
    struct shared *s = arg;
    if (!queue_put(s->q, &items[CAPACITY]))
        atomic_fetch_add(&s->refused, 1);
    return NULL;
}

static void *get_one(void *arg) {
    struct shared *s = arg;
    void *got;
    if (queue_get(s->q, &got, -1) == QUEUE_CLOSED)
        atomic_fetch_add(&s->refused, 1);
    return NULL;
}

static void assert_all_refused(struct shared *s, void *(*fn)(void *), void (*stop)(struct queue *)) {
    struct waiters w;
    waiters_start(&w, WAITERS, fn, s);
    stop(s->q);
    waiters_join(&w);
    assert_int_equal(atomic_load(&s->refused), WAITERS);
    queue_free(s->q, NULL);
}

static void cancel(struct queue *q) {
    queue_cancel(q);
}

static void close_and_cancel_wake_every_waiting_put(void **state) {
    (void)state;
    assert_all_refused(&(struct shared){.q = full_queue()}, put_one, queue_close);
    assert_all_refused(&(struct shared){.q = full_queue()}, put_one, cancel);
}

static void close_and_cancel_wake_every_waiting_get(void **state) {
    (void)state;
    assert_all_refused(&(struct shared){.q = queue_new(1)}, get_one, queue_close);
    assert_all_refused(&(struct shared){.q = queue_new(1)}, get_one, cancel);
}

struct patient {
    struct queue *q;
    atomic_size_t left; /* items when the wait was over; CAPACITY + 1: it is not */
    atomic_bool went_on;
};

static void *wait_for_one_left(void *arg) {
    struct patient *p = arg;
    bool went_on = queue_wait_few(p->q, 1);
    atomic_store(&p->went_on, went_on);
    atomic_store(&p->left, queue_length(p->q));
    return NULL;
}

/* The number of items when the wait was over. */
static size_t left_after(struct patient *p, unsigned gets, void (*stop)(struct queue *)) {
    struct waiters w;
    void *got;
    atomic_store(&p->left, CAPACITY + 1);
    waiters_start(&w, 1, wait_for_one_left, p);
    for (unsigned i = 0; i < gets; i++)
        assert_int_equal(queue_get(p->q, &got, -1), QUEUE_OK);
    if (stop)
        stop(p->q);
    waiters_join(&w);
    return atomic_load(&p->left);
}

static void few_items_are_waited_for(void **state) {
    (void)state;
    struct patient p = {.q = full_queue()};
    assert_int_equal(left_after(&p, CAPACITY - 1, NULL), 1);
    assert_true(atomic_load(&p.went_on));
    assert_int_equal(left_after(&p, 0, NULL), 1); /* there are few already */
    queue_free(p.q, NULL);
    p.q = full_queue();
    assert_int_equal(left_after(&p, 0, queue_close), CAPACITY);
    assert_true(atomic_load(&p.went_on));
    queue_free(p.q, NULL);
    p.q = full_queue();
    assert_int_equal(left_after(&p, 0, cancel), CAPACITY);
    assert_false(atomic_load(&p.went_on));
    queue_free(p.q, NULL);
}

struct crowd {
    struct queue *q;
    uint32_t numbers[PRODUCERS][EACH]; /* number i of producer p is p * EACH + i */
    atomic_uint next_producer, bad_order, too_long;
    atomic_uint seen[PRODUCERS * EACH];
};

static void *produce(void *arg) {
    struct crowd *c = arg;
    uint32_t me = atomic_fetch_add(&c->next_producer, 1);
    for (uint32_t i = 0; i < EACH; i++) {
        c->numbers[me][i] = me * EACH + i;
        (void)queue_put(c->q, &c->numbers[me][i]);
    }
    return NULL;
}

static void *consume(void *arg) {
    struct crowd *c = arg;
    void *got;
    int64_t last[PRODUCERS] = {-1, -1, -1};
    while (queue_get(c->q, &got, -1) == QUEUE_OK) {
        uint32_t n = *(uint32_t *)got;
        atomic_fetch_add(&c->seen[n], 1);
        atomic_fetch_add(&c->bad_order, (int64_t)n <= last[n / EACH]);
        atomic_fetch_add(&c->too_long, queue_length(c->q) > CAPACITY);
        last[n / EACH] = n;
    }
    return NULL;
}

static void many_threads_lose_double_and_reorder_nothing(void **state) {
    (void)state;
    struct crowd *c = calloc(1, sizeof *c);
    c->q = queue_new(CAPACITY);
    struct waiters producers, consumers;
    waiters_start(&consumers, 3, consume, c);
    waiters_start(&producers, PRODUCERS, produce, c);
    waiters_join(&producers);
    queue_close(c->q);
    waiters_join(&consumers);
    for (size_t i = 0; i < PRODUCERS * EACH; i++)
        assert_int_equal(atomic_load(&c->seen[i]), 1);
    assert_int_equal(atomic_load(&c->bad_order), 0);
    assert_int_equal(atomic_load(&c->too_long), 0);
    queue_free(c->q, NULL);
    free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_leave_in_the_order_they_came),
        cmocka_unit_test(empty_queue_times_out_and_leaves_the_result_untouched),
        cmocka_unit_test(closed_queue_gives_what_it_has_and_takes_nothing),
        cmocka_unit_test(cancelled_queue_keeps_what_it_has_for_free),
        cmocka_unit_test(close_and_cancel_wake_every_waiting_put),
        cmocka_unit_test(close_and_cancel_wake_every_waiting_get),
        cmocka_unit_test(few_items_are_waited_for),
        cmocka_unit_test(many_threads_lose_double_and_reorder_nothing),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
