/* source_large.c: files that travel alone: chunks on the grid of chunk_size, holes between runs of data. */
#include "sender/source_impl.h"

#include "flow/content.h"
#include "flow/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 128 * 1024 }; /* fits the second level cache of any processor */

static int emit_begin(struct source *s, const struct pending *p, struct err *err) {
    struct msg_file_begin m = {
        .file_id = p->file_id,
        .size = p->st.size,
        .data_size = p->st.allocated < p->st.size ? p->st.allocated : p->st.size,
        .mtime_sec = p->st.mtime_sec,
        .mtime_nsec = p->st.mtime_nsec,
        .mode = p->st.mode,
    };
    struct item *item = item_new(MSG_FILE_BEGIN, 64);
    if (item) {
        struct wr w = item_writer(item);
        msg_file_begin_encode(&w, &m);
        item_written(item, &w);
    }
    return source_put(s, item, err);
}

static int emit_hole(struct source *s, const struct pending *p, uint64_t offset, uint64_t length,
                     struct err *err) {
    struct item *item = item_new(MSG_HOLE, 32);
    if (item) {
        struct wr w = item_writer(item);
        msg_hole_encode(&w, &(struct msg_hole){.file_id = p->file_id, .offset = offset, .length = length});
        item_written(item, &w);
    }
    count(&s->report->bytes_done, length);
    return source_put(s, item, err);
}

static int emit_end(struct source *s, const struct pending *p, uint64_t chunks, struct err *err) {
    struct item *item = item_new(MSG_FILE_END, 64);
    if (item) { /* the send stage, which sees the chunks in order, fills the digest in */
        item->reading = p->reading;
        struct wr w = item_writer(item);
        msg_file_end_encode(
            &w, &(struct msg_file_end){.file_id = p->file_id, .size = p->st.size, .chunks = chunks});
        item_written(item, &w);
    }
    return source_put(s, item, err);
}

