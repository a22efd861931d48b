#include "program/interrupt.h"

#include "core/log.h"

#include <stdlib.h>

static struct {
    struct os_mutex lock;
    interrupt_stop *stop; /* lock */
    void *object; /* lock */
} target;

static void on_interrupt(void *arg) {
    (void)arg;
    struct err why = {0};
    (void)err_set(&why, EXIT_SIGNAL, "interrupted");
    os_lock(&target.lock);
    if (target.stop) {
        target.stop(target.object, &why);
    } else { /* not begun, or done: there is nothing to end */
        log_line(LOG_ERROR, "%s", why.msg);
        _Exit(EXIT_SIGNAL);
    }
    os_unlock(&target.lock);
}

int interrupt_setup(struct err *err) {
    os_mutex_init(&target.lock);
    return os_on_interrupt(on_interrupt, NULL, err);
}

void interrupt_stops(interrupt_stop *stop, void *object) {
    os_lock(&target.lock);
    target.stop = stop;
    target.object = object;
    os_unlock(&target.lock);
}

void stoppable_init(struct stoppable *s) {
    *s = (struct stoppable){.stop = NULL};
    os_mutex_init(&s->lock);
}

void stoppable_free(struct stoppable *s) {
    os_mutex_free(&s->lock);
}

void stoppable_does(struct stoppable *s, interrupt_stop *stop, void *object) {
    os_lock(&s->lock);
    s->stop = stop;
    s->object = object;
    if (stop && err_is_set(&s->why))
        stop(object, &s->why);
    os_unlock(&s->lock);
}

void stoppable_stop(struct stoppable *s, const struct err *why) {
    os_lock(&s->lock);
    s->why = *why;
    if (s->stop)
        s->stop(s->object, why);
    os_unlock(&s->lock);
}
