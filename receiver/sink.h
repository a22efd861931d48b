/* sink.h: the only code that creates, writes, flushes and renames anything at the destination.
 *
 * All of it happens through directory handles below the root, one component at a time. A file is written
 * under a reserved temporary name beside its place, checked, flushed and only then renamed: at every instant
 * the name is the complete old file or the complete new one. Files are committed in batches; who asked for a
 * file hears through `settled` when it is durable or has failed. A failure concerns one file: it returns -1
 * with an err that names the path, and the sink can go on. One thread.
 */
#ifndef RECEIVER_SINK_H
#define RECEIVER_SINK_H

#include "codec/digest.h"
#include "core/err.h"
#include "os/os_file.h"
#include "tree/dir_cache.h"
#include "wire/msg.h"

enum {
    SINK_BATCH_FILES = 512,
    SINK_BATCH_BYTES = 64 * 1024 * 1024,
    SINK_SYNC_DIRS = 8, /* more directories than this in a batch: the volume is flushed instead */
};

/* What a file is to be like, as far as the options preserve it. */
struct metadata {
    uint32_t mode;
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    uint32_t uid, gid;
};

/* Called for every file handed to sink_file_end: err NULL when it is durable. */
typedef void sink_settled_fn(void *ctx, uint64_t file_id, uint64_t size, const struct err *err);

struct sink_options {
    bool perms, times, owner, group;
    enum durable durable;
    uint32_t umask; /* for modes that are not preserved */
    uint64_t name_salt; /* random; makes the temporary names of a session its own */
};

struct sink_commit {
    uint64_t file_id, size;
    char *path;
    struct os_file kept; /* open only for the last file, see sink_commit.c */
    int closed; /* result of closing it */
    bool synced;
};

struct sink {
    struct os_dir root;
    uint64_t volume; /* device of the root; what lies on others is flushed one by one */
    struct dir_cache dirs;
    struct sink_options opt;
    sink_settled_fn *settled;
    void *ctx;
    /* The file being written. */
    struct os_file file;
    char *path;
    uint64_t file_id, end_of_data;
    struct os_stat made; /* it or the one before it, as it was created */
    uint32_t made_with; /* mode that it was created with */
    bool as_before; /* it is as `made` */
    /* Finished, not yet committed. */
    struct sink_commit batch[SINK_BATCH_FILES];
    unsigned batch_count;
    uint64_t batch_bytes;
    bool batch_elsewhere; /* some of it is on another volume than the root */
    bool names_changed; /* directories, links: names to flush that are in no batch entry */
};

/* `root` is taken over. 0, or -1 and err. */
int sink_open(struct os_dir root, const struct sink_options *opt, sink_settled_fn *settled, void *ctx,
              struct sink **ret, struct err *err);
/* Drops the open file and removes what was not committed. NULL is fine. */
void sink_close(struct sink *sink);

/* ENTRY_DIR: there is a directory at the path afterwards. Parents must exist. */
int sink_make_dir(struct sink *sink, const char *path, uint32_t mode, struct err *err);
/* ENTRY_DIR_END: its mode and times, if they are preserved and differ. */
int sink_end_dir(struct sink *sink, const struct entry *e, struct err *err);
/* ENTRY_SYMLINK, replaced atomically. */
int sink_make_link(struct sink *sink, const struct entry *e, struct span target, struct err *err);

/* What the destination has at the entry's path, for the verdict: true when it is a regular file of that size, and
 * with `same_time` of that mtime. Corrects the mode of such a file when modes are preserved. */
bool sink_has(struct sink *sink, const struct entry *e, bool same_time);
/* Content digest (BASIS_CONTENT) of the file at `path`. */
int sink_digest(struct sink *sink, const char *path, uint32_t block_size, uint64_t *ret_size,
                struct digest *ret, struct err *err);
/* Set the metadata of an existing file whose content is right (FILE_SAME). */
int sink_touch(struct sink *sink, const char *path, const struct metadata *meta, struct err *err);

/* One file at a time: begin, write*, then end or drop. After a failure of write or end it is dropped already.
 * meta: what will be set at the end, where that is known; may be NULL. */
int sink_file_begin(struct sink *sink, uint64_t file_id, const char *path, uint64_t data_size,
                    const struct metadata *meta, struct err *err);
int sink_file_write(struct sink *sink, const void *p, size_t n, uint64_t offset, struct err *err);
/* Makes it ready and puts it into the batch. `settled` is called for it later, from here or from sink_commit. */
int sink_file_end(struct sink *sink, uint64_t size, const struct metadata *meta, struct err *err);
void sink_file_drop(struct sink *sink);

/* Flush and rename the batch. Failures are told through `settled`. */
void sink_commit(struct sink *sink);
static inline bool sink_has_batch(const struct sink *sink) {
    return sink->batch_count > 0;
}
/* Commit, and flush the names of directories and links too: all that was acknowledged is durable. */
int sink_finish(struct sink *sink, struct err *err);

#endif
