/* interrupt.h: what SIGINT, SIGTERM and SIGHUP end: the server, or the sessions with other ends that were chosen, each from
 * its first dial on. */
#ifndef PROGRAM_INTERRUPT_H
#define PROGRAM_INTERRUPT_H

#include "core/err.h"
#include "os/os.h"

/* Makes what `object` is end with `why`; called from the thread that waits for signals. */
typedef void interrupt_stop(void *object, const struct err *why);

/* Once, at the start of main, before any thread. While nothing is set, a signal ends the process with EXIT_SIGNAL;
 * a second signal always does. */
int interrupt_setup(struct err *err);
/* From now on a signal stops this object. NULL, NULL: nothing; when that returns, `stop` does not run any more. */
void interrupt_stops(interrupt_stop *stop, void *object);

/* Something that does one thing after another, each of which is to be stopped in its own way. Once stopped it stays so: what
 * comes next is stopped at once. Locks: that of interrupt_stops before `lock`, before those that `stop` takes. */
struct stoppable {
    struct os_mutex lock;
    interrupt_stop *stop; /* lock; NULL: nothing to stop now */
    void *object; /* lock */
    struct err why; /* lock; code 0: not stopped */
};
void stoppable_init(struct stoppable *s);
void stoppable_free(struct stoppable *s);
/* From now on it is `object` that is stopped. NULL, NULL: nothing; when that returns, `stop` does not run any more. */
void stoppable_does(struct stoppable *s, interrupt_stop *stop, void *object);
void stoppable_stop(struct stoppable *s, const struct err *why); /* any thread */

#endif
