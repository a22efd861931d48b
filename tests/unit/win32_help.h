/* win32_help.h: a directory of its own for each test, looked at with Win32's own calls. */
#ifndef WIN32_HELP_H
#define WIN32_HELP_H

#include "os/os.h"
#include "os/os_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include <windows.h>

#include <cmocka.h>

enum { PATH_UNITS = 4096 };

struct scratch {
    wchar_t path[PATH_UNITS]; /* "\\?\C:\...\hvferry-PID-N" */
    char utf8[1024]; /* the same without the prefix */
    struct os_dir dir;
};

/* PATH\NAME, good until the next call but three. */
static inline const wchar_t *below(const wchar_t *path, const wchar_t *name) {
    static wchar_t texts[4][PATH_UNITS];
    static unsigned next;
    wchar_t *text = texts[next++ % 4];
    (void)snwprintf(text, PATH_UNITS, L"%ls\\%ls", path, name);
    return text;
}

static inline void remove_all(const wchar_t *path) {
    WIN32_FIND_DATAW found;
    wchar_t name[PATH_UNITS];
    (void)snwprintf(name, PATH_UNITS, L"%ls\\*", path);
    HANDLE find = FindFirstFileW(name, &found);
    for (BOOL more = find != INVALID_HANDLE_VALUE; more; more = FindNextFileW(find, &found)) {
        if (wcscmp(found.cFileName, L".") == 0 || wcscmp(found.cFileName, L"..") == 0)
            continue;
        (void)snwprintf(name, PATH_UNITS, L"%ls\\%ls", path, found.cFileName);
        (void)SetFileAttributesW(name, FILE_ATTRIBUTE_NORMAL);
        if (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
            remove_all(name);
        else
            (void)DeleteFileW(name);
    }
    if (find != INVALID_HANDLE_VALUE)
        (void)FindClose(find);
    (void)RemoveDirectoryW(path);
}

static inline struct scratch *scratch_new(void) {
    static struct scratch s;
    uint64_t own;
    wchar_t base[MAX_PATH];
    os_random(&own, sizeof own);
    assert_true(GetTempPathW(MAX_PATH, base) > 0);
    (void)snwprintf(s.path, PATH_UNITS, L"\\\\?\\%lshvferry-%llx", base, (unsigned long long)own);
    (void)snprintf(s.utf8, sizeof s.utf8, "%ls", s.path + 4);
    assert_true(CreateDirectoryW(s.path, NULL));
    assert_int_equal(os_dir_open_path(s.utf8, &s.dir), 0);
    return &s;
}

static inline void scratch_free(struct scratch *s) {
    os_dir_close(&s->dir);
    remove_all(s->path);
    assert_int_equal(GetFileAttributesW(s->path), INVALID_FILE_ATTRIBUTES); /* nobody holds a handle in it */
}

static inline void put_text(const wchar_t *path, const char *text) {
    HANDLE h = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    DWORD n;
    assert_true(h != INVALID_HANDLE_VALUE);
    assert_true(WriteFile(h, text, (DWORD)strlen(text), &n, NULL) && n == strlen(text));
    assert_true(CloseHandle(h));
}

static inline void assert_text(const wchar_t *path, const char *text) {
    char got[256];
    DWORD n;
    HANDLE h =
        CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    assert_true(h != INVALID_HANDLE_VALUE);
    assert_true(ReadFile(h, got, sizeof got - 1, &n, NULL));
    assert_true(CloseHandle(h));
    got[n] = '\0';
    assert_string_equal(got, text);
}

static inline bool exists(const wchar_t *path) {
    return GetFileAttributesW(path) != INVALID_FILE_ATTRIBUTES;
}

/* A new file in `at` with this content, closed again. */
static inline void make(struct os_dir at, const char *name, const char *text) {
    struct os_file f;
    assert_int_equal(os_create(at, name, 0600, &f), 0);
    assert_int_equal(os_pwrite(f, text, strlen(text), 0), 0);
    assert_int_equal(os_close_checked(&f), 0);
}

#endif
