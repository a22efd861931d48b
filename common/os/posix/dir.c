#include "os/posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Set once openat2 proves to be missing (ENOSYS) or blocked by a filter (EPERM), or by a test. */
static atomic_bool use_fallback;

void os_dir_force_fallback(bool on) {
    atomic_store(&use_fallback, on);
}

static int fallback_open(int at, const char *name, int flags, unsigned mode) {
    int fd;
    do
        fd = openat(at, name, flags | O_NOFOLLOW, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* O_NOFOLLOW guards the last component only, and openat goes up and to the root: one name, nothing else. */
static bool is_one_name(const char *name) {
    return strchr(name, '/') == NULL && strcmp(name, "..") != 0;
}

int os_open_beneath(int at, const char *name, int flags, unsigned mode) {
    flags |= O_CLOEXEC | O_NOCTTY | O_LARGEFILE;
    if (!is_one_name(name))
        return -EXDEV; /* as openat2 says it */
    if (atomic_load_explicit(&use_fallback, memory_order_relaxed))
        return fallback_open(at, name, flags, mode);
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do
        fd = syscall(SYS_openat2, at, name, &how, sizeof how);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return (int)fd;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    int got = fallback_open(at, name, flags, mode);
    if (got >= 0) /* it was openat2 itself that was refused */
        atomic_store(&use_fallback, true);
    return got;
}

static int exit_code_of(int sys) {
    switch (sys) {
    case ENOSPC:
    case EDQUOT: return EXIT_NO_SPACE;
    case ENOMEM: return EXIT_MEMORY;
    default: return EXIT_FILE_IO;
    }
}

int os_file_error(struct err *err, int result, const char *fmt, ...) {
    char context[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    return err_sys(err, exit_code_of(-result), -result, "%s", context);
}

static enum os_kind kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return OS_FILE;
    case S_IFDIR: return OS_DIR;
    case S_IFLNK: return OS_SYMLINK;
    case S_IFIFO: return OS_FIFO;
    case S_IFSOCK: return OS_SOCKET;
    case S_IFCHR: return OS_CHAR_DEVICE;
    case S_IFBLK: return OS_BLOCK_DEVICE;
    default: return OS_NONE;
    }
}

void os_stat_from(const struct stat *st, struct os_stat *ret) {
    *ret = (struct os_stat){
        .kind = kind_of(st->st_mode),
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = (uint64_t)st->st_size,
        .allocated = (uint64_t)st->st_blocks * 512,
        .links = (uint32_t)st->st_nlink,
        .mtime_sec = st->st_mtim.tv_sec,
        .ctime_sec = st->st_ctim.tv_sec,
        .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
        .ctime_nsec = (uint32_t)st->st_ctim.tv_nsec,
        .device = st->st_dev,
        .inode = st->st_ino,
    };
}

static int dir_open_path(const char *path, int flags, struct os_dir *ret) {
    int fd;
    do
        fd = open(path, flags | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    ret->fd = fd;
    return 0;
}

int os_dir_open_path(const char *path, struct os_dir *ret) {
    return dir_open_path(path, O_RDONLY, ret);
}

int os_dir_pass_path(const char *path, struct os_dir *ret) {
    return dir_open_path(path, O_PATH, ret);
}

int os_stat_path(const char *path, bool follow, struct os_stat *ret) {
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    os_stat_from(&st, ret);
    return 0;
}

int os_open_path(const char *path, struct os_file *ret) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    ret->fd = fd;
    return 0;
}

/* Who may not read it has made nothing in it, as far as is usual, and nobody has where nothing can be made. */
static int flush_one(const char *path) {
    struct os_dir dir;
    int result = os_dir_open_path(path, &dir);
    if (result == 0) {
        result = os_dir_sync(dir);
        os_dir_close(&dir);
    }
    return result == -EACCES || result == -EINVAL || result == -EROFS ? 0 : result;
}

int os_flush_path(const char *path) {
    char part[4096];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return n == 0 ? -ENOENT : -ENAMETOOLONG;
    memcpy(part, path, n + 1);
    int result = path[0] == '/' ? 0 : flush_one(".");
    for (size_t i = 1; result == 0 && i < n; i++) { /* "a/b" is in "." and "a/" */
        if (path[i] == '/' || path[i - 1] != '/')
            continue;
        part[i] = '\0';
        result = flush_one(part);
        part[i] = path[i];
    }
    return result;
}

int os_mkdir_path(const char *path) {
    char part[4096];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return n == 0 ? -ENOENT : -ENAMETOOLONG;
    memcpy(part, path, n + 1);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return -errno;
        *at = '/';
    }
    return mkdir(part, 0777) == 0 || errno == EEXIST ? 0 : -errno;
}

int os_last_name(const char *path, char *ret, size_t max) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    if (n >= max)
        return -ENAMETOOLONG;
    memcpy(ret, name, n + 1);
    return 0;
}

