#include "sync/sync.h"

#include "core/log.h"
#include "os/os_waits.h"

#include <stdlib.h>
#include <string.h>

void run_init(struct run *run) {
    memset(run, 0, sizeof *run);
    os_mutex_init(&run->lock);
}

struct start {
    struct run *run;
    const char *name;
    run_fn *fn;
    void *arg;
    const char *target; /* log.h */
};

/* Lock held. NULL: there are too many. */
static struct stage_times *stage_named(struct run *run, const char *name) {
    for (unsigned i = 0; i < run->stage_count; i++)
        if (strcmp(run->stages[i].name, name) == 0)
            return &run->stages[i];
    if (run->stage_count == STAGES_MAX)
        return NULL;
    struct stage_times *stage = &run->stages[run->stage_count++];
    stage->name = name;
    return stage;
}

static void note_times(struct run *run, const char *name, int64_t life_ns) {
    struct os_waits waits = os_waits();
    os_lock(&run->lock);
    struct stage_times *stage = stage_named(run, name);
    if (stage) {
        stage->threads++;
        stage->life_ns += (uint64_t)life_ns;
        stage->starved_ns += waits.input_ns;
        stage->blocked_ns += waits.output_ns;
    }
    os_unlock(&run->lock);
}

static void *thread_main(void *arg) {
    struct start start = *(struct start *)arg;
    free(arg);
    struct err err = {0};
    log_set_target(start.target);
    int64_t begin = start.run->timed ? os_now_ns() : 0;
    if (start.run->timed)
        os_waits_begin();
    if (start.fn(start.arg, &err) != 0)
        run_fail(start.run, &err);
    if (start.run->timed)
        note_times(start.run, start.name, os_now_ns() - begin);
    return NULL;
}

int run_start(struct run *run, const char *name, run_fn *fn, void *arg, struct err *err) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL || run->thread_count == RUN_THREADS_MAX) {
        free(start);
        err_set(err, EXIT_MEMORY, "cannot start the %s thread: out of memory", name);
    } else {
        *start = (struct start){.run = run, .name = name, .fn = fn, .arg = arg, .target = log_target()};
        if (os_thread_start(&run->threads[run->thread_count], name, thread_main, start, err) == 0) {
            run->thread_count++;
            os_lock(&run->lock);
            (void)stage_named(run, name);
            os_unlock(&run->lock);
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
