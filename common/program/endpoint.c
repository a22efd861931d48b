#include "program/endpoint.h"

#include "core/log.h"
#include "core/text.h"
#include "program/interrupt.h"

#include <string.h>

static int serve(struct listener *listener, const struct options *o, const struct session_ops *ops,
                 const void *config, struct err *err) {
    struct server *server = server_new(listener, ops, config);
    if (server == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    interrupt_stops(server, NULL, NULL);
    int code = server_run(server, o->once);
    interrupt_stops(NULL, NULL, NULL);
    server_free(server);
    return code;
}

int endpoint_serve(const char *where, const struct options *o, const struct session_ops *ops,
                   const void *config, struct err *err) {
    struct addr addr;
    struct addr_rules rules = {.listening = true, .allow_remote = o->allow_remote};
    struct listener *listener = NULL;
    int code = -1;
    if (addr_parse(where, &rules, &addr, err) != 0)
        return -1;
    if (listener_open(&addr, &listener, err) == 0) {
        log_line(LOG_INFO, "listening on %s", ESCAPED(addr.text));
        code = serve(listener, o, ops, config, err);
    }
    listener_close(listener);
    addr_free(&addr);
    return code;
}

int endpoint_run(const struct addr *to, const struct options *o, const struct session_ops *ops,
                 const void *config, struct err *err) {
    struct conn *conn;
    if ((to ? conn_dial(to, o->connect_timeout_ms, &conn, err) : conn_stdio(&conn, err)) != 0)
        return -1;
    void *session = ops->prepare(config);
    if (session == NULL) {
        (void)conn_close(conn, NULL);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    interrupt_stops(NULL, ops, session);
    int code = ops->run(session, config, conn);
    interrupt_stops(NULL, NULL, NULL);
    ops->free(session);
    return code;
}
