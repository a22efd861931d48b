#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

int os_start(int *argc, char ***argv, struct err *err) {
    (void)argc;
    (void)argv;
    (void)err;
    return 0;
}

bool os_stderr_is_terminal(void) {
    return isatty(STDERR_FILENO);
}

void *os_page_alloc(size_t n) {
    return aligned_alloc(PAGE_BYTES, (n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
}

void os_page_free(void *p) {
    free(p);
}

int os_write_fd(int fd, const void *p, size_t n) {
    const char *at = p;
    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

uint32_t os_umask(void) {
    mode_t mask = umask(0);
    (void)umask(mask);
    return mask;
}

bool os_is_privileged(void) {
    return geteuid() == 0;
}
