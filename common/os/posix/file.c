#include "os/posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int os_open_read(struct os_dir at, const char *name, struct os_file *ret) {
    int fd = os_open_beneath(at.fd, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    ret->fd = fd;
    return 0;
}

int os_create(struct os_dir at, const char *name, uint32_t mode, struct os_file *ret) {
    int fd = os_open_beneath(at.fd, name, O_RDWR | O_CREAT | O_EXCL, mode);
    if (fd < 0)
        return fd;
    ret->fd = fd;
    return 0;
}

int os_close_checked(struct os_file *file) {
    int fd = file->fd;
    file->fd = -1;
    return fd < 0 || close(fd) == 0 || errno == EINTR ? 0
                                                      : -errno; /* interrupted, it is closed all the same */
}

void os_close(struct os_file *file) {
    (void)os_close_checked(file);
}

int os_fstat(struct os_file file, struct os_stat *ret) {
    struct stat st;
    if (fstat(file.fd, &st) != 0)
        return -errno;
    os_stat_from(&st, ret);
    return 0;
}

int os_fstat_now(struct os_file file, struct os_stat *ret) {
    struct statx now;
    if (statx(file.fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &now) != 0)
        return errno == ENOSYS || errno == EPERM ? os_fstat(file, ret)
                                                 : -errno; /* before Linux 4.11, or a filter */
    const struct stat st = {
        .st_mode = now.stx_mode,
        .st_uid = now.stx_uid,
        .st_gid = now.stx_gid,
        .st_size = (off_t)now.stx_size,
        .st_blocks = (blkcnt_t)now.stx_blocks,
        .st_nlink = now.stx_nlink,
        .st_mtim = {.tv_sec = now.stx_mtime.tv_sec, .tv_nsec = (long)now.stx_mtime.tv_nsec},
        .st_ctim = {.tv_sec = now.stx_ctime.tv_sec, .tv_nsec = (long)now.stx_ctime.tv_nsec},
        .st_dev = makedev(now.stx_dev_major, now.stx_dev_minor),
        .st_ino = now.stx_ino,
    };
    os_stat_from(&st, ret);
    return 0;
}

ptrdiff_t os_pread(struct os_file file, void *to, size_t n, uint64_t offset) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(file.fd, (char *)to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ptrdiff_t)done;
}

int os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset) {
    size_t done = 0;
    while (done < n) {
        ssize_t put = pwrite(file.fd, (const char *)from + done, n - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        done += (size_t)put;
    }
    return 0;
}

void os_expect_holes(struct os_file file) {
    (void)file; /* what was never written is a hole */
}

int os_truncate(struct os_file file, uint64_t size) {
    int result;
    do
        result = ftruncate(file.fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int os_set_mode(struct os_file file, uint32_t mode) {
    return fchmod(file.fd, mode) == 0 ? 0 : -errno;
}

int os_set_owner(struct os_file file, uint32_t uid, uint32_t gid) {
    return fchown(file.fd, uid, gid) == 0 ? 0 : -errno;
}

int os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = sec, .tv_nsec = (long)nsec}};
    return futimens(file.fd, times) == 0 ? 0 : -errno;
}

int os_set_mtime_now(struct os_file file) {
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW},
                                    {.tv_nsec = UTIME_NOW}}; /* both: else it is the owner's */
    return futimens(file.fd, now) == 0 ? 0 : -errno;
}

int os_set_win_attr(struct os_file file, const struct win_attr *win) {
    (void)file, (void)win;
    return -ENOTSUP;
}

int os_sync(struct os_file file) {
    return fsync(file.fd) == 0 ? 0 : -errno;
}

/* True for what loses nothing: it cannot be had here (a filter of system calls says EPERM or ENOSYS), or not now. */
static bool is_no_loss(int sys) {
    return sys == ENOSYS || sys == EPERM || sys == EINVAL || sys == ESPIPE || sys == EOPNOTSUPP ||
           sys == EINTR || sys == EAGAIN || sys == ENOMEM;
}

/* Linux tells an error of writing to storage once to each open file. The flags of this call that wait would take that away
 * from fsync (file_check_and_advance_wb_err); SYNC_FILE_RANGE_WRITE alone does not look at it. What it does return is an
 * error of finding a place for the data just now, for which a file system may have dropped it without a note for fsync
 * (ext4, delayed allocation): so it is not a hint only. */
int os_write_out_soon(struct os_file file, uint64_t offset, uint64_t n) {
    int result = sync_file_range(file.fd, (off_t)offset, (off_t)n, SYNC_FILE_RANGE_WRITE);
    return result == 0 || is_no_loss(errno) ? 0 : -errno;
}

/* Where tmpfs looks for data it adds up in 63 bits, and takes the last page there can be, of 2 MiB at most, for a hole
 * whatever it holds. */
static const uint64_t last_page = (1ULL << 63) - (2U << 20);

int os_next_data(struct os_file file, uint64_t offset, uint64_t size, uint64_t *ret_start,
                 uint64_t *ret_end) {
    off_t start = lseek(file.fd, (off_t)offset, SEEK_DATA);
    if (start < 0 && errno == ENXIO) {
        if (offset >= size || size <= last_page)
            return -ENXIO;
        start = (off_t)(offset > last_page ? offset : last_page);
    }
    off_t end = start < 0 ? -1 : lseek(file.fd, start, SEEK_HOLE);
    bool known = start >= (off_t)offset; /* a FUSE server may say anything */
    *ret_start = known ? (uint64_t)start : offset;
    *ret_end = known && end > start ? (uint64_t)end
                                    : size; /* tmpfs knows no hole behind the last page there can be */
    return 0;
}

/* Where reading takes no lock that writing takes (ext4, btrfs, tmpfs), this takes it; XFS is the other way round. */
void os_await_write(struct os_file file) {
    (void)lseek(file.fd, 0, SEEK_DATA);
}
