/* session.h: what both ends do around a transfer: open the stream, greet, report, say goodbye. */
#ifndef PROGRAM_SESSION_H
#define PROGRAM_SESSION_H

#include "program/line.h"

struct session_parts {
    struct handshake ours;
    int handshake_ms, timeout_ms; /* -1: no timeout */
    int goodbye_ms; /* how long to wait for the peer to close after a good session */
    bool one_stream; /* a break is the end */
    const struct report_style *style;
    /* After the handshake: builds the stages and starts them on the run, or does the work itself. 0, or -1 and err, with
     * which the run fails. */
    int (*begin)(void *session, struct err *err);
    /* When all threads are gone and the stream is closed. */
    void (*end)(void *session);
    void *session;
};

/* Everything from the first stream to the summary. run is initialised, report and line are not, and are over
 * afterwards. The exit code, or SESSION_NONE; way->lost when a new session may do better. */
int session_run(const struct session_parts *parts, struct way *way, struct run *run, struct line *line,
                struct report *report);

#endif
