#include "auth/key_file.h"

#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const char *path, const struct stat *st, struct err *err) {
    enum { OTHERS = S_IRWXG | S_IRWXO };
    if (!S_ISREG(st->st_mode))
        return err_set(err, EXIT_USAGE, "--key-file %s: it is not a regular file", ESCAPED(path));
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(err, EXIT_USAGE,
                       "--key-file %s: it belongs to uid %u, who could change it; chown it to uid %u",
                       ESCAPED(path), (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & OTHERS)
        return err_set(
            err, EXIT_USAGE,
            "--key-file %s: its mode %04o lets others at the key; chmod 600 it, and make a new key "
            "if somebody may have read it",
            ESCAPED(path), (unsigned)st->st_mode & 07777);
    return 0;
}

/* 0 and the number of bytes up to the end of the file or n, or -errno. */
static int read_all(int fd, char *to, size_t n, size_t *ret_n) {
    size_t have = 0;
    while (have < n) {
        ssize_t got = read(fd, to + have, n - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *ret_n = have;
    return 0;
}

int key_file_read(const char *path, void *to, size_t n, size_t *ret_n, struct err *err) {
    struct stat st;
    /* O_NONBLOCK: a FIFO is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int sys = errno;
        if (fd >= 0)
            (void)close(fd);
        return err_sys(err, EXIT_FILE_IO, sys, "--key-file %s", ESCAPED(path));
    }
    int result = check(path, &st, err);
    int sys = result == 0 ? read_all(fd, to, n, ret_n) : 0;
    if (sys != 0)
        result = err_sys(err, EXIT_FILE_IO, -sys, "--key-file %s", ESCAPED(path));
    (void)close(fd);
    return result;
}

int key_file_create(const char *path, const void *p, size_t n, struct err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return err_sys(err, EXIT_FILE_IO, errno, "--generate-key %s", ESCAPED(path));
    ssize_t put = write(fd, p, n);
    int sys = put < 0 ? errno : (size_t)put < n ? ENOSPC : 0;
    if (sys == 0 && fsync(fd) != 0)
        sys = errno;
    if (close(fd) != 0 && sys == 0)
        sys = errno;
    if (sys == 0)
        return 0;
    (void)unlink(path);
    return err_sys(err, EXIT_FILE_IO, sys, "--generate-key %s", ESCAPED(path));
}
