#include "os/win32/os_win32.h"

#include <errno.h>

/* What NtQueryInformationFile(FileAllInformation) begins with; the name after it is not wanted. From ntifs.h. */
struct all_information {
    FILE_BASIC_INFORMATION basic;
    FILE_STANDARD_INFORMATION standard;
    LARGE_INTEGER index; /* FILE_INTERNAL_INFORMATION */
    ULONG ea_size, access;
    LARGE_INTEGER position;
    ULONG mode, alignment, name_length;
    WCHAR name[1];
};

/* FILE_ATTRIBUTE_TAG_INFORMATION of ntifs.h */
struct attribute_tag {
    ULONG attributes, tag;
};

enum { FILE_ALL_CLASS = 18, FILE_ATTRIBUTE_TAG_CLASS = 35 }; /* FILE_INFORMATION_CLASS */

/* Windows has no such bits. What is there to say is whether the file may be written. */
uint32_t nt_mode(ULONG attributes) {
    if (attributes & FILE_ATTRIBUTE_DIRECTORY)
        return os_mode_kept(OS_DIR, 0777);
    return os_mode_kept(OS_FILE, attributes & FILE_ATTRIBUTE_READONLY ? 0444 : 0644);
}

static void split_time(int64_t units, int64_t *ret_sec, uint32_t *ret_nsec) {
    int64_t since = units - NT_TIME_1970, sec = since / NT_TIME_PER_S, rest = since % NT_TIME_PER_S;
    if (rest < 0) {
        sec--;
        rest += NT_TIME_PER_S;
    }
    *ret_sec = sec;
    *ret_nsec = (uint32_t)(rest * NT_TIME_UNIT_NS);
}

/* OS_SYMLINK for links of every sort, else what the attributes say. 0 or -errno. */
static int kind_of(void *handle, ULONG attributes, enum os_kind *ret) {
    *ret = attributes & FILE_ATTRIBUTE_DIRECTORY ? OS_DIR : OS_FILE;
    if (!(attributes & FILE_ATTRIBUTE_REPARSE_POINT))
        return 0;
    IO_STATUS_BLOCK io;
    struct attribute_tag tag;
    NTSTATUS status = NtQueryInformationFile(handle, &io, &tag, sizeof tag,
                                             (FILE_INFORMATION_CLASS)FILE_ATTRIBUTE_TAG_CLASS);
    if (!NT_SUCCESS(status))
        return nt_error(status);
    if (is_link_tag(tag.tag))
        *ret = OS_SYMLINK;
    return 0;
}

int nt_stat(void *handle, struct os_stat *ret) {
    IO_STATUS_BLOCK io;
    struct all_information all;
    enum os_kind kind;
    NTSTATUS status =
        NtQueryInformationFile(handle, &io, &all, sizeof all, (FILE_INFORMATION_CLASS)FILE_ALL_CLASS);
    if (!NT_SUCCESS(status) && status != STATUS_BUFFER_OVERFLOW) /* the name was cut */
        return nt_error(status);
    int result = kind_of(handle, all.basic.FileAttributes, &kind);
    if (result != 0)
        return result;
    *ret = (struct os_stat){
        .kind = kind,
        .mode = kind == OS_SYMLINK ? 0777 : nt_mode(all.basic.FileAttributes),
        .uid = OS_KEEP_ID,
        .gid = OS_KEEP_ID,
        .size = (uint64_t)all.standard.EndOfFile.QuadPart,
        .allocated = (uint64_t)all.standard.AllocationSize.QuadPart,
        .links = all.standard.NumberOfLinks,
        .device = 0, /* no reparse point is followed below a directory: all of it is one volume */
        .inode = (uint64_t)all.index.QuadPart,
    };
    split_time(all.basic.LastWriteTime.QuadPart, &ret->mtime_sec, &ret->mtime_nsec);
    split_time(all.basic.ChangeTime.QuadPart, &ret->ctime_sec, &ret->ctime_nsec);
    ret->win = (struct win_attr){.known = true, .bits = all.basic.FileAttributes & WIN_ATTR_KEPT};
    split_time(all.basic.CreationTime.QuadPart, &ret->win.created_sec, &ret->win.created_nsec);
    return 0;
}

int os_fstat(struct os_file file, struct os_stat *ret) {
    return nt_stat(file.handle, ret);
}

int os_fstat_now(struct os_file file, struct os_stat *ret) {
    return nt_stat(file.handle, ret);
}

int os_dir_stat(struct os_dir dir, struct os_stat *ret) {
    return nt_stat(dir.handle, ret);
}

int os_stat_at(struct os_dir at, const char *name, struct os_stat *ret) {
    static const struct nt_how how = {FILE_READ_ATTRIBUTES, SHARE_ALL, FILE_OPEN, 0};
    void *handle;
    int result = nt_open(at.handle, name, &how, &handle);
    if (result != 0)
        return result;
    result = nt_stat(handle, ret);
    (void)CloseHandle(handle);
    return result;
}
