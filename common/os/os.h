/* os.h: the narrow operating-system API of hvferry: time, threads, signals, randomness.
 *
 * Twin files under posix/ (and win32/) implement it; meson chooses. Files and directories are in os_file.h.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include "core/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a monotonic clock. */
int64_t os_now_ms(void);
/* Nanoseconds of the same clock, for measuring. */
int64_t os_now_ns(void);

/* Nanoseconds since 1970, of the clock that stamps files. It may jump. */
int64_t os_wall_ns(void);
void os_sleep_ms(int ms);

/* Cryptographic randomness; ends the process when the system has none. */
void os_random(void *to, size_t n);

unsigned os_cpu_count(void); /* processors this process may run on, >= 1 */

/* Threads. A mutex and a condition that waits on the monotonic clock. */
struct os_mutex {
    pthread_mutex_t m;
};
struct os_cond {
    pthread_cond_t c;
};
struct os_thread {
    pthread_t t;
};
void os_mutex_init(struct os_mutex *m);
void os_mutex_free(struct os_mutex *m);
void os_lock(struct os_mutex *m);
void os_unlock(struct os_mutex *m);
void os_cond_init(struct os_cond *c);
void os_cond_free(struct os_cond *c);
void os_cond_signal(struct os_cond *c);
void os_cond_broadcast(struct os_cond *c);
void os_cond_wait(struct os_cond *c, struct os_mutex *m);
/* False when the deadline (os_now_ms) passed. */
bool os_cond_wait_until(struct os_cond *c, struct os_mutex *m, int64_t deadline_ms);

/* 0, or -1 and err (EXIT_MEMORY). Signals are blocked in the new thread; stacks are 256 KiB. */
int os_thread_start(struct os_thread *ret, const char *name, void *(*fn)(void *), void *arg, struct err *err);
void os_thread_join(struct os_thread *t);

/* SIGINT, SIGTERM and SIGHUP: `fn` is called on a thread of its own at the first one; the second ends the
 * process at once with EXIT_SIGNAL. SIGPIPE is ignored. Call once, before any other thread starts. */
int os_on_interrupt(void (*fn)(void *arg), void *arg, struct err *err);

#endif
