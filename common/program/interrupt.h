/* interrupt.h: what SIGINT, SIGTERM and SIGHUP end: the server, the connecting, or the one session of the process. */
#ifndef PROGRAM_INTERRUPT_H
#define PROGRAM_INTERRUPT_H

#include "core/err.h"

/* Makes what `object` is end with `why`; called from the thread that waits for signals. */
typedef void interrupt_stop(void *object, const struct err *why);

/* Once, at the start of main, before any thread. While nothing is set, a signal ends the process with EXIT_SIGNAL;
 * a second signal always does. */
int interrupt_setup(struct err *err);
/* From now on a signal stops this object. NULL, NULL: nothing; when that returns, `stop` does not run any more. */
void interrupt_stops(interrupt_stop *stop, void *object);

#endif
