#include "program/serve.h"

#include "core/log.h"
#include "os/os.h"
#include "program/registry.h"
#include "program/report_impl.h"
#include "transport/notify.h"

#include <stdlib.h>

enum {
    SLOTS = SESSIONS_MAX + GREETINGS_MAX,
    REFUSING_MAX = 2, /* slots that peers can take up who are told that they are not served */
    REFUSAL_MS = 1000,
    CROWD_WARNING_MS = 60000, /* between two warnings of a crowd */
};

struct slot {
    struct server *server;
    struct os_thread thread;
    void *session; /* NULL: a peer that is refused */
    struct peer_id peer;
    uint64_t number; /* of the stream, in the order of coming */
    struct way way;
    enum { SLOT_FREE, SLOT_RUNNING, SLOT_OVER } state; /* lock */
    bool waiting; /* lock; it would be a session if there were room */
    bool admitted; /* lock; it is a session */
    bool replaced; /* lock; its peer began a new one */
    int code; /* written by the session, read after SLOT_OVER */
};

struct server {
    struct listener *listener;
    const struct session_ops *ops;
    const void *config;
    const struct options *options;
    struct registry *registry;
    struct os_mutex lock;
    struct os_cond over; /* a slot changed */
    bool stopped; /* lock */
    bool ended_session; /* lock: server_stop found one running */
    bool one_over; /* lock: with options.once, it was served */
    int one_code; /* lock */
    uint64_t streams; /* lock; that came */
    int64_t crowd_told_ms; /* lock; when a crowd was last warned of; 0: never */
    struct slot slots[SLOTS];
};

struct server *server_new(struct listener *listener, const struct options *o, const struct session_ops *ops,
                          const void *config) {
    struct server *s = calloc(1, sizeof *s);
    struct registry *registry = registry_new();
    if (s == NULL || registry == NULL) {
        free(s);
        registry_free(registry);
        return NULL;
    }
    s->listener = listener;
    s->ops = ops;
    s->config = config;
    s->options = o;
    s->registry = registry;
    os_mutex_init(&s->lock);
    os_cond_init(&s->over);
    for (size_t i = 0; i < SLOTS; i++)
        s->slots[i].server = s;
    return s;
}

void server_free(struct server *s) {
    registry_free(s->registry);
    os_cond_free(&s->over);
    os_mutex_free(&s->lock);
    free(s);
}

/* ---- a session ------------------------------------------------------------------------------------------- */

/* Lock held. peer: NULL for all of them. */
static unsigned running_sessions(const struct server *s, const struct peer_id *peer) {
    unsigned n = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &s->slots[i];
        n += slot->state == SLOT_RUNNING && slot->admitted && !slot->replaced &&
             (peer == NULL || peer_may_be_same(&slot->peer, peer));
    }
    return n;
}

/* Lock held. */
static void tell_manager(const struct server *s) {
    unsigned n = running_sessions(s, NULL);
    if (!s->stopped)
        notify("STATUS=%u session%s", n, n == 1 ? "" : "s");
}

/* Lock held. With --once: one that has lost its peer makes way, for that peer alone. */
static int replace_the_one(struct server *s, const struct peer_id *peer, struct err *err) {
    struct err why = {0};
    if (!registry_all_broken(s->registry) || running_sessions(s, peer) < running_sessions(s, NULL))
        return err_set(err, EXIT_REFUSED, "it is busy with another session, and serves only one (--once)");
    (void)err_set(&why, EXIT_STREAM, "the stream broke, and a new session took the place of this one");
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_RUNNING || !slot->admitted || slot->replaced)
            continue;
        slot->replaced = true;
        s->ops->stop(slot->session, &why);
    }
    return 0;
}

/* Lock held. Whether another session of this peer has to wait; err says why. */
static bool has_no_room(const struct server *s, const struct peer_id *peer, struct err *err) {
    unsigned most = s->options->max_sessions, of_all = running_sessions(s, NULL);
    unsigned of_peer = running_sessions(s, peer);
    unsigned shared = most > PEER_SESSIONS_DEFAULT ? most : PEER_SESSIONS_DEFAULT;
    if (of_all >= SESSIONS_MAX)
        (void)err_set(err, EXIT_REFUSED, "all its %d sessions are taken; try again later", SESSIONS_MAX);
    else if (of_peer >= most)
        (void)err_set(
            err, EXIT_REFUSED,
            "this peer has %u sessions with it, and may have no more (--max-sessions); try again later",
            most);
    else if (of_peer > 0 && of_all >= shared)
        (void)err_set(err, EXIT_REFUSED,
                      "its last %u sessions are kept for peers that have none; try again later",
                      SESSIONS_MAX - shared);
    else
        return false;
    return true;
}

/* Lock held. */
static unsigned waiting_of(const struct server *s, const struct peer_id *peer) {
    unsigned n = 0;
    for (size_t i = 0; i < SLOTS; i++)
        n += s->slots[i].state == SLOT_RUNNING && s->slots[i].waiting &&
             peer_may_be_same(&s->slots[i].peer, peer);
    return n;
}

