/* sink_files.h: what the tests of the sink want of files, by the OS layer, which test_os_win32.c tests itself. */
#ifndef SINK_FILES_H
#define SINK_FILES_H

#include "core/path.h"
#include "os/os.h"
#include "os/os_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <windows.h>

#include <cmocka.h>

struct scratch {
    char path[512];
    struct os_dir dir;
};

static inline struct scratch scratch_new(void) {
    struct scratch s;
    uint64_t own;
    const char *base = getenv("TEMP");
    os_random(&own, sizeof own);
    (void)snprintf(s.path, sizeof s.path, "%s\\hvferry-%llx", base ? base : ".", (unsigned long long)own);
    assert_int_equal(os_mkdir_path(s.path), 0);
    assert_int_equal(os_dir_open_path(s.path, &s.dir), 0);
    return s;
}

/* All below `dir`: removed, or only counted where the name is a temporary one. */
static inline unsigned walk(struct os_dir dir, bool remove_all) {
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    unsigned temps = 0;
    assert_int_equal(os_list_open(dir, &list), 0);
    while (os_list_next(list, &name, &kind) == 1) {
        struct os_dir sub;
        temps += strncmp(name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
        if (os_dir_open(dir, name, &sub) == 0) {
            temps += walk(sub, remove_all);
            os_dir_close(&sub);
            if (remove_all)
                assert_int_equal(os_rmdir_at(dir, name), 0);
        } else if (remove_all) {
            assert_int_equal(os_unlink_at(dir, name), 0);
        }
    }
    os_list_close(list);
    return temps;
}

/* Fails when somebody still holds a handle in it. */
static inline void scratch_free(struct scratch *s) {
    (void)walk(s->dir, true);
    os_dir_close(&s->dir);
    assert_true(RemoveDirectoryA(s->path));
}

static inline unsigned temps_in(struct os_dir dir) {
    return walk(dir, false);
}

/* A handle that is left open keeps its directory, which scratch_free sees. */
static inline unsigned open_descriptors(void) {
    return 0;
}

/* `name` has one component. */
static inline void put_text(struct os_dir at, const char *name, const char *text) {
    struct os_file file;
    (void)os_unlink_at(at, name);
    assert_int_equal(os_create(at, name, 0600, &file), 0);
    assert_int_equal(os_pwrite(file, text, strlen(text), 0), 0);
    assert_int_equal(os_close_checked(&file), 0);
}

static inline void assert_text(struct os_dir at, const char *name, const char *text) {
    char got[256];
    struct os_file file;
    assert_int_equal(os_open_read(at, name, &file), 0);
    ptrdiff_t n = os_pread(file, got, sizeof got - 1, 0);
    os_close(&file);
    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, text);
}

#endif
