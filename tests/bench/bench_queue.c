/* What handing over costs: queue, sequencer and pool, on one thread and between two. */
#include "bench.h"

#include "sync/sync.h"

enum { CAPACITY = 16, BUFFER = 64 * 1024, BUFFERS = 4, BEHIND = 8 };

static void one_thread(void *arg, uint64_t rounds) {
    struct queue *q = arg;
    void *got;
    for (uint64_t i = 0; i < rounds; i++) {
        bench_check(queue_put(q, q), "queue_put");
        bench_check(queue_get(q, &got, -1) == QUEUE_OK, "queue_get");
    }
}

static void *take_all(void *arg) {
    void *got;
    while (queue_get(arg, &got, -1) == QUEUE_OK)
        continue;
    return NULL;
}

/* As between two stages: this thread puts, another one takes. */
static void two_threads(void *arg, uint64_t rounds) {
    (void)arg;
    struct queue *q = queue_new(CAPACITY);
    struct os_thread taker;
    struct err err;
    bench_check(q && os_thread_start(&taker, "taker", take_all, q, &err) == 0, "a queue and a thread");
    for (uint64_t i = 0; i < rounds; i++)
        bench_check(queue_put(q, q), "queue_put");
    queue_close(q);
    os_thread_join(&taker);
    queue_free(q, NULL);
}

struct answers {
    struct queue *there, *back;
};

static void *answer_all(void *arg) {
    const struct answers *a = arg;
    void *got;
    while (queue_get(a->there, &got, -1) == QUEUE_OK)
        bench_check(queue_put(a->back, got), "queue_put");
    return NULL;
}

/* There and back: two wake-ups, which no batch hides. */
static void round_trip(void *arg, uint64_t rounds) {
    (void)arg;
    struct answers a = {.there = queue_new(1), .back = queue_new(1)};
    struct os_thread other;
    struct err err;
    void *got;
    bench_check(a.there && a.back && os_thread_start(&other, "answers", answer_all, &a, &err) == 0,
                "queues and a thread");
    for (uint64_t i = 0; i < rounds; i++) {
        bench_check(queue_put(a.there, &a), "queue_put");
        bench_check(queue_get(a.back, &got, -1) == QUEUE_OK, "queue_get");
    }
    queue_close(a.there);
    os_thread_join(&other);
    queue_free(a.there, NULL);
    queue_free(a.back, NULL);
}

/* Tickets in turn, or each group of BEHIND backwards. */
static void put_and_take(uint64_t rounds, bool backwards) {
    struct sequencer *seq = sequencer_new();
    struct ticketed items[BEHIND], *got;
    bench_check(seq != NULL, "memory");
    for (uint64_t group = 0; group < rounds; group += BEHIND) {
        for (unsigned i = 0; i < BEHIND; i++) {
            items[i].ticket = group + 1 + (backwards ? BEHIND - 1 - i : i);
            bench_check(sequencer_put(seq, &items[i]) == SEQ_PUT, "sequencer_put");
        }
        for (unsigned i = 0; i < BEHIND; i++)
            bench_check(sequencer_get(seq, &got, 0) == QUEUE_OK, "sequencer_get");
    }
    sequencer_free(seq, NULL);
}

static void in_turn(void *arg, uint64_t rounds) {
    (void)arg;
    put_and_take(rounds, false);
}

static void out_of_turn(void *arg, uint64_t rounds) {
    (void)arg;
    put_and_take(rounds, true);
}

static void get_and_release(void *arg, uint64_t rounds) {
    for (uint64_t i = 0; i < rounds; i++) {
        struct buf *buf = pool_get(arg);
        bench_check(buf != NULL, "pool_get");
        buf_release(buf);
    }
}

int main(void) {
    struct queue *q = queue_new(CAPACITY);
    struct pool *pool = pool_new(BUFFER, BUFFERS);
    bench_check(q && pool, "memory");
    bench("queue, one thread", one_thread, q, 0);
    bench("queue, from thread to thread", two_threads, NULL, 0);
    bench("queue, there and back", round_trip, NULL, 0);
    bench("sequencer, in turn", in_turn, NULL, 0);
    bench("sequencer, eight backwards", out_of_turn, NULL, 0);
    bench("pool, get and release", get_and_release, pool, 0);
    queue_free(q, NULL);
    pool_free(pool);
    return 0;
}
