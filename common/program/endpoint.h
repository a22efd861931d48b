/* endpoint.h: listen and serve, or open the one stream and run the one session; the same for both programs. */
#ifndef PROGRAM_ENDPOINT_H
#define PROGRAM_ENDPOINT_H

#include "os/os_confine.h"
#include "program/options.h"
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
/* One session with `to`, gone on with after breaks, and begun anew when the other end has forgotten it. The exit code, or
 * -1 and err. */
int endpoint_run(const struct addr *to, const struct options *o, const struct session_ops *ops,
                 const void *config, const struct endpoint_files *files, struct err *err);

#endif