void os_path_normalize(char *path) {
    (void)path; /* a backslash is a character like others */
}

const char *os_name_fault(const char *name, size_t n) {
    (void)name;
    (void)n;
    return NULL;
}

int os_dir_open(struct os_dir at, const char *name, struct os_dir *ret) {
    int fd = os_open_beneath(at.fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    ret->fd = fd;
    return 0;
}

int posix_open_again(struct os_dir dir) {
    int fd;
    do
        fd = openat(dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* A description of its own: storage that lost data tells it to each once (syncfs, fsync), and of two that share one only to
 * the first that asks. Where the directory may not be read any more, there is none to be had. */
int os_dir_dup(struct os_dir dir, struct os_dir *ret) {
    int fd = posix_open_again(dir);
    if (fd == -EACCES && (fd = fcntl(dir.fd, F_DUPFD_CLOEXEC, 3)) < 0)
        fd = -errno;
    if (fd < 0)
        return fd;
    ret->fd = fd;
    return 0;
}

void os_dir_close(struct os_dir *dir) {
    if (dir->fd >= 0)
        (void)close(dir->fd);
    dir->fd = -1;
}

int os_dir_sync(struct os_dir dir) {
    return fsync(dir.fd) == 0 ? 0 : -errno;
}

int os_volume_sync(struct os_dir dir) {
    return syncfs(dir.fd) == 0 ? 0 : -errno;
}

/* The bits for the group stand for those of an access control list, too. */
bool os_dir_is_private(const struct os_stat *st) {
    return (st->uid == geteuid() || st->uid == 0) && (st->mode & 022) == 0;
}

int os_dir_stat(struct os_dir dir, struct os_stat *ret) {
    return os_fstat((struct os_file){.fd = dir.fd}, ret);
}

int os_volume_free(struct os_dir dir, uint64_t *ret_bytes) {
    struct statvfs vfs;
    if (fstatvfs(dir.fd, &vfs) != 0)
        return -errno;
    if (vfs.f_blocks == 0) /* ramfs: it does not count */
        return -ENOTSUP;
    *ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    return 0;
}

int os_stat_at(struct os_dir at, const char *name, struct os_stat *ret) {
    struct stat st;
    if (fstatat(at.fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    os_stat_from(&st, ret);
    return 0;
}

int os_mkdir_at(struct os_dir at, const char *name, uint32_t mode) {
    return mkdirat(at.fd, name, mode) == 0 ? 0 : -errno;
}

int os_unlink_at(struct os_dir at, const char *name) {
    return unlinkat(at.fd, name, 0) == 0 ? 0 : -errno;
}

int os_rmdir_at(struct os_dir at, const char *name) {
    return unlinkat(at.fd, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

int os_symlink_at(const char *target, struct os_dir at, const char *name) {
    return symlinkat(target, at.fd, name) == 0 ? 0 : -errno;
}

ptrdiff_t os_readlink_at(struct os_dir at, const char *name, char *to, size_t n) {
    ssize_t got = readlinkat(at.fd, name, to, n);
    return got < 0 ? -errno : got;
}

int os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name, bool replace) {
    struct stat st;
    if (replace)
        return renameat(from.fd, name, to.fd, to_name) == 0 ? 0 : -errno;
    if (renameat2(from.fd, name, to.fd, to_name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    /* The file system has no such thing. A directory replaces nothing but an empty one anyway. */
    if (fstatat(to.fd, to_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return renameat(from.fd, name, to.fd, to_name) == 0 ? 0 : -errno;
}

int os_rename_at(struct os_dir at, const char *from, const char *to) {
    return os_move(at, from, at, to, true);
}

/* What is changed must be the link, not a file that somebody has just put at its name. fd or -errno. */
static int open_link(struct os_dir at, const char *name) {
    struct stat st;
    int fd;
    if (!is_one_name(name))
        return -EXDEV;
    do
        fd = openat(at.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &st) != 0 ? -errno : S_ISLNK(st.st_mode) ? fd : -ELOOP;
    if (result < 0)
        (void)close(fd);
    return result;
}

int os_set_owner_at(struct os_dir at, const char *name, uint32_t uid, uint32_t gid) {
    int fd = open_link(at, name);
    if (fd < 0)
        return fd;
    int result = fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0 ? 0 : -errno;
    (void)close(fd);
    return result;
}

int os_set_mtime_at(struct os_dir at, const char *name, int64_t sec, uint32_t nsec) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = sec, .tv_nsec = (long)nsec}};
    int fd = open_link(at, name);
    if (fd < 0)
        return fd;
    int result = utimensat(fd, "", times, AT_EMPTY_PATH) == 0 ? 0 : -errno;
    if (result == -EINVAL) /* Linux before 5.8 */
        result = utimensat(at.fd, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    (void)close(fd);
    return result;
}
