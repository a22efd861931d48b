/* confine.h: what each kind of end keeps when it is confined (os/os_confine.h), and the lines at -v that say so. */
#ifndef PROGRAM_CONFINE_H
#define PROGRAM_CONFINE_H

#include "program/endpoint.h"
#include "transport/transport.h"

/* All on the main thread, before any thread but that of the signals. 0, or -1 and err (EXIT_MEMORY). */

/* It listens: no new sockets. The socket file can be removed at the end. */
int confine_listening(const struct endpoint_files *files, const struct listener *listener, struct err *err);
/* Where it will connect, and connect again after a break. */
struct confine_dial {
    const struct addr *to;
    uint32_t retries;
};
/* Sockets of the addresses' families. A command runs by now; if one may have to be started again (retries > 0), nothing is
 * confined. */
int confine_connecting(const struct endpoint_files *files, const struct confine_dial *dials, size_t count,
                       struct err *err);
/* It has all that it needs. */
int confine_connected(const struct endpoint_files *files, struct err *err);

#endif
