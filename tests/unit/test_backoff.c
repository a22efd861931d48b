/* How long to wait before the next try: numbers, no time. */
#include "program/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MIDDLE = 1 << 30 }; /* times 2: neither more nor less */

static int plain(int first_ms, unsigned failures) {
    return backoff_ms(first_ms, failures, 2u * MIDDLE);
}

static void the_wait_doubles_with_each_failure(void **state) {
    (void)state;
    assert_int_equal(plain(500, 1), 500);
    assert_int_equal(plain(500, 2), 1000);
    assert_int_equal(plain(500, 3), 2000);
    assert_int_equal(plain(500, 6), 16000);
}

static void doubling_ends_at_half_a_minute(void **state) {
    (void)state;
    assert_int_equal(plain(500, 7), BACKOFF_MOST_MS);
    assert_int_equal(plain(500, 8), BACKOFF_MOST_MS);
    assert_int_equal(plain(1, UINT32_MAX), BACKOFF_MOST_MS);
}

static void a_longer_first_wait_stays_as_it_is(void **state) {
    (void)state;
    assert_int_equal(plain(60000, 1), 60000);
    assert_int_equal(plain(60000, 9), 60000);
    assert_int_equal(plain(86400000, UINT32_MAX), 86400000);
}

static void chance_makes_it_a_quarter_more_or_less(void **state) {
    (void)state;
    assert_int_equal(backoff_ms(1000, 1, 0), 750);
    assert_in_range(backoff_ms(1000, 1, UINT32_MAX), 1249, 1250);
    assert_int_equal(backoff_ms(1000, 99, 0), 22500);
    for (uint64_t random = 0, last = 750; random <= UINT32_MAX; random += UINT32_MAX / 97) {
        uint64_t wait = (uint64_t)backoff_ms(1000, 1, (uint32_t)random);
        assert_in_range(wait, last, 1250); /* more for more */
        last = wait;
    }
}

static void no_wait_stays_none(void **state) {
    (void)state;
    assert_int_equal(backoff_ms(0, 1, UINT32_MAX), 0);
    assert_int_equal(backoff_ms(0, UINT32_MAX, UINT32_MAX), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_doubles_with_each_failure),
        cmocka_unit_test(doubling_ends_at_half_a_minute),
        cmocka_unit_test(a_longer_first_wait_stays_as_it_is),
        cmocka_unit_test(chance_makes_it_a_quarter_more_or_less),
        cmocka_unit_test(no_wait_stays_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
