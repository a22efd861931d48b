/* os_file.h: files and directories, one component at a time below an open directory handle.
 *
 * Every function takes an open directory and a name of one component (core/path.h), follows no link and
 * crosses no "..". They return 0 or a byte count, and -errno on failure, so that the caller can decide;
 * os_file_error() turns that into an err with the exit code that fits (ENOSPC, EDQUOT: EXIT_NO_SPACE).
 */
#ifndef OS_OS_FILE_H
#define OS_OS_FILE_H

#include "core/err.h"
#include "core/win_attr.h"
#include "os/os_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_stat {
    enum os_kind kind;
    uint32_t mode; /* 07777 */
    uint32_t uid, gid;
    uint64_t size;
    uint64_t allocated; /* bytes of storage */
    uint32_t links; /* names that it has, here or elsewhere */
    int64_t mtime_sec, ctime_sec;
    uint32_t mtime_nsec, ctime_nsec;
    uint64_t device, inode;
    struct win_attr win;
};

/* err from a negative result, "CONTEXT: No space left on device". Always -1. */
int os_file_error(struct err *err, int result, const char *fmt, ...) ERR_PRINTF(3, 4);

/* Where the program starts: the only functions that take a whole path, and follow links in it. */
int os_dir_open_path(const char *path, struct os_dir *ret);
/* The same for the way to what lies in it: nobody need be allowed to read it, and it is neither listed nor flushed. */
int os_dir_pass_path(const char *path, struct os_dir *ret);
int os_stat_path(const char *path, bool follow, struct os_stat *ret);
int os_open_path(const char *path, struct os_file *ret); /* for reading; never blocks */
int os_mkdir_path(const char *path); /* with its parents */
int os_flush_path(const char *path); /* the directories above it, on storage; nothing on Windows */
/* The last component of `path`, as it is on disk, into ret[0…max). 0, or -errno. */
int os_last_name(const char *path, char *ret, size_t max);
/* Every separator that the system knows becomes '/', in place. */
void os_path_normalize(char *path);

/* Why this system cannot hold the name of n bytes, for people; NULL when it can. For names that name_check() lets pass. */
const char *os_name_fault(const char *name, size_t n);

/* Below a directory. os_dir_open uses openat2(RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS) and,
 * where the kernel lacks or blocks it, openat(O_NOFOLLOW|O_DIRECTORY). */
int os_dir_open(struct os_dir at, const char *name, struct os_dir *ret);
int os_dir_dup(struct os_dir dir, struct os_dir *ret);
void os_dir_close(struct os_dir *dir);
int os_dir_sync(struct os_dir dir);
int os_dir_stat(struct os_dir dir, struct os_stat *ret);
/* syncfs: everything of this file system. Only where OS_CAN_SYNC_VOLUME (os_types.h); elsewhere files and directories
 * are flushed one by one. */
int os_volume_sync(struct os_dir dir);
/* True when os_volume_sync reaches storage, as far as is known. Linux asks few servers (FUSE, 9p, SMB) to flush, and says 0. */
bool os_volume_syncs(struct os_dir dir);
/* True when the time of change is known to be kept on storage, apart from that of writing, which FAT tells for it. */
bool os_keeps_change_time(struct os_dir dir);
int os_volume_free(struct os_dir dir, uint64_t *ret_bytes);

/* Tests only: true makes every open take the fallback walk. */
void os_dir_force_fallback(bool on);

int os_stat_at(struct os_dir at, const char *name, struct os_stat *ret);
/* True when nobody but this user, and the superuser, may rename what is in a directory that is `st`. False on Windows. */
bool os_dir_is_private(const struct os_stat *st);
int os_mkdir_at(struct os_dir at, const char *name, uint32_t mode);
int os_unlink_at(struct os_dir at, const char *name);
int os_rmdir_at(struct os_dir at, const char *name);
int os_symlink_at(const char *target, struct os_dir at, const char *name);
/* Bytes of the target in `to` (no NUL), or -errno. */
ptrdiff_t os_readlink_at(struct os_dir at, const char *name, char *to, size_t n);
int os_rename_at(struct os_dir at, const char *from, const char *to);
/* From one directory to another, or within one. replace: as os_rename_at does; else -EEXIST where the name is taken. Only where
 * OS_CAN_STAGE_DIRS (os_types.h): with open files below it a directory cannot be renamed on Windows. */
int os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name, bool replace);
/* Of the link at `name` itself; -ELOOP where something else has come in its place. Ids that are OS_KEEP_ID stay. */
#define OS_KEEP_ID UINT32_MAX
int os_set_owner_at(struct os_dir at, const char *name, uint32_t uid, uint32_t gid);
int os_set_mtime_at(struct os_dir at, const char *name, int64_t sec, uint32_t nsec);

