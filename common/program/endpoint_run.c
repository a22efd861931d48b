/* endpoint_run.c: sessions with other ends that were chosen. Each goes its own way, from the first dial to its exit code. */
#include "program/endpoint.h"

#include "core/log.h"
#include "os/os.h"
#include "program/backoff.h"
#include "program/confine.h"
#include "program/interrupt.h"
#include "program/line.h"

#include <stdlib.h>

/* One target. Of its own thread, once that runs. */
struct outgoing {
    const struct endpoint_target *target;
    const struct options *o;
    const struct session_ops *ops;
    struct retry_policy first; /* of the first connection; way.retry is that of coming back */
    struct way way;
    struct stoppable stoppable; /* any thread */
    struct os_thread thread;
    bool started;
    int code; /* the exit code, or -1 and err */
    struct err err;
};

static void outgoing_init(struct outgoing *g, const struct endpoint_target *target, const struct options *o,
                          const struct session_ops *ops) {
    const struct addr *to = target->to;
    g->target = target;
    g->o = o;
    g->ops = ops;
    g->first = (struct retry_policy){
        .retries = o->retries_given ? o->retries : addr_retries(to),
        .delay_ms = o->retry_delay_ms,
        .try_ms = o->connect_timeout_ms,
    };
    g->way.to = to;
    g->way.retry = g->first;
    if (!o->retries_given)
        g->way.retry.retries = addr_resume_retries(to);
    stoppable_init(&g->stoppable);
}

static void stop_dial(void *waker, const struct err *why) {
    (void)why;
    waker_wake(waker);
}

/* When tries that begin now end. */
static int64_t trying_until(const struct options *o) {
    int in_all_ms = o->timeout_ms > o->connect_timeout_ms ? o->timeout_ms : o->connect_timeout_ms;
    return o->timeout_ms < 0 ? INT64_MAX : os_now_ms() + in_all_ms;
}

/* A stream before deadline_ms (os_now_ms, INT64_MAX for none); a signal ends the waiting for it at once. */
static int connect_by(struct outgoing *g, const struct retry_policy *policy, int64_t deadline_ms,
                      struct err *err) {
    struct waker *waker;
    if (waker_new(&waker, err) != 0)
        return -1;
    stoppable_does(&g->stoppable, stop_dial, waker);
    int result = redial(g->way.to, policy, deadline_ms, waker, &g->way.conn, err);
    stoppable_does(&g->stoppable, NULL, NULL);
    waker_free(waker);
    return result;
}

static int connect_first(struct outgoing *g, struct err *err) {
    return connect_by(g, &g->first, trying_until(g->o), err);
}

/* For a new session after one that was lost: that is a comeback, which has no end where it is to be tried for ever. */
static int connect_again(struct outgoing *g, struct err *err) {
    bool forever = g->way.retry.retries == RETRY_FOREVER;
    return connect_by(g, &g->way.retry, forever ? INT64_MAX : trying_until(g->o), err);
}

/* When the next new session may begin, after `tries` in a row that came to nothing. Only the first one may at once: an end
 * that refuses or ends each of them is not asked without a pause. */
static int64_t next_session(const struct outgoing *g, uint32_t tries) {
    return os_now_ms() + (g->way.again ? backoff_pause_ms(g->way.retry.delay_ms, tries > 0 ? tries : 1) : 0);
}

static int pause_until(struct outgoing *g, int64_t at_ms, struct err *err) {
    struct waker *waker;
    if (at_ms <= os_now_ms())
        return 0;
    if (waker_new(&waker, err) != 0)
        return -1;
    stoppable_does(&g->stoppable, stop_dial, waker);
    bool go_on = waker_pause(waker, at_ms);
    stoppable_does(&g->stoppable, NULL, NULL);
    waker_free(waker);
    return go_on ? 0 : err_set(err, EXIT_SIGNAL, "interrupted");
}

