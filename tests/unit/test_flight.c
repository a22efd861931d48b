/* The flight: what was sent stays until it is processed, is found when it is refused, and is taken out after a break. */
#include "threads_help.h"

#include "flow/flight.h"

static struct item *sent(uint8_t type, uint64_t order, uint64_t cost) {
    struct item *item = item_new(type, 8);
    assert_non_null(item);
    item->frame.order = order;
    item->frame.body_length = 8;
    memset(item->body, (int)order, 8);
    item->cost = cost;
    return item;
}

/* Orders 1…n, each written at once: odd ones are chunks. */
static struct flight *flight_of(uint64_t n) {
    struct flight *f = flight_new();
    assert_non_null(f);
    for (uint64_t order = 1; order <= n; order++) {
        struct item *item = sent(order % 2 ? MSG_CHUNK : MSG_ENTRIES, order, order * 100);
        flight_add(f, item);
        flight_sent(f, item);
    }
    return f;
}

static bool is_there(struct flight *f, uint64_t order) {
    struct item *copy = flight_refused(f, order);
    bool there = copy && copy->frame.order == order && copy->body[7] == (uint8_t)order;
    item_free(copy);
    return there;
}

static void refusals_of_one_order_are_counted(void **state) {
    (void)state;
    struct flight *f = flight_of(3);
    for (unsigned times = 1; times < 10; times++) {
        struct item *copy = flight_refused(f, 3);
        assert_int_equal(copy->refusals, times);
        item_free(copy);
    }
    struct item *other = flight_refused(f, 1);
    assert_int_equal(other->refusals, 1);
    item_free(other);
    flight_free(f);
}

static void only_data_that_is_not_processed_is_found(void **state) {
    (void)state;
    struct flight *f = flight_of(6);
    assert_true(is_there(f, 1));
    assert_false(is_there(f, 2)); /* carries no data */
    assert_true(is_there(f, 5));
    assert_false(is_there(f, 7));
    flight_done(f, 3);
    flight_done(f, 2); /* an older ACK says nothing */
    assert_false(is_there(f, 1));
    assert_false(is_there(f, 3));
    assert_true(is_there(f, 5));
    flight_void(f, 5);
    assert_false(is_there(f, 5));
    flight_free(f);
    flight_free(NULL);
}

static void what_moves_the_transfer_is_counted_apart(void **state) {
    (void)state;
    static const uint8_t types[] = {MSG_ENTRIES, MSG_VOID,     MSG_CHUNK,    MSG_SYNC,
                                    MSG_BUNDLE,  MSG_VERDICTS, MSG_REFUSED,  MSG_BASIS,
                                    MSG_HOLE,    MSG_REUSE,    MSG_FILE_END, MSG_FILE_SAME};
    struct flight *f = flight_new();
    uint64_t moved = 0, last = sizeof types;
    for (uint64_t order = 1; order <= last; order++) {
        struct item *item = sent(types[order - 1], order, 1);
        flight_add(f, item);
        flight_sent(f, item);
    }
    flight_void(f, 5); /* its bundle was refused */
    for (uint64_t order = 1; order <= last; order++) {
        struct flown flown = flight_done(f, order);
        moved += order != 2 && order != 4 && order != 5 && order != 7;
        assert_int_equal(flown.count, order);
        assert_int_equal(flown.moved, moved);
    }
    flight_free(f);
}

static void buffer_is_given_back_when_it_is_written_and_not_before(void **state) {
    (void)state;
    struct pool *pool = pool_new(16, 1);
    struct flight *f = flight_new();
    struct item *item = sent(MSG_CHUNK, 1, 1);
    item->data = pool_get(pool);
    flight_add(f, item);
    flight_done(f, 1); /* the other end may be faster than our write() returns */
    assert_null(pool_try_get(pool));
    assert_int_equal(item->frame.order, 1);
    flight_sent(f, item);
    struct buf *buf = pool_try_get(pool);
    assert_non_null(buf);
    buf_release(buf);
    flight_free(f);
    pool_free(pool);
}

