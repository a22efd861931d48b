/* notify.h: what a service manager wants to know of a listening end, by the protocol of sd_notify(3): one datagram a state,
 * to the Unix socket that NOTIFY_SOCKET names. Written out here, because sd_notify() makes a socket for each message, which
 * a confined process cannot. Without NOTIFY_SOCKET, and on Windows, nothing happens.
 */
#ifndef TRANSPORT_NOTIFY_H
#define TRANSPORT_NOTIFY_H

#include "core/err.h"

/* Once, before the process is confined and has threads. */
void notify_open(void);
/* "READY=1", "STATUS=...", "STOPPING=1"; lines are separated by \n. Any thread. */
void notify(const char *fmt, ...) ERR_PRINTF(1, 2);

#endif