int source_put_chunk(struct source *s, const struct pending *p, struct buf *buf, uint64_t offset, uint32_t n,
                     const struct share_chunk *known, struct err *err) {
    struct item *item = item_new(MSG_CHUNK, 64);
    if (item == NULL) {
        buf_release(buf);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    item->data = buf;
    item->raw_length = n;
    item->file_id = p->file_id;
    item->offset = offset;
    item->reading = p->reading;
    if (known)
        item_digested(item, &known->digest, known->id);
    count(&s->report->bytes_raw, n);
    count(&s->report->bytes_done, n);
    return source_put(s, item, err);
}

/* As os_pread. The digest is taken piece by piece, while the processor still has in its cache what was read. */
static ptrdiff_t read_and_digest(struct source *s, struct os_file file, uint8_t *to, uint32_t n,
                                 uint64_t offset, struct digest *ret) {
    if (s->digest == NULL)
        s->digest = stream_digest_new();
    if (s->digest == NULL)
        return -ENOMEM;
    uint32_t done = 0;
    stream_digest_start(s->digest);
    while (done < n) {
        uint32_t piece = n - done < PIECE_BYTES ? n - done : PIECE_BYTES;
        ptrdiff_t got = os_pread(file, to + done, piece, offset + done);
        if (got < 0)
            return got;
        stream_digest_add(s->digest, to + done, (size_t)got);
        done += (uint32_t)got;
        if (got < (ptrdiff_t)piece)
            break;
    }
    *ret = stream_digest_finish(s->digest);
    return done;
}

/* One chunk at `offset`. 1 when it was read whole, 0 when the file is shorter now, -1 and err; *ret_result is the
 * failure of the file itself, if any. */
static int emit_chunk(struct source *s, const struct pending *p, struct os_file file, uint64_t offset,
                      uint32_t n, int *ret_result, struct err *err) {
    struct buf *buf = source_buffer(s, err);
    if (buf == NULL)
        return -1;
    struct share_chunk chunk;
    if (share_take(s->share, p, offset, n, buf, &chunk)) {
        count(&s->report->bytes_shared, n);
    } else {
        ptrdiff_t got = read_and_digest(s, file, buf->data, n, offset, &chunk.digest);
        if (got != (ptrdiff_t)n) {
            share_drop(s->share, &chunk);
            buf_release(buf);
            *ret_result = got < 0 ? (int)got : 0;
            return 0;
        }
        share_put(s->share, buf, &chunk);
    }
    return source_put_chunk(s, p, buf, offset, n, &chunk, err) == 0 ? 1 : -1;
}

/* Where a read of a large file stands. */
struct progress_at {
    uint64_t offset; /* everything before is emitted */
    uint64_t data_start, data_end; /* the run of data at or after offset */
    uint64_t chunks; /* and reused blocks: records of the file digest */
    struct compare *compare; /* NULL: the receiver has nothing of it */
    int result; /* failure of the file, negative */
    bool short_read;
};

/* Find the next run of data; emit the hole before it. 1: there is one, 0: only a hole follows, -1 and err. */
static int next_run(struct source *s, const struct pending *p, struct os_file file, struct progress_at *at,
                    struct err *err) {
    uint64_t size = p->st.size;
    bool sparse = p->st.allocated < size;
    at->data_start = at->offset;
    at->data_end = size;
    int result = sparse ? os_next_data(file, at->offset, size, &at->data_start, &at->data_end) : 0;
    if (result == -ENXIO)
        at->data_start = at->data_end = size;
    if (at->data_start > size)
        at->data_start = size;
    if (at->data_end > size)
        at->data_end = size;
    if (at->data_start > at->offset && compare_flush(s, p, at->compare, &at->chunks, err) != 0)
        return -1;
    if (at->data_start > at->offset && emit_hole(s, p, at->offset, at->data_start - at->offset, err) != 0)
        return -1;
    at->offset = at->data_start;
    return at->data_start < size;
}

/* The bytes up to `end`, as far as the receiver lacks them. As emit_chunk. */
static int emit_part(struct source *s, struct pending *p, struct os_file file, struct progress_at *at,
                     uint64_t end, struct err *err) {
    if (compare_pays(at->compare, at->offset))
        return compare_emit(s, p, at->compare, file, at->offset, end, &at->chunks, &at->result, err);
    if (compare_flush(s, p, at->compare, &at->chunks, err) != 0)
        return -1;
    int got = emit_chunk(s, p, file, at->offset, (uint32_t)(end - at->offset), &at->result, err);
    at->chunks += got > 0;
    return got;
}

/* Everything from at->offset to the end of the file. 0, or -1 and err. */
static int emit_contents(struct source *s, struct pending *p, struct os_file file, struct progress_at *at,
                         struct err *err) {
    uint64_t chunk = at->compare ? compare_chunk(at->compare) : s->chunk_size;
    while (at->offset < p->st.size) {
        int more = at->offset < at->data_end ? 1 : next_run(s, p, file, at, err);
        if (more < 0)
            return -1;
        if (more == 0)
            break;
        uint64_t end = (at->offset / chunk + 1) * chunk;
        if (end > at->data_end)
            end = at->data_end;
        int got = emit_part(s, p, file, at, end, err);
        if (got < 0)
            return -1;
        at->short_read = got == 0 && at->result == 0;
        if (got == 0 || atomic_load(&p->failed) || pending_is_spoilt(p, p->reading))
            return 0; /* failed, or it starts over */
        at->offset = end;
    }
    return compare_flush(s, p, at->compare, &at->chunks, err);
}

enum attempt source_read_large(struct source *s, struct pending *p, struct err *err) {
    struct os_file file = OS_FILE_NONE;
    struct os_stat now;
    struct progress_at at = {0};
    int result = source_open(s, p, &file, &now);
    if (result != 0) {
        os_close(&file);
        return source_failed(s, p, result, "cannot open", err);
    }
    enum attempt attempt = ATTEMPT_FATAL;
    p->st = now; /* what is read from here on is held against this */
    source_await_rest(s, file, &now);
    p->reading++;
    at.compare = compare_new(s, p);
    if (emit_begin(s, p, err) != 0 || emit_contents(s, p, file, &at, err) != 0)
        goto out;
    result = os_fstat_now(file, &now);
    if (atomic_load(&p->failed))
        attempt =
            source_put(s,
                       item_of_file_text(MSG_FILE_FAIL, p->file_id, EXIT_PARTIAL, "the receiver gave it up"),
                       err) == 0
                ? ATTEMPT_DONE
                : ATTEMPT_FATAL;
    else if (at.result != 0 || result != 0)
        attempt = source_failed(s, p, at.result != 0 ? at.result : result, "cannot read", err);
    else if (at.short_read || pending_is_spoilt(p, p->reading) || !same_file(&now, &p->st))
        attempt = ATTEMPT_CHANGED;
    else if (emit_end(s, p, at.chunks, err) == 0)
        attempt = ATTEMPT_DONE;
out:
    compare_free(at.compare);
    os_close(&file);
    return attempt;
}

/* ---- comparing by content -------------------------------------------------------------------------------- */

static enum attempt emit_same(struct source *s, const struct pending *p, struct err *err) {
    struct msg_file_same m = {
        .file_id = p->file_id,
        .mtime_sec = p->st.mtime_sec,
        .mtime_nsec = p->st.mtime_nsec,
        .mode = p->st.mode,
    };
    struct item *item = item_new(MSG_FILE_SAME, 32);
    if (item) {
        struct wr w = item_writer(item);
        msg_file_same_encode(&w, &m);
        item_written(item, &w);
    }
    count(&s->report->bytes_done, p->st.size);
    return source_put(s, item, err) == 0 ? ATTEMPT_DONE : ATTEMPT_FATAL;
}

enum attempt source_compare(struct source *s, struct pending *p, struct err *err) {
    struct os_file file = OS_FILE_NONE;
    struct os_stat now;
    int result = source_open(s, p, &file, NULL);
    if (result != 0)
        return source_failed(s, p, result, "cannot open", err);
    source_await_rest(s, file, &p->st);
    s->content.read = p->compared ? NULL : &s->compared;
    p->compared = true;
    struct digest ours;
    bool same = p->st.size == p->basis.size &&
                content_digest(&s->content, file, p->st.size, p->basis.block_size, &ours) == 0 &&
                digest_equal(&ours, &p->basis_digest) && os_fstat_now(file, &now) == 0 &&
                same_file(&now, &p->st);
    source_close_later(s, file);
    return same ? emit_same(s, p, err) : ATTEMPT_CHANGED;
}
