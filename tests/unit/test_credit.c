/* Credit: what is spent never passes the limit, and every raise and cancel is heard. */
#include "threads_help.h"

#include "sync/sync.h"

enum { SPENDS = 3000 };

static void credit_is_spent_to_the_last_unit(void **state) {
    (void)state;
    struct credit *c = credit_new(100);
    assert_int_equal(credit_spend(c, 99, 0), QUEUE_OK);
    assert_int_equal(credit_spend(c, 2, 0), QUEUE_TIMEOUT);
    assert_int_equal(credit_spend(c, 1, 0), QUEUE_OK);
    assert_int_equal(credit_spend(c, 0, 0), QUEUE_OK);
    assert_int_equal(credit_spend(c, 1, 0), QUEUE_TIMEOUT);
    assert_int_equal(credit_spend(c, 1, 1), QUEUE_TIMEOUT);
    credit_free(c);
    credit_free(NULL);
}

static void only_a_higher_limit_counts(void **state) {
    (void)state;
    struct credit *c = credit_new(10);
    credit_raise(c, 5);
    assert_int_equal(credit_spend(c, 10, 0), QUEUE_OK);
    credit_raise(c, 0);
    credit_raise(c, 10);
    assert_int_equal(credit_spend(c, 1, 0), QUEUE_TIMEOUT);
    credit_raise(c, 11);
    assert_int_equal(credit_spend(c, 2, 0), QUEUE_TIMEOUT);
    assert_int_equal(credit_spend(c, 1, 0), QUEUE_OK);
    credit_raise(c, UINT64_MAX);
    assert_int_equal(credit_spend(c, UINT64_MAX, 0), QUEUE_TIMEOUT);
    assert_int_equal(credit_spend(c, UINT64_MAX - 11, 0), QUEUE_OK);
    credit_free(c);
}

static void cancelled_credit_is_closed_even_when_some_is_left(void **state) {
    (void)state;
    struct credit *c = credit_new(10);
    credit_cancel(c);
    assert_int_equal(credit_spend(c, 1, 0), QUEUE_CLOSED);
    assert_int_equal(credit_spend(c, 100, -1), QUEUE_CLOSED);
    credit_free(c);
}

struct shared {
    struct credit *c;
    atomic_uint closed;
    atomic_ullong spent, limit;
    atomic_uint overspent;
};

static void *wait_for_some(void *arg) {
    struct shared *s = arg;
    atomic_fetch_add(&s->closed, credit_spend(s->c, 1, -1) == QUEUE_CLOSED);
    return NULL;
}

static void cancel_wakes_every_waiter(void **state) {
    (void)state;
    struct shared s = {.c = credit_new(0)};
    struct waiters w;
    waiters_start(&w, WAITERS, wait_for_some, &s);
    credit_cancel(s.c);
    waiters_join(&w);
    assert_int_equal(atomic_load(&s.closed), WAITERS);
    credit_free(s.c);
}

static void *spend(void *arg) {
    struct shared *s = arg;
    for (unsigned i = 0; i < SPENDS; i++) {
        unsigned cost = i % 7 + 1;
        if (credit_spend(s->c, cost, -1) != QUEUE_OK)
            break;
        unsigned long long now = atomic_fetch_add(&s->spent, cost) + cost;
        atomic_fetch_add(&s->overspent, now > atomic_load(&s->limit));
    }
    return NULL;
}

static void many_spenders_stay_below_a_rising_limit(void **state) {
    (void)state;
    struct shared s = {.c = credit_new(0)};
    struct waiters w;
    uint64_t all = 0;
    for (unsigned i = 0; i < SPENDS; i++)
        all += WAITERS * (i % 7 + 1);
    waiters_start(&w, WAITERS, spend, &s);
    for (uint64_t limit = 0; limit < all;) {
        limit = limit + 5 < all ? limit + 5 : all;
        atomic_store(&s.limit, limit);
        credit_raise(s.c, limit);
    }
    waiters_join(&w);
    assert_int_equal(atomic_load(&s.spent), all);
    assert_int_equal(atomic_load(&s.overspent), 0);
    assert_int_equal(credit_spend(s.c, 1, 0), QUEUE_TIMEOUT);
    credit_free(s.c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_is_spent_to_the_last_unit),
        cmocka_unit_test(only_a_higher_limit_counts),
        cmocka_unit_test(cancelled_credit_is_closed_even_when_some_is_left),
        cmocka_unit_test(cancel_wakes_every_waiter),
        cmocka_unit_test(many_spenders_stay_below_a_rising_limit),
    };
    return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
