/* failpoint.c: loaded before a program (LD_PRELOAD), lets one of its calls of the C library fail, or all from that one on.
 *
 *   FAILPOINT_STATE   a file that becomes struct state; without it nothing is counted
 *   FAILPOINT_KIND    which calls are counted: io (default), intr (those that a signal can interrupt), short (those
 *                     that transfer bytes), alloc (those that take memory or start a thread)
 *   FAILPOINT_AT      the Nth of them from the start of main() on fails; 0 or missing: none
 *   FAILPOINT_ON      set: so do all that follow
 *   FAILPOINT_ERRNO   with what: a number; 0: it is done by half
 *   FAILPOINT_CALL    counts only this function
 *
 * Allocations inside other libraries count too. A close() that fails has closed, and a connect() that is interrupted
 * goes on, as Linux does it.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IO = 1, INTR = 2, SHORT = 4, ALLOC = 8, KINDS = 4 };
enum { FLUSHES_MAX = 16, NAME_MAX_ = 24 };

/* What the caller of the program reads. */
struct state {
    _Atomic uint64_t calls[KINDS]; /* of each kind, in the order above */
    _Atomic uint64_t failed; /* how many were made to fail */
    _Atomic uint64_t flushed_again; /* flushes of what had failed to flush */
    char name[NAME_MAX_]; /* of the first that failed */
};

static struct state none;
static struct state *state = &none;
static atomic_bool armed;
static unsigned kind = IO;
static uint64_t at;
static bool on;
static int failure = EIO;
static const char *only;

#define REAL(name) ((__typeof__(&name))(uintptr_t)real_of(#name))

