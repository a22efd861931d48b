#include "program/endpoint.h"

#include "core/log.h"
#include "core/text.h"
#include "os/os.h"
#include "program/confine.h"
#include "program/backoff.h"
#include "program/interrupt.h"
#include "program/line.h"
#include "transport/notify.h"

#include <stdatomic.h>
#include <string.h>

static void stop_server(void *server, const struct err *why) {
    (void)why;
    notify("STOPPING=1\nSTATUS=stopping");
    server_stop(server);
}

static void stop_dial(void *waker, const struct err *why) {
    (void)why;
    waker_wake(waker);
}

/* A signal before there is a server to stop. */
static void note_stop(void *early, const struct err *why) {
    (void)why;
    atomic_store((atomic_bool *)early, true);
}

static int serve(struct listener *listener, const struct options *o, const struct session_ops *ops,
                 const void *config, atomic_bool *early, struct err *err) {
    struct server *server = server_new(listener, o, ops, config);
    if (server == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    interrupt_stops(stop_server, server);
    notify("READY=1\nSTATUS=0 sessions");
    if (atomic_load(early))
        server_stop(server);
    int code = server_run(server);
    interrupt_stops(NULL, NULL);
    server_free(server);
    return code;
}

/* Not to serve anybody is hardly what was meant. */
static int check_allow(const struct addr *addr, const struct allow_list *list, struct err *err) {
    if (list->count == 0 || allow_names_kind(list, addr_peer_kind(addr)))
        return 0;
    return err_set(
        err, EXIT_USAGE,
        "%s: no --allow-peer can name who connects here: a CID is for vsock, a GUID for hyperv, uid:N for "
        "unix, and nothing for the others",
        ESCAPED(addr->text));
}

int endpoint_serve(const char *where, const struct options *o, const struct session_ops *ops,
                   const void *config, const struct endpoint_files *files, struct err *err) {
    struct addr addr;
    struct addr_rules rules = {
        .listening = true, .allow_remote = o->allow_remote, .no_connected_suspend = o->no_connected_suspend};
    struct listener *listener = NULL;
    atomic_bool early;
    int code = -1;
    atomic_init(&early, false);
    if (addr_parse(where, &rules, &addr, err) != 0)
        return -1;
    interrupt_stops(note_stop, &early);
    notify_open();
    if (check_allow(&addr, &o->allow, err) == 0 && listener_open(&addr, &listener, err) == 0 &&
        confine_listening(files, listener, err) == 0) {
        log_line(LOG_INFO, "listening on %s", ESCAPED(addr.text));
        code = serve(listener, o, ops, config, &early, err);
    }
    interrupt_stops(NULL, NULL);
    listener_close(listener);
    addr_free(&addr);
    return code;
}

/* A stream; a signal ends the waiting for it at once. */
static int connect_to(const struct addr *to, const struct options *o, const struct retry_policy *policy,
                      struct conn **ret, struct err *err) {
    int in_all_ms = o->timeout_ms > o->connect_timeout_ms ? o->timeout_ms : o->connect_timeout_ms;
    int64_t deadline_ms = o->timeout_ms < 0 ? INT64_MAX : os_now_ms() + in_all_ms;
    struct waker *waker;
    if (waker_new(&waker, err) != 0)
        return -1;
    interrupt_stops(stop_dial, waker);
    int result = redial(to, policy, deadline_ms, waker, ret, err);
    interrupt_stops(NULL, NULL);
    waker_free(waker);
    return result;
}

/* Before the n-th new session, from 0: an end that refuses each of them at once is not asked without a pause. */
static int pause_before(uint32_t n, const struct retry_policy *policy, struct err *err) {
    struct waker *waker;
    uint32_t random;
    if (n == 0)
        return 0;
    if (waker_new(&waker, err) != 0)
        return -1;
    os_random(&random, sizeof random);
    interrupt_stops(stop_dial, waker);
    bool go_on = waker_pause(waker, os_now_ms() + backoff_ms(policy->delay_ms, n, random));
    interrupt_stops(NULL, NULL);
    waker_free(waker);
    return go_on ? 0 : err_set(err, EXIT_SIGNAL, "interrupted");
}

/* One session over way->conn. Its exit code, or -1 and err. */
static int run_session(const struct session_ops *ops, const void *config, struct way *way, struct err *err) {
    void *session = ops->prepare(config);
    if (session == NULL) {
        (void)conn_close(way->conn, NULL);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    interrupt_stops(ops->stop, session);
    int code = ops->run(session, config, way);
    interrupt_stops(NULL, NULL);
    ops->free(session);
    return code;
}

int endpoint_run_stdio(const struct session_ops *ops, const void *config, const struct endpoint_files *files,
                       struct err *err) {
    struct way way = {.conn = NULL};
    if (conn_stdio(&way.conn, err) != 0 || confine_connected(files, err) != 0)
        return -1;
    return run_session(ops, config, &way, err);
}

int endpoint_run(const struct addr *to, const struct options *o, const struct session_ops *ops,
                 const void *config, const struct endpoint_files *files, struct err *err) {
    struct retry_policy first = {
        .retries = o->retries_given ? o->retries : addr_retries(to),
        .delay_ms = o->retry_delay_ms,
        .try_ms = o->connect_timeout_ms,
    };
    struct way way = {.to = to, .retry = first};
    if (!o->retries_given)
        way.retry.retries = addr_resume_retries(to);
    if (confine_connecting(files, to, way.retry.retries, err) != 0 ||
        connect_to(to, o, &first, &way.conn, err) != 0 ||
        confine_child(files, to, way.retry.retries, err) != 0)
        return -1;
    int code = run_session(ops, config, &way, err);
    struct err why = way.why; /* the first of several causes says most */
    /* The other end was started anew, or never knew of us: what it has by now is not sent again. */
    for (uint32_t n = 0; way.lost && (way.retry.retries == RETRY_FOREVER || n < way.retry.retries); n++) {
        log_line(LOG_INFO, "beginning a new session");
        way.again = true;
        way.lost = false;
        if (pause_before(n, &way.retry, err) != 0 || connect_to(to, o, &way.retry, &way.conn, err) != 0)
            return -1;
        code = run_session(ops, config, &way, err);
    }
    if (way.lost)
        *err = why;
    return way.lost ? -1 : code;
}
