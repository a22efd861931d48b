/* files_help.h: a directory of its own for each test, and a look at what is in it. */
#ifndef FILES_HELP_H
#define FILES_HELP_H

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

struct scratch {
    char path[256];
    struct os_dir dir;
};

/* Removes `name` below `at` and all that is below it, however deep and whatever its modes. */
static inline void remove_tree(int at, const char *name) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        (void)unlinkat(at, name, 0);
        return;
    }
    (void)fchmod(fd, 0700);
    DIR *dir = fdopendir(fd);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_tree(fd, e->d_name);
    (void)closedir(dir);
    (void)unlinkat(at, name, AT_REMOVEDIR);
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
    remove_tree(AT_FDCWD, s->path);
}

/* `path` may have several components: the tests' own way, beside the code under test. */
static inline void put_file(struct os_dir at, const char *path, const void *content, size_t n) {
    int fd = openat(at.fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, n), n);
    assert_int_equal(close(fd), 0);
}
static inline void put_text(struct os_dir at, const char *path, const char *text) {
    put_file(at, path, text, strlen(text));
}

static inline void assert_text(struct os_dir at, const char *path, const char *text) {
    char got[256];
    int fd = openat(at.fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, got, sizeof got - 1);
    assert_true(n >= 0);
    got[n] = '\0';
    assert_int_equal(close(fd), 0);
    assert_string_equal(got, text);
}

static inline struct stat stat_of(struct os_dir at, const char *path) {
    struct stat st;
    assert_int_equal(fstatat(at.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static inline int exists(struct os_dir at, const char *path) {
    struct stat st;
    return fstatat(at.fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
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

#endif
