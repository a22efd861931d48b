/* The buffer pool: never more buffers than its bound, and the hottest one first. */
#include "threads_help.h"

#include "sync/sync.h"

enum { CAP = 10000, MOST = 4, TURNS = 4000 };

static void no_more_buffers_than_the_bound(void **state) {
    (void)state;
    struct pool *pool = pool_new(CAP, MOST);
    struct buf *got[MOST];
    for (size_t i = 0; i < MOST; i++) {
        got[i] = i % 2 ? pool_try_get(pool) : pool_get(pool);
        assert_non_null(got[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(got[i]->data, got[k]->data);
    }
    assert_null(pool_try_get(pool));
    for (size_t i = 0; i < MOST; i++)
        buf_release(got[i]);
    pool_free(pool);
    pool_free(NULL);
    buf_release(NULL);
}

static void buffers_are_whole_aligned_and_know_their_home(void **state) {
    (void)state;
    static const size_t caps[] = {1, 4095, 4096, 4097, CAP};
    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
        struct pool *pool = pool_new(caps[i], 1);
        struct buf *buf = pool_get(pool);
        assert_non_null(buf);
        assert_int_equal(buf->cap, caps[i]);
        assert_int_equal((uintptr_t)buf->data % 4096, 0);
        assert_ptr_equal(buf->home, pool);
        memset(buf->data, 0xA5, buf->cap);
        buf_release(buf);
        pool_free(pool);
    }
}

static void last_back_is_first_out(void **state) {
    (void)state;
    struct pool *pool = pool_new(CAP, 3);
    struct buf *a = pool_get(pool), *b = pool_get(pool);
    buf_release(a);
    buf_release(b);
    assert_ptr_equal(pool_get(pool), b);
    assert_ptr_equal(pool_get(pool), a);
    struct buf *c = pool_get(pool); /* a third one is made only now */
    assert_non_null(c);
    buf_release(a);
    assert_ptr_equal(pool_try_get(pool), a);
    buf_release(c);
    buf_release(b);
    buf_release(a);
    pool_free(pool);
}

static void fewer_are_lent_when_fewer_are_allowed(void **state) {
    (void)state;
    struct pool *pool = pool_new(CAP, 3);
    struct buf *a = pool_get(pool), *b = pool_get(pool);
    pool_lend(pool, 1);
    assert_null(pool_try_get(pool));
    buf_release(b);
    assert_null(pool_try_get(pool)); /* `a` is lent still */
    buf_release(a);
    assert_ptr_equal(pool_get(pool), a);
    assert_null(pool_try_get(pool));
    pool_lend(pool, 3);
    assert_ptr_equal(pool_try_get(pool), b);
    struct buf *c = pool_try_get(pool);
    assert_non_null(c);
    buf_release(c);
    buf_release(b);
    buf_release(a);
    pool_free(pool);
}

/* ---- on blocks ---------------------------------------------------------------------------------------------- */

static void buffers_can_stand_on_one_block(void **state) {
    (void)state;
    struct block_store *store = block_store_new(CAP);
    struct pool *one = pool_new_on(store, 1), *other = pool_new_on(store, 1);
    struct buf *a = pool_get(one), *b = pool_get(other);
    assert_int_equal(a->cap, CAP);
    assert_int_equal(block_store_cap(store), CAP);
    assert_int_equal((uintptr_t)a->data % 4096, 0);
    assert_ptr_not_equal(a->data, b->data);
    memset(a->data, 'a', CAP);
    buf_stand_on(b, a->block);
    assert_ptr_equal(a->data, b->data);
    buf_release(a);
    assert_int_equal(b->data[CAP - 1], 'a'); /* one holds it still */
    a = pool_get(one);
    assert_ptr_not_equal(a->data, b->data);
    buf_release(b);
    buf_release(a);
    pool_free(one);
    pool_free(other);
    block_store_free(store);
    block_store_free(NULL);
}

static void only_a_block_that_others_hold_is_changed(void **state) {
    (void)state;
    struct block_store *store = block_store_new(CAP);
    struct pool *pool = pool_new_on(store, 1), *plain = pool_new(CAP, 1);
    struct buf *buf = pool_get(pool), *alone = pool_get(plain);
    struct block *block = block_hold(buf->block);
    assert_true(buf_make_own(buf));
    assert_ptr_not_equal(buf->data, block->data);
    block_drop(block);
    const uint8_t *data = buf->data;
    assert_true(buf_make_own(buf));
    assert_ptr_equal(buf->data, data);
    data = alone->data;
    assert_true(buf_make_own(alone));
    assert_ptr_equal(alone->data, data);
    block_drop(NULL);
    buf_release(buf);
    buf_release(alone);
    pool_free(pool);
    pool_free(plain);
    block_store_free(store);
}

struct shared {
    struct pool *pool;
    atomic_uint refused;
    atomic_int out, most_out;
    atomic_uint torn;
};

static void *get_one(void *arg) {
    struct shared *s = arg;
    struct buf *buf = pool_get(s->pool);
    atomic_fetch_add(&s->refused, buf == NULL);
    buf_release(buf);
    return NULL;
}

static void cancel_wakes_every_waiter_and_lasts(void **state) {
    (void)state;
    struct shared s = {.pool = pool_new(CAP, 1)};
    struct buf *only = pool_get(s.pool);
    struct waiters w;
    waiters_start(&w, WAITERS, get_one, &s);
    pool_cancel(s.pool);
    waiters_join(&w);
    assert_int_equal(atomic_load(&s.refused), WAITERS);
    buf_release(only);
    assert_null(pool_get(s.pool));
    assert_null(pool_try_get(s.pool));
    pool_free(s.pool);
}

static void *borrow(void *arg) {
    struct shared *s = arg;
    for (uint32_t i = 0; i < TURNS; i++) {
        struct buf *buf = pool_get(s->pool);
        int out = atomic_fetch_add(&s->out, 1) + 1;
        int most = atomic_load(&s->most_out);
        while (out > most && !atomic_compare_exchange_weak(&s->most_out, &most, out))
            ;
        uintptr_t mark = (uintptr_t)&i + i, seen;
        memcpy(buf->data, &mark, sizeof mark);
        memcpy(&seen, buf->data, sizeof seen);
        atomic_fetch_add(&s->torn, seen != mark);
        atomic_fetch_sub(&s->out, 1);
        buf_release(buf);
    }
    return NULL;
}

static void many_threads_share_few_buffers(void **state) {
    (void)state;
    struct shared s = {.pool = pool_new(64, 2)};
    struct waiters w;
    waiters_start(&w, WAITERS, borrow, &s);
    waiters_join(&w);
    assert_in_range(atomic_load(&s.most_out), 1, 2);
    assert_int_equal(atomic_load(&s.torn), 0);
    pool_free(s.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_buffers_than_the_bound),
        cmocka_unit_test(buffers_are_whole_aligned_and_know_their_home),
        cmocka_unit_test(last_back_is_first_out),
        cmocka_unit_test(fewer_are_lent_when_fewer_are_allowed),
        cmocka_unit_test(buffers_can_stand_on_one_block),
        cmocka_unit_test(only_a_block_that_others_hold_is_changed),
        cmocka_unit_test(cancel_wakes_every_waiter_and_lasts),
        cmocka_unit_test(many_threads_share_few_buffers),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
