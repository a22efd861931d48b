#include "os/win32/os_win32.h"

#include "core/win32/sys_own.h"

#include <errno.h>
#include <string.h>

/* Classes and structures of ntifs.h. The Ex ones are of Windows 10 1607 and later, and file systems may lack them. */
enum {
    RENAME_CLASS = 10,
    DISPOSITION_CLASS = 13,
    DISPOSITION_EX_CLASS = 64,
    RENAME_EX_CLASS = 65,
    FS_FULL_SIZE_CLASS = 7,
};
enum { RENAME_REPLACE = 0x1, RENAME_POSIX = 0x2, RENAME_IGNORE_READONLY = 0x40 };
enum { DISPOSITION_DELETE = 0x1, DISPOSITION_POSIX = 0x2, DISPOSITION_IGNORE_READONLY = 0x10 };

struct rename_information {
    union {
        BOOLEAN replace; /* RENAME_CLASS */
        ULONG flags; /* RENAME_EX_CLASS */
    } how;
    HANDLE at;
    ULONG name_bytes;
    uint16_t name[NAME_BYTES_MAX + 1];
};

static const struct nt_how open_dir = {FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES, SHARE_ALL,
                                       FILE_OPEN, FILE_DIRECTORY_FILE};
static const struct nt_how to_change = {DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES, SHARE_ALL,
                                        FILE_OPEN, 0};

void os_dir_force_fallback(bool on) {
    (void)on; /* there is one way only */
}

int os_dir_open(struct os_dir at, const char *name, struct os_dir *ret) {
    struct os_stat st;
    void *handle;
    int result = nt_open(at.handle, name, &open_dir, &handle);
    if (result != 0)
        return result;
    result = nt_stat(handle, &st);
    if (result == 0 && st.kind != OS_DIR)
        result = -ELOOP;
    if (result != 0)
        (void)CloseHandle(handle);
    else
        ret->handle = handle;
    return result;
}

