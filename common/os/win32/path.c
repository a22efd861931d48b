/* path.c: whole paths, as the user writes them. They become absolute and get the prefix that lifts the limit of 260
 * characters; from there on everything is below a directory handle. */
#include "os/win32/os_win32.h"
#include "os/win32/wtf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* "C:\a" becomes "\\?\C:\a", "\\host\share" "\\?\UNC\host\share"; what has "\\?\" or "\\.\" stays. The result is freed
 * by the caller; NULL: out of memory, or not a path. */
static wchar_t *long_path(const char *path) {
    static const wchar_t drive[] = L"\\\\?\\", share[] = L"\\\\?\\UNC\\";
    wchar_t *wide = (wchar_t *)wtf8_new_utf16(path);
    DWORD max = wide ? GetFullPathNameW(wide, 0, NULL, NULL) : 0;
    wchar_t *full = max ? malloc((max + wcslen(share) + 1) * sizeof *full) : NULL;
    wchar_t *plain = full ? full + wcslen(share) : NULL;
    if (plain && GetFullPathNameW(wide, max, plain, NULL) < max) {
        bool ready = wcsncmp(plain, drive, 4) == 0 || wcsncmp(plain, L"\\\\.\\", 4) == 0;
        bool unc = !ready && wcsncmp(plain, L"\\\\", 2) == 0;
        const wchar_t *prefix = ready ? L"" : unc ? share : drive;
        wchar_t *rest = plain + (unc ? 2 : 0);
        memmove(full + wcslen(prefix), rest, (wcslen(rest) + 1) * sizeof *rest);
        memcpy(full, prefix, wcslen(prefix) * sizeof *prefix);
    }
    free(wide);
    return full;
}

static int open_path(const char *path, DWORD access, DWORD flags, void **ret) {
    wchar_t *full = long_path(path);
    if (full == NULL)
        return path[0] ? -EILSEQ : -ENOENT;
    HANDLE handle =
        CreateFileW(full, access, SHARE_ALL, NULL, OPEN_EXISTING, flags | FILE_FLAG_BACKUP_SEMANTICS, NULL);
    int result = handle == INVALID_HANDLE_VALUE ? win_error(GetLastError()) : 0;
    free(full);
    if (result == 0)
        *ret = handle;
    return result;
}

int os_dir_open_path(const char *path, struct os_dir *ret) {
    struct os_stat st;
    void *handle;
    int result = open_path(path, FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES, 0, &handle);
    if (result != 0)
        return result;
    result = nt_stat(handle, &st);
    if (result == 0 && st.kind != OS_DIR)
        result = -ENOTDIR;
    if (result != 0)
        (void)CloseHandle(handle);
    else
        ret->handle = handle;
    return result;
}

/* There is one way to open a directory here. */
int os_dir_pass_path(const char *path, struct os_dir *ret) {
    return os_dir_open_path(path, ret);
}

int os_open_path(const char *path, struct os_file *ret) {
    return open_path(path, FILE_GENERIC_READ, 0, &ret->handle);
}

int os_stat_path(const char *path, bool follow, struct os_stat *ret) {
    void *handle;
    int result = open_path(path, FILE_READ_ATTRIBUTES, follow ? 0 : FILE_FLAG_OPEN_REPARSE_POINT, &handle);
    if (result != 0)
        return result;
    result = nt_stat(handle, ret);
    (void)CloseHandle(handle);
    return result;
}

/* Where in "\\?\C:\a\b" or "\\?\UNC\host\share\a" the first name below the root begins. */
static wchar_t *below_root(wchar_t *full) {
    int separators = wcsncmp(full, L"\\\\?\\UNC\\", 8) == 0 ? 6 : 4;
    for (; *full && separators > 0; full++)
        separators -= *full == L'\\';
    return full;
}

static int make(const wchar_t *path) {
    return CreateDirectoryW(path, NULL) || GetLastError() == ERROR_ALREADY_EXISTS ? 0
                                                                                  : win_error(GetLastError());
}

int os_flush_path(const char *path) {
    (void)path;
    return 0;
}

int os_mkdir_path(const char *path) {
    wchar_t *full = long_path(path);
    if (full == NULL)
        return path[0] ? -EILSEQ : -ENOENT;
    int result = 0;
    for (wchar_t *at = below_root(full); *at && result == 0; at++) {
        if (*at != L'\\')
            continue;
        *at = L'\0';
        result = make(full);
        *at = L'\\';
    }
    if (result == 0)
        result = make(full);
    free(full);
    return result;
}

/* The last name as it is on disk: what the user wrote may differ in case, or be a short name. */
int os_last_name(const char *path, char *ret, size_t max) {
    WIN32_FIND_DATAW found;
    wchar_t *full = long_path(path);
    if (full == NULL)
        return -EILSEQ;
    HANDLE handle = FindFirstFileW(full, &found);
    int result = handle == INVALID_HANDLE_VALUE ? win_error(GetLastError()) : 0;
    free(full);
    if (result != 0)
        return result;
    (void)FindClose(handle);
    ptrdiff_t n = utf16_to_wtf8((const uint16_t *)found.cFileName, wcslen(found.cFileName), ret, max - 1);
    if (n < 0)
        return (int)n;
    ret[n] = '\0';
    return 0;
}

void os_path_normalize(char *path) {
    for (; *path; path++)
        if (*path == '\\')
            *path = '/';
}
