/* watch_help.h: what the process prints on stderr, and which threads it has. */
#ifndef WATCH_HELP_H
#define WATCH_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* Tests of many sessions take every so many-th case only: with a sanitizer each takes several times as long. */
static inline unsigned usual_stride(void) {
    return __sanitizer_set_report_fd ? 5 : 1;
}

/* From now on stderr goes into memory; a sanitizer's messages still go where they should. The descriptor of what is caught. */
static inline int catch_stderr(void) {
    int real = dup(STDERR_FILENO), caught = memfd_create("said", MFD_CLOEXEC);
    assert_true(caught >= 0 && real >= 0);
    assert_int_equal(fcntl(caught, F_SETFL, O_APPEND), 0);
    if (__sanitizer_set_report_fd)
        __sanitizer_set_report_fd((void *)(intptr_t)real);
    assert_int_equal(dup2(caught, STDERR_FILENO), STDERR_FILENO);
    return caught;
}

static inline void forget_caught(int caught) {
    assert_int_equal(ftruncate(caught, 0), 0);
}

/* Up to `max` bytes; how many. */
static inline size_t read_caught(int caught, char *to, size_t max) {
    (void)fflush(stderr);
    ssize_t n = pread(caught, to, max, 0);
    return n > 0 ? (size_t)n : 0;
}

static inline void pause_us(unsigned us) {
    (void)usleep(us);
}

static inline unsigned running_threads(void) {
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

#endif
