/* files_help.h: a directory of its own for each test, and what tests do in it by POSIX calls, beside the code under test. A
 * path may have several components. */
#ifndef FILES_HELP_H
#define FILES_HELP_H

#include "core/path.h"
#include "os/os_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Of a name, where 64 of them are to be one path. */
enum { LEVEL_BYTES = NAME_BYTES_MAX };

struct scratch {
    char path[256];
    struct os_dir dir;
};

static inline void remove_below(int at, const char *name) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        (void)unlinkat(at, name, 0);
        return;
    }
    (void)fchmod(fd, 0700);
    DIR *dir = fdopendir(fd);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_below(fd, e->d_name);
    (void)closedir(dir);
    (void)unlinkat(at, name, AT_REMOVEDIR);
}

/* `name` and all that is below it, however deep and whatever its modes. */
static inline void remove_tree(struct os_dir at, const char *name) {
    remove_below(at.fd, name);
}

static inline struct scratch scratch_new(void) {
    struct scratch s;
    const char *base = getenv("TMPDIR");
    (void)snprintf(s.path, sizeof s.path, "%s/hvferry-test.XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(s.path));
    assert_int_equal(os_dir_open_path(s.path, &s.dir), 0);
    return s;
}

static inline void scratch_free(struct scratch *s) {
    os_dir_close(&s->dir);
    remove_below(AT_FDCWD, s->path);
}

/* Later scratch directories lie on a tmpfs, where there is one. */
static inline void prefer_memory(void) {
    struct stat st;
    if (getenv("TMPDIR") == NULL && stat("/dev/shm", &st) == 0 && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
}

static inline void put_file(struct os_dir at, const char *path, const void *content, size_t n) {
    int fd = openat(at.fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, n), n);
    assert_int_equal(close(fd), 0);
}

/* What is in a file, up to `max` bytes; how many. */
static inline size_t get_file(struct os_dir at, const char *path, void *to, size_t max) {
    int fd = openat(at.fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, to, max);
    assert_true(n >= 0);
    assert_int_equal(close(fd), 0);
    return (size_t)n;
}

/* False while the code under test has the file for itself. */
static inline bool can_be_read(struct os_dir at, const char *path) {
    (void)at;
    (void)path;
    return true;
}

static inline void make_dir(struct os_dir at, const char *path, uint32_t mode) {
    assert_int_equal(mkdirat(at.fd, path, mode), 0);
}

static inline void remove_file(struct os_dir at, const char *path) {
    assert_int_equal(unlinkat(at.fd, path, 0), 0);
}

/* An empty one. */
static inline void remove_dir(struct os_dir at, const char *path) {
    assert_int_equal(unlinkat(at.fd, path, AT_REMOVEDIR), 0);
}

/* False where this system makes no links, or only privileged ones make them: nothing has the name then. */
static inline bool put_link(struct os_dir at, const char *path, const char *target) {
    assert_int_equal(symlinkat(target, at.fd, path), 0);
    return true;
}

/* False where the system has none: nothing has the name then. */
static inline bool put_fifo(struct os_dir at, const char *path) {
    assert_int_equal(mkfifoat(at.fd, path, 0600), 0);
    return true;
}

static inline void put_hard_link(struct os_dir at, const char *path, const char *other) {
    assert_int_equal(linkat(at.fd, path, at.fd, other, 0), 0);
}

static inline void set_mode(struct os_dir at, const char *path, uint32_t mode) {
    assert_int_equal(fchmodat(at.fd, path, mode, 0), 0);
}

static inline void set_time(struct os_dir at, const char *path, int64_t sec, uint32_t nsec) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = sec, .tv_nsec = (long)nsec}};
    assert_int_equal(utimensat(at.fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static inline struct os_stat stat_of(struct os_dir at, const char *path) {
    struct stat st;
    assert_int_equal(fstatat(at.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return (struct os_stat){
        .kind = S_ISREG(st.st_mode)   ? OS_FILE
                : S_ISDIR(st.st_mode) ? OS_DIR
                : S_ISLNK(st.st_mode) ? OS_SYMLINK
                                      : OS_FIFO,
        .mode = st.st_mode & 07777,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .size = (uint64_t)st.st_size,
        .allocated = (uint64_t)st.st_blocks * 512,
        .mtime_sec = st.st_mtim.tv_sec,
        .mtime_nsec = (uint32_t)st.st_mtim.tv_nsec,
        .inode = st.st_ino,
    };
}

static inline bool exists(struct os_dir at, const char *path) {
    struct stat st;
    return fstatat(at.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline unsigned temps_below(int at, const char *name) {
    unsigned n = 0;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    DIR *dir = fdopendir(fd);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        n += strncmp(e->d_name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            n += temps_below(fd, e->d_name);
    }
    (void)closedir(dir);
    return n;
}

/* Temporary names anywhere below. */
static inline unsigned temps_in(struct os_dir dir) {
    return temps_below(dir.fd, ".");
}

/* Open descriptors of this process: a leak shows as a difference. */
static inline unsigned open_descriptors(void) {
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

#include "files_text.h"

#endif
