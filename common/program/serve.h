/* serve.h: a listening end: several sessions at once, each on its own thread. */
#ifndef PROGRAM_SERVE_H
#define PROGRAM_SERVE_H

#include "program/options.h"
#include "transport/transport.h"

enum {
    SESSIONS_MAX = 16,
    /* Of one peer at once, unless --max-sessions says so. A session lasts as long as its peer keeps it, so what is beyond
     * this (or beyond --max-sessions, when that is more) is for peers that have none: a few cannot keep all others out. */
    PEER_SESSIONS_DEFAULT = 12,
    GREETINGS_MAX = 32, /* streams beyond them that are no session yet, or come back to one */
    PEER_WAITING_MAX = 16, /* of one peer that wait for a session to end */
    SESSION_NONE = -1, /* in the place of an exit code: the stream did not become a session */
};

struct way;

/* What a session is, to the server. */
struct session_ops {
    /* A session with its inner lock, ready to be stopped; NULL: no memory. */
    void *(*prepare)(const void *config);
    /* Runs it over way->conn (taken over), see line.h; returns its exit code, or SESSION_NONE. */
    int (*run)(void *session, const void *config, struct way *way);
    /* Ends it with this error. Any thread, between prepare and free. */
    void (*stop)(void *session, const struct err *why);
    void (*free)(void *session);
};

struct server;
/* All are borrowed. Of the options, once, json, allow, max_sessions, grace_ms and connect_timeout_ms count. NULL: no
 * memory. */
struct server *server_new(struct listener *listener, const struct options *o, const struct session_ops *ops,
                          const void *config);
void server_free(struct server *server);

/* Accepts until server_stop, or until one session has ended with --once. When streams crowd in that are no session, the peer
 * that has most of them makes room: with the oldest that said nothing, then with the oldest that waits for a session. Peers
 * that --allow-peer does not name are told so and get no session. Returns the exit code: with --once that of the session,
 * EXIT_PEER_DENIED for a refused peer; else EXIT_SIGNAL when server_stop ended sessions, EXIT_OK when none ran. */
int server_run(struct server *server);

/* Ends all sessions and the accepting. Any thread. */
void server_stop(struct server *server);

#endif
