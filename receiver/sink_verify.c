/* sink_verify.c: files are read back from storage before they are acknowledged (--verify). */
#include "receiver/sink_impl.h"

#include "core/text.h"

#include <string.h>

enum { ZEROS_AT_ONCE = 64 * 1024 * 1024 };

int sink_verify_open(struct sink *sink, struct err *err) {
    if (!sink->opt.verify)
        return 0;
    if (sink->opt.durable == DURABLE_NONE)
        sink->opt.durable = DURABLE_BATCH; /* what is not flushed can only be read from memory */
    sink->verify.digest = stream_digest_new();
    return sink->verify.digest ? 0 : err_set(err, EXIT_MEMORY, "out of memory");
}

void sink_verify_close(struct sink *sink) {
    stream_digest_free(sink->verify.digest);
}

void sink_verify_start(struct sink *sink) {
    if (sink->verify.digest == NULL)
        return;
    stream_digest_start(sink->verify.digest);
    sink->verify.end = 0;
}

/* In pieces, for a hole can be of any size. */
static void add_zeros(const struct sink *sink, uint64_t n) {
    for (uint64_t part; n > 0 && !sink_is_cancelled(sink); n -= part) {
        part = n < ZEROS_AT_ONCE ? n : ZEROS_AT_ONCE;
        stream_digest_add_zeros(sink->verify.digest, part);
    }
}

void sink_verify_add(struct sink *sink, const void *p, size_t n, uint64_t offset) {
    if (sink->verify.digest == NULL)
        return;
    if (offset > sink->verify.end)
        add_zeros(sink, offset - sink->verify.end);
    stream_digest_add(sink->verify.digest, p, n);
    sink->verify.end = offset + n;
}

static bool take_piece(void *ctx, const void *p, size_t n) {
    const struct sink *sink = ctx;
    stream_digest_add(sink->verify.digest, p, n);
    return !sink_is_cancelled(sink);
}

int sink_verify_check(struct sink *sink, uint64_t size, struct err *err) {
    struct sink_verify *v = &sink->verify;
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    if (v->digest == NULL)
        return 0;
    if (size > v->end)
        add_zeros(sink, size - v->end);
    struct digest written = stream_digest_finish(v->digest);
    if (sink_parent(sink, sink->path, &at, &name, err) != 0)
        return -1;
    sink_temp_name(sink, sink->path, sink->file_id, &temp);
    stream_digest_start(v->digest);
    int result = os_read_back(at, sink->place == SINK_INPLACE ? name : temp.s, &sink->file, size, take_piece,
                              sink, &v->how);
    if (result != 0)
        return sink_long_error(sink, result, sink->path, "cannot read it back to verify it", err);
    struct digest stored = stream_digest_finish(v->digest);
    if (!digest_equal(&written, &stored))
        return err_set(err, EXIT_VERIFY,
                       "%s: storage gives back other bytes than were written, so the file was not replaced; "
                       "check the disk",
                       ESCAPED(sink->path));
    return 0;
}
