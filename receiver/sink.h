/* sink.h: the only code that creates, writes, flushes and renames anything at the destination.
 *
 * All of it happens through directory handles below the root, one component at a time. A file is written
 * under a reserved temporary name beside its place, or in a new directory that has such a name, checked, flushed and only
 * then seen under its own: at every instant the name is the complete old file or the complete new one. Files are
 * committed in batches; who asked for a file hears through `settled` when it is durable or has failed. A failure
 * concerns one file: it returns -1 with an err that names the path, and the sink can go on. One thread.
 */
#ifndef RECEIVER_SINK_H
#define RECEIVER_SINK_H

#include "codec/digest.h"
#include "core/err.h"
#include "flow/content.h"
#include "os/os_file.h"
#include "receiver/usage.h"
#include "tree/dir_cache.h"
#include "wire/msg.h"

#include <stdatomic.h>

enum {
    SINK_BATCH_FILES = 2048,
    SINK_BATCH_BYTES = 8 * 1024 * 1024, /* a window: a dead receiver had not committed more than that */
    SINK_BLOCK_BYTES = 1024 * 1024,
    SINK_WRITE_OUT_BYTES = 1024 * 1024, /* of a large file, handed to storage at a time (decision 0014) */
    SINK_KEPT_FILES = 16, /* files of a batch that are open at a time: a session needs few descriptors */
    SINK_LOOKED_AT = 1024, /* a power of 2 */
    SINK_STAGED_MAX = 1024, /* directories at a time */
    SINK_SYNC_DIRS = 8, /* more directories than this in a batch: the volume is flushed instead */
};

/* What a file is to be like, as far as the options preserve it. */
struct metadata {
    uint32_t mode;
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    uint32_t uid, gid;
    struct win_attr win;
};

/* Which file it is, and since when: what differs in one of them may differ in its content. ctime has ticks, here and there of
 * seconds; what is written in place has another mtime at once. */
struct file_state {
    uint64_t device, inode, size;
    int64_t ctime_sec, mtime_sec;
    uint32_t ctime_nsec, mtime_nsec;
    uint64_t flushes; /* of the volume, before it was looked at */
};

/* Called for every file handed to sink_file_end: err NULL when it is durable. */
typedef void sink_settled_fn(void *ctx, uint64_t file_id, uint64_t size, const struct err *err);

struct sink_options {
    bool perms, times, owner, group;
    enum durable durable;
    uint32_t umask; /* for modes that are not preserved */
    bool verify; /* files are read back from storage before they are renamed; flushed one by one for that */
    struct usage *usage; /* of the peer; borrowed; NULL: without limits */
    const atomic_bool *cancelled; /* ends what takes long, with EXIT_SIGNAL; NULL: nothing does */
    uint64_t name_salt; /* random; makes the temporary names of a session its own */
    uint64_t partial_min; /* what is larger is kept when it is interrupted; 0: nothing is */
    bool inplace; /* files that are there are written into */
    struct ahead *ahead; /* blocks that are there before they are asked for; borrowed; NULL: none are */
};

/* What the destination already has of a file, block by block at the same offsets. */
struct sink_basis {
    uint64_t size; /* of all of it; 0: there is none */
    uint64_t split; /* bytes that are in the unfinished file itself; what follows is in the old one */
    uint32_t block_size;
    bool inplace; /* the unfinished file is the old one */
    struct usage *usage; /* whose account it is; borrowed; NULL: without limits */
};

/* What was written to the open file, to compare with what is read back: the digest of its blocks but for those, and for the
 * ends of those, that are zeros, so that it is the same wherever a file system keeps zeros as holes, and holes cost
 * nothing. */
struct sink_verify {
    struct stream_digest *digest;
    uint8_t *block; /* the last one, of which `filled` bytes have come; it begins at `at` */
    uint64_t at;
    size_t filled;
    const char *how; /* files were read back, for people; NULL: none was yet */
};

/* Where the file being written is: under a temporary name, that of a large one, or its own: it was there, or its directory is staged
 * (sink_stage.c). */
enum sink_place { SINK_TEMP, SINK_PARTIAL, SINK_INPLACE, SINK_STAGED };

struct sink_commit {
    uint64_t file_id, size;
    char *path;
    bool named; /* has its name already */
    bool staged; /* so has this, and its directory gets it */
    struct os_file kept; /* open for the last files only, see sink_commit.c */
    int closed; /* result of closing it */
    bool synced;
    bool elsewhere; /* on another volume than the root */
};