/* Files. Opening for reading never blocks (FIFOs) and never follows. */
int os_open_read(struct os_dir at, const char *name, struct os_file *ret);
/* Exclusive creation for writing and reading. mode: 0…0777, less the umask of the process; not kept on Windows. */
int os_create(struct os_dir at, const char *name, uint32_t mode, struct os_file *ret);
void os_close(struct os_file *file);
int os_close_checked(struct os_file *file); /* the result of close counts */
/* Many at once, in as few system calls as their numbers allow; what is not open is passed over. */
void os_close_all(struct os_file *files, unsigned count);
int os_fstat(struct os_file file, struct os_stat *ret);
/* As it is now, where another machine may have changed it: a network file system answers os_fstat with what it was told
 * before. */
int os_fstat_now(struct os_file file, struct os_stat *ret);
ptrdiff_t os_pread(struct os_file file, void *to, size_t n,
                   uint64_t offset); /* fewer than n only at the end */
int os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset); /* all or an error */
/* Ranges will be left out between what is written: make them holes where that has to be said. */
void os_expect_holes(struct os_file file);
int os_truncate(struct os_file file, uint64_t size);
int os_set_mode(struct os_file file, uint32_t mode);
int os_set_owner(struct os_file file, uint32_t uid, uint32_t gid);
int os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec);
/* To the present, which whoever may write the file may do, too. */
int os_set_mtime_now(struct os_file file);
/* Attributes and time of creation. Only where OS_KEEPS_WIN_ATTR (os_types.h); elsewhere -ENOTSUP. */
int os_set_win_attr(struct os_file file, const struct win_attr *win);
int os_sync(struct os_file file);
/* The system begins to write the range to storage, and does not wait until it is there: os_sync then finds less to do. 0
 * proves nothing, and is the result too where there is no such thing. A negative one: some of it is lost, and os_sync may
 * not say so again. */
int os_write_out_soon(struct os_file file, uint64_t offset, uint64_t n);
/* Reads a file of `size` bytes from storage, not from memory: `take` gets its pieces in order, until it gives false; what
 * it does not get is a hole. The file is `name` in `at`, open for reading, and flushed; afterwards it is good for
 * setting mode, attributes and times, and closing only. *ret_how says, for people, how the cache was kept out. 0 or -errno
 * (-EIO: it is shorter; -EINTR: `take` gave false). */
typedef bool os_piece_fn(void *ctx, const void *p, size_t n, uint64_t offset);
int os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size, os_piece_fn *take,
                 void *ctx, const char **ret_how);
/* What memory has of the file, and storage has too as far as the system knows, is read from there next time. 0 or -errno; nothing
 * is done where there is no such thing (Windows). */
int os_drop_cached(struct os_file file);
/* The next run of data at or after `offset`: 0 and [*ret_start, *ret_end), or -ENXIO when only a hole follows.
 * Where the file system cannot tell, all of the file is data. */
int os_next_data(struct os_file file, uint64_t offset, uint64_t size, uint64_t *ret_start, uint64_t *ret_end);
/* A write that someone has begun is over, or what is read from now on will wait for it (Linux; nothing is done on Windows).
 * Not seen are direct I/O and what is stored in a mapped file. Not to be interrupted: it ends with that one write, of 2 GiB
 * at most, and lasts as long as that takes to get at its data. */
void os_await_write(struct os_file file);

/* What several sessions may meet at. A claim says that the session `id` lives, and ends with the process, however that
 * ends; os_unclaim ends it sooner. Neither changes the time of `dir`. -ENOTSUP where others could not see it (network
 * file systems). */
int os_claim(struct os_dir dir, uint64_t id, struct os_file *ret);
void os_unclaim(struct os_dir dir, struct os_file *claim);
/* 1: that session lives, or may live; 0: it does not; a negative result when nobody can tell. */
int os_is_claimed(struct os_dir dir, uint64_t id);
/* A regular file under this one name, for reading and writing, which nobody else can open in this way until it is closed.
 * `ours`: it is made (mode 0600) if it is missing, and must be this user's alone, as far as modes are kept. -EBUSY:
 * another has it. -EPERM: it is no such file, and nobody is at it. -ENOTSUP: locks prove nothing there. */
int os_open_locked(struct os_dir at, const char *name, bool ours, struct os_file *ret);

/* The same bytes at the same offset of another file, without passing through the process, shared where the file system
 * can. -ENODATA: `from` is shorter. -ENOTSUP: read and write them. */
int os_copy_range(struct os_file from, struct os_file to, uint64_t offset, uint64_t n);
/* False where os_copy_range shares nothing, as far as is known. */
bool os_copy_may_share(struct os_file file);
/* The range becomes a hole, or reads as zeros at least. The file does not become longer than offset + n. -ENOTSUP: write zeros
 * to it. */
int os_zero_range(struct os_file file, uint64_t offset, uint64_t n);

/* Listing. */
struct os_list;
int os_list_open(struct os_dir dir, struct os_list **ret); /* does not take dir over */
/* 1 and a name that lives until the next call (kind may be OS_NONE: not known), 0 at the end, -errno. */
int os_list_next(struct os_list *list, const char **ret_name, enum os_kind *ret_kind);
void os_list_close(struct os_list *list);

#endif
