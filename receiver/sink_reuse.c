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
    struct sink_basis basis = {.block_size = block_size_for(size)};
    struct os_dir at;
    const char *name;
    struct temp_name partial;
    if (dir_cache_parent(&sink->dirs, path, &at, &name) != 0)
        return basis;
    uint64_t old = lower(size_at(at, name), size), begun = 0;
    sink_partial_name(name, &partial);
    basis.inplace = sink->opt.inplace && old > 0;
    if (basis.inplace)
        begun = old;
    else if (sink_keeps_partial(sink, size))
        begun = lower(size_at(at, partial.s), size);
    basis.split = old > begun ? begun - begun % basis.block_size : begun;
    basis.size = old > begun ? old : begun;
    return basis;
}

static int open_old(struct sink *sink) {
    struct os_dir at;
    const char *name;
    if (os_file_is_open(sink->old))
        return 0;
    int result = dir_cache_parent(&sink->dirs, sink->path, &at, &name);
    return result == 0 ? os_open_read(at, name, &sink->old) : result;
}

static int copy_through(struct sink *sink, uint64_t offset, uint64_t n) {
    int result = 0;
    while (n > 0 && result == 0) {
        size_t part = (size_t)lower(n, SINK_BLOCK_BYTES);
        ptrdiff_t got = os_pread(sink->old, sink->block, part, offset);
        if (got != (ptrdiff_t)part)
            return got < 0 ? (int)got : -ENODATA;
        result = os_pwrite(sink->file, sink->block, part, offset);
        offset += part;
        n -= part;
    }
    return result;
}

/* What of the range is not in the file itself comes from the old one. */
static int bring(struct sink *sink, uint64_t offset, uint64_t n) {
    uint64_t end = offset + n;
    if (end <= sink->basis.split)
        return 0;
    uint64_t from = offset > sink->basis.split ? offset : sink->basis.split;
    int result = open_old(sink);
    if (result == 0)
        result = os_copy_range(sink->old, sink->file, from, end - from);
    return result == -ENOTSUP ? copy_through(sink, from, end - from) : result;
}

/* The digests of what is in the file now, so that nothing is taken on trust. */
static int read_back(struct sink *sink, uint64_t offset, uint64_t n, sink_block_fn *add, void *ctx) {
    uint32_t block_size = sink->basis.block_size;
    while (n > 0) {
        size_t part = (size_t)lower(n, SINK_BLOCK_BYTES / block_size * block_size);
        ptrdiff_t got = os_pread(sink->file, sink->block, part, offset);
        if (got != (ptrdiff_t)part)
            return got < 0 ? (int)got : -ENODATA;
        sink_verify_add(sink, sink->block, part, offset);
        for (size_t i = 0; i < part; i += block_size) {
            uint32_t m = (uint32_t)lower(part - i, block_size);
            struct digest digest = digest_of(sink->block + i, m);
            add(ctx, offset + i, m, &digest);
        }
        offset += part;
        n -= part;
    }
    return 0;
}

int sink_file_reuse(struct sink *sink, uint64_t offset, uint64_t n, sink_block_fn *add, void *ctx,
                    struct err *err) {
    if (sink->block == NULL)
        sink->block = os_page_alloc(SINK_BLOCK_BYTES);
    if (sink_check_room(sink, n, offset + n, err) != 0)
        return -1;
    int result = sink->block ? sink_leave_hole(sink, offset) : -ENOMEM;
    if (result == 0)
        result = bring(sink, offset, n);
    if (result == 0)
        result = read_back(sink, offset, n, add, ctx);
    if (offset + n > sink->end_of_data)
        sink->end_of_data = offset + n;
    if (result == 0)
        return 0;
    (void)os_file_error(err, result, "%s: cannot use what is there already", ESCAPED(sink->path));
    if (err->code != EXIT_NO_SPACE && err->code != EXIT_MEMORY)
        err->code = EXIT_VERIFY;
    return -1;
}
