/* share.c: claims on directories, files that one session at a time writes, copies and holes inside a file system.
 *
 * Claims and locks are those of open file descriptions (fcntl(2), F_OFD_SETLK): they end with the process, do not reach
 * its children past exec, and one is not lost when another descriptor on the same file is closed. A claim is a read lock
 * on one byte of the directory itself, at an offset that stands for the id, so that it leaves nothing behind.
 */
#include "os/posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Not in every linux/magic.h. */
#define BCACHEFS_MAGIC 0xca451a4eL
#define EXFAT_MAGIC 0x2011bab0L
#define JFS_MAGIC 0x3153464aL
#define ZFS_MAGIC 0x2fc12fc1L

/* True when `fd` is on a file system of one of these types. */
static bool is_on(int fd, const long *types, size_t n) {
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned long)fs.f_type == (unsigned long)types[i])
            return true;
    return false;
}

/* True for file systems that only this kernel writes to: locks on others may be known to one machine alone. */
static bool is_local(int fd) {
    static const long types[] = {EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,   BTRFS_SUPER_MAGIC,
                                 TMPFS_MAGIC,           RAMFS_MAGIC,       F2FS_SUPER_MAGIC,
                                 OVERLAYFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC, BCACHEFS_MAGIC,
                                 EXFAT_MAGIC,           JFS_MAGIC,         ZFS_MAGIC};
    return is_on(fd, types, sizeof types / sizeof types[0]);
}

bool os_volume_syncs(struct os_dir dir) {
    static const long types[] = {NFS_SUPER_MAGIC};
    return is_local(dir.fd) || is_on(dir.fd, types, sizeof types / sizeof types[0]);
}

bool os_keeps_change_time(struct os_dir dir) {
    static const long types[] = {MSDOS_SUPER_MAGIC, EXFAT_MAGIC};
    return is_local(dir.fd) && !is_on(dir.fd, types, sizeof types / sizeof types[0]);
}

static struct flock byte_of(uint64_t id, short type) {
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(id & INT64_MAX >> 1), .l_len = 1};
}

/* A description of its own, for locks; -ENOTSUP where locks prove nothing. */
static int open_for_locks(struct os_dir dir) {
    int fd = openat(dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (is_local(fd))
        return fd;
    (void)close(fd);
    return -ENOTSUP;
}

int os_claim(struct os_dir dir, uint64_t id, struct os_file *ret) {
    struct flock lock = byte_of(id, F_RDLCK);
    int fd = open_for_locks(dir);
    if (fd < 0)
        return fd;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        (void)close(fd);
        return -ENOTSUP;
    }
    ret->fd = fd;
    return 0;
}

void os_unclaim(struct os_dir dir, struct os_file *claim) {
    (void)dir;
    os_close(claim);
}

int os_is_claimed(struct os_dir dir, uint64_t id) {
    struct flock lock = byte_of(id, F_WRLCK); /* would it conflict with a read lock? */
    int fd = open_for_locks(dir);
    if (fd < 0)
        return fd;
    int result = fcntl(fd, F_OFD_GETLK, &lock) != 0 ? -ENOTSUP : lock.l_type != F_UNLCK;
    (void)close(fd);
    return result;
}

/* True for a file that others may open, or might until now. vfat and exFAT keep no modes. */
static bool is_for_others(int fd, const struct stat *st) {
    static const long types[] = {MSDOS_SUPER_MAGIC, EXFAT_MAGIC};
    return st->st_uid != geteuid() ||
           ((st->st_mode & 07777) != 0600 && !is_on(fd, types, sizeof types / sizeof types[0]));
}

/* 0 when it is a file under this one name, and, if it is to be ours, this user's alone: another, who has it open or may open it,
 * would have what is written into it, even by root. */
static int check_file(int fd, bool ours, bool made) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (ours && !is_local(fd))
        return -ENOTSUP;
    return S_ISREG(st.st_mode) && st.st_nlink == 1 && (!ours || made || !is_for_others(fd, &st)) ? 0 : -EPERM;
}

/* Whoever held the lock until now may have renamed or removed the file. */
static int check_name(int fd, struct os_dir at, const char *name) {
    struct stat st, named;
    if (fstat(fd, &st) != 0 || fstatat(at.fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? -EBUSY : -errno;
    return st.st_dev == named.st_dev && st.st_ino == named.st_ino ? 0 : -EBUSY;
}

/* What was to be ours may not be written to. -EPERM when nobody is at it, or it is our own and may not be read either; that is
 * nobody's who has more to do than to give it its name. */
static int why_not_written(struct os_dir at, const char *name) {
    struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET}; /* conflicts with that of who writes */
    struct stat st;
    int fd = os_open_beneath(at.fd, name, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd == -EACCES && fstatat(at.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid()
                   ? -EPERM
                   : fd;
    int result = fcntl(fd, F_OFD_SETLK, &all) == 0    ? check_name(fd, at, name)
                 : errno == EAGAIN || errno == EACCES ? -EBUSY
                                                      : -ENOTSUP;
    if (result == 0)
        result = is_local(fd) ? -EPERM : -ENOTSUP;
    (void)close(fd);
    return result;
}

int os_open_locked(struct os_dir at, const char *name, bool ours, struct os_file *ret) {
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool made = ours;
    int fd =
        os_open_beneath(at.fd, name, O_RDWR | O_NONBLOCK | (ours ? O_CREAT | O_EXCL : 0), ours ? 0600 : 0);
    if (ours && fd == -EEXIST) {
        made = false;
        fd = os_open_beneath(at.fd, name, O_RDWR | O_NONBLOCK, 0);
    }
    if (fd < 0)
        return fd == -EACCES && ours && !made ? why_not_written(at, name) : fd;
    int result = 0;
    if (fcntl(fd, F_OFD_SETLK, &all) != 0)
        result = errno == EAGAIN || errno == EACCES ? -EBUSY : ours ? -ENOTSUP : 0;
    if (result == 0)
        result = check_name(fd, at, name);
    if (result == 0)
        result = check_file(fd, ours, made);
    if (result != 0) {
        if (made && result != -EBUSY) /* another session has it else */
            (void)unlinkat(at.fd, name, 0);
        (void)close(fd);
        return result;
    }
    ret->fd = fd;
    return 0;
}

int os_copy_range(struct os_file from, struct os_file to, uint64_t offset, uint64_t n) {
    off_t in = (off_t)offset, out = (off_t)offset;
    while (n > 0) {
        size_t want = n < PTRDIFF_MAX ? (size_t)n : PTRDIFF_MAX;
        ssize_t done = copy_file_range(from.fd, &in, to.fd, &out, want, 0);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG ? -errno : -ENOTSUP;
        if (done == 0)
            return -ENODATA;
        n -= (uint64_t)done;
    }
    return 0;
}

bool os_copy_may_share(struct os_file file) {
    static const long types[] = {EXT4_SUPER_MAGIC,  TMPFS_MAGIC, RAMFS_MAGIC, F2FS_SUPER_MAGIC,
                                 MSDOS_SUPER_MAGIC, EXFAT_MAGIC, JFS_MAGIC};
    return !is_on(file.fd, types, sizeof types / sizeof types[0]);
}

int os_zero_range(struct os_file file, uint64_t offset, uint64_t n) {
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(file.fd, mode, (off_t)offset, (off_t)n) == 0 ? 0 : -ENOTSUP;
}
