/* The table of streams: each is found from both ends, and there are never more than it holds. */
#include "streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct vsock_addr at(uint64_t cid, uint32_t port) {
    return (struct vsock_addr){.cid = cid, .port = port};
}

static void a_stream_is_found_from_both_ends(void **state) {
    struct stream_table *t = streams_new();
    unsigned side = 9;
    (void)state;
    struct stream *s = streams_open(t, at(2, 1000), at(42, 5000), 1);
    assert_ptr_equal(streams_find(t, at(2, 1000), at(42, 5000), &side), s);
    assert_int_equal(side, 0);
    assert_ptr_equal(streams_find(t, at(42, 5000), at(2, 1000), &side), s);
    assert_int_equal(side, 1);
    assert_null(streams_find(t, at(2, 5000), at(42, 1000), NULL));
    assert_null(streams_find(t, at(42, 1000), at(2, 5000), NULL));
    assert_int_equal(stream_side(s, 2), 0);
    assert_int_equal(stream_side(s, 42), 1);
    assert_int_equal(stream_side(s, 3), -1);
    streams_free(t);
}

static void opening_twice_gives_the_same_stream(void **state) {
    struct stream_table *t = streams_new();
    (void)state;
    struct stream *s = streams_open(t, at(2, 1000), at(42, 5000), 1);
    assert_ptr_equal(streams_open(t, at(2, 1000), at(42, 5000), 1), s);
    assert_ptr_equal(streams_open(t, at(42, 5000), at(2, 1000), 1), s);
    assert_int_equal(streams_count(t), 1);
    streams_close(t, s);
    assert_null(streams_find(t, at(2, 1000), at(42, 5000), NULL));
    assert_int_equal(streams_count(t), 0);
    streams_free(t);
}

static void a_full_table_opens_no_more_until_one_is_closed(void **state) {
    struct stream_table *t = streams_new();
    (void)state;
    for (uint32_t i = 0; i < STREAMS_MAX; i++)
        assert_non_null(streams_open(t, at(2, i), at(42, 5000), 1));
    assert_null(streams_open(t, at(2, STREAMS_MAX), at(42, 5000), 1));
    assert_int_equal(streams_count(t), STREAMS_MAX);
    streams_close(t, streams_find(t, at(42, 5000), at(2, 77), NULL));
    assert_non_null(streams_open(t, at(2, STREAMS_MAX), at(42, 5000), 1));
    for (uint32_t i = 0; i <= STREAMS_MAX; i++)
        assert_true((streams_find(t, at(2, i), at(42, 5000), NULL) != NULL) == (i != 77));
    streams_free(t);
}

static void all_can_be_visited_and_closed_on_the_way(void **state) {
    struct stream_table *t = streams_new();
    unsigned seen = 0;
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        assert_non_null(streams_open(t, at(2, i), at(42, i), 1));
    for (struct stream *s = streams_next(t, NULL); s; s = streams_next(t, s)) {
        streams_close(t, s);
        seen++;
    }
    assert_int_equal(seen, 100);
    assert_int_equal(streams_count(t), 0);
    assert_null(streams_next(t, NULL));
    streams_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_found_from_both_ends),
        cmocka_unit_test(opening_twice_gives_the_same_stream),
        cmocka_unit_test(a_full_table_opens_no_more_until_one_is_closed),
        cmocka_unit_test(all_can_be_visited_and_closed_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
