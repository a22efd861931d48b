#include "sync/sync.h"

#include <stdlib.h>
#include <string.h>

void run_init(struct run *run) {
    memset(run, 0, sizeof *run);
    os_mutex_init(&run->lock);
}

struct start {
    struct run *run;
    run_fn *fn;
    void *arg;
};

static void *thread_main(void *arg) {
    struct start start = *(struct start *)arg;
    free(arg);
    struct err err = {0};
    if (start.fn(start.arg, &err) != 0)
        run_fail(start.run, &err);
    return NULL;
}

int run_start(struct run *run, const char *name, run_fn *fn, void *arg, struct err *err) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL || run->thread_count == RUN_THREADS_MAX) {
        free(start);
        err_set(err, EXIT_MEMORY, "cannot start the %s thread: out of memory", name);
    } else {
        *start = (struct start){.run = run, .fn = fn, .arg = arg};
        if (os_thread_start(&run->threads[run->thread_count], name, thread_main, start, err) == 0) {
            run->thread_count++;
            return 0;
        }
        free(start);
    }
    run_fail(run, err);
    return -1;
}

void run_on_cancel(struct run *run, void (*fn)(void *), void *arg) {
    os_lock(&run->lock);
    bool now = run->failed;
    if (run->cancel_count == RUN_CANCELS_MAX)
        abort(); /* the stages of a session are counted: a programming error */
    run->cancels[run->cancel_count].fn = fn;
    run->cancels[run->cancel_count++].arg = arg;
    os_unlock(&run->lock);
    if (now)
        fn(arg);
}

void run_fail(struct run *run, const struct err *err) {
    os_lock(&run->lock);
    bool first = !run->failed;
    if (first) {
        run->failed = true;
        run->first = *err;
    }
    unsigned count = first ? run->cancel_count : 0;
    for (unsigned i = 0; i < count; i++)
        run->cancels[i].fn(run->cancels[i].arg);
    os_unlock(&run->lock);
}

bool run_failed(struct run *run) {
    os_lock(&run->lock);
    bool failed = run->failed;
    os_unlock(&run->lock);
    return failed;
}

void run_disarm(struct run *run) {
    os_lock(&run->lock);
    run->cancel_count = 0;
    os_unlock(&run->lock);
}

int run_join(struct run *run, struct err *err) {
    for (unsigned i = 0; i < run->thread_count; i++)
        os_thread_join(&run->threads[i]);
    run->thread_count = 0;
    if (!run_failed(run))
        return 0;
    *err = run->first;
    return -1;
}

void run_free(struct run *run) {
    os_mutex_free(&run->lock);
}
