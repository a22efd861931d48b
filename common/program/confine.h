/* confine.h: what each kind of end keeps when it is confined (os/os_confine.h), and the lines at -v that say so. */
#ifndef PROGRAM_CONFINE_H
#define PROGRAM_CONFINE_H

#include "program/endpoint.h"
#include "transport/transport.h"

/* All on the main thread, before any thread but that of the signals. 0, or -1 and err (EXIT_MEMORY). */

/* It listens: no new sockets. The socket file can be removed at the end. */
int confine_listening(const struct endpoint_files *files, const struct listener *listener, struct err *err);
/* It will connect, and connect again after a break: sockets of the address's family. What starts a child is not confined
 * here, but by confine_child once the child runs; if it is to be started again (retries > 0), not at all. */
int confine_connecting(const struct endpoint_files *files, const struct addr *to, uint32_t retries,
                       struct err *err);
int confine_child(const struct endpoint_files *files, const struct addr *to, uint32_t retries,
                  struct err *err);
/* It has all that it needs. */
int confine_connected(const struct endpoint_files *files, struct err *err);

#endif