static void *real_of(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

/* ---- to fail or not ------------------------------------------------------------------------------------------ */

static _Thread_local bool exempt;

static bool strike(const char *name, unsigned kinds) {
    if (exempt || !atomic_load(&armed) || (only && strcmp(only, name) != 0))
        return false;
    bool now = false;
    for (unsigned i = 0; i < KINDS; i++) {
        if (!(kinds & 1u << i))
            continue;
        uint64_t n = atomic_fetch_add(&state->calls[i], 1) + 1;
        now = now || (kind == 1u << i && at > 0 && (n == at || (on && n > at)));
    }
    if (!now)
        return false;
    if (atomic_fetch_add(&state->failed, 1) == 0)
        (void)snprintf(state->name, sizeof state->name, "%s", name);
    errno = failure;
    return true;
}

/* For calls that transfer: true when the call fails outright. Else *n may have become smaller, but for the counter of
 * an eventfd, which goes whole or not at all. */
static bool strike_some(const char *name, size_t *n) {
    if (!strike(name, IO | INTR | (*n > sizeof(uint64_t) ? SHORT : 0u)))
        return false;
    if (failure != 0)
        return true;
    *n = (*n + 1) / 2;
    return false;
}

#define FAILS(type, name, kinds, params, args)                                                               \
    type name params {                                                                                       \
        static __typeof__(&name) real;                                                                       \
        if (real == NULL)                                                                                    \
            real = REAL(name);                                                                               \
        return strike(#name, kinds) ? (type)-1 : real args;                                                  \
    }

#define TRANSFERS(name, params, args)                                                                        \
    ssize_t name params {                                                                                    \
        static __typeof__(&name) real;                                                                       \
        if (real == NULL)                                                                                    \
            real = REAL(name);                                                                               \
        return strike_some(#name, &n) ? -1 : real args;                                                      \
    }

/* ---- files ----------------------------------------------------------------------------------------------------- */

FAILS(int, access, IO, (const char *path, int mode), (path, mode))
FAILS(int, fallocate, IO | INTR, (int fd, int mode, off_t from, off_t n), (fd, mode, from, n))
FAILS(int, fchmod, IO, (int fd, mode_t mode), (fd, mode))
FAILS(int, fchmodat, IO, (int fd, const char *name, mode_t mode, int flags), (fd, name, mode, flags))
FAILS(int, fchown, IO, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
FAILS(int, fchownat, IO, (int fd, const char *name, uid_t uid, gid_t gid, int flags),
      (fd, name, uid, gid, flags))
FAILS(int, fstat, IO, (int fd, struct stat *st), (fd, st))
FAILS(int, fstatat, IO, (int fd, const char *name, struct stat *st, int flags), (fd, name, st, flags))
FAILS(int, fstatvfs, IO, (int fd, struct statvfs *vfs), (fd, vfs))
FAILS(int, ftruncate, IO | INTR, (int fd, off_t n), (fd, n))
FAILS(int, futimens, IO, (int fd, const struct timespec times[2]), (fd, times))
FAILS(int, linkat, IO, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
FAILS(off_t, lseek, IO, (int fd, off_t to, int whence), (fd, to, whence))
FAILS(int, lstat, IO, (const char *path, struct stat *st), (path, st))
FAILS(int, mkdir, IO, (const char *path, mode_t mode), (path, mode))
FAILS(int, mkdirat, IO, (int fd, const char *name, mode_t mode), (fd, name, mode))
FAILS(ssize_t, readlinkat, IO, (int fd, const char *name, char *to, size_t n), (fd, name, to, n))
FAILS(int, renameat, IO, (int a, const char *from, int b, const char *to), (a, from, b, to))
FAILS(int, renameat2, IO, (int a, const char *from, int b, const char *to, unsigned flags),
      (a, from, b, to, flags))
FAILS(int, stat, IO, (const char *path, struct stat *st), (path, st))
FAILS(int, symlinkat, IO, (const char *target, int fd, const char *name), (target, fd, name))
FAILS(int, sync_file_range, IO, (int fd, off64_t from, off64_t n, unsigned flags), (fd, from, n, flags))
FAILS(int, unlink, IO, (const char *path), (path))
FAILS(int, unlinkat, IO, (int fd, const char *name, int flags), (fd, name, flags))
FAILS(int, utimensat, IO, (int fd, const char *name, const struct timespec times[2], int flags),
      (fd, name, times, flags))
TRANSFERS(pread, (int fd, void *to, size_t n, off_t from), (fd, to, n, from))
TRANSFERS(pwrite, (int fd, const void *from, size_t n, off_t to), (fd, from, n, to))
TRANSFERS(read, (int fd, void *to, size_t n), (fd, to, n))
TRANSFERS(write, (int fd, const void *from, size_t n), (fd, from, n))
TRANSFERS(copy_file_range, (int a, off_t *from, int b, off_t *to, size_t n, unsigned flags),
          (a, from, b, to, n, flags))

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(more, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return strike("open", IO | INTR) ? -1 : REAL(open)(path, flags, mode);
}

int openat(int fd, const char *name, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return strike("openat", IO | INTR) ? -1 : REAL(openat)(fd, name, flags, mode);
}

/* The kernel closes the descriptor whatever it answers. */
int close(int fd) {
    static __typeof__(&close) real;
    if (real == NULL)
        real = REAL(close);
    bool fail = strike("close", IO | INTR);
    int result = real(fd);
    if (!fail || failure == 0)
        return result;
    errno = failure;
    return -1;
}

DIR *fdopendir(int fd) {
    return strike("fdopendir", IO) ? NULL : REAL(fdopendir)(fd);
}

struct dirent *readdir(DIR *dir) {
    return strike("readdir", IO) ? NULL : REAL(readdir)(dir);
}

/* openat2 and what else has no function of its own. */
long syscall(long number, ...) {
    long a[6];
    va_list more;
    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    if (strike(number == SYS_openat2 ? "openat2" : "syscall", number == SYS_openat2 ? IO | INTR : IO))
        return -1;
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- flushes: none may be tried again after it failed ------------------------------------------------------- */

static struct flush {
    dev_t device;
    ino_t inode; /* 0: all of the device */
} failed_flushes[FLUSHES_MAX];
static unsigned failed_flush_count;
static pthread_mutex_t flush_lock = PTHREAD_MUTEX_INITIALIZER;

static bool strike_flush(const char *name, int fd, bool all) {
    struct stat st = {0};
    bool fail = strike(name, IO);
    int sys = errno;
    (void)REAL(fstat)(fd, &st);
    (void)pthread_mutex_lock(&flush_lock);
    for (unsigned i = 0; i < failed_flush_count; i++)
        if (failed_flushes[i].device == st.st_dev && failed_flushes[i].inode == (all ? 0 : st.st_ino))
            atomic_fetch_add(&state->flushed_again, 1);
    if (fail && failed_flush_count < FLUSHES_MAX)
        failed_flushes[failed_flush_count++] = (struct flush){st.st_dev, all ? 0 : st.st_ino};
    (void)pthread_mutex_unlock(&flush_lock);
    errno = sys;
    return fail;
}

int fsync(int fd) {
    return strike_flush("fsync", fd, false) ? -1 : REAL(fsync)(fd);
}
int fdatasync(int fd) {
    return strike_flush("fdatasync", fd, false) ? -1 : REAL(fdatasync)(fd);
}
int syncfs(int fd) {
    return strike_flush("syncfs", fd, true) ? -1 : REAL(syncfs)(fd);
}

/* ---- streams --------------------------------------------------------------------------------------------------- */

FAILS(int, accept4, IO | INTR, (int fd, struct sockaddr *from, socklen_t *n, int flags), (fd, from, n, flags))
FAILS(int, bind, IO, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
FAILS(int, eventfd, IO, (unsigned count, int flags), (count, flags))
FAILS(int, getsockopt, IO, (int fd, int level, int name, void *to, socklen_t *n), (fd, level, name, to, n))
FAILS(int, listen, IO, (int fd, int n), (fd, n))
FAILS(int, poll, IO | INTR, (struct pollfd * set, nfds_t n, int timeout), (set, n, timeout))
FAILS(int, setsockopt, IO, (int fd, int level, int name, const void *from, socklen_t n),
      (fd, level, name, from, n))
FAILS(int, socket, IO, (int family, int type, int protocol), (family, type, protocol))
FAILS(int, socketpair, IO, (int family, int type, int protocol, int to[2]), (family, type, protocol, to))
FAILS(pid_t, waitpid, IO | INTR, (pid_t pid, int *status, int options), (pid, status, options))
TRANSFERS(recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
TRANSFERS(send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))

int connect(int fd, const struct sockaddr *to, socklen_t n) {
    bool fail = strike("connect", IO | INTR);
    if (fail && failure != EINTR)
        return -1;
    int result = REAL(connect)(fd, to, n);
    if (fail && result == 0) {
        errno = EINTR;
        return -1;
    }
    return result;
}

int fcntl(int fd, int what, ...) {
    va_list more;
    va_start(more, what);
    void *arg = va_arg(more, void *);
    va_end(more);
    return strike("fcntl", IO) ? -1 : REAL(fcntl)(fd, what, arg);
}

int ioctl(int fd, unsigned long what, ...) {
    va_list more;
    va_start(more, what);
    void *arg = va_arg(more, void *);
    va_end(more);
    return strike("ioctl", IO) ? -1 : REAL(ioctl)(fd, what, arg);
}

/* A vector that is to be done by half becomes half of its first part. */
static bool strike_vector(const char *name, const struct iovec *iov, struct iovec *ret_first,
                          bool *ret_half) {
    size_t i = 0, n = iov[0].iov_len;
    *ret_half = false;
    *ret_first = iov[i];
    if (strike_some(name, &n))
        return true;
    *ret_half = n != iov[0].iov_len;
    ret_first->iov_len = n;
    return false;
}

ssize_t writev(int fd, const struct iovec *iov, int count) {
    struct iovec first;
    bool half;
    if (strike_vector("writev", iov, &first, &half))
        return -1;
    return half ? REAL(writev)(fd, &first, 1) : REAL(writev)(fd, iov, count);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    struct iovec first;
    bool half;
    if (strike_vector("sendmsg", msg->msg_iov, &first, &half))
        return -1;
    struct msghdr part = *msg;
    part.msg_iov = &first;
    part.msg_iovlen = 1;
    return REAL(sendmsg)(fd, half ? &part : msg, flags);
}

/* ---- memory and threads -------------------------------------------------------------------------------------- */

/* For what libraries want while they are set up: a sanitizer's own malloc is not ready by then. Never freed. */
static _Alignas(16) char early[256 * 1024];
static atomic_size_t early_used;
static atomic_bool ready;

static bool is_early(const void *p) {
    return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static void *early_alloc(size_t n) {
    size_t from = atomic_fetch_add(&early_used, (n + 15) & ~(size_t)15);
    return from + n <= sizeof early ? early + from : NULL;
}

void *malloc(size_t n) {
    static __typeof__(&malloc) real;
    if (!atomic_load(&ready))
        return early_alloc(n);
    if (real == NULL)
        real = REAL(malloc);
    return strike("malloc", ALLOC) ? NULL : real(n);
}

void *calloc(size_t count, size_t n) {
    static __typeof__(&calloc) real;
    if (!atomic_load(&ready))
        return early_alloc(count * n);
    if (real == NULL)
        real = REAL(calloc);
    return strike("calloc", ALLOC) ? NULL : real(count, n);
}

void *realloc(void *p, size_t n) {
    if (!is_early(p) && atomic_load(&ready))
        return strike("realloc", ALLOC) ? NULL : REAL(realloc)(p, n);
    void *moved = malloc(n);
    size_t most = p ? (size_t)(early + sizeof early - (char *)p) : 0; /* how much it was is not kept */
    return moved && p ? memcpy(moved, p, n < most ? n : most) : moved;
}

void *aligned_alloc(size_t alignment, size_t n) {
    return strike("aligned_alloc", ALLOC) ? NULL : REAL(aligned_alloc)(alignment, n);
}

void free(void *p) {
    static __typeof__(&free) real;
    if (p == NULL || is_early(p))
        return;
    if (real == NULL)
        real = REAL(free);
    real(p);
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) {
    return strike("pthread_create", ALLOC) ? EAGAIN : REAL(pthread_create)(ret, attr, fn, arg);
}

/* A sanitizer wants to know its stacks, and cannot do without. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *ret) {
    exempt = true;
    int result = REAL(pthread_getattr_np)(thread, ret);
    exempt = false;
    return result;
}

/* ---- start ----------------------------------------------------------------------------------------------------- */

static int (*program_main)(int, char **, char **);

static void read_environment(void) {
    static const char *const names[KINDS] = {"io", "intr", "short", "alloc"};
    const char *path = getenv("FAILPOINT_STATE"), *word = getenv("FAILPOINT_KIND");
    for (unsigned i = 0; word && i < KINDS; i++)
        if (strcmp(word, names[i]) == 0)
            kind = 1u << i;
    at = (word = getenv("FAILPOINT_AT")) ? strtoull(word, NULL, 10) : 0;
    failure = (word = getenv("FAILPOINT_ERRNO")) ? atoi(word) : EIO;
    on = getenv("FAILPOINT_ON") != NULL;
    only = getenv("FAILPOINT_CALL");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof *state) != 0)
        return;
    void *map = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED)
        return;
    state = map;
    atomic_store(&armed, true);
}

static int armed_main(int argc, char **argv, char **env) {
    read_environment();
    return program_main(argc, argv, env);
}

int __libc_start_main(int (*fn)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*ld_fini)(void), void *stack);

int __libc_start_main(int (*fn)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*ld_fini)(void), void *stack) {
    program_main = fn;
    atomic_store(&ready, true);
    return REAL(__libc_start_main)(armed_main, argc, argv, init, fini, ld_fini, stack);
}