/* As several streams do: the first is still being written when the second is processed. */
static void an_item_stays_until_it_is_written_whatever_follows_it(void **state) {
    (void)state;
    struct pool *pool = pool_new(16, 2);
    struct flight *f = flight_new();
    struct item *items[2];
    for (unsigned i = 0; i < 2; i++) {
        items[i] = sent(MSG_CHUNK, i + 1, 1);
        items[i]->data = pool_get(pool);
        flight_add(f, items[i]);
    }
    flight_sent(f, items[1]);
    flight_done(f, 2);
    struct buf *second = pool_try_get(pool);
    assert_non_null(second);
    assert_null(pool_try_get(pool)); /* the first one's is in use */
    assert_int_equal(items[0]->frame.order, 1);
    assert_int_equal(flight_done(f, 2).count, 0); /* what is kept for it is still on its way */
    assert_int_equal(flight_sent(f, items[0]).count, 2);
    struct buf *first = pool_try_get(pool);
    assert_non_null(first);
    buf_release(first);
    buf_release(second);
    assert_false(is_there(f, 1));
    assert_false(is_there(f, 2));
    flight_free(f);
    pool_free(pool);
}

static void what_is_processed_is_counted_once(void **state) {
    (void)state;
    struct flight *f = flight_of(3);
    struct item *last = sent(MSG_ENTRIES, 4, 400);
    flight_add(f, last);
    struct flown flown = flight_done(f, 2);
    assert_int_equal(flown.count, 2);
    assert_int_equal(flown.cost, 100 + 200);
    for (unsigned i = 0; i < 2; i++) { /* the last one is still being written */
        flown = flight_done(f, 4);
        assert_int_equal(flown.count, 3);
        assert_int_equal(flown.cost, 100 + 200 + 300);
    }
    for (unsigned i = 0; i < 2; i++) {
        flown = i == 0 ? flight_sent(f, last) : flight_done(f, 4);
        assert_int_equal(flown.count, 4);
        assert_int_equal(flown.cost, 100 + 200 + 300 + 400);
    }
    flight_free(f);
}

/* A lane has it, and has not begun to write it. */
static void what_cannot_have_arrived_cannot_be_refused(void **state) {
    (void)state;
    struct flight *f = flight_new();
    struct item *item = sent(MSG_CHUNK, 1, 1);
    item->unnumbered = true;
    flight_add(f, item);
    assert_false(is_there(f, 1));
    assert_false(flight_was_sent(f, 1));
    flight_void(f, 1);
    assert_int_equal(item->frame.type, MSG_CHUNK);
    flight_leaves(f, item);
    assert_true(flight_was_sent(f, 1));
    assert_true(is_there(f, 1));
    flight_sent(f, item);
    assert_true(is_there(f, 1));
    flight_free(f);
}

static void all_that_is_not_processed_is_taken_in_order(void **state) {
    (void)state;
    struct flight *f = flight_of(5);
    struct ticketed *chain;
    uint64_t cost, order = 3;
    assert_true(flight_take(f, 2, &chain, &cost));
    assert_int_equal(cost, 300 + 400 + 500);
    for (struct ticketed *next; chain; chain = next, order++) {
        next = chain->next;
        assert_int_equal(chain->ticket, order);
        item_drop_ticketed(chain);
    }
    assert_int_equal(order, 6);
    assert_true(flight_take(f, 2, &chain, &cost));
    assert_null(chain);
    assert_int_equal(cost, 0);
    flight_free(f);
}

static void what_was_acknowledged_cannot_be_taken_back(void **state) {
    (void)state;
    struct flight *f = flight_of(5);
    struct ticketed *chain = (void *)f;
    uint64_t cost = 7;
    flight_done(f, 3);
    assert_false(flight_take(f, 2, &chain, &cost));
    assert_ptr_equal(chain, f);
    assert_int_equal(cost, 7);
    assert_true(is_there(f, 5));
    flight_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_processed_is_counted_once),
        cmocka_unit_test(refusals_of_one_order_are_counted),
        cmocka_unit_test(only_data_that_is_not_processed_is_found),
        cmocka_unit_test(what_moves_the_transfer_is_counted_apart),
        cmocka_unit_test(buffer_is_given_back_when_it_is_written_and_not_before),
        cmocka_unit_test(an_item_stays_until_it_is_written_whatever_follows_it),
        cmocka_unit_test(what_cannot_have_arrived_cannot_be_refused),
        cmocka_unit_test(all_that_is_not_processed_is_taken_in_order),
        cmocka_unit_test(what_was_acknowledged_cannot_be_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
