/* endpoint.h: listen and serve, or connect and run a session, with one other end or with several at once; the same for both
 * programs. */
#ifndef PROGRAM_ENDPOINT_H
#define PROGRAM_ENDPOINT_H

#include "os/os_confine.h"
#include "program/options.h"
#include "program/report.h"
#include "program/serve.h"

/* The files of this end: before there is a peer, the process is confined to them (os_confine.h). Borrowed. */
struct endpoint_files {
    const struct os_reach *reach;
    size_t count;
};

/* Serve sessions at `where`, a listening address. The exit code, or -1 and err. */
int endpoint_serve(const char *where, const struct options *o, const struct session_ops *ops,
                   const void *config, const struct endpoint_files *files, struct err *err);
/* One session over stdin and stdout. The exit code, or -1 and err. */
int endpoint_run_stdio(const struct session_ops *ops, const void *config, const struct endpoint_files *files,
                       struct err *err);

/* Another end, and the session with it. Borrowed. */
struct endpoint_target {
    const struct addr *to;
    const void *config;
    const struct report_style *style; /* as in config: for what fails where there is no session */
    const char *name; /* in lines and events; NULL when it is the only one */
};

/* A session with each target, all at once, each on a thread of its own, the first one on this: gone on with after breaks,
 * and begun anew when the other end has forgotten it. None waits for another. The exit code that all of them end with,
 * EXIT_SIGNAL when any was interrupted; or -1 and err: EXIT_TARGETS when they differ, and each failure is reported then.
 * With one target, its exit code, or -1 and its err. */
int endpoint_run(const struct endpoint_target *targets, size_t count, const struct options *o,
                 const struct session_ops *ops, const struct endpoint_files *files, struct err *err);

#endif
