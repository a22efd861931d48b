#include "program/endpoint.h"

#include "core/log.h"
#include "core/text.h"
#include "os/os.h"
#include "program/interrupt.h"
#include "program/redial.h"

#include <string.h>

static void stop_server(void *server, const struct err *why) {
    (void)why;
    server_stop(server);
}

static void stop_dial(void *waker, const struct err *why) {
    (void)why;
    waker_wake(waker);
}

static int serve(struct listener *listener, const struct options *o, const struct session_ops *ops,
                 const void *config, struct err *err) {
    struct server *server = server_new(listener, o, ops, config);
    if (server == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    interrupt_stops(stop_server, server);
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
                   const void *config, struct err *err) {
    struct addr addr;
    struct addr_rules rules = {
        .listening = true, .allow_remote = o->allow_remote, .no_connected_suspend = o->no_connected_suspend};
    struct listener *listener = NULL;
    int code = -1;
    if (addr_parse(where, &rules, &addr, err) != 0)
        return -1;
    if (check_allow(&addr, &o->allow, err) == 0 && listener_open(&addr, &listener, err) == 0) {
        log_line(LOG_INFO, "listening on %s", ESCAPED(addr.text));
        code = serve(listener, o, ops, config, err);
    }
    listener_close(listener);
    addr_free(&addr);
    return code;
}

/* The first stream, which a signal ends at once. */
static int connect_to(const struct addr *to, const struct options *o, struct conn **ret, struct err *err) {
    struct retry_policy policy = {
        .retries = o->retries_given ? o->retries : addr_retries(to),
        .delay_ms = o->retry_delay_ms,
        .try_ms = o->connect_timeout_ms,
    };
    int in_all_ms = o->timeout_ms > o->connect_timeout_ms ? o->timeout_ms : o->connect_timeout_ms;
    int64_t deadline_ms = o->timeout_ms < 0 ? INT64_MAX : os_now_ms() + in_all_ms;
    struct waker *waker;
    if (waker_new(&waker, err) != 0)
        return -1;
    interrupt_stops(stop_dial, waker);
    int result = redial(to, &policy, deadline_ms, waker, ret, err);
    interrupt_stops(NULL, NULL);
    waker_free(waker);
    return result;
}

int endpoint_run(const struct addr *to, const struct options *o, const struct session_ops *ops,
                 const void *config, struct err *err) {
    struct conn *conn;
    if ((to ? connect_to(to, o, &conn, err) : conn_stdio(&conn, err)) != 0)
        return -1;
    void *session = ops->prepare(config);
    if (session == NULL) {
        (void)conn_close(conn, NULL);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    interrupt_stops(ops->stop, session);
    int code = ops->run(session, config, conn);
    interrupt_stops(NULL, NULL);
    ops->free(session);
    return code;
}
