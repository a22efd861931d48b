/* sim_system.c: the rest of os/os.h, os/os_confine.h, and core/log.h: nothing is printed, but it can be looked at. */
#include "sim.h"

#include "core/log.h"
#include "os/os.h"
#include "os/os_confine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_BYTES = 16 * 1024, PAGE = 4096 };

static char said[SAID_BYTES];
static size_t said_n;

const char *sim_said(void) {
    return said;
}

void sim_fault(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: not so: %s\nwhat was said:\n%s", file, line, what, said);
    abort();
}

/* ---- core/log.h ------------------------------------------------------------------------------------------- */

void log_setup(const char *program, enum log_level most) {
    (void)program;
    (void)most;
    said_n = 0;
    said[0] = '\0';
}

enum log_level log_limit(void) {
    return LOG_DEBUG;
}

void log_set_hook(log_hook *before) {
    (void)before;
}

void log_set_target(const char *target) {
    (void)target; /* one other end at most */
}
const char *log_target(void) {
    return NULL;
}
void log_line(enum log_level level, const char *fmt, ...) {
    char text[ERR_MESSAGE_MAX + 256];
    va_list args;
    (void)level;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t n = strlen(text);
    if (said_n + n + 2 > sizeof said)
        said_n = 0; /* the latest count */
    memcpy(said + said_n, text, n);
    said[said_n + n] = '\n';
    said_n += n + 1;
    said[said_n] = '\0';
}

/* ---- os/os.h ------------------------------------------------------------------------------------------------ */

void *os_page_alloc(size_t n) {
    size_t whole = (n + PAGE - 1) / PAGE * PAGE;
    return aligned_alloc(PAGE, whole ? whole : PAGE);
}
void os_page_free(void *p) {
    free(p);
}

int os_start(int *argc, char ***argv, struct err *err) {
    (void)argc;
    (void)argv;
    (void)err;
    return 0;
}
bool os_stderr_is_terminal(void) {
    return false;
}
bool os_stderr_is_journal(void) {
    return false;
}
bool os_fd_is_writable(int fd) {
    (void)fd;
    return false;
}
int os_write_fd(int fd, const void *p, size_t n) {
    (void)fd;
    (void)p;
    (void)n;
    return 0;
}
uint32_t os_umask(void) {
    return 022;
}
bool os_is_privileged(void) {
    return false;
}
int os_on_interrupt(void (*fn)(void *arg), void *arg, struct err *err) {
    (void)fn;
    (void)arg;
    (void)err;
    return 0;
}

/* ---- os/os_confine.h: this system has nothing of it ----------------------------------------------------------- */

int os_confine(const struct os_confinement *keep, struct os_confined *ret, struct err *err) {
    (void)keep;
    (void)err;
    *ret = (struct os_confined){{0}, {0}, {0}};
    return 0;
}