int os_dir_dup(struct os_dir dir, struct os_dir *ret) {
    HANDLE self = GetCurrentProcess(), handle;
    if (!DuplicateHandle(self, dir.handle, self, &handle, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return win_error(GetLastError());
    ret->handle = handle;
    return 0;
}

void os_dir_close(struct os_dir *dir) {
    if (dir->handle)
        (void)CloseHandle(dir->handle);
    dir->handle = NULL;
}

/* NTFS logs changes of names, and a flush of the directory writes that log out. File systems that flush no directories
 * (FAT, network redirectors) say so, and have nothing to offer instead. */
int os_dir_sync(struct os_dir dir) {
    static const struct nt_how how = {FILE_ADD_FILE, SHARE_ALL, FILE_OPEN, FILE_DIRECTORY_FILE};
    void *handle;
    int result = nt_reopen(dir.handle, &how, &handle);
    if (result != 0)
        return result;
    if (!FlushFileBuffers(handle))
        result = win_error(GetLastError());
    (void)CloseHandle(handle);
    return result == -EOPNOTSUPP || result == -EINVAL ? 0 : result;
}

int os_volume_sync(struct os_dir dir) {
    (void)dir;
    return -EOPNOTSUPP; /* only an administrator may; see OS_CAN_SYNC_VOLUME */
}

bool os_volume_syncs(struct os_dir dir) {
    (void)dir;
    return false;
}

bool os_keeps_change_time(struct os_dir dir) {
    (void)dir;
    return true; /* FAT tells 1601 */
}

int os_volume_free(struct os_dir dir, uint64_t *ret_bytes) {
    struct { /* FILE_FS_FULL_SIZE_INFORMATION */
        LARGE_INTEGER total, caller_available, available;
        ULONG sectors_per_unit, bytes_per_sector;
    } size;
    IO_STATUS_BLOCK io;
    NTSTATUS status = NtQueryVolumeInformationFile(dir.handle, &io, &size, sizeof size,
                                                   (FS_INFORMATION_CLASS)FS_FULL_SIZE_CLASS);
    if (!NT_SUCCESS(status))
        return nt_error(status);
    *ret_bytes = (uint64_t)size.caller_available.QuadPart * size.sectors_per_unit * size.bytes_per_sector;
    return 0;
}

/* 0 when `name` is there, and spelled so. */
static int must_be_there(struct os_dir at, const char *name) {
    struct os_stat st;
    return os_stat_at(at, name, &st);
}

int os_mkdir_at(struct os_dir at, const char *name, uint32_t mode) {
    static const struct nt_how how = {FILE_READ_ATTRIBUTES, SHARE_ALL, FILE_CREATE, FILE_DIRECTORY_FILE};
    void *handle;
    (void)mode; /* what may be done with it is inherited */
    int result = nt_open(at.handle, name, &how, &handle);
    if (result == 0)
        (void)CloseHandle(handle);
    if (result == -EEXIST && must_be_there(at, name) == -SYS_OTHER_NAME)
        return -SYS_OTHER_NAME;
    return result;
}

/* ---- removing ---- */

/* Files that are read-only are removed as rm and rsync do it. */
static int dispose(void *handle) {
    ULONG flags = DISPOSITION_DELETE | DISPOSITION_POSIX | DISPOSITION_IGNORE_READONLY;
    int result = nt_set(handle, DISPOSITION_EX_CLASS, &flags, sizeof flags);
    if (result == 0 || result == -ENOTEMPTY)
        return result;
    BOOLEAN yes = TRUE;
    result = os_set_mode((struct os_file){.handle = handle}, 0200);
    return result == 0 ? nt_set(handle, DISPOSITION_CLASS, &yes, sizeof yes) : result;
}

static int remove_at(struct os_dir at, const char *name, bool dir) {
    struct os_stat st;
    void *handle;
    int result = nt_open(at.handle, name, &to_change, &handle);
    if (result != 0)
        return result;
    result = nt_stat(handle, &st);
    if (result == 0 && (st.kind == OS_DIR) != dir)
        result = dir ? -ENOTDIR : -EISDIR;
    if (result == 0)
        result = dispose(handle);
    (void)CloseHandle(handle);
    return result;
}

int os_unlink_at(struct os_dir at, const char *name) {
    return remove_at(at, name, false);
}

int os_rmdir_at(struct os_dir at, const char *name) {
    return remove_at(at, name, true);
}

/* ---- renaming ---- */

static int rename_to(void *handle, struct os_dir at, const struct nt_name *to, int class_number,
                     ULONG flags) {
    struct rename_information info = {.at = at.handle, .name_bytes = to->s.Length};
    if (class_number == RENAME_CLASS)
        info.how.replace = flags & RENAME_REPLACE ? TRUE : FALSE;
    else
        info.how.flags = flags;
    memcpy(info.name, to->units, to->s.Length);
    return nt_set(handle, class_number, &info, offsetof(struct rename_information, name) + to->s.Length + 2u);
}

/* A directory says so; a file that others have open without sharing its removal is busy. */
static int why_in_the_way(struct os_dir at, const char *to, int result) {
    struct os_stat st;
    void *handle;
    if (result != -EACCES && result != -EEXIST)
        return result;
    if (os_stat_at(at, to, &st) == 0 && st.kind == OS_DIR)
        return -EISDIR;
    int opened = nt_open(at.handle, to, &to_change, &handle);
    if (opened == 0)
        (void)CloseHandle(handle);
    return opened == -ETXTBSY ? opened : result;
}

/* The old way: the target must not be read-only, nor open anywhere. */
static int replace_by_attributes(void *handle, struct os_dir at, const struct nt_name *target,
                                 const char *to) {
    struct os_stat st;
    void *old;
    int result = nt_open(at.handle, to, &to_change, &old);
    if (result != 0)
        return result;
    struct os_file old_file = {.handle = old};
    result = nt_stat(old, &st);
    bool was_read_only = result == 0 && st.kind == OS_FILE && !(st.mode & 0200);
    if (was_read_only)
        result = os_set_mode(old_file, 0200);
    (void)CloseHandle(old); /* before the rename, which would find it open */
    if (result == 0 && st.kind == OS_DIR)
        return -EISDIR;
    if (result == 0)
        result = rename_to(handle, at, target, RENAME_CLASS, RENAME_REPLACE);
    if (result != 0 && was_read_only && nt_open(at.handle, to, &to_change, &old) == 0) {
        (void)os_set_mode((struct os_file){.handle = old}, 0444);
        (void)CloseHandle(old);
    }
    return result;
}

/* Over what is there, which stays complete until the new file has the name. */
static int replace(void *handle, struct os_dir at, const struct nt_name *target, const char *to) {
    int result = must_be_there(at, to);
    if (result != 0 && result != -ENOENT)
        return result;
    result = rename_to(handle, at, target, RENAME_EX_CLASS,
                       RENAME_REPLACE | RENAME_POSIX | RENAME_IGNORE_READONLY);
    if (result == -EINVAL || result == -EOPNOTSUPP) /* the system or the file system has no such thing */
        result = replace_by_attributes(handle, at, target, to);
    return why_in_the_way(at, to, result);
}

bool os_dir_is_private(const struct os_stat *st) {
    (void)st;
    return false; /* who may is in lists that are not looked at */
}

int os_rename_at(struct os_dir at, const char *from, const char *to) {
    struct nt_name target;
    void *handle;
    int result = nt_name(to, &target);
    if (result == 0)
        result = nt_open(at.handle, from, &to_change, &handle);
    if (result != 0)
        return result;
    /* Most names are new. When one is not, what has it is looked at first. */
    result = rename_to(handle, at, &target, RENAME_CLASS, 0);
    if (result == -EEXIST || result == -EACCES)
        result = replace(handle, at, &target, to);
    (void)CloseHandle(handle);
    return result;
}

int os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name, bool replace) {
    (void)from, (void)name, (void)to, (void)to_name, (void)replace;
    return -ENOTSUP;
}

int os_set_owner_at(struct os_dir at, const char *name, uint32_t uid, uint32_t gid) {
    (void)at;
    (void)name;
    return os_set_owner(OS_FILE_NONE, uid, gid);
}

int os_set_mtime_at(struct os_dir at, const char *name, int64_t sec, uint32_t nsec) {
    static const struct nt_how how = {FILE_WRITE_ATTRIBUTES, SHARE_ALL, FILE_OPEN, 0};
    void *handle;
    int result = nt_open(at.handle, name, &how, &handle);
    if (result != 0)
        return result;
    result = os_set_mtime((struct os_file){.handle = handle}, sec, nsec);
    (void)CloseHandle(handle);
    return result;
}
