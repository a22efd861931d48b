/* error.c: errors of Windows, as the errno values that callers decide by. One flat table. */
#include "os/win32/os_win32.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Of winerror.h; that of mingw-w64 10 lacks them. */
#define ERROR_DIRECTORY_NOT_SUPPORTED 336L
#define ERROR_STOPPED_ON_SYMLINK 681L
#define ERROR_DISK_QUOTA_EXCEEDED 1295L
#define ERROR_REPARSE_POINT_ENCOUNTERED 4395L

static const struct {
    DWORD win;
    int sys;
} errors[] = {
    {ERROR_ACCESS_DENIED, EACCES},
    {ERROR_ALREADY_EXISTS, EEXIST},
    {ERROR_BAD_NET_NAME, ENOENT},
    {ERROR_BAD_NETPATH, ENOENT},
    {ERROR_BAD_PATHNAME, EILSEQ},
    {ERROR_BUSY, EBUSY},
    {ERROR_CANNOT_MAKE, EACCES},
    {ERROR_CANT_ACCESS_FILE, ELOOP},
    {ERROR_CRC, EIO},
    {ERROR_DELETE_PENDING, ETXTBSY},
    {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},
    {ERROR_DIRECTORY, ENOTDIR},
    {ERROR_DIRECTORY_NOT_SUPPORTED, EISDIR},
    {ERROR_DISK_FULL, ENOSPC},
    {ERROR_DISK_QUOTA_EXCEEDED, ENOSPC},
    {ERROR_FILE_EXISTS, EEXIST},
    {ERROR_FILE_NOT_FOUND, ENOENT},
    {ERROR_FILE_TOO_LARGE, EFBIG},
    {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
    {ERROR_HANDLE_DISK_FULL, ENOSPC},
    {ERROR_INVALID_FUNCTION, EOPNOTSUPP},
    {ERROR_INVALID_HANDLE, EBADF},
    {ERROR_INVALID_NAME, EILSEQ},
    {ERROR_INVALID_PARAMETER, EINVAL},
    {ERROR_IO_DEVICE, EIO},
    {ERROR_LOCK_VIOLATION, ETXTBSY},
    {ERROR_NOACCESS, EFAULT},
    {ERROR_NO_SYSTEM_RESOURCES, ENOMEM},
    {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
    {ERROR_NOT_READY, ENXIO},
    {ERROR_NOT_SAME_DEVICE, EXDEV},
    {ERROR_NOT_SUPPORTED, EOPNOTSUPP},
    {ERROR_OUTOFMEMORY, ENOMEM},
    {ERROR_PATH_NOT_FOUND, ENOENT},
    {ERROR_PRIVILEGE_NOT_HELD, EPERM},
    {ERROR_REPARSE_POINT_ENCOUNTERED, ELOOP},
    {ERROR_SHARING_VIOLATION, ETXTBSY},
    {ERROR_STOPPED_ON_SYMLINK, ELOOP},
    {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
    {ERROR_USER_MAPPED_FILE, ETXTBSY},
    {ERROR_WRITE_PROTECT, EROFS},
};

int win_error(DWORD error) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].win == error)
            return -errors[i].sys;
    return -EIO;
}

/* Statuses whose Win32 error says less than they do. */
int nt_error(NTSTATUS status) {
    switch (status) {
    case STATUS_FILE_IS_A_DIRECTORY: return -EISDIR;
    case STATUS_NOT_A_DIRECTORY: return -ENOTDIR;
    case STATUS_DELETE_PENDING: return -ETXTBSY;
    case STATUS_OBJECT_NAME_INVALID: return -EILSEQ;
    default: return win_error(RtlNtStatusToDosError(status));
    }
}

int os_file_error(struct err *err, int result, const char *fmt, ...) {
    char context[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    int code = result == -ENOSPC ? EXIT_NO_SPACE : result == -ENOMEM ? EXIT_MEMORY : EXIT_FILE_IO;
    return err_sys(err, code, -result, "%s", context);
}