struct sink {
    struct os_dir root;
    uint64_t volume; /* device of the root; what lies on others is flushed one by one */
    bool syncs_volume; /* a flush of it reaches storage; else what lies on it is flushed so too */
    struct dir_cache dirs;
    struct sink_options opt;
    sink_settled_fn *settled;
    void *ctx;
    bool any_partial; /* an unfinished file was seen */
    uint64_t looked_at[SINK_LOOKED_AT]; /* where orphans were looked for: a number made of the inode */
    struct os_file claim; /* says on the root that this session lives; open: its temporary names tell where */
    /* The file being written. */
    struct os_file file, old; /* old: what a basis is in, open once it was needed */
    struct usage_held held, held_old; /* of a file that is written in place, and of `old` */
    char *path;
    enum sink_place place;
    bool marked; /* it has the time of what is neither old nor new, see sink_inplace.c */
    uint64_t file_id, end_of_data;
    struct os_stat made; /* it or the one before it, as it was created */
    uint32_t mode, made_with; /* modes that the file, and the one that `made` is of, were created with */
    bool made_known; /* `made` is of a file that was created, not of one that was written on */
    bool as_before; /* it is as `made` */
    uint64_t had; /* bytes that were in it before anything was written */
    uint64_t filled; /* where that ends which was put into it ahead */
    uint64_t written_out; /* what lies before is on its way to storage; UINT64_MAX: the flush does it all */
    int lost; /* result of sending that to storage; not 0: the file fails, and is not flushed */
    struct sink_basis basis;
    uint64_t lent; /* bytes of the basis that are in another session's unfinished file, which is read */
    bool old_is_lent; /* `old` is that file */
    uint8_t *block; /* SINK_BLOCK_BYTES, for blocks that are used again; NULL until then */
    struct content_room content; /* for sink_digest */
    struct sink_verify verify; /* digest NULL: not wanted */
    bool counted; /* among the peer's files */
    uint64_t taken; /* it may be so long */
    struct usage_file counts;
    /* Finished, not yet committed. */
    struct sink_commit batch[SINK_BATCH_FILES];
    unsigned batch_count;
    unsigned batch_closed; /* so many of the batch are closed */
    uint64_t batch_bytes;
    bool batch_elsewhere; /* some of it is on another volume than the root */
    uint64_t staged; /* directories, in all */
    struct err dropped; /* why one of them is gone; untold while it is set */
    uint64_t flushes; /* of the volume, that succeeded */
    int flush_failed; /* result of a flush of the volume or of a directory: nothing is committed after it */
    bool names_changed; /* directories, links: names to flush that are in no batch entry */
    int64_t young_sec; /* what changed since then may not be on storage, whoever changed it */
};

/* `root` is taken over. 0, or -1 and err. */
int sink_open(struct os_dir root, const struct sink_options *opt, sink_settled_fn *settled, void *ctx,
              struct sink **ret, struct err *err);
/* Drops the open file and removes what was not committed. NULL is fine. */
void sink_close(struct sink *sink);

/* ENTRY_DIR: there is a directory at the path afterwards. Parents must exist. */
int sink_make_dir(struct sink *sink, const char *path, uint32_t mode, struct err *err);
/* ENTRY_DIR_END: its mode and times, if they are preserved and differ. It fails, too, when a directory that was made for the
 * peer is gone and nobody was told. */
int sink_end_dir(struct sink *sink, const struct entry *e, struct err *err);
/* ENTRY_FILE, before it is asked for: -1 and err (EXIT_PARTIAL) when a FIFO, a socket or a device is at the path. That stays,
 * for somebody else is at its other end; what else is in the place of a file is told when the file is to be renamed. */
int sink_check_place(struct sink *sink, const char *path, struct err *err);
/* ENTRY_SYMLINK, replaced atomically. The same stays. */
int sink_make_link(struct sink *sink, const struct entry *e, struct span target, struct err *err);

/* What the destination has at the entry's path, for the verdict: SINK_LACKS unless it is a regular file of that size.
 * With same_time SINK_HAS when it has that mtime as well, which is enough; its metadata is corrected then. Where its content is to
 * tell, SINK_MAY_HAVE: without same_time, and for a file that was not given its time, but written at it. A file that has
 * other names, for which metadata would change too, is to come anew. */
enum sink_has { SINK_LACKS, SINK_HAS, SINK_MAY_HAVE };
enum sink_has sink_has(struct sink *sink, const struct entry *e, bool same_time);
/* Content digest (BASIS_CONTENT) of the file at `path`, and of which. */
int sink_digest(struct sink *sink, const char *path, uint32_t block_size, struct file_state *ret_was,
                struct digest *ret, struct err *err);
/* Set the metadata of an existing file whose content is right (FILE_SAME): that of `was`, as sink_digest found it. */
int sink_touch(struct sink *sink, const char *path, const struct file_state *was, const struct metadata *meta,
               struct err *err);

/* One file at a time, whose file_id is of none that waits to be committed: begin, write*, then end or drop. After a failure of
 * write or end it is dropped already, but for EXIT_SIGNAL of write, and what EXIT_SIGNAL of end leaves for the next session.
 * meta: what will be set at the end, where that is known; may be NULL. */
int sink_file_begin(struct sink *sink, uint64_t file_id, const char *path, uint64_t data_size,
                    const struct metadata *meta, struct err *err);
/* The same for a file of `size` bytes that travels alone. What is larger than partial_min is written under a name made of
 * its own, by which the next session finds it. */
int sink_file_begin_large(struct sink *sink, uint64_t file_id, const char *path,
                          const struct msg_file_begin *begin, const struct sink_basis *basis,
                          struct err *err);
int sink_file_write(struct sink *sink, const void *p, size_t n, uint64_t offset, struct err *err);
/* Bytes of the basis, read again once they are where they belong: `add` gets the digest of each block. As
 * sink_file_write, but a basis that is not what it was gives EXIT_VERIFY, and the file goes on. */
typedef void sink_block_fn(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest);
int sink_file_reuse(struct sink *sink, uint64_t offset, uint64_t n, sink_block_fn *add, void *ctx,
                    struct err *err);
/* What there is of a file of `size` bytes before it is written. */
struct sink_basis sink_find_basis(struct sink *sink, const char *path, uint64_t size);
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
