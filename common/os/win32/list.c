#include "os/win32/os_win32.h"

#include "core/win32/sys_own.h"
#include "os/win32/wtf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIST_BYTES = 64 * 1024, /* the most that a network redirector fills */
    FULL_DIRECTORY_CLASS = 2, /* FILE_INFORMATION_CLASS, of ntifs.h */
    NAMES_CLASS = 12,
    LONGEST_UNITS = 255, /* of a name on any file system of Windows */
};

/* FILE_FULL_DIR_INFORMATION of ntifs.h */
struct full_entry {
    ULONG next, index;
    LARGE_INTEGER created, accessed, written, changed, size, allocated;
    ULONG attributes, name_bytes;
    ULONG tag; /* the size of extended attributes, or the tag of a reparse point */
    uint16_t name[1];
};

/* FILE_NAMES_INFORMATION of ntifs.h */
struct name_entry {
    ULONG next, index, name_bytes;
    uint16_t name[LONGEST_UNITS];
};

struct os_list {
    void *handle;
    size_t at; /* of the next entry in `buffer`; LIST_BYTES: none is left */
    char name[LONGEST_UNITS * 3 + 1];
    _Alignas(8) unsigned char buffer[LIST_BYTES];
};

NTSTATUS NTAPI NtQueryDirectoryFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG,
                                    FILE_INFORMATION_CLASS, BOOLEAN, PUNICODE_STRING, BOOLEAN);

static const struct nt_how to_list = {FILE_LIST_DIRECTORY, SHARE_ALL, FILE_OPEN, FILE_DIRECTORY_FILE};

int os_list_open(struct os_dir dir, struct os_list **ret) {
    struct os_list *list = malloc(sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    /* A handle of its own: its position is not shared with others that list the directory. */
    int result = nt_reopen(dir.handle, &to_list, &list->handle);
    if (result != 0) {
        free(list);
        return result;
    }
    list->at = LIST_BYTES;
    *ret = list;
    return 0;
}

static enum os_kind kind_of(const struct full_entry *entry) {
    if (entry->attributes & FILE_ATTRIBUTE_REPARSE_POINT && is_link_tag(entry->tag))
        return OS_SYMLINK;
    return entry->attributes & FILE_ATTRIBUTE_DIRECTORY ? OS_DIR : OS_FILE;
}

/* 1, 0 at the end, or -errno. */
static int fill(struct os_list *list) {
    IO_STATUS_BLOCK io;
    NTSTATUS status = NtQueryDirectoryFile(list->handle, NULL, NULL, NULL, &io, list->buffer, LIST_BYTES,
                                           (FILE_INFORMATION_CLASS)FULL_DIRECTORY_CLASS, FALSE, NULL, FALSE);
    if (status == STATUS_NO_MORE_FILES || status == STATUS_NO_SUCH_FILE)
        return 0;
    if (!NT_SUCCESS(status))
        return nt_error(status);
    list->at = 0;
    return 1;
}

static bool is_dot(const struct full_entry *entry) {
    return entry->name[0] == '.' &&
           (entry->name_bytes == 2 || (entry->name_bytes == 4 && entry->name[1] == '.'));
}

int os_list_next(struct os_list *list, const char **ret_name, enum os_kind *ret_kind) {
    for (;;) {
        int more = list->at == LIST_BYTES ? fill(list) : 1;
        if (more <= 0)
            return more;
        const struct full_entry *entry = (const void *)(list->buffer + list->at);
        list->at = entry->next ? list->at + entry->next : LIST_BYTES;
        if (is_dot(entry))
            continue;
        ptrdiff_t n = utf16_to_wtf8(entry->name, entry->name_bytes / 2, list->name, sizeof list->name - 1);
        if (n < 0)
            return (int)n;
        list->name[n] = '\0';
        *ret_name = list->name;
        *ret_kind = kind_of(entry);
        return 1;
    }
}

void os_list_close(struct os_list *list) {
    if (list == NULL)
        return;
    (void)CloseHandle(list->handle);
    free(list);
}

int nt_check_listed(void *at, struct nt_name *name) {
    struct name_entry entry;
    IO_STATUS_BLOCK io;
    void *handle;
    NTSTATUS status;
    int result = nt_reopen(at, &to_list, &handle); /* a handle keeps the first filter that it is given */
    if (result != 0)
        return result;
    do { /* where case counts, there may be several; a short name finds the long one */
        status = NtQueryDirectoryFile(handle, NULL, NULL, NULL, &io, &entry, sizeof entry,
                                      (FILE_INFORMATION_CLASS)NAMES_CLASS, TRUE, &name->s, FALSE);
        result = NT_SUCCESS(status) && entry.name_bytes == name->s.Length &&
                         memcmp(entry.name, name->units, entry.name_bytes) == 0
                     ? 0
                     : -SYS_OTHER_NAME;
    } while (NT_SUCCESS(status) && result != 0);
    (void)CloseHandle(handle);
    return NT_SUCCESS(status) || status == STATUS_NO_MORE_FILES || status == STATUS_NO_SUCH_FILE
               ? result
               : nt_error(status);
}
