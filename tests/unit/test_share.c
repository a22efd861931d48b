/* Chunks that sessions share: read and digested once while they are in step, by each itself when they are not; and what is
 * taken is what was read. */
#include "share_help.h"

/* ---- chunks of large files ---------------------------------------------------------------------------------- */

static void chunk_is_read_once_for_all(void **state) {
    (void)state;
    put_file(scratch.dir, "big", content, BIG);
    for (unsigned i = 0; i < ENDS; i++)
        send_path(&ends[i], "big", 1 + i);
    for (unsigned i = 0; i < ENDS; i++)
        require_big(&ends[i], content);
    assert_ptr_equal(nth(&ends[0], MSG_CHUNK, 0)->data->data, nth(&ends[2], MSG_CHUNK, 0)->data->data);
    struct share_counts c = share_counts(share);
    assert_int_equal(c.chunks_read, CHUNKS + 1);
    assert_int_equal(c.chunks_taken, (ENDS - 1) * (CHUNKS + 1));
}

static void changed_file_is_read_again(void **state) {
    (void)state;
    static uint8_t other[BIG];
    put_file(scratch.dir, "big", content, BIG);
    struct pending *before = list("big", 1);
    send_path(&ends[0], "big", 1);
    memset(other, 'x', BIG);
    rewrite("big", other, BIG);
    send_path(&ends[1], "big", 1);
    send(&ends[2], before); /* listed before the change, opened after it */
    pending_release(before);
    require_big(&ends[0], content);
    require_big(&ends[1], other);
    require_big(&ends[2], other);
    assert_int_equal(share_counts(share).chunks_read, 2 * (CHUNKS + 1));
}

static void same_status_under_another_path_is_another_file(void **state) {
    (void)state;
    put_file(scratch.dir, "big", content, BIG);
    put_hard_link(scratch.dir, "big", "also");
    send_path(&ends[0], "big", 1);
    send_path(&ends[1], "also", 1);
    assert_int_equal(share_counts(share).chunks_taken, 0);
}

static void oldest_chunks_are_forgotten(void **state) {
    (void)state;
    enum { MANY = 200 }; /* more than are kept */
    struct pending *p = number_file(1);
    struct share_chunk chunk;
    unsigned kept = 0;
    bool before = false;
    for (unsigned i = 0; i < MANY; i++) {
        struct buf *buf = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, i, 1, buf, &chunk));
        buf->data[0] = (uint8_t)i;
        share_put(&ends[0].user, buf, &chunk);
        buf_release(buf);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct buf *buf = pool_get(ends[1].pool);
        bool taken = share_take(&ends[1].user, p, i, 1, buf, &chunk);
        if (taken)
            assert_int_equal(buf->data[0], (uint8_t)i);
        assert_true(taken || !before); /* all of them from some place on */
        share_drop(&ends[1].user, &chunk);
        buf_release(buf);
        before = taken;
        kept += taken;
    }
    assert_true(before);
    assert_in_range(kept, 4, 64 + ENDS);
    pending_release(p);
}

/* One end has all its buffers in hand and moves no more. */
static void slow_session_holds_up_nobody(void **state) {
    (void)state;
    struct pending *p = number_file(1);
    struct share_chunk chunk;
    struct buf *held[LENT];
    for (unsigned i = 0; i < LENT; i++) {
        held[i] = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, i, 1, held[i], &chunk));
        held[i]->data[0] = (uint8_t)i;
        share_put(&ends[0].user, held[i], &chunk);
    }
    for (unsigned i = 0; i < 500; i++) {
        struct buf *buf = pool_get(ends[1].pool);
        if (!share_take(&ends[1].user, p, i, 1, buf, &chunk)) {
            buf->data[0] = (uint8_t)i;
            share_put(&ends[1].user, buf, &chunk);
        }
        assert_int_equal(buf->data[0], (uint8_t)i);
        buf_release(buf);
    }
    for (unsigned i = 0; i < LENT; i++) { /* untouched by what came and went */
        assert_int_equal(held[i]->data[0], (uint8_t)i);
        buf_release(held[i]);
    }
    assert_int_equal(share_counts(share).chunks_taken, LENT);
    pending_release(p);
}

/* ---- waiting for a claim ---------------------------------------------------------------------------------- */

struct taker {
    struct end *end;
    struct pending *p;
    bool by_file; /* a small one */
    bool taken, claimed;
    uint8_t got;
    atomic_bool begun;
};

