/* source.h: reading wanted files: chunks and holes of large ones, bundles of small ones.
 *
 * A file that changed while it was read is never passed off as good: its identity, size, mtime and ctime are
 * compared with those before; when they differ it is read again, and given up the second time (EXIT_VANISHED).
 * One thread.
 */
#ifndef SENDER_SOURCE_H
#define SENDER_SOURCE_H

#include "flow/content.h"
#include "sender/ledger.h"
#include "sender/share.h"
#include "tree/dir_cache.h"

enum {
    BUNDLE_FILE_MAX = 128 * 1024, /* larger files travel alone */
    /* The protocol allows BUNDLE_FILES_MAX. So many very small files are enough to be sent: until they are, the receiver has
     * nothing to do. */
    BUNDLE_FILES = 256,
    READ_ATTEMPTS = 2,
    SOURCE_READ_FILES = 16, /* a session needs few descriptors */
    PART_MAX =
        16 * 1024, /* what differs between equal blocks, when it is so short, takes no buffer of a chunk */
    PARTS_MAX = 64, /* of them at once */
};

/* Takes the item over. 0, or -1 and err (cancelled, out of memory). */
typedef int source_emit(void *ctx, struct item *item, struct err *err);

/* Something the receiver has to say is waited for: what is known about that block of p, or its failure. 0, or -1 and err
 * (cancelled). It may return earlier. */
typedef int source_await(void *ctx, struct pending *p, uint64_t block, struct err *err);

struct source {
    const struct source_root *roots;
    struct dir_cache dirs;
    int dirs_root; /* which root `dirs` belongs to */
    int64_t began_sec; /* os_wall_ns at source_init */
    uint32_t chunk_size;
    struct pool *pool;
    struct pool *parts; /* PARTS_MAX buffers of PART_MAX bytes; set after source_init */
    struct stream_digest *digest; /* of the chunk that is being read; made for the first one */
    struct report *report;
    struct share_user *share; /* NULL: nothing is shared */
    source_emit *emit;
    source_await *await;
    void *ctx;
    bool delta_always; /* --delta=on: blocks are compared even where hardly any is equal */
    struct content_room content; /* for files that are compared */
    _Atomic uint64_t compared; /* bytes of them, each file's once */
    struct os_file read[SOURCE_READ_FILES]; /* small files that were read, to be closed together */
    unsigned read_count;
    /* The bundle that is being filled. */
    struct item *bundle;
    uint32_t bundle_files;
    uint64_t bundle_last; /* file_id of its last file */
};

void source_init(struct source *s, const struct source_root *roots, uint32_t chunk_size, struct pool *pool,
                 struct report *report, source_emit *emit, void *ctx);
void source_free(struct source *s);

/* Read one wanted file and emit what becomes of it; small ones may wait in the bundle. Failures of the file are
 * reported and emitted as FILE_FAIL. 0, or -1 and err: the session is over. */
int source_read(struct source *s, struct pending *p, struct err *err);
/* Emit the bundle that waits, if any. */
int source_flush(struct source *s, struct err *err);
/* Flush, and ask for a commit. */
int source_sync(struct source *s, struct err *err);

/* Fill `data` with one chunk again: 0 when as many bytes are still there, -1 and `why` otherwise, as ledger_spoil takes
 * it. For chunks that are sent again; uses no state of a source, and so may run on another thread. */
int source_read_again(const struct source_root *roots, const struct pending *p, uint64_t offset, uint32_t n,
                      uint8_t *data, struct err *why);

#endif
