/* key_file.c: a key's file on Windows. Instead of a mode it has a list of who may do what: nobody but this user, SYSTEM and
 * the administrators may be on it. */
#include "auth/key_file.h"

#include "core/text.h"
#include "os/win32/wtf8.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>
#include <aclapi.h>
#include <sddl.h>

/* ---- who ---------------------------------------------------------------------------------------------- */

struct user {
    union {
        TOKEN_USER token;
        BYTE room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } u;
};

/* The user of this process. */
static bool user_of_process(struct user *ret) {
    HANDLE token;
    DWORD n;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return false;
    BOOL good = GetTokenInformation(token, TokenUser, &ret->u, sizeof ret->u, &n);
    (void)CloseHandle(token);
    return good;
}

static bool is_trusted(const struct user *user, PSID sid) {
    return EqualSid(sid, user->u.token.User.Sid) || IsWellKnownSid(sid, WinLocalSystemSid) ||
           IsWellKnownSid(sid, WinBuiltinAdministratorsSid);
}

/* No list at all lets everybody in. */
static bool list_is_private(const struct user *user, PACL list) {
    for (DWORD i = 0; list && i < list->AceCount; i++) {
        ACE_HEADER *entry;
        if (!GetAce(list, i, (void **)&entry))
            return false;
        if (entry->AceFlags & INHERIT_ONLY_ACE || entry->AceType == ACCESS_DENIED_ACE_TYPE)
            continue;
        if (entry->AceType != ACCESS_ALLOWED_ACE_TYPE ||
            !is_trusted(user, &((ACCESS_ALLOWED_ACE *)entry)->SidStart))
            return false;
    }
    return list != NULL;
}

/* Fails closed: what cannot be asked is not private. */
static bool is_private(HANDLE file) {
    struct user user;
    PSID owner = NULL;
    PACL list = NULL;
    PSECURITY_DESCRIPTOR all = NULL;
    if (!user_of_process(&user) ||
        GetSecurityInfo(file, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner,
                        NULL, &list, NULL, &all) != ERROR_SUCCESS)
        return false;
    bool good = owner && is_trusted(&user, owner) && list_is_private(&user, list);
    (void)LocalFree(all);
    return good;
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static int check(const char *path, HANDLE file, struct err *err) {
    BY_HANDLE_FILE_INFORMATION info;
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileInformationByHandle(file, &info) ||
        info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        return err_set(err, EXIT_USAGE, "--key-file %s: it is not a regular file", ESCAPED(path));
    if (is_private(file))
        return 0;
    return err_set(
        err, EXIT_USAGE,
        "--key-file %s: others may read or change it; let icacls leave only this user, SYSTEM and the "
        "administrators on its list (icacls FILE /inheritance:r /grant:r %%USERNAME%%:F), and make a "
        "new key if somebody may have read it",
        ESCAPED(path));
}

int key_file_read(const char *path, void *to, size_t n, size_t *ret_n, struct err *err) {
    wchar_t *wide = (wchar_t *)wtf8_new_utf16(path);
    if (wide == NULL)
        return err_set(err, EXIT_FILE_IO, "--key-file %s: no file can have that name", ESCAPED(path));
    int fd = _wopen(wide, _O_RDONLY | _O_BINARY | _O_NOINHERIT);
    int sys = errno;
    free(wide);
    if (fd < 0)
        return err_sys(err, EXIT_FILE_IO, sys, "--key-file %s", ESCAPED(path));
    int result = check(path, (HANDLE)_get_osfhandle(fd), err);
    int got = result == 0 ? _read(fd, to, (unsigned)n) : 0; /* of a file: all there is, or n */
    if (got < 0)
        result = err_sys(err, EXIT_FILE_IO, errno, "--key-file %s", ESCAPED(path));
    else
        *ret_n = (size_t)got;
    (void)_close(fd);
    return result;
}

/* ---- making --------------------------------------------------------------------------------------------- */

static int sys_of(DWORD error) {
    switch (error) {
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS: return EEXIST;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return ENOENT;
    case ERROR_ACCESS_DENIED: return EACCES;
    case ERROR_DISK_FULL: return ENOSPC;
    default: return EIO;
    }
}

/* A list with this user alone, inherited from nowhere; LocalFree gives it back. NULL: it cannot be had. */
static PSECURITY_DESCRIPTOR private_list(void) {
    struct user user;
    LPWSTR sid;
    wchar_t text[256];
    PSECURITY_DESCRIPTOR list = NULL;
    if (!user_of_process(&user) || !ConvertSidToStringSidW(user.u.token.User.Sid, &sid))
        return NULL;
    (void)wcscpy(text, L"D:P(A;;FA;;;");
    (void)wcsncat(text, sid, 200); /* a SID has 184 characters at most */
    (void)wcscat(text, L")");
    (void)LocalFree(sid);
    return ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &list, NULL) ? list
                                                                                                    : NULL;
}

int key_file_create(const char *path, const void *p, size_t n, struct err *err) {
    wchar_t *wide = (wchar_t *)wtf8_new_utf16(path);
    SECURITY_ATTRIBUTES rights = {.nLength = sizeof rights, .lpSecurityDescriptor = private_list()};
    DWORD put = 0, error = 0;
    int result = -1;
    if (wide == NULL || rights.lpSecurityDescriptor == NULL) {
        (void)err_set(err, EXIT_FILE_IO, "--generate-key %s: no private file can be made under that name",
                      ESCAPED(path));
        goto out;
    }
    HANDLE file = CreateFileW(wide, GENERIC_WRITE, 0, &rights, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        (void)err_sys(err, EXIT_FILE_IO, sys_of(GetLastError()), "--generate-key %s", ESCAPED(path));
        goto out;
    }
    if (!WriteFile(file, p, (DWORD)n, &put, NULL) || put != n || !FlushFileBuffers(file))
        error = GetLastError() ? GetLastError() : ERROR_DISK_FULL;
    (void)CloseHandle(file);
    result = error == 0 ? 0 : err_sys(err, EXIT_FILE_IO, sys_of(error), "--generate-key %s", ESCAPED(path));
    if (result != 0)
        (void)DeleteFileW(wide);
out:
    (void)LocalFree(rights.lpSecurityDescriptor);
    free(wide);
    return result;
}
