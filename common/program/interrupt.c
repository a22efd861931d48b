#include "program/interrupt.h"

#include "os/os.h"

#include <stdlib.h>

static struct {
    struct os_mutex lock;
    struct server *server; /* lock */
    const struct session_ops *ops; /* lock */
    void *session; /* lock */
} target;

static void on_interrupt(void *arg) {
    (void)arg;
    struct err why = {0};
    (void)err_set(&why, EXIT_SIGNAL, "interrupted");
    os_lock(&target.lock);
    if (target.server)
        server_stop(target.server);
    else if (target.session)
        target.ops->stop(target.session, &why);
    else
        _Exit(EXIT_SIGNAL); /* still connecting, or done: there is nothing to end */
    os_unlock(&target.lock);
}

int interrupt_setup(struct err *err) {
    os_mutex_init(&target.lock);
    return os_on_interrupt(on_interrupt, NULL, err);
}

void interrupt_stops(struct server *server, const struct session_ops *ops, void *session) {
    os_lock(&target.lock);
    target.server = server;
    target.ops = ops;
    target.session = session;
    os_unlock(&target.lock);
}
