/* link.c: symbolic links. Making one needs a privilege, which processes of an administrator have, though not enabled.
 * Developer mode (Windows 10 1703) frees only a call that takes whole paths, which is none for what a peer names.
 */
#include "os/win32/os_win32.h"
#include "os/win32/wtf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <winioctl.h>

/* REPARSE_DATA_BUFFER of ntifs.h, for symbolic links and junctions. */
struct reparse {
    ULONG tag;
    USHORT bytes, reserved;
    USHORT substitute_at, substitute_bytes, print_at, print_bytes;
    union {
        struct {
            ULONG flags; /* SYMLINK_RELATIVE */
            uint16_t names[1];
        } link;
        uint16_t junction[1];
    } u;
};
enum {
    SYMLINK_RELATIVE = 1,
    REPARSE_HEAD = 8, /* tag, bytes, reserved */
    REPARSE_MAX = 16 * 1024,
};

static bool is_separator(uint16_t unit) {
    return unit == '\\' || unit == '/';
}

ptrdiff_t os_readlink_at(struct os_dir at, const char *name, char *to, size_t n) {
    static const struct nt_how how = {FILE_READ_ATTRIBUTES, SHARE_ALL, FILE_OPEN, 0};
    void *handle;
    DWORD got;
    int result = nt_open(at.handle, name, &how, &handle);
    if (result != 0)
        return result;
    struct reparse *r = malloc(REPARSE_MAX);
    if (r == NULL)
        result = -ENOMEM;
    else if (!DeviceIoControl(handle, FSCTL_GET_REPARSE_POINT, NULL, 0, r, REPARSE_MAX, &got, NULL))
        result = win_error(GetLastError());
    else if (r->tag != IO_REPARSE_TAG_SYMLINK && r->tag != IO_REPARSE_TAG_MOUNT_POINT)
        result = -EINVAL;
    (void)CloseHandle(handle);
    ptrdiff_t used = result;
    if (result == 0) {
        const uint16_t *names = r->tag == IO_REPARSE_TAG_SYMLINK ? r->u.link.names : r->u.junction;
        used = utf16_to_wtf8(names + r->print_at / 2, r->print_bytes / 2, to, n);
    }
    for (ptrdiff_t i = 0; i < used; i++)
        if (to[i] == '\\')
            to[i] = '/';
    free(r);
    return used;
}

/* True when `target` leads from `at` through directories to a directory: Windows wants to know when it makes a link.
 * Only plain names are followed. One with "..", an absolute one or a share is never looked at, for who sends
 * a link must not make this system ask another one for it. */
static bool is_dir_below(struct os_dir at, const char *target) {
    struct os_dir dir = OS_DIR_NONE, next;
    char name[NAME_BYTES_MAX + 1];
    int result = os_dir_dup(at, &dir);
    while (result == 0 && *target) {
        size_t n = strcspn(target, "/");
        result = n == 0 || n > NAME_BYTES_MAX ? -ENOENT : 0;
        if (result == 0) {
            memcpy(name, target, n);
            name[n] = '\0';
            result = os_dir_open(dir, name, &next);
        }
        if (result == 0) {
            os_dir_close(&dir);
            dir = next;
            target += target[n] ? n + 1 : n;
        }
    }
    os_dir_close(&dir);
    return result == 0;
}

/* False when this process does not have it. */
static bool enable_privilege(void) {
    TOKEN_PRIVILEGES wanted = {.PrivilegeCount = 1, .Privileges = {{.Attributes = SE_PRIVILEGE_ENABLED}}};
    HANDLE token;
    if (!LookupPrivilegeValueW(NULL, L"SeCreateSymbolicLinkPrivilege", &wanted.Privileges[0].Luid) ||
        !OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES, &token))
        return false;
    bool enabled = AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL) &&
                   GetLastError() == ERROR_SUCCESS; /* else ERROR_NOT_ALL_ASSIGNED */
    (void)CloseHandle(token);
    return enabled;
}

static DWORD set_reparse(void *handle, struct reparse *r) {
    DWORD returned;
    return DeviceIoControl(handle, FSCTL_SET_REPARSE_POINT, r, r->bytes + REPARSE_HEAD, NULL, 0, &returned,
                           NULL)
               ? ERROR_SUCCESS
               : GetLastError();
}

static int make_link(void *handle, struct reparse *r) {
    DWORD error = set_reparse(handle, r);
    if (error == ERROR_PRIVILEGE_NOT_HELD && enable_privilege())
        error = set_reparse(handle, r);
    return error ? win_error(error) : 0;
}

int os_symlink_at(const char *target, struct os_dir at, const char *name) {
    size_t n = strlen(target);
    struct nt_how how = {FILE_WRITE_ATTRIBUTES | DELETE, 0, FILE_CREATE,
                         is_dir_below(at, target) ? FILE_DIRECTORY_FILE : FILE_NON_DIRECTORY_FILE};
    struct reparse *r = calloc(1, sizeof *r + n * sizeof(uint16_t));
    ptrdiff_t units = r ? wtf8_to_utf16(target, n, r->u.link.names, n) : -ENOMEM;
    struct os_file file = OS_FILE_NONE;
    int result = units < 0 ? (int)units : nt_open(at.handle, name, &how, &file.handle);
    if (result != 0) {
        free(r);
        return result;
    }
    for (ptrdiff_t i = 0; i < units; i++)
        if (is_separator(r->u.link.names[i]))
            r->u.link.names[i] = '\\';
    r->tag = IO_REPARSE_TAG_SYMLINK;
    r->substitute_bytes = r->print_bytes = (USHORT)(units * 2); /* one text for both */
    r->bytes = (USHORT)(offsetof(struct reparse, u.link.names) - REPARSE_HEAD + r->print_bytes);
    r->u.link.flags = SYMLINK_RELATIVE;
    result = make_link(file.handle, r);
    os_close(&file);
    if (result != 0)
        (void)(how.options == FILE_DIRECTORY_FILE ? os_rmdir_at(at, name) : os_unlink_at(at, name));
    free(r);
    return result;
}
