#include "os/win32/os_win32.h"

#include <errno.h>
#include <winioctl.h>

enum { IO_BYTES_MAX = 1 << 30 }; /* of one ReadFile or WriteFile */

/* A reparse point that is no link holds data in a way of the file system's own (deduplicated, in a cloud): what was opened
 * is the point, and its data are read through it. The second open must find the same file. */
static int open_through(struct os_dir at, const char *name, const struct os_stat *st,
                        const struct nt_how *how, void **ret) {
    struct nt_name unicode;
    struct os_stat again;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK io;
    HANDLE handle;
    int result = nt_name(name, &unicode);
    if (result != 0)
        return result;
    InitializeObjectAttributes(&attributes, &unicode.s, OBJ_CASE_INSENSITIVE, at.handle, NULL);
    NTSTATUS status = NtOpenFile(&handle, how->access | SYNCHRONIZE, &attributes, &io, how->share,
                                 how->options | FILE_SYNCHRONOUS_IO_NONALERT);
    if (!NT_SUCCESS(status))
        return nt_error(status);
    result = nt_stat(handle, &again);
    if (result == 0 && (again.inode != st->inode || again.kind != OS_FILE))
        result = -ELOOP;
    if (result != 0) {
        (void)CloseHandle(handle);
        return result;
    }
    *ret = handle;
    return 0;
}

int os_open_read(struct os_dir at, const char *name, struct os_file *ret) {
    static const struct nt_how how = {FILE_GENERIC_READ, SHARE_ALL, FILE_OPEN, 0};
    void *handle;
    struct os_stat st;
    FILE_BASIC_INFO basic;
    int result = nt_open(at.handle, name, &how, &handle);
    if (result != 0)
        return result;
    result = nt_stat(handle, &st);
    if (result == 0 && st.kind == OS_SYMLINK)
        result = -ELOOP;
    bool through = result == 0 && st.kind == OS_FILE &&
                   GetFileInformationByHandleEx(handle, FileBasicInfo, &basic, sizeof basic) &&
                   basic.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT;
    if (result != 0 || through)
        (void)CloseHandle(handle);
    if (through)
        result = open_through(at, name, &st, &how, &handle);
    if (result == 0)
        ret->handle = handle;
    return result;
}

int os_create(struct os_dir at, const char *name, uint32_t mode, struct os_file *ret) {
    (void)mode;
    static const struct nt_how how = {FILE_GENERIC_READ | FILE_GENERIC_WRITE, 0, FILE_CREATE,
                                      FILE_NON_DIRECTORY_FILE};
    return nt_open(at.handle, name, &how, &ret->handle);
}

int os_close_checked(struct os_file *file) {
    void *handle = file->handle;
    file->handle = NULL;
    return handle == NULL || CloseHandle(handle) ? 0 : win_error(GetLastError());
}

void os_close(struct os_file *file) {
    (void)os_close_checked(file);
}

void os_close_all(struct os_file *files, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        os_close(&files[i]);
}

static OVERLAPPED at_offset(uint64_t offset) {
    return (OVERLAPPED){.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
}

ptrdiff_t os_pread(struct os_file file, void *to, size_t n, uint64_t offset) {
    size_t done = 0;
    while (done < n) {
        OVERLAPPED where = at_offset(offset + done);
        DWORD want = n - done < IO_BYTES_MAX ? (DWORD)(n - done) : IO_BYTES_MAX, got = 0;
        if (!ReadFile(file.handle, (char *)to + done, want, &got, &where)) {
            DWORD error = GetLastError();
            if (error != ERROR_HANDLE_EOF)
                return win_error(error);
        }
        if (got == 0)
            break;
        done += got;
    }
    return (ptrdiff_t)done;
}

int os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset) {
    size_t done = 0;
    while (done < n) {
        OVERLAPPED where = at_offset(offset + done);
        DWORD want = n - done < IO_BYTES_MAX ? (DWORD)(n - done) : IO_BYTES_MAX, put = 0;
        if (!WriteFile(file.handle, (const char *)from + done, want, &put, &where))
            return win_error(GetLastError());
        if (put == 0)
            return -EIO;
        done += put;
    }
    return 0;
}

int os_truncate(struct os_file file, uint64_t size) {
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size};
    return SetFileInformationByHandle(file.handle, FileEndOfFileInfo, &end, sizeof end)
               ? 0
               : win_error(GetLastError());
}

/* Where the file system has no sparse files, holes take space, and that is all. */
void os_expect_holes(struct os_file file) {
    DWORD returned;
    (void)DeviceIoControl(file.handle, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, &returned, NULL);
}

