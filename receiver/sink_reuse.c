/* sink_reuse.c: what is at the destination already, and the blocks of it that a new file takes over. */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"
#include "os/os.h"

#include <errno.h>

enum {
    BLOCK_SMALL = 4 * 1024, /* the page of most machines: one that changed sends nothing else */
    BLOCK_MEDIUM = 8 * 1024,
    BLOCK_LARGE = 16 * 1024,
    PIECE_BYTES = 256 * 1024, /* stays in the cache until it is digested and written; whole blocks */
    REUSE_AT_ONCE = 64 * 1024 * 1024, /* between two looks whether it was cancelled; whole blocks */
};
#define SIZE_SMALL (UINT64_C(4) << 30) /* digests of all blocks are 8 MiB then */
#define SIZE_MEDIUM (UINT64_C(64) << 30)

static uint32_t block_size_for(uint64_t size) {
    return size <= SIZE_SMALL ? BLOCK_SMALL : size <= SIZE_MEDIUM ? BLOCK_MEDIUM : BLOCK_LARGE;
}

/* Bytes of the regular file at `name`; 0 when there is none. */
static uint64_t size_at(struct os_dir at, const char *name) {
    struct os_stat st;
    return os_stat_at(at, name, &st) == 0 && st.kind == OS_FILE ? st.size : 0;
}

static uint64_t lower(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

struct sink_basis sink_find_basis(struct sink *sink, const char *path, uint64_t size) {
    struct sink_basis basis = {.block_size = block_size_for(size), .usage = sink->opt.usage};
    struct os_dir at;
    const char *name;
    struct temp_name partial;
    if (dir_cache_parent(&sink->dirs, path, &at, &name) != 0)
        return basis;
    uint64_t old = lower(size_at(at, name), size), begun = 0;
    sink_partial_name(name, &partial);
    basis.inplace = sink->opt.inplace && old > 0 && sink_may_change(at, name);
    if (basis.inplace)
        begun = old;
    else if (sink_keeps_partial(sink, size))
        begun = lower(size_at(at, partial.s), size);
    basis.split = old > begun ? begun - begun % basis.block_size : begun;
    basis.size = old > begun ? old : begun;
    return basis;
}

/* A range of blocks, and who gets their digests. */
struct blocks {
    uint64_t offset, end;
    sink_block_fn *add;
    void *ctx;
};

/* lent: the unfinished file of another session. */
static int open_old(struct sink *sink, bool lent) {
    struct os_dir at;
    const char *name;
    struct temp_name partial;
    if (os_file_is_open(sink->old) && sink->old_is_lent == lent)
        return 0;
    (void)usage_close(&sink->held_old, &sink->old);
    sink->old_is_lent = lent;
    int result = dir_cache_parent(&sink->dirs, sink->path, &at, &name);
    if (result != 0)
        return result;
    sink_partial_name(name, &partial);
    return usage_open_read(sink->opt.usage, &sink->held_old, at, lent ? partial.s : name, &sink->old);
}

void sink_borrow(struct sink *sink) {
    sink->lent = sink->basis.split;
    sink->basis.split = 0;
    (void)open_old(sink, true); /* while it has its name; what fails now is found again */
}

/* Blocks of `from` are read and digested, and written unless they are in the file already. */
static int use(struct sink *sink, struct os_file from, struct blocks b, bool write) {
    uint32_t block_size = sink->basis.block_size;
    int result = 0;
    while (b.offset < b.end && result == 0) {
        size_t part = (size_t)lower(b.end - b.offset, PIECE_BYTES);
        ptrdiff_t got = os_pread(from, sink->block, part, b.offset);
        if (got != (ptrdiff_t)part)
            return got < 0 ? (int)got : -ENODATA;
        if (write) /* first: what is not in the file must be missing in its digest */
            result = os_pwrite(sink->file, sink->block, part, b.offset);
        if (result != 0)
            break;
        sink_verify_add(sink, sink->block, part, b.offset);
        for (size_t i = 0; i < part; i += block_size) {
            uint32_t n = (uint32_t)lower(part - i, block_size);
            struct digest digest = digest_of(sink->block + i, n);
            b.add(b.ctx, b.offset + i, n, &digest);
        }
        b.offset += part;
    }
    return result;
}

/* So many bytes of the range, its last ones, are not in the file itself. */
static uint64_t brought(const struct sink *sink, uint64_t offset, uint64_t n) {
    uint64_t end = offset + n, split = sink->basis.split;
    return end <= split ? 0 : end - (offset > split ? offset : split);
}

/* What is shared with the old file, or copied by another machine, is read where it then stands. */
static int use_old(struct sink *sink, struct blocks b, bool lent) {
    int result = open_old(sink, lent);
    if (result != 0)
        return result;
    if (os_copy_may_share(sink->file))
        result = os_copy_range(sink->old, sink->file, b.offset, b.end - b.offset);
    else
        result = -ENOTSUP;
    return result == 0          ? use(sink, sink->file, b, false)
           : result == -ENOTSUP ? use(sink, sink->old, b, true)
                                : result;
}

/* Blocks that were not put ahead: of the file itself or of one that is lent, then of the old one. */
static int use_again(struct sink *sink, struct blocks b) {
    struct blocks begun = b;
    int result = 0;
    begun.end = lower(b.end, sink->basis.split + sink->lent);
    if (begun.offset < begun.end) {
        result = sink->lent ? use_old(sink, begun, true) : use(sink, sink->file, begun, false);
        b.offset = begun.end;
    }
    return result == 0 && b.offset < b.end ? use_old(sink, b, false) : result;
}

static int use_all(struct sink *sink, struct blocks b) {
    uint32_t block_size = sink->basis.block_size;
    uint64_t end = b.end;
    int result = 0;
    for (uint64_t at = b.offset; at < end && result == 0; at += block_size) {
        struct digest digest;
        if (sink->opt.ahead == NULL || !ahead_take(sink->opt.ahead, at, &digest))
            continue;
        b.end = at;
        result = b.offset < at ? use_again(sink, b) : 0;
        uint32_t n = (uint32_t)lower(end - at, block_size);
        b.add(b.ctx, at, n, &digest);
        b.offset = at + n;
    }
    b.end = end;
    return result == 0 && b.offset < end ? use_again(sink, b) : result;
}

int sink_file_reuse(struct sink *sink, uint64_t offset, uint64_t n, sink_block_fn *add, void *ctx,
                    struct err *err) {
    if (sink->block == NULL)
        sink->block = os_page_alloc(SINK_BLOCK_BYTES);
    sink_claim(sink, offset + n);
    if (sink_leave_hole(sink, offset, err) != 0)
        return -1;
    int result = sink->block ? 0 : -ENOMEM;
    for (uint64_t at = offset, part; result == 0 && at < offset + n; at += part) {
        part = lower(offset + n - at, REUSE_AT_ONCE);
        uint64_t more = brought(sink, at, part);
        if (sink_take_room(sink, more, at + part, err) != 0)
            return -1;
        result = sink_is_cancelled(sink) ? -EINTR : sink_lengthen(sink, at + part);
        if (result == 0)
            result = use_all(sink, (struct blocks){at, at + part, add, ctx});
        usage_room_used(sink->opt.usage, more);
        if (result == 0)
            sink_write_out(sink, at + part);
    }
    if (offset + n > sink->end_of_data)
        sink->end_of_data = offset + n;
    if (result == 0)
        return 0;
    (void)sink_long_error(sink, result, sink->path, "cannot use what is there already", err);
    if (err->code == EXIT_FILE_IO)
        err->code = EXIT_VERIFY;
    return -1;
}
