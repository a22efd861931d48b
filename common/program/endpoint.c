#include "program/endpoint.h"

#include "core/log.h"
#include "core/text.h"
#include "program/confine.h"
#include "program/interrupt.h"
#include "transport/notify.h"

#include <stdatomic.h>
#include <string.h>

static void stop_server(void *server, const struct err *why) {
    (void)why;
    notify("STOPPING=1\nSTATUS=stopping");
    server_stop(server);
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
