/* serve.h: a listening end: several sessions at once, each on its own thread. */
#ifndef PROGRAM_SERVE_H
#define PROGRAM_SERVE_H

#include "program/options.h"
#include "transport/transport.h"

enum { SESSIONS_MAX = 16 };

/* What a session is, to the server. */
struct session_ops {
    /* A session with its inner lock, ready to be stopped; NULL: no memory. */
    void *(*prepare)(const void *config);
    /* Runs it over conn (taken over); returns its exit code. */
    int (*run)(void *session, const void *config, struct conn *conn);
    /* Ends it with this error. Any thread, between prepare and free. */
    void (*stop)(void *session, const struct err *why);
    void (*free)(void *session);
};

struct server;
/* All are borrowed. Of the options, once, json and allow count. NULL: no memory. */
struct server *server_new(struct listener *listener, const struct options *o, const struct session_ops *ops,
                          const void *config);
void server_free(struct server *server);

/* Accepts until server_stop, or for one session with --once. Peers that --allow-peer does not name are told so and
 * get no session. Returns the exit code: with --once that of the session, EXIT_PEER_DENIED for a refused peer; else EXIT_SIGNAL when server_stop ended sessions, EXIT_OK when none ran. */
int server_run(struct server *server);

/* Ends all sessions and the accepting. Any thread. */
void server_stop(struct server *server);

#endif
