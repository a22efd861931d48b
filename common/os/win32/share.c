/* share.c: claims on directories, files that one session at a time writes, copies and holes inside a file system.
 *
 * A claim is an empty file with a reserved name that Windows removes with its last handle, so also when the process is
 * ended. What one session at a time writes is opened so that nobody else can open it for writing.
 */
#include "os/win32/os_win32.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <winioctl.h>

struct claim_name {
    char s[sizeof RESERVED_PREFIX + 24];
};

static void name_claim(uint64_t id, struct claim_name *ret) {
    (void)snprintf(ret->s, sizeof ret->s, RESERVED_PREFIX "live.%016" PRIx64, id);
}

/* The time of `dir` as it was: a name that only says who lives is no change of what is in it. */
static void set_time_back(struct os_dir dir, const struct os_stat *was) {
    (void)os_set_mtime(os_dir_as_file(dir), was->mtime_sec, was->mtime_nsec);
}

int os_claim(struct os_dir dir, uint64_t id, struct os_file *ret) {
    static const struct nt_how how = {FILE_GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_DELETE,
                                      FILE_CREATE, FILE_NON_DIRECTORY_FILE | FILE_DELETE_ON_CLOSE};
    struct claim_name name;
    struct os_stat was;
    int result = os_dir_stat(dir, &was);
    if (result != 0)
        return result;
    name_claim(id, &name);
    result = nt_open(dir.handle, name.s, &how, &ret->handle);
    if (result == 0)
        set_time_back(dir, &was);
    return result;
}

void os_unclaim(struct os_dir dir, struct os_file *claim) {
    struct os_stat was;
    bool known = os_file_is_open(*claim) && os_dir_stat(dir, &was) == 0;
    os_close(claim);
    if (known)
        set_time_back(dir, &was);
}

int os_is_claimed(struct os_dir dir, uint64_t id) {
    struct claim_name name;
    struct os_stat st;
    name_claim(id, &name);
    int result = os_stat_at(dir, name.s, &st);
    return result == -ENOENT ? 0 : result == 0 ? 1 : result;
}

int os_open_locked(struct os_dir at, const char *name, bool ours, struct os_file *ret) {
    const struct nt_how how = {FILE_GENERIC_READ | FILE_GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE,
                               ours ? FILE_OPEN_IF : FILE_OPEN, FILE_NON_DIRECTORY_FILE};
    static const struct nt_how reading = {FILE_GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, FILE_OPEN,
                                          FILE_NON_DIRECTORY_FILE};
    struct os_stat st;
    void *handle;
    int result = nt_open(at.handle, name, &how, &handle);
    if (result == -EACCES && ours && nt_open(at.handle, name, &reading, &handle) == 0) {
        (void)CloseHandle(handle); /* read-only, and nobody has it open for writing */
        return -EPERM;
    }
    if (result != 0)
        return result == -ETXTBSY ? -EBUSY : result;
    result = nt_stat(handle, &st);
    if (result == 0 && st.kind != OS_FILE)
        result = -ELOOP;
    if (result != 0) {
        (void)CloseHandle(handle);
        return result;
    }
    ret->handle = handle;
    return 0;
}

int os_copy_range(struct os_file from, struct os_file to, uint64_t offset, uint64_t n) {
    (void)from, (void)to, (void)offset, (void)n;
    return -ENOTSUP;
}

bool os_copy_may_share(struct os_file file) {
    (void)file;
    return false;
}

int os_zero_range(struct os_file file, uint64_t offset, uint64_t n) {
    FILE_ZERO_DATA_INFORMATION range = {.FileOffset.QuadPart = (LONGLONG)offset,
                                        .BeyondFinalZero.QuadPart = (LONGLONG)(offset + n)};
    DWORD returned;
    if (DeviceIoControl(file.handle, FSCTL_SET_ZERO_DATA, &range, sizeof range, NULL, 0, &returned, NULL))
        return 0;
    int result = win_error(GetLastError());
    return result == -EOPNOTSUPP || result == -EINVAL ? -ENOTSUP : result;
}