/* Attributes and times, on a handle that may not have the right to: one that has is opened for it. Fields of 0 stay. */
static int set_basic(void *handle, FILE_BASIC_INFO *basic) {
    static const struct nt_how how = {FILE_WRITE_ATTRIBUTES, SHARE_ALL, FILE_OPEN, FILE_OPEN_REPARSE_POINT};
    void *again;
    if (SetFileInformationByHandle(handle, FileBasicInfo, basic, sizeof *basic))
        return 0;
    if (GetLastError() != ERROR_ACCESS_DENIED)
        return win_error(GetLastError());
    int result = nt_reopen(handle, &how, &again);
    if (result != 0)
        return result;
    if (!SetFileInformationByHandle(again, FileBasicInfo, basic, sizeof *basic))
        result = win_error(GetLastError());
    (void)CloseHandle(again);
    return result;
}

int os_set_mode(struct os_file file, uint32_t mode) {
    FILE_BASIC_INFO basic;
    if (!GetFileInformationByHandleEx(file.handle, FileBasicInfo, &basic, sizeof basic))
        return win_error(GetLastError());
    if (basic.FileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        return 0; /* read-only directories are no such thing: the bit there means something else */
    DWORD attributes = basic.FileAttributes & ~(DWORD)(FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_NORMAL);
    if (!(mode & 0200))
        attributes |= FILE_ATTRIBUTE_READONLY;
    if (attributes == 0)
        attributes = FILE_ATTRIBUTE_NORMAL;
    if (attributes == basic.FileAttributes)
        return 0;
    return set_basic(file.handle, &(FILE_BASIC_INFO){.FileAttributes = attributes});
}

int os_set_owner(struct os_file file, uint32_t uid, uint32_t gid) {
    (void)file;
    return uid == OS_KEEP_ID && gid == OS_KEEP_ID ? 0 : -EPERM;
}

/* False before 1601, and for more than 63 bits of 100 ns. A field of 0 would leave the time as it is: one unit more. */
static bool join_time(int64_t sec, uint32_t nsec, LARGE_INTEGER *ret) {
    if (sec < -(NT_TIME_1970 / NT_TIME_PER_S) || sec >= (INT64_MAX - NT_TIME_1970) / NT_TIME_PER_S)
        return false;
    int64_t units = sec * NT_TIME_PER_S + nsec / NT_TIME_UNIT_NS + NT_TIME_1970;
    ret->QuadPart = units ? units : 1;
    return true;
}

int os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec) {
    FILE_BASIC_INFO basic = {.FileAttributes = 0};
    return join_time(sec, nsec, &basic.LastWriteTime) ? set_basic(file.handle, &basic) : -EINVAL;
}

int os_set_mtime_now(struct os_file file) {
    int64_t now = os_wall_ns();
    return os_set_mtime(file, now / 1000000000, (uint32_t)(now % 1000000000));
}

int os_set_win_attr(struct os_file file, const struct win_attr *win) {
    FILE_BASIC_INFO now, basic = {.FileAttributes = 0};
    if (!GetFileInformationByHandleEx(file.handle, FileBasicInfo, &now, sizeof now))
        return win_error(GetLastError());
    if (!join_time(win->created_sec, win->created_nsec, &basic.CreationTime))
        return -EINVAL;
    basic.FileAttributes = (now.FileAttributes & ~(DWORD)(WIN_ATTR_KEPT | FILE_ATTRIBUTE_NORMAL)) | win->bits;
    if (basic.FileAttributes == 0)
        basic.FileAttributes = FILE_ATTRIBUTE_NORMAL;
    return set_basic(file.handle, &basic);
}

int os_sync(struct os_file file) {
    return FlushFileBuffers(file.handle) ? 0 : win_error(GetLastError());
}

int os_write_out_soon(struct os_file file, uint64_t offset, uint64_t n) {
    (void)file, (void)offset, (void)n;
    return 0;
}

int os_next_data(struct os_file file, uint64_t offset, uint64_t size, uint64_t *ret_start,
                 uint64_t *ret_end) {
    FILE_ALLOCATED_RANGE_BUFFER ask = {.FileOffset.QuadPart = (LONGLONG)offset,
                                       .Length.QuadPart = (LONGLONG)(size - offset)};
    FILE_ALLOCATED_RANGE_BUFFER range;
    DWORD n = 0;
    BOOL good = DeviceIoControl(file.handle, FSCTL_QUERY_ALLOCATED_RANGES, &ask, sizeof ask, &range,
                                sizeof range, &n, NULL);
    bool known = good || GetLastError() == ERROR_MORE_DATA; /* the first range is what is wanted */
    if (known && n < sizeof range)
        return -ENXIO;
    *ret_start = known ? (uint64_t)range.FileOffset.QuadPart : offset;
    *ret_end = known ? (uint64_t)(range.FileOffset.QuadPart + range.Length.QuadPart) : size;
    return 0;
}

void os_await_write(struct os_file file) {
    (void)file;
}
