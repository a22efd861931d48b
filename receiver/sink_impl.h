/* sink_impl.h: shared by the files of the sink only. */
#ifndef RECEIVER_SINK_IMPL_H
#define RECEIVER_SINK_IMPL_H

#include "receiver/ahead.h"
#include "receiver/sink.h"

struct temp_name {
    char s[sizeof RESERVED_PREFIX + 48];
};
/* The temporary name of a file of this session, for the directory of `path`. */
void sink_temp_name(const struct sink *sink, const char *path, uint64_t file_id, struct temp_name *ret);
/* The name of the unfinished file that is to become `name`. */
void sink_partial_name(const char *name, struct temp_name *ret);
/* The name under which a file of this session is before it has its own, in `room`, or that where it has it from the start. */
const char *sink_name_for_now(const struct sink *sink, const char *path, uint64_t file_id,
                              enum sink_place place, struct temp_name *room);
/* True when the unfinished file of `size` bytes is to be found again. */
static inline bool sink_keeps_partial(const struct sink *sink, uint64_t size) {
    return sink->opt.partial_min > 0 && size > sink->opt.partial_min && os_file_is_open(sink->claim);
}
/* The file at `path` is complete, with `size` bytes: what a dead session left of it is of no use any more. For one that
 * would not be kept itself it is looked for only when there is any. */
void sink_remove_partial(struct sink *sink, const char *path, uint64_t size);
/* Remove what sessions that are dead left in the directory at `path`, "" for the root. What cannot be removed stays. */
void sink_remove_orphans(struct sink *sink, const char *path);

/* sink_stage.c. Make the directory `name` in `at` so that it gets its name later. 1: it is to be made as usual; 0, or a negative
 * result. */
int sink_stage_dir(struct sink *sink, struct os_dir at, const char *name, const char *path, uint32_t mode);
/* The file at `path` is in the batch now. */
void sink_stage_fill(struct sink *sink, const char *path);
/* It is none that may be seen, and could not be removed: nor may its directory. */
void sink_stage_spoil(struct sink *sink, const char *path);
/* The batch is flushed: the directories that its files are in get their names. One that cannot goes, with what is in it, and the
 * files among that are settled. */
void sink_name_filled(struct sink *sink);
/* So do those that `path` is, lies in or lies above, "" for all; a batch that has files in them is committed before. 0, or -1 and
 * err, the first one. */
int sink_name_dirs_of(struct sink *sink, const char *path, struct err *err);
/* 0; -1 and err, once, when a directory could not have its name since it was last asked for. */
int sink_stage_result(struct sink *sink, struct err *err);
/* The session ends. What sink_finish has not named goes: the session failed, perhaps long ago, and another one may have made since
 * what lies at the names. */
void sink_unstage(struct sink *sink);
/* What a dead session left under `name`: a file, or a staged directory with all that is in it. */
void sink_remove_dead(struct sink *sink, struct os_dir at, const char *name);

/* True when there is a file at `name` that has no other: what is changed here then changes nowhere else. */
bool sink_may_change(struct os_dir at, const char *name);

/* What a peer can make last: a hole is read in no time by nobody. */
static inline bool sink_is_cancelled(const struct sink *sink) {
    return sink->opt.cancelled && atomic_load_explicit(sink->opt.cancelled, memory_order_relaxed);
}
/* err for a negative result of such work, which may be because it was cancelled. Always -1. */
int sink_long_error(const struct sink *sink, int result, const char *path, const char *what, struct err *err);

/* The parent directory of `path` and its last component; 0, or -1 and err that names the path. */
int sink_parent(struct sink *sink, const char *path, struct os_dir *ret, const char **ret_name,
                struct err *err);

/* The session ends while a file is open: what the next one can use stays. */
void sink_file_leave(struct sink *sink);

/* Remove a file of the batch that has no name that others see. */
void sink_remove_waiting(struct sink *sink, const struct sink_commit *c);

/* What became of an entry of the batch, once. */
void sink_settle_one(struct sink *sink, struct sink_commit *c, const struct err *err);

/* Close the files of the batch up to the n-th. The results are kept, for close can fail where writes are late (NFS). */
void sink_release_kept(struct sink *sink, unsigned n);

/* True when flushing the root's volume flushes what is `st` too. Otherwise it is flushed by itself. */
static inline bool sink_volume_reaches(const struct sink *sink, const struct os_stat *st) {
    return sink->syncs_volume && st->device == sink->volume;
}

/* What lies before `end` is the caller's to write: nothing is put there ahead any more. */
static inline void sink_claim(struct sink *sink, uint64_t end) {
    if (sink->opt.ahead)
        sink->filled = ahead_claim(sink->opt.ahead, end);
}

/* True for a file that is flushed by itself, not with its batch. */
static inline bool sink_is_large(uint64_t size) {
    return size > CHUNK_SIZE_DEFAULT;
}

/* Nothing at all is put ahead any more. */
static inline void sink_stop_ahead(struct sink *sink) {
    if (sink->opt.ahead)
        sink->filled = ahead_close(sink->opt.ahead);
}

/* Nothing lies behind that which was not written for the open file. */
static inline uint64_t sink_filled_to(const struct sink *sink) {
    return sink->filled > sink->had ? sink->filled : sink->had;
}

/* sink_inplace.c. --inplace: the file that is there already. 1: there is none to write into, 0, or -1 and err. */
int sink_inplace_open(struct sink *sink, struct os_dir at, const char *name, const char *path,
                      struct err *err);