static void *take_one(void *arg) {
    struct taker *t = arg;
    struct buf *buf = pool_get(t->end->pool);
    struct share_chunk chunk = {0};
    atomic_store(&t->begun, true);
    if (t->by_file) {
        share_begin_bundle(&t->end->user, buf);
        t->taken = share_take_file(&t->end->user, t->p, buf->data);
        t->claimed = t->end->user.claimed;
        share_drop_file(&t->end->user);
        share_forget_bundle(&t->end->user);
    } else {
        t->taken = share_take(&t->end->user, t->p, 0, 1, buf, &chunk);
        t->claimed = chunk.claim != NULL;
        share_drop(&t->end->user, &chunk);
    }
    t->got = buf->data[0];
    buf_release(buf);
    return NULL;
}

/* Most likely it waits by then; if not, the test proves less. */
static void start_taker(struct taker *t, struct waiters *w) {
    waiters_start(w, 1, take_one, t);
    while (!atomic_load(&t->begun))
        os_sleep_ms(1);
    os_sleep_ms(20);
}

static void end_of_a_claim_wakes_who_waits(void **state) {
    (void)state;
    for (unsigned failing = 0; failing < 2; failing++) {
        struct pending *p = number_file(10 + failing);
        struct taker t = {.end = &ends[1], .p = p};
        struct share_chunk chunk;
        struct waiters w;
        struct buf *buf = pool_get(ends[0].pool);
        assert_false(share_take(&ends[0].user, p, 0, 1, buf, &chunk));
        start_taker(&t, &w);
        buf->data[0] = 77;
        if (failing)
            share_drop(&ends[0].user, &chunk);
        else
            share_put(&ends[0].user, buf, &chunk);
        waiters_join(&w);
        assert_int_equal(t.taken, !failing);
        assert_int_equal(t.claimed, failing); /* it reads then, for the others too */
        if (!failing)
            assert_int_equal(t.got, 77);
        buf_release(buf);
        pending_release(p);
    }
}

static void cancel_ends_the_wait_for_a_chunk(void **state) {
    (void)state;
    struct pending *p = number_file(1);
    struct taker t = {.end = &ends[1], .p = p};
    struct share_chunk chunk;
    struct waiters w;
    struct buf *buf = pool_get(ends[0].pool);
    assert_false(share_take(&ends[0].user, p, 0, 1, buf, &chunk));
    start_taker(&t, &w);
    share_cancel(&ends[1].user);
    waiters_join(&w);
    assert_false(t.taken || t.claimed);
    share_put(&ends[0].user, buf, &chunk);
    buf_release(buf);
    pending_release(p);
}

static void small_file_is_waited_for_as_well(void **state) {
    (void)state;
    enum { GOOD, FAILS, CANCELLED, WAYS };
    for (unsigned way = 0; way < WAYS; way++) {
        struct pending *p = number_file(20 + way);
        p->st.size = 1;
        struct taker t = {.end = &ends[1], .p = p, .by_file = true};
        struct waiters w;
        struct buf *buf = pool_get(ends[0].pool);
        share_begin_bundle(&ends[0].user, buf);
        assert_false(share_take_file(&ends[0].user, p, buf->data));
        start_taker(&t, &w);
        buf->data[0] = 55;
        if (way == GOOD)
            share_put_file(&ends[0].user);
        else if (way == FAILS)
            share_drop_file(&ends[0].user);
        else
            share_cancel(&ends[1].user);
        waiters_join(&w);
        assert_int_equal(t.taken, way == GOOD);
        assert_int_equal(t.claimed, way == FAILS);
        if (way == GOOD)
            assert_int_equal(t.got, 55);
        share_drop_file(&ends[0].user);
        share_forget_bundle(&ends[0].user);
        buf_release(buf);
        pending_release(p);
    }
}

int main(void) {
#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        SHARE_TEST(chunk_is_read_once_for_all),
        SHARE_TEST(changed_file_is_read_again),
        SHARE_TEST(same_status_under_another_path_is_another_file),
        SHARE_TEST(oldest_chunks_are_forgotten),
        SHARE_TEST(slow_session_holds_up_nobody),
        SHARE_TEST(end_of_a_claim_wakes_who_waits),
        SHARE_TEST(cancel_ends_the_wait_for_a_chunk),
        SHARE_TEST(small_file_is_waited_for_as_well),
    };
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
