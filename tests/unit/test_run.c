/* The run: the first error wins, everything is cancelled once, and join collects every thread. */
#include "threads_help.h"

#include "core/log.h"
#include "sync/sync.h"

static int succeed(void *arg, struct err *err) {
    (void)err;
    atomic_fetch_add((atomic_uint *)arg, 1);
    return 0;
}

static void run_of_good_threads_succeeds(void **state) {
    (void)state;
    struct run run;
    struct err err = {.code = 0};
    atomic_uint ran = 0;
    run_init(&run);
    for (unsigned i = 0; i < RUN_THREADS_MAX; i++)
        assert_int_equal(run_start(&run, "good", succeed, &ran, &err), 0);
    assert_int_equal(run_join(&run, &err), 0);
    assert_int_equal(atomic_load(&ran), RUN_THREADS_MAX);
    assert_int_equal(err.code, 0);
    assert_false(run_failed(&run));
    run_free(&run);
}

static int tell_target(void *arg, struct err *err) {
    (void)err;
    *(const char **)arg = log_target();
    return 0;
}

static void threads_work_for_the_target_of_their_owner(void **state) {
    (void)state;
    struct run run;
    struct err err = {.code = 0};
    const char *told[2] = {"", ""};
    run_init(&run);
    assert_int_equal(run_start(&run, "none", tell_target, &told[0], &err), 0);
    log_set_target("this one");
    assert_int_equal(run_start(&run, "one", tell_target, &told[1], &err), 0);
    log_set_target(NULL);
    assert_int_equal(run_join(&run, &err), 0);
    assert_null(told[0]);
    assert_string_equal(told[1], "this one");
    run_free(&run);
}

static void thread_too_many_fails_the_run(void **state) {
    (void)state;
    struct run run;
    struct err err = {.code = 0};
    atomic_uint ran = 0;
    run_init(&run);
    for (unsigned i = 0; i < RUN_THREADS_MAX; i++)
        assert_int_equal(run_start(&run, "good", succeed, &ran, &err), 0);
    assert_int_equal(run_start(&run, "one more", succeed, &ran, &err), -1);
    assert_int_equal(err.code, EXIT_MEMORY);
    assert_true(run_failed(&run));
    err = (struct err){.code = 0};
    assert_int_equal(run_join(&run, &err), -1);
    assert_int_equal(err.code, EXIT_MEMORY);
    assert_int_equal(atomic_load(&ran), RUN_THREADS_MAX);
    run_free(&run);
}

static void add_one(void *arg) {
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static void first_error_wins_and_cancels_once(void **state) {
    (void)state;
    struct run run;
    struct err err;
    atomic_uint a = 0, b = 0, late = 0;
    run_init(&run);
    run_on_cancel(&run, add_one, &a);
    run_on_cancel(&run, add_one, &b);
    assert_int_equal(atomic_load(&a) + atomic_load(&b), 0);
    run_fail(&run, &(struct err){.code = EXIT_VERIFY, .msg = "first"});
    run_fail(&run, &(struct err){.code = EXIT_SOCKET, .msg = "second"});
    assert_int_equal(atomic_load(&a), 1);
    assert_int_equal(atomic_load(&b), 1);
    run_on_cancel(&run, add_one, &late); /* registered too late: at once */
    assert_int_equal(atomic_load(&late), 1);
    run_fail(&run, &(struct err){.code = EXIT_MEMORY, .msg = "third"});
    assert_int_equal(atomic_load(&late), 1);
    assert_int_equal(run_join(&run, &err), -1);
    assert_int_equal(err.code, EXIT_VERIFY);
    assert_string_equal(err.msg, "first");
    run_free(&run);
}

static void disarmed_run_cancels_nothing(void **state) {
    (void)state;
    struct run run;
    struct err err;
    atomic_uint cancelled = 0;
    run_init(&run);
    run_on_cancel(&run, add_one, &cancelled);
    run_disarm(&run);
    run_fail(&run, &(struct err){.code = EXIT_SIGNAL, .msg = "too late"});
    assert_int_equal(atomic_load(&cancelled), 0);
    assert_int_equal(run_join(&run, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    run_free(&run);
}

/* One object of each kind, and a thread that waits in each. */
struct stages {
    struct queue *queue;
    struct sequencer *seq;
    struct pool *pool;
    struct buf *taken;
    atomic_uint ended;
};

static int in_queue(void *arg, struct err *err) {
    struct stages *s = arg;
    void *item;
    (void)err;
    atomic_fetch_add(&s->ended, queue_get(s->queue, &item, -1) == QUEUE_CLOSED);
    return 0;
}

static int in_sequencer(void *arg, struct err *err) {
    struct stages *s = arg;
    struct ticketed *item;
    (void)err;
    atomic_fetch_add(&s->ended, sequencer_get(s->seq, &item, -1) == QUEUE_CLOSED);
    return 0;
}

static int in_pool(void *arg, struct err *err) {
    struct stages *s = arg;
    (void)err;
    atomic_fetch_add(&s->ended, pool_get(s->pool) == NULL);
    return 0;
}

static int go_wrong(void *arg, struct err *err) {
    (void)arg;
    return err_set(err, EXIT_FILE_IO, "something broke");
}

static void failing_thread_ends_every_other(void **state) {
    (void)state;
    for (int turn = 0; turn < 20; turn++) {
        struct run run;
        struct err err = {.code = 0};
        struct stages s = {queue_new(1), sequencer_new(), pool_new(1, 1), NULL, 0};
        s.taken = pool_get(s.pool);
        run_init(&run);
        run_on_cancel(&run, queue_cancel, s.queue);
        run_on_cancel(&run, sequencer_cancel, s.seq);
        run_on_cancel(&run, pool_cancel, s.pool);
        assert_int_equal(run_start(&run, "queue", in_queue, &s, &err), 0);
        assert_int_equal(run_start(&run, "sequencer", in_sequencer, &s, &err), 0);
        assert_int_equal(run_start(&run, "pool", in_pool, &s, &err), 0);
        assert_int_equal(run_start(&run, "wrong", go_wrong, NULL, &err), 0);
        assert_int_equal(run_start(&run, "wrong too", go_wrong, NULL, &err), 0);
        assert_int_equal(run_join(&run, &err), -1);
        assert_int_equal(err.code, EXIT_FILE_IO);
        assert_string_equal(err.msg, "something broke");
        assert_int_equal(atomic_load(&s.ended), 3);
        run_free(&run);
        buf_release(s.taken);
        queue_free(s.queue, NULL);
        sequencer_free(s.seq, NULL);
        pool_free(s.pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_of_good_threads_succeeds),
        cmocka_unit_test(threads_work_for_the_target_of_their_owner),
        cmocka_unit_test(thread_too_many_fails_the_run),
        cmocka_unit_test(first_error_wins_and_cancels_once),
        cmocka_unit_test(disarmed_run_cancels_nothing),
        cmocka_unit_test(failing_thread_ends_every_other),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