static const char dropped[] = "dropped: too many streams wait to begin";

/* Lock held. Waits until there is room for this session, or this stream makes room (make_room). 0, or -1 and err. */
static int wait_for_room(struct server *s, struct slot *slot, struct err *err) {
    int64_t deadline = os_now_ms() + s->options->connect_timeout_ms;
    bool more = waiting_of(s, &slot->peer) < PEER_WAITING_MAX, full;
    slot->waiting = more;
    while ((full = has_no_room(s, &slot->peer, err)) && more && !s->stopped &&
           !atomic_load(&slot->way.dropped))
        more = os_cond_wait_until(&s->over, &s->lock, deadline);
    slot->waiting = false;
    if (!full && atomic_load(&slot->way.dropped))
        return err_set(err, EXIT_SOCKET, "%s", dropped);
    return full && !s->stopped ? -1 : 0;
}

/* Before a new session is welcomed. */
static int admit(void *arg, struct err *err) {
    struct slot *slot = arg;
    struct server *s = slot->server;
    struct err full;
    int result = 0;
    os_lock(&s->lock);
    if (s->options->once && running_sessions(s, NULL) > 0)
        result = replace_the_one(s, &slot->peer, err);
    if (result == 0 && wait_for_room(s, slot, &full) != 0) {
        *err = full;
        result = -1;
    }
    slot->admitted = result == 0;
    tell_manager(s);
    os_unlock(&s->lock);
    return result;
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
    struct server *s = slot->server;
    int code = slot->session ? s->ops->run(slot->session, s->config, &slot->way) : refuse(slot->way.conn);
    os_lock(&s->lock);
    slot->code = code;
    slot->state = SLOT_OVER;
    tell_manager(s);
    /* A stranger who comes while there is a session does not end it; one who is there when it is told to stop is none. */
    bool counts = slot->admitted || (running_sessions(s, NULL) == 0 && !s->stopped);
    bool the_one = s->options->once && counts && code != SESSION_NONE && !slot->replaced && !s->one_over;
    if (the_one) {
        s->one_over = true;
        s->one_code = code;
    }
    os_cond_broadcast(&s->over);
    os_unlock(&s->lock);
    if (the_one)
        listener_wake(s->listener);
    return NULL;
}

/* Lock held; the thread does not take it any more. */
static void collect(struct slot *slot) {
    os_thread_join(&slot->thread);
    if (slot->session)
        slot->server->ops->free(slot->session);
    slot->state = SLOT_FREE;
}

/* ---- a crowd ---------------------------------------------------------------------------------------------- */

/* Lock held. A stream that is no session: it has not asked for one yet, or waits for room. */
static bool is_outside(const struct slot *slot) {
    return slot->state == SLOT_RUNNING && slot->session && !slot->admitted;
}

/* Lock held. */
static unsigned outside_of(const struct server *s, const struct peer_id *peer) {
    unsigned n = 0;
    for (size_t i = 0; i < SLOTS; i++)
        n += is_outside(&s->slots[i]) && peer_may_be_same(&s->slots[i].peer, peer);
    return n;
}

/* One that has asked for nothing yet goes before one that waits, an older one before a newer. */
static bool goes_before(const struct slot *a, const struct slot *b) {
    return a->waiting != b->waiting ? b->waiting : a->number < b->number;
}

/* Lock held. The first to go of the peer that has most outside; NULL: there is none. */
static struct slot *greediest(struct server *s) {
    struct slot *found = NULL;
    unsigned most = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &s->slots[i];
        unsigned n = is_outside(slot) ? outside_of(s, &slot->peer) : 0;
        if (n > most || (n > 0 && n == most && goes_before(slot, found))) {
            found = slot;
            most = n;
        }
    }
    return found;
}

/* Lock held. Who hoards streams and says nothing shall not keep others out until the handshake's deadline; nor shall those
 * who wait for a session to end keep anybody from one that runs. */
static void make_room(struct server *s) {
    struct err why = {0};
    struct slot *slot = greediest(s);
    if (slot == NULL || atomic_exchange(&slot->way.dropped, true))
        return;
    int64_t now = os_now_ms();
    if (s->crowd_told_ms == 0 || now - s->crowd_told_ms >= CROWD_WARNING_MS) {
        s->crowd_told_ms = now;
        log_line(LOG_WARNING, "more than %d streams wait to begin: the oldest are dropped", GREETINGS_MAX);
    }
    (void)err_set(&why, EXIT_SOCKET, "%s", dropped); /* without a last word */
    s->ops->stop(slot->session, &why);
    os_cond_broadcast(&s->over); /* it may wait for that */
}

/* Lock held. A free slot; while all are busy, the greediest outside of a session makes room, though not for one who is only
 * told that he is refused. NULL: there is none. */
