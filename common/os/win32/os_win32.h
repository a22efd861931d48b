/* os_win32.h: shared by the files of this folder only.
 *
 * Below an open directory everything goes through NtCreateFile, the one call of Windows that opens a name relative to a
 * handle: one component, looked up in that directory and nowhere else, and never through a link or another reparse
 * point. Win32's own functions take whole paths; only the entry points (path.c) use those.
 */
#ifndef OS_WIN32_OS_WIN32_H
#define OS_WIN32_OS_WIN32_H

#include "core/path.h"
#include "os/os.h"
#include "os/os_file.h"

#include <stdint.h>

#define WIN32_NO_STATUS /* ntstatus.h has all of them */
#include <windows.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <winternl.h>

/* Times of Windows count 100 ns from 1601. */
#define NT_TIME_UNIT_NS INT64_C(100)
#define NT_TIME_1970 INT64_C(116444736000000000)
#define NT_TIME_PER_S INT64_C(10000000)

enum { SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE };

/* ---- error.c ---- */

/* -errno for an error of Windows; one table. */
int win_error(DWORD error);
int nt_error(NTSTATUS status);

/* ---- nt.c ---- */

struct nt_name {
    uint16_t units[NAME_BYTES_MAX + 1];
    UNICODE_STRING s; /* over units */
};
/* One component as Windows has it. 0, or -EXDEV, -EILSEQ for what it cannot be. */
int nt_name(const char *name, struct nt_name *ret);

/* How nt_open opens; SYNCHRONIZE and synchronous I/O are always meant. */
struct nt_how {
    ACCESS_MASK access;
    ULONG share;
    ULONG disposition; /* FILE_OPEN, FILE_CREATE */
    ULONG options; /* FILE_DIRECTORY_FILE, ... */
};

/* `name` in `at`, itself and not what it may point to. A name that is there must be spelled as it is on disk:
 * -SYS_OTHER_NAME when only case differs or it is a short (8.3) name. What another program has open for itself is tried
 * for half a second, then -ETXTBSY. */
int nt_open(void *at, const char *name, const struct nt_how *how, void **ret);
/* What `handle` is open on, once more, with other rights. */
int nt_reopen(void *handle, const struct nt_how *how, void **ret);

/* Sets one kind of information, with its class number. 0 or -errno. */
int nt_set(void *handle, int class_number, void *info, size_t n);

/* True for tags of links: of symbolic ones, junctions and mounted volumes. Other reparse points are the file system's own
 * way to keep data. */
bool is_link_tag(ULONG tag);

/* ---- list.c ---- */

/* 0 when a name that is in the directory `at` is spelled so there, else -SYS_OTHER_NAME. */
int nt_check_listed(void *at, struct nt_name *name);

/* ---- stat.c ---- */

int nt_stat(void *handle, struct os_stat *ret);
uint32_t nt_mode(ULONG attributes);

#endif
