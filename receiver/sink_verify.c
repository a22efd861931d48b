/* sink_verify.c: files are read back from storage before they are acknowledged (--verify). */
#include "receiver/sink_impl.h"

#include "core/bytes.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024 };

int sink_verify_open(struct sink *sink, struct err *err) {
    struct sink_verify *v = &sink->verify;
    if (!sink->opt.verify)
        return 0;
    if (sink->opt.durable == DURABLE_NONE)
        sink->opt.durable = DURABLE_BATCH; /* what is not flushed can only be read from memory */
    v->digest = stream_digest_new();
    v->block = malloc(BLOCK_BYTES);
    return v->digest && v->block ? 0 : err_set(err, EXIT_MEMORY, "out of memory");
}

void sink_verify_close(struct sink *sink) {
    stream_digest_free(sink->verify.digest);
    free(sink->verify.block);
}

void sink_verify_start(struct sink *sink) {
    if (sink->verify.digest == NULL)
        return;
    stream_digest_start(sink->verify.digest);
    sink->verify.at = sink->verify.filled = 0;
}

/* So many bytes are left without the zeros at the end. */
static size_t without_zeros(const uint8_t *p, size_t n) {
    static const uint8_t zeros[64];
    while (n >= sizeof zeros && memcmp(p + n - sizeof zeros, zeros, sizeof zeros) == 0)
        n -= sizeof zeros;
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n;
}

static void add_block(struct sink_verify *v, const uint8_t *p, size_t n) {
    uint8_t head[16];
    n = without_zeros(p, n);
    if (n == 0)
        return;
    put_le64(head, v->at);
    put_le64(head + 8, n);
    stream_digest_add(v->digest, head, sizeof head);
    stream_digest_add(v->digest, p, n);
}

static struct digest finish(struct sink_verify *v) {
    add_block(v, v->block, v->filled);
    return stream_digest_finish(v->digest);
}

/* The part of the block at `v->at` that begins `within` it. */
static void add_part(struct sink_verify *v, const uint8_t *p, size_t n, size_t within) {
    if (n == BLOCK_BYTES) {
        add_block(v, p, n);
        return;
    }
    if (within > v->filled)
        memset(v->block + v->filled, 0, within - v->filled);
    memcpy(v->block + within, p, n);
    v->filled = within + n;
}

static void add(struct sink_verify *v, const uint8_t *p, size_t n, uint64_t offset) {
    for (size_t part; n > 0; p += part, n -= part, offset += part) {
        size_t within = (size_t)(offset % BLOCK_BYTES);
        part = n < BLOCK_BYTES - within ? n : BLOCK_BYTES - within;
        if (offset - within != v->at) {
            add_block(v, v->block, v->filled);
            v->at = offset - within;
            v->filled = 0;
        }
        add_part(v, p, part, within);
    }
}

void sink_verify_add(struct sink *sink, const void *p, size_t n, uint64_t offset) {
    if (sink->verify.digest)
        add(&sink->verify, p, n, offset);
}

static bool take_piece(void *ctx, const void *p, size_t n, uint64_t offset) {
    struct sink *sink = ctx;
    add(&sink->verify, p, n, offset);
    return !sink_is_cancelled(sink);
}

int sink_verify_check(struct sink *sink, uint64_t size, struct err *err) {
    struct sink_verify *v = &sink->verify;
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    if (v->digest == NULL)
        return 0;
    struct digest written = finish(v);
    if (sink_parent(sink, sink->path, &at, &name, err) != 0)
        return -1;
    const char *now = sink_name_for_now(sink, sink->path, sink->file_id, sink->place, &temp);
    sink_verify_start(sink);
    int result = os_read_back(at, now, &sink->file, size, take_piece, sink, &v->how);
    if (result != 0)
        return sink_long_error(sink, result, sink->path, "cannot read it back to verify it", err);
    struct digest stored = finish(v);
    if (!digest_equal(&written, &stored))
        return err_set(err, EXIT_VERIFY,
                       "%s: storage gives back other bytes than were written, so the file was not replaced; "
                       "check the disk",
                       ESCAPED(sink->path));
    return 0;
}
