#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

/* glibc's own frames and the sanitizers' fit; no function of ours puts more than 33 KiB on a stack. */
enum { THREAD_STACK_BYTES = 256 * 1024 };

void os_mutex_init(struct os_mutex *m) {
    (void)pthread_mutex_init(&m->m, NULL);
}
void os_mutex_free(struct os_mutex *m) {
    (void)pthread_mutex_destroy(&m->m);
}
void os_lock(struct os_mutex *m) {
    (void)pthread_mutex_lock(&m->m);
}
void os_unlock(struct os_mutex *m) {
    (void)pthread_mutex_unlock(&m->m);
}

void os_cond_init(struct os_cond *c) {
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void os_cond_free(struct os_cond *c) {
    (void)pthread_cond_destroy(&c->c);
}
void os_cond_signal(struct os_cond *c) {
    (void)pthread_cond_signal(&c->c);
}
void os_cond_broadcast(struct os_cond *c) {
    (void)pthread_cond_broadcast(&c->c);
}
void os_cond_wait(struct os_cond *c, struct os_mutex *m) {
    (void)pthread_cond_wait(&c->c, &m->m);
}

bool os_cond_wait_until(struct os_cond *c, struct os_mutex *m, int64_t deadline_ms) {
    struct timespec t = {
        .tv_sec = (time_t)(deadline_ms / 1000),
        .tv_nsec = (long)(deadline_ms % 1000) * 1000000,
    };
    return pthread_cond_timedwait(&c->c, &m->m, &t) == 0;
}

struct start {
    void *(*fn)(void *arg);
    void *arg;
    char name[16]; /* the kernel keeps no more */
};

/* A thread names itself: named by another, it would be through a path in /proc. */
static void *begin(void *arg) {
    struct start start = *(struct start *)arg;
    free(arg);
    (void)prctl(PR_SET_NAME, start.name);
    return start.fn(start.arg);
}

int os_thread_start(struct os_thread *ret, const char *name, void *(*fn)(void *), void *arg,
                    struct err *err) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return err_set(err, EXIT_MEMORY, "cannot start the %s thread: out of memory", name);
    *start = (struct start){.fn = fn, .arg = arg};
    (void)snprintf(start->name, sizeof start->name, "%s", name);
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    int sys = pthread_create(&ret->t, &attr, begin, start);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (sys == 0)
        return 0;
    free(start);
    return err_sys(err, EXIT_MEMORY, sys, "cannot start the %s thread", name);
}

void os_thread_join(struct os_thread *t) {
    (void)pthread_join(t->t, NULL);
}
