/* os.h: the narrow operating-system API of hvferry: time, threads, signals, randomness.
 *
 * Twin files under posix/ and win32/ implement it; meson chooses, and with them os_types.h. Files and directories are in os_file.h.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include "core/err.h"
#include "os/os_types.h"

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

/* Memory that begins at a page, for file I/O and codecs; NULL when there is none. os_page_free takes NULL too. */
void *os_page_alloc(size_t n);
void os_page_free(void *p);

/* Threads. A mutex and a condition that waits on the monotonic clock. A static mutex begins as OS_MUTEX_INIT, and is never
 * freed. */
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

/* First thing in main. On Windows: the arguments as UTF-8 whatever the code page is, standard streams that carry bytes
 * unchanged. What *argv points at lives as long as the process. On POSIX: no file gets the number of a standard stream that
 * is closed. 0, or -1 and err (EXIT_MEMORY, EXIT_FILE_IO). */
int os_start(int *argc, char ***argv, struct err *err);
bool os_stderr_is_terminal(void); /* and understands the escape sequence that clears a line */
bool os_stderr_is_journal(void); /* systemd's, which reads a priority at the head of each line */
bool os_fd_is_writable(int fd); /* it is open, and can be written to as far as the system tells */
/* All the bytes to a descriptor of this process, however long its reader takes, also where it does not block by itself.
 * 0 or -errno. */
int os_write_fd(int fd, const void *p, size_t n);
uint32_t os_umask(void); /* what a new object's mode loses; call before any thread starts */
bool os_is_privileged(void); /* may give files to others */

/* SIGINT, SIGTERM and SIGHUP; on Windows Ctrl-C, Ctrl-Break and what closes a console: `fn` is called on a thread of its own at the first one; the second ends the
 * process at once with EXIT_SIGNAL, and so it ends, except on Windows, when 15 s after the first it still runs. SIGPIPE and
 * SIGXFSZ are ignored. Call once, before any other thread starts. */
int os_on_interrupt(void (*fn)(void *arg), void *arg, struct err *err);

#endif
