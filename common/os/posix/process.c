#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PAGE_BYTES = 4096,
    /* For each of 64 sessions of a sender up to 144: two a level of the tree, 64 levels deep. A listener has 16 and 32 streams. */
    DESCRIPTORS = 64 * 144,
};

/* What two peers can make a listener open, or many targets a sender, is more than the 1024 that most processes begin with. */
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What is opened next would get the number of a standard stream that is closed, and every message would go into it. */
static int fill_standard(struct err *err) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return err_sys(err, EXIT_FILE_IO, errno,
                           "a standard stream is closed, and /dev/null cannot be opened");
    return 0;
}

int os_start(int *argc, char ***argv, struct err *err) {
    (void)argc;
    (void)argv;
    raise_descriptors();
    return fill_standard(err);
}

bool os_stderr_is_terminal(void) {
    return isatty(STDERR_FILENO);
}

/* JOURNAL_STREAM has the device and inode of what systemd gave to a service (systemd.exec(5)); it may not be that any more. */
bool os_stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void *os_page_alloc(size_t n) {
    return aligned_alloc(PAGE_BYTES, (n + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
}

void os_page_free(void *p) {
    free(p);
}

bool os_fd_is_writable(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* After a write that failed, as errno says: true when it is to be tried again. */
static bool is_worth_another(int fd) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    return errno == EINTR || (errno == EAGAIN && (poll(&room, 1, -1) >= 0 || errno == EINTR));
}

int os_write_fd(int fd, const void *p, size_t n) {
    const char *at = p;
    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && is_worth_another(fd))
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