static struct slot *free_slot(struct server *s, bool allowed) {
    while (!s->stopped && !s->one_over) {
        for (size_t i = 0; i < SLOTS; i++) {
            if (s->slots[i].state == SLOT_OVER)
                collect(&s->slots[i]);
            if (s->slots[i].state == SLOT_FREE)
                return &s->slots[i];
        }
        if (!allowed)
            return NULL;
        make_room(s);
        os_cond_wait(&s->over, &s->lock);
    }
    return NULL;
}

/* Lock held. */
static bool start_in(struct server *s, struct slot *slot, struct conn *conn, bool allowed, struct err *err) {
    slot->admitted = slot->replaced = slot->waiting = false;
    slot->peer = *conn_peer_id(conn);
    slot->number = s->streams++;
    slot->way = (struct way){
        .conn = conn,
        .registry = s->registry,
        .grace_ms = s->options->grace_ms,
        .admit = admit,
        .admit_ctx = slot,
    };
    slot->session = allowed ? s->ops->prepare(s->config) : NULL;
    if (slot->session == NULL && allowed)
        return err_set(err, EXIT_MEMORY, "out of memory for a session") == 0;
    if (os_thread_start(&slot->thread, "session", session_main, slot, err) != 0) {
        if (slot->session)
            s->ops->free(slot->session);
        return false;
    }
    slot->state = SLOT_RUNNING;
    return true;
}

/* Whether --allow-peer lets it in. If not, that is told here; conn stays as it is. */
static bool is_allowed(const struct server *s, const struct conn *conn) {
    struct err err = {0};
    if (conn_buffers(conn)[0])
        log_line(LOG_DEBUG, "%s: %s", conn_peer(conn), conn_buffers(conn));
    if (allow_admits(&s->options->allow, conn_peer_id(conn)))
        return true;
    (void)err_set(&err, EXIT_PEER_DENIED, "%s: refused, because --allow-peer does not name it",
                  conn_peer(conn));
    report_line(true, LOG_ERROR, err.msg);
    if (s->options->json)
        json_error(NULL, &err);
    return false;
}

/* Lock held. A crowd of refused peers must not take the slots of the others: they are not told then. */
static bool has_time_to_refuse(const struct server *s) {
    unsigned refusals = 0;
    for (size_t i = 0; i < SLOTS; i++)
        refusals += s->slots[i].state == SLOT_RUNNING && s->slots[i].session == NULL;
    return refusals < REFUSING_MAX;
}

/* Takes conn over. */
static void start_session(struct server *s, struct conn *conn) {
    struct err err = {0};
    bool allowed = is_allowed(s, conn);
    os_lock(&s->lock);
    struct slot *slot = allowed || has_time_to_refuse(s) ? free_slot(s, allowed) : NULL;
    bool started = slot && start_in(s, slot, conn, allowed, &err);
    os_unlock(&s->lock);
    if (started)
        return;
    if (slot)
        report_line(true, LOG_ERROR, err.msg);
    (void)conn_close(conn, NULL);
}

/* ---- the server ------------------------------------------------------------------------------------------- */

/* Waits for what runs. */
static int end_all(struct server *s) {
    os_lock(&s->lock);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &s->slots[i];
        while (slot->state == SLOT_RUNNING)
            os_cond_wait(&s->over, &s->lock);
        if (slot->state == SLOT_OVER)
            collect(slot);
    }
    int code = s->ended_session ? EXIT_SIGNAL : s->one_over ? s->one_code : EXIT_OK;
    os_unlock(&s->lock);
    return code;
}

/* Lock held. */
static void stop_all(struct server *s, const struct err *why) {
    for (size_t i = 0; i < SLOTS; i++)
        if (s->slots[i].state == SLOT_RUNNING && s->slots[i].session)
            s->ops->stop(s->slots[i].session, why);
}

int server_run(struct server *s) {
    struct err why = {0};
    for (;;) {
        struct conn *conn;
        struct err err = {0};
        if (listener_accept(s->listener, -1, &conn, &err) == 0) {
            start_session(s, conn);
            continue;
        }
        if (err.code != EXIT_SIGNAL) {
            log_line(LOG_ERROR, "%s", err.msg);
            (void)end_all(s);
            return err.code;
        }
        os_lock(&s->lock);
        bool one_over = s->one_over;
        (void)err_set(&why, EXIT_REFUSED, "it served the one session it was started for (--once)");
        if (one_over)
            stop_all(s, &why);
        os_unlock(&s->lock);
        return end_all(s);
    }
}

void server_stop(struct server *s) {
    struct err why = {0};
    (void)err_set(&why, EXIT_SIGNAL, "interrupted");
    os_lock(&s->lock);
    s->stopped = true;
    for (size_t i = 0; i < SLOTS; i++)
        s->ended_session |= s->slots[i].state == SLOT_RUNNING && s->slots[i].admitted;
    stop_all(s, &why);
    os_cond_broadcast(&s->over);
    os_unlock(&s->lock);
    listener_wake(s->listener);
}