/* Before the first byte is written: from now on it is neither old nor new, after a power cut too. 0, or -1 and err. */
int sink_inplace_mark(struct sink *sink, struct err *err);
/* All of it but its time is on storage, and now that is too. 0, or -1 and err. Both do nothing for other files, and where
 * nothing is flushed. */
int sink_inplace_end(struct sink *sink, const struct metadata *meta, struct err *err);
/* It stays unfinished. */
void sink_inplace_drop(struct sink *sink);
/* True for a file that was left so: its time is nobody's. */
bool sink_is_marked(const struct os_stat *st);
/* After owner and mode were set, whose change hides when it was written last: all of it is to be flushed yet. 0, or -1 and err. */
int sink_inplace_mark_again(struct sink *sink, struct err *err);

/* The open file stays as it is: what it takes up is what the file system tells. */
void sink_settle(struct sink *sink);

/* n bytes are to be written before `end`; the file becomes so long, if it is not yet. 0, or -1 and err (EXIT_NO_SPACE). */
int sink_take_up_to(struct sink *sink, uint64_t n, uint64_t end, struct err *err);

/* n bytes more are to be written at an offset that is before `end`: whether the peer may have them. 0, and they are the
 * caller's until usage_room_used, or -1 and err (EXIT_NO_SPACE). */
int sink_take_room(struct sink *sink, uint64_t n, uint64_t end, struct err *err);

/* sink_reuse.c. The open file is a new one, and the unfinished one that its basis was found in is another session's, which may
 * wait for a peer that does not come back, or has the owner or the mode of a complete file: what is in it is taken over as from
 * an old file. */
void sink_borrow(struct sink *sink);

/* The open file is complete up to `end`. A large one begins to go to storage while the rest comes, so that the flush finds
 * little left to do. */
void sink_write_out(struct sink *sink, uint64_t end);

/* sink_verify.c. For every file: start, then add all that is written, in order of offset; once it is flushed, check reads
 * it back: 0, or -1 and err (EXIT_VERIFY: it differs). Without --verify they do nothing. */
int sink_verify_open(struct sink *sink, struct err *err);
void sink_verify_start(struct sink *sink);
void sink_verify_add(struct sink *sink, const void *p, size_t n, uint64_t offset);
int sink_verify_check(struct sink *sink, uint64_t size, struct err *err);
void sink_verify_close(struct sink *sink);

/* Flush the volume, or a directory, unless such a flush has failed: what that one lost is not found by a second. */
int sink_flush_volume(struct sink *sink);
int sink_flush_dir(struct sink *sink, struct os_dir dir);

/* A name in `dir` was made or changed that belongs to no file of the batch. 0, or a negative result when it had to be
 * flushed at once and that failed. */
int sink_name_changed(struct sink *sink, struct os_dir dir);

/* `name` is in `dir` already and stays as it is: `st`. A session that died may have made it, so that it is flushed when it is not
 * old. As sink_name_changed. */
int sink_found(struct sink *sink, struct os_dir dir, const char *name, const struct os_stat *st);

/* Nothing was sent for what lies before `offset`: it becomes a hole, whatever was there before, or zeros where there are no
 * holes. 0, or -1 and err (EXIT_NO_SPACE, EXIT_SIGNAL). */
int sink_leave_hole(struct sink *sink, uint64_t offset, struct err *err);

/* Something is about to be written up to `end`, and room was taken for it. 0, or a negative result. */
int sink_lengthen(struct sink *sink, uint64_t end);

/* Rename `temp` over `name`; an empty directory in the way is removed first. */
int sink_replace(struct sink *sink, struct os_dir dir, const char *temp, const char *name, const char *path,
                 struct err *err);

/* Remove a file of this session's own, or one that was left unfinished, and take off the bytes that count for it. NULL: those
 * that the file system tells. False: it is still there, since its directory may not be written to, and counts on. */
bool sink_remove_counted(struct sink *sink, struct os_dir at, const char *name, struct usage_file *counts);

/* True when what is `st` has this time, as far as its file system can keep it: one that knows whole seconds only has none of a
 * change either. */
static inline bool sink_has_time(const struct os_stat *st, int64_t sec, uint32_t nsec) {
    bool whole_seconds = st->mtime_nsec == 0 && st->ctime_nsec == 0;
    return st->mtime_sec == sec && (st->mtime_nsec == os_nsec_kept(nsec) || whole_seconds);
}

/* Owner, mode and, with `times`, times as the options say, on an open file that is `now`; `old` is what it replaces (kind
 * OS_NONE: nothing). */
int sink_set_metadata(const struct sink *sink, struct os_file file, const struct os_stat *now,
                      const struct metadata *meta, const struct os_stat *old, bool times, const char *path,
                      struct err *err);

/* Attributes and time of creation of Windows, where they are kept. What `meta` does not say, or is not preserved, is as
 * in `old`, or stays when there is none. */
int sink_set_win_attr(const struct sink *sink, struct os_file file, const struct win_attr *now,
                      const struct win_attr *meta, const struct win_attr *old);

/* The result of a change of owner: a group that an unprivileged receiver may not, or cannot, give is left, as in rsync. */
int sink_owner_result(int result);

/* err for a change of owner or group that failed, with what to do about it. Always -1. */
int sink_owner_error(struct err *err, int result, const char *path);

/* The ids to set so that an object that is `st` gets those of an entry, as far as the options and the system allow: false
 * when there is nothing to do. */
bool sink_owner_differs(const struct sink *sink, const struct os_stat *st, uint32_t uid, uint32_t gid,
                        uint32_t *ret_uid, uint32_t *ret_gid);

#endif