/* One session over way.conn. Its exit code, or -1 and err. */
static int run_session(struct outgoing *g, struct err *err) {
    const struct session_ops *ops = g->ops;
    void *session = ops->prepare(g->target->config);
    if (session == NULL) {
        (void)conn_close(g->way.conn, NULL);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    stoppable_does(&g->stoppable, ops->stop, session);
    int code = ops->run(session, g->target->config, &g->way);
    stoppable_does(&g->stoppable, NULL, NULL);
    ops->free(session);
    return code;
}

/* From the first dial, or the stream that is there, to the end of the last session. The exit code, or -1 and err. */
static int run_sessions(struct outgoing *g, struct err *err) {
    struct way *way = &g->way;
    if (way->conn == NULL && connect_first(g, err) != 0)
        return -1;
    int code = run_session(g, err);
    struct err why = way->why; /* the first of several causes says most */
    /* The other end was started anew, or never knew of us: what it has by now is not sent again. One that comes further
     * than all before begins the tries anew; what a peer does again and again does not. */
    bool forever = way->retry.retries == RETRY_FOREVER;
    int64_t until_ms = trying_until(g->o);
    uint64_t furthest = way->settled;
    uint32_t tries = 0;
    while (way->lost && (forever || tries < way->retry.retries)) {
        if (way->met) /* after one that was a session the time is counted anew */
            until_ms = trying_until(g->o);
        int64_t at_ms = next_session(g, tries);
        if (!forever && at_ms > until_ms)
            break;
        log_line(LOG_INFO, "beginning a new session");
        way->again = true;
        way->lost = way->met = false;
        if (pause_until(g, at_ms, err) != 0 || connect_again(g, err) != 0)
            return -1;
        code = run_session(g, err);
        tries++;
        if (way->lost && way->settled > furthest) {
            furthest = way->settled;
            why = way->why;
            tries = 0;
        }
    }
    if (way->lost)
        *err = why;
    return way->lost ? -1 : code;
}

/* ---- several at once ------------------------------------------------------------------------------------------- */

struct outgoings {
    struct outgoing *all;
    size_t count;
};

static void stop_all(void *outgoings, const struct err *why) {
    struct outgoings *gs = outgoings;
    for (size_t i = 0; i < gs->count; i++)
        stoppable_stop(&gs->all[i].stoppable, why);
}

static void *run_one(void *arg) {
    struct outgoing *g = arg;
    log_set_target(g->target->name);
    if (g->code == 0)
        g->code = run_sessions(g, &g->err);
    if (g->code < 0 && (g->target->name || g->way.past.begun)) {
        report_none(g->target->style, &g->way.past, &g->err);
        g->code = g->err.code;
    }
    return NULL;
}

/* A confined process can start no command. Its first stream is there at once, or never. */
static void start_commands(struct outgoings *gs) {
    for (size_t i = 0; i < gs->count; i++) {
        struct outgoing *g = &gs->all[i];
        log_set_target(g->target->name);
        if (addr_needs(g->way.to).child)
            g->code = connect_first(g, &g->err);
    }
    log_set_target(NULL);
}

static int confine_all(struct outgoings *gs, const struct endpoint_files *files, struct err *err) {
    struct confine_dial *dials = calloc(gs->count, sizeof *dials);
    if (dials == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    for (size_t i = 0; i < gs->count; i++)
        dials[i] = (struct confine_dial){.to = gs->all[i].way.to, .retries = gs->all[i].way.retry.retries};
    int result = confine_connecting(files, dials, gs->count, err);
    free(dials);
    for (size_t i = 0; i < gs->count && result != 0; i++)
        (void)conn_close(gs->all[i].way.conn, NULL);
    return result;
}

static void run_all(struct outgoings *gs) {
    for (size_t i = 1; i < gs->count; i++) {
        struct outgoing *g = &gs->all[i];
        g->started = os_thread_start(&g->thread, "target", run_one, g, &g->err) == 0;
        if (!g->started) {
            (void)conn_close(g->way.conn, NULL);
            g->code = -1;
            (void)run_one(g); /* to say so */
        }
    }
    (void)run_one(&gs->all[0]);
    for (size_t i = 1; i < gs->count; i++)
        if (gs->all[i].started)
            os_thread_join(&gs->all[i].thread);
    log_set_target(NULL);
}

static int exit_code_of(const struct outgoing *g) {
    return g->code < 0 ? g->err.code : g->code;
}

static int result_of(const struct outgoings *gs, struct err *err) {
    unsigned failed = 0;
    bool alike = true;
    if (gs->count == 1) {
        *err = gs->all[0].err;
        return gs->all[0].code;
    }
    for (size_t i = 0; i < gs->count; i++) {
        int code = exit_code_of(&gs->all[i]);
        if (code == EXIT_SIGNAL)
            return EXIT_SIGNAL;
        failed += code != EXIT_OK;
        alike = alike && code == exit_code_of(&gs->all[0]);
    }
    if (alike)
        return exit_code_of(&gs->all[0]);
    return err_set(err, EXIT_TARGETS, "%u of %zu targets failed", failed, gs->count);
}

int endpoint_run(const struct endpoint_target *targets, size_t count, const struct options *o,
                 const struct session_ops *ops, const struct endpoint_files *files, struct err *err) {
    struct outgoings gs = {.all = calloc(count, sizeof *gs.all), .count = count};
    if (gs.all == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        outgoing_init(&gs.all[i], &targets[i], o, ops);
    interrupt_stops(stop_all, &gs);
    start_commands(&gs);
    int result = confine_all(&gs, files, err);
    if (result == 0)
        run_all(&gs);
    interrupt_stops(NULL, NULL);
    if (result == 0)
        result = result_of(&gs, err);
    for (size_t i = 0; i < count; i++)
        stoppable_free(&gs.all[i].stoppable);
    free(gs.all);
    return result;
}

int endpoint_run_stdio(const struct session_ops *ops, const void *config, const struct endpoint_files *files,
                       struct err *err) {
    const struct endpoint_target target = {.config = config};
    struct outgoing g = {.target = &target, .ops = ops};
    struct outgoings gs = {.all = &g, .count = 1};
    if (conn_stdio(&g.way.conn, err) != 0 || confine_connected(files, err) != 0)
        return -1;
    stoppable_init(&g.stoppable);
    interrupt_stops(stop_all, &gs);
    int code = run_session(&g, err);
    interrupt_stops(NULL, NULL);
    stoppable_free(&g.stoppable);
    return code;
}
