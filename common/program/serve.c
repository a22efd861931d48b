#include "program/serve.h"

#include "core/log.h"
#include "os/os.h"
#include "program/handshake.h"
#include "program/report_impl.h"

#include <stdlib.h>

enum {
    REFUSING_MAX = 2, /* slots that peers can take up who are told that they are not served */
    REFUSAL_MS = 1000,
};

struct slot {
    struct server *server;
    struct os_thread thread;
    void *session; /* NULL: a peer that is refused */
    struct conn *conn;
    enum { SLOT_FREE, SLOT_RUNNING, SLOT_OVER } state; /* lock */
    int code; /* written by the session, read after SLOT_OVER */
};

struct server {
    struct listener *listener;
    const struct options *options;
    const struct session_ops *ops;
    const void *config;
    struct os_mutex lock;
    struct os_cond over; /* a session ended */
    bool stopped; /* lock */
    bool ended_session; /* lock: server_stop found one running */
    struct slot slots[SESSIONS_MAX];
};

struct server *server_new(struct listener *listener, const struct options *o, const struct session_ops *ops,
                          const void *config) {
    struct server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->listener = listener;
    s->options = o;
    s->ops = ops;
    s->config = config;
    os_mutex_init(&s->lock);
    os_cond_init(&s->over);
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        s->slots[i].server = s;
    return s;
}

void server_free(struct server *s) {
    os_cond_free(&s->over);
    os_mutex_free(&s->lock);
    free(s);
}

/* Takes conn over. */
static int refuse(struct conn *conn) {
    struct err why = {0};
    struct stream *stream;
    (void)err_set(&why, EXIT_PEER_DENIED, "it does not serve this peer (--allow-peer)");
    if (stream_new(conn, REFUSAL_MS, &stream, NULL) != 0)
        return why.code;
    handshake_refuse(stream, &why);
    (void)stream_close(stream, NULL);
    return why.code;
}

static void *session_main(void *arg) {
    struct slot *slot = arg;
    struct server *server = slot->server;
    int code =
        slot->session ? server->ops->run(slot->session, server->config, slot->conn) : refuse(slot->conn);
    os_lock(&server->lock);
    slot->code = code;
    slot->state = SLOT_OVER;
    os_cond_broadcast(&server->over);
    os_unlock(&server->lock);
    return NULL;
}

/* Lock held; the thread does not take it any more. */
static void collect(struct slot *slot) {
    os_thread_join(&slot->thread);
    if (slot->session)
        slot->server->ops->free(slot->session);
    slot->state = SLOT_FREE;
}

/* Lock held. A free slot; waits while all are busy. NULL: stopped. */
static struct slot *free_slot(struct server *s) {
    while (!s->stopped) {
        for (size_t i = 0; i < SESSIONS_MAX; i++) {
            if (s->slots[i].state == SLOT_OVER)
                collect(&s->slots[i]);
            if (s->slots[i].state == SLOT_FREE)
                return &s->slots[i];
        }
        os_cond_wait(&s->over, &s->lock);
    }
    return NULL;
}

/* Lock held. */
static bool start_in(struct server *s, struct slot *slot, struct conn *conn, bool admitted, struct err *err) {
    slot->conn = conn;
    slot->session = admitted ? s->ops->prepare(s->config) : NULL;
    if (slot->session == NULL && admitted)
        return err_set(err, EXIT_MEMORY, "out of memory for a session") == 0;
    if (os_thread_start(&slot->thread, "session", session_main, slot, err) != 0) {
        if (slot->session)
            s->ops->free(slot->session);
        return false;
    }
    slot->state = SLOT_RUNNING;
    return true;
}

/* Whether the peer may have a session. If not, that is told here; conn stays as it is. */
static bool is_admitted(const struct server *s, const struct conn *conn) {
    struct err err = {0};
    if (conn_buffers(conn)[0])
        log_line(LOG_DEBUG, "%s: %s", conn_peer(conn), conn_buffers(conn));
    if (allow_admits(&s->options->allow, conn_peer_id(conn)))
        return true;
    (void)err_set(&err, EXIT_PEER_DENIED, "%s: refused, because --allow-peer does not name it",
                  conn_peer(conn));
    log_line(LOG_ERROR, "%s", err.msg);
    if (s->options->json)
        json_error(NULL, &err);
    return false;
}

/* Lock held. A crowd of refused peers must not take the slots of the others: they are not told then. */
static bool has_time_to_refuse(const struct server *s) {
    unsigned refusals = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        refusals += s->slots[i].state == SLOT_RUNNING && s->slots[i].session == NULL;
    return refusals < REFUSING_MAX;
}

/* Takes conn over. The slot, or NULL when the session could not start. */
static struct slot *start_session(struct server *s, struct conn *conn, bool admitted) {
    struct err err = {0};
    os_lock(&s->lock);
    struct slot *slot = admitted || has_time_to_refuse(s) ? free_slot(s) : NULL;
    if (slot && !start_in(s, slot, conn, admitted, &err)) {
        log_line(LOG_ERROR, "%s", err.msg);
        slot = NULL;
    }
    os_unlock(&s->lock);
    if (slot == NULL)
        (void)conn_close(conn, NULL);
    return slot;
}

static int wait_for_end(struct server *s, struct slot *slot) {
    os_lock(&s->lock);
    while (slot->state != SLOT_OVER)
        os_cond_wait(&s->over, &s->lock);
    collect(slot);
    os_unlock(&s->lock);
    return slot->code;
}

static int end_all(struct server *s) {
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        os_lock(&s->lock);
        bool used = s->slots[i].state != SLOT_FREE;
        os_unlock(&s->lock);
        if (used)
            (void)wait_for_end(s, &s->slots[i]);
    }
    os_lock(&s->lock);
    int code = s->ended_session ? EXIT_SIGNAL : EXIT_OK;
    os_unlock(&s->lock);
    return code;
}

int server_run(struct server *s) {
    for (;;) {
        struct conn *conn;
        struct err err = {0};
        if (listener_accept(s->listener, -1, &conn, &err) != 0) {
            if (err.code == EXIT_SIGNAL)
                return end_all(s);
            log_line(LOG_ERROR, "%s", err.msg);
            (void)end_all(s);
            return err.code;
        }
        struct slot *slot = start_session(s, conn, is_admitted(s, conn));
        if (s->options->once)
            return slot ? wait_for_end(s, slot) : EXIT_MEMORY;
    }
}

void server_stop(struct server *s) {
    struct err why = {0};
    (void)err_set(&why, EXIT_SIGNAL, "interrupted");
    os_lock(&s->lock);
    s->stopped = true;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (s->slots[i].state == SLOT_RUNNING && s->slots[i].session) {
            s->ended_session = true;
            s->ops->stop(s->slots[i].session, &why);
        }
    }
    os_cond_broadcast(&s->over);
    os_unlock(&s->lock);
    listener_wake(s->listener);
}
