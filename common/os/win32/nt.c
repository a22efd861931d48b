#include "os/win32/os_win32.h"

#include "core/win32/sys_own.h"
#include "os/win32/wtf8.h"

#include <errno.h>
#include <string.h>

enum {
    BUSY_TRIES = 10, /* what a virus scanner or an indexer looks at is soon free again */
    BUSY_PAUSE_MS = 50,
    PATH_INFORMATION_BYTES = 1024, /* what is deeper is looked up in its directory */
    NORMALIZED_NAME_CLASS = 48, /* FILE_INFORMATION_CLASS, of ntifs.h */
};

/* FILE_NAME_INFORMATION of ntifs.h */
struct path_information {
    ULONG bytes;
    uint16_t units[1];
};

bool is_link_tag(ULONG tag) {
    return IsReparseTagNameSurrogate(tag);
}

int nt_name(const char *name, struct nt_name *ret) {
    size_t n = strlen(name);
    if (os_name_fault(name, n) != NULL)
        return strchr(name, '/') || strchr(name, '\\') || strcmp(name, "..") == 0 ? -EXDEV : -EILSEQ;
    ptrdiff_t units = wtf8_to_utf16(name, n, ret->units, NAME_BYTES_MAX);
    if (units < 0)
        return (int)units;
    ret->s = (UNICODE_STRING){
        .Length = (USHORT)(units * 2),
        .MaximumLength = (USHORT)(units * 2),
        .Buffer = (wchar_t *)ret->units,
    };
    return 0;
}

static NTSTATUS create(void *at, UNICODE_STRING *name, const struct nt_how *how, void **ret) {
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK io;
    InitializeObjectAttributes(&attributes, name, OBJ_CASE_INSENSITIVE, at, NULL);
    HANDLE handle = NULL;
    NTSTATUS status = STATUS_SHARING_VIOLATION;
    for (int i = 0; i < BUSY_TRIES && status == STATUS_SHARING_VIOLATION; i++) {
        if (i > 0)
            Sleep(BUSY_PAUSE_MS);
        status =
            NtCreateFile(&handle, how->access | SYNCHRONIZE, &attributes, &io, NULL, FILE_ATTRIBUTE_NORMAL,
                         how->share, how->disposition, how->options | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    }
    *ret = handle;
    return status;
}

static bool ends_with(const struct path_information *path, const struct nt_name *name) {
    size_t n = path->bytes / 2, units = name->s.Length / 2;
    return n > units && path->units[n - units - 1] == '\\' &&
           memcmp(path->units + n - units, name->units, name->s.Length) == 0;
}

/* 0 when the name on disk of what `handle` is open on is `name`, unit for unit. FileNameInformation would not do: a network
 * redirector tells there what somebody once opened. */
static int check_spelling(void *at, void *handle, struct nt_name *name) {
    union {
        struct path_information info;
        char bytes[PATH_INFORMATION_BYTES];
    } path;
    IO_STATUS_BLOCK io;
    NTSTATUS status = NtQueryInformationFile(handle, &io, &path, sizeof path,
                                             (FILE_INFORMATION_CLASS)NORMALIZED_NAME_CLASS);
    if (NT_SUCCESS(status))
        return ends_with(&path.info, name) ? 0 : -SYS_OTHER_NAME;
    return nt_check_listed(at, name);
}

int nt_open(void *at, const char *name, const struct nt_how *how, void **ret) {
    struct nt_name unicode;
    struct nt_how direct = *how;
    void *handle = NULL;
    int result = nt_name(name, &unicode);
    if (result != 0)
        return result;
    direct.options |= FILE_OPEN_REPARSE_POINT;
    NTSTATUS status = create(at, &unicode.s, &direct, &handle);
    if (!NT_SUCCESS(status))
        return nt_error(status);
    result = how->disposition == FILE_OPEN ? check_spelling(at, handle, &unicode) : 0;
    if (result != 0) {
        (void)CloseHandle(handle);
        return result;
    }
    *ret = handle;
    return 0;
}

int nt_reopen(void *handle, const struct nt_how *how, void **ret) {
    UNICODE_STRING none = {0};
    void *again = NULL;
    NTSTATUS status = create(handle, &none, how, &again);
    if (!NT_SUCCESS(status))
        return nt_error(status);
    *ret = again;
    return 0;
}

int nt_set(void *handle, int class_number, void *info, size_t n) {
    IO_STATUS_BLOCK io;
    NTSTATUS status = NtSetInformationFile(handle, &io, info, (ULONG)n, (FILE_INFORMATION_CLASS)class_number);
    return NT_SUCCESS(status) ? 0 : nt_error(status);
}
