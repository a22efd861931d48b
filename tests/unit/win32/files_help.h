/* files_help.h: a directory of its own for each test, and what tests do in it by Win32's calls, beside the code under test.
 * A path may have several components. */
#ifndef FILES_HELP_H
#define FILES_HELP_H

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
#include <wchar.h>

#include <errno.h>
#include <windows.h>

#include <cmocka.h>

enum { PATH_UNITS = 32768 }; /* of the longest path of Windows */

/* Of a name, where 64 of them are to be one path: Wine opens none of more than 4096 bytes. */
enum { LEVEL_BYTES = 48 };

struct scratch {
    char path[512];
    struct os_dir dir;
};

/* The whole path, "\\?\C:\…", good until the next call. One thread. */
static inline const wchar_t *whole(struct os_dir at, const char *path) {
    static wchar_t text[PATH_UNITS];
    DWORD n = GetFinalPathNameByHandleW(at.handle, text, PATH_UNITS, FILE_NAME_NORMALIZED);
    assert_in_range(n, 1, PATH_UNITS - 1);
    text[n++] = L'\\';
    int more = MultiByteToWideChar(CP_UTF8, 0, path, -1, text + n, PATH_UNITS - (int)n);
    assert_true(more > 0);
    for (wchar_t *p = text + n; *p; p++)
        if (*p == L'/')
            *p = L'\\';
    if (strcmp(path, ".") == 0)
        text[n - 1] = L'\0';
    return text;
}

static inline HANDLE open_whole(struct os_dir at, const char *path, DWORD access, DWORD disposition) {
    HANDLE h =
        CreateFileW(whole(at, path), access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                    disposition, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, NULL);
    assert_true(h != INVALID_HANDLE_VALUE);
    return h;
}

/* What a session's claim begins with: here it is a file, as long as the session lives. */
#define CLAIM_PREFIX RESERVED_PREFIX "live."

/* All below `dir`: removed, or only counted where the name is a temporary one. */
static inline unsigned walk(struct os_dir dir, bool remove_all) {
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    unsigned temps = 0;
    assert_int_equal(os_list_open(dir, &list), 0);
    while (os_list_next(list, &name, &kind) == 1) {
        struct os_dir sub;
        temps += strncmp(name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0 &&
                 strncmp(name, CLAIM_PREFIX, sizeof CLAIM_PREFIX - 1) != 0;
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

/* `name` and all that is below it. */
static inline void remove_tree(struct os_dir at, const char *name) {
    struct os_dir sub;
    if (os_dir_open(at, name, &sub) != 0)
        return;
    (void)walk(sub, true);
    os_dir_close(&sub);
    assert_int_equal(os_rmdir_at(at, name), 0);
}

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

/* Fails when somebody still holds a handle in it. */
static inline void scratch_free(struct scratch *s) {
    (void)walk(s->dir, true);
    os_dir_close(&s->dir);
    assert_true(RemoveDirectoryA(s->path));
}

/* Later scratch directories lie on a tmpfs, where Wine shows one. */
static inline void prefer_memory(void) {
    if (GetFileAttributesA("Z:\\dev\\shm") != INVALID_FILE_ATTRIBUTES)
        (void)_putenv("TEMP=Z:\\dev\\shm");
}

static inline void put_file(struct os_dir at, const char *path, const void *content, size_t n) {
    DWORD put;
    HANDLE h = open_whole(at, path, GENERIC_WRITE, CREATE_ALWAYS);
    assert_true(WriteFile(h, content, (DWORD)n, &put, NULL));
    assert_int_equal(put, n);
    assert_true(CloseHandle(h));
}

/* What is in a file, up to `max` bytes; how many. */
static inline size_t get_file(struct os_dir at, const char *path, void *to, size_t max) {
    DWORD got;
    HANDLE h = open_whole(at, path, GENERIC_READ, OPEN_EXISTING);
    assert_true(ReadFile(h, to, (DWORD)max, &got, NULL));
    assert_true(CloseHandle(h));
    return got;
}

/* False while the code under test has the file for itself. */
static inline bool can_be_read(struct os_dir at, const char *path) {
    HANDLE h =
        CreateFileW(whole(at, path), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, 0, NULL);
    if (h == INVALID_HANDLE_VALUE)
        return GetLastError() != ERROR_SHARING_VIOLATION;
    (void)CloseHandle(h);
    return true;
}

static inline void make_dir(struct os_dir at, const char *path, uint32_t mode) {
    (void)mode;
    assert_true(CreateDirectoryW(whole(at, path), NULL));
}

static inline void remove_file(struct os_dir at, const char *path) {
    assert_true(DeleteFileW(whole(at, path)));
}

/* An empty one. */
static inline void remove_dir(struct os_dir at, const char *path) {
    assert_true(RemoveDirectoryW(whole(at, path)));
}

/* False where this system makes no links, or only privileged ones make them: nothing has the name then. */
static inline bool put_link(struct os_dir at, const char *path, const char *target) {
    return strchr(path, '/') == NULL && os_symlink_at(target, at, path) == 0;
}

/* False: there is no such file here. */
static inline bool put_fifo(struct os_dir at, const char *path) {
    (void)at;
    (void)path;
    return false;
}

static inline void put_hard_link(struct os_dir at, const char *path, const char *other) {
    wchar_t *from = _wcsdup(whole(at, path));
    assert_non_null(from);
    assert_true(CreateHardLinkW(whole(at, other), from, NULL));
    free(from);
}

static inline void set_mode(struct os_dir at, const char *path, uint32_t mode) {
    DWORD attributes = mode & 0200 ? FILE_ATTRIBUTE_NORMAL : FILE_ATTRIBUTE_READONLY;
    assert_true(SetFileAttributesW(whole(at, path), attributes));
}

static inline void set_time(struct os_dir at, const char *path, int64_t sec, uint32_t nsec) {
    struct os_file file = {.handle = open_whole(at, path, FILE_WRITE_ATTRIBUTES, OPEN_EXISTING)};
    assert_int_equal(os_set_mtime(file, sec, nsec), 0);
    os_close(&file);
}

static inline struct os_stat stat_of(struct os_dir at, const char *path) {
    struct os_stat st;
    struct os_file file = {.handle = open_whole(at, path, FILE_READ_ATTRIBUTES, OPEN_EXISTING)};
    assert_int_equal(os_fstat(file, &st), 0);
    os_close(&file);
    return st;
}

static inline bool exists(struct os_dir at, const char *path) {
    return GetFileAttributesW(whole(at, path)) != INVALID_FILE_ATTRIBUTES;
}

/* Temporary names anywhere below. */
static inline unsigned temps_in(struct os_dir dir) {
    return walk(dir, false);
}

/* A handle that is left open keeps its directory, which scratch_free sees. */
static inline unsigned open_descriptors(void) {
    return 0;
}

#include "files_text.h"

#endif
