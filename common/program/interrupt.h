/* interrupt.h: what SIGINT, SIGTERM and SIGHUP end: the server, or the one session of the process. */
#ifndef PROGRAM_INTERRUPT_H
#define PROGRAM_INTERRUPT_H

#include "program/serve.h"

/* Once, at the start of main, before any thread. While nothing is set, a signal ends the process with EXIT_SIGNAL;
 * a second signal always does. */
int interrupt_setup(struct err *err);
/* From now on a signal stops this server, or this session (with ops->stop). NULL, NULL: nothing. */
void interrupt_stops(struct server *server, const struct session_ops *ops, void *session);

#endif
