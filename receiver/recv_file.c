/* recv_file.c: the contents of files. */
#include "receiver/recv_impl.h"

#include "core/text.h"

#include <inttypes.h>
#include <string.h>

enum { ATTEMPTS_COUNTED = 16 }; /* of one file; no sender that we know needs as many */

void recv_fail_open_file(struct recv_session *s, const struct err *why) {
    struct wanted *w = recv_find(s, s->file.begin.file_id);
    s->file.ignored = true;
    sink_file_drop(s->sink);
    if (w == NULL)
        return;
    recv_file_error(s, w->file_id, w->path, why);
    recv_forget(s, w);
}

static int came_already(const char *name, uint64_t file_id, struct err *err) {
    return err_set(err, EXIT_STREAM, "%s: file %" PRIu64 " came already", name, file_id);
}

int recv_file_begin(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_file_begin m;
    if (msg_file_begin_decode(item_body(item), &m, err) != 0)
        return -1;
    if (s->file.open && s->file.begin.file_id != m.file_id)
        return err_set(err, EXIT_STREAM, "FILE_BEGIN: file %" PRIu64 " is still open", s->file.begin.file_id);
    if (m.file_id > s->highest_id)
        return err_set(err, EXIT_STREAM, "FILE_BEGIN: file %" PRIu64 " was never listed", m.file_id);
    struct wanted *w = recv_find(s, m.file_id);
    if (w && w->complete)
        return came_already("FILE_BEGIN", m.file_id, err);
    sink_file_drop(s->sink); /* an earlier attempt at the same file */
    s->file.open = true;
    s->file.reused = s->file.gap = false;
    s->file.counts = w && ++w->attempts <= ATTEMPTS_COUNTED;
    s->file.ignored = w == NULL; /* it failed here while the sender was already sending it */
    s->file.begin = m;
    s->file.next_offset = s->file.chunks = 0;
    file_digest_start(s->file.digest);
    struct err why = {0};
    if (w && sink_file_begin_large(s->sink, m.file_id, w->path, &m, &w->basis, &why) != 0)
        recv_fail_open_file(s, &why);
    return 0;
}

int recv_check_place(struct recv_session *s, const char *name, uint64_t file_id, uint64_t offset,
                     uint64_t length, uint64_t *ret_end, struct err *err) {
    if (!s->file.open || s->file.begin.file_id != file_id)
        return err_set(err, EXIT_STREAM, "%s: file %" PRIu64 " is not open", name, file_id);
    if (offset < s->file.next_offset || !add_u64(offset, length, ret_end) || *ret_end > INT64_MAX)
        return err_set(err, EXIT_STREAM, "%s: offset %" PRIu64 " is before what came, or too large", name,
                       offset);
    return 0;
}

void recv_moved(struct recv_session *s, uint64_t end) {
    struct wanted *w = recv_find(s, s->file.begin.file_id);
    if (end > s->file.next_offset && s->file.counts && !s->file.ignored)
        recv_progress(s);
    s->file.next_offset = end;
    if (w && w->job)
        basis_move(s->basis, w->job, end);
}

int recv_chunk(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_chunk m;
    uint64_t end = 0;
    if (msg_chunk_decode(item_body(item), item->frame.data_length, s->agreed.chunk_size, &m, err) != 0 ||
        recv_check_place(s, "CHUNK", m.file_id, m.offset, m.raw_length, &end, err) != 0)
        return -1;
    struct digest digest;
    memcpy(digest.b, m.digest, sizeof digest.b);
    file_digest_add(s->file.digest, m.offset, m.raw_length, &digest);
    recv_moved(s, end);
    s->file.chunks++;
    s->in->written += m.raw_length;
    count(&s->report->bytes_raw, m.raw_length);
    count(&s->report->bytes_done, m.raw_length);
    count(&s->report->codec_chunks[m.codec], 1);
    struct err why = {0};
    if (!s->file.ignored && sink_file_write(s->sink, item->data->data, m.raw_length, m.offset, &why) != 0) {
        if (why.code == EXIT_SIGNAL)
            return recv_cancelled(err);
        (void)err_wrap(&why, "chunk %" PRIu64, s->file.chunks - 1);
        recv_fail_open_file(s, &why);
    }
    return 0;
}

int recv_hole(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_hole m;
    uint64_t end = 0;
    if (msg_hole_decode(item_body(item), &m, err) != 0 ||
        recv_check_place(s, "HOLE", m.file_id, m.offset, m.length, &end, err) != 0)
        return -1;
    recv_moved(s, end); /* the file is sparse where nothing is written */
    count(&s->report->bytes_done, m.length);
    return 0;
}

int recv_file_end(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_file_end m;
    uint64_t end = 0;
    if (msg_file_end_decode(item_body(item), &m, err) != 0 ||
        recv_check_place(s, "FILE_END", m.file_id, m.size, 0, &end, err) != 0)
        return -1;
    struct digest digest = file_digest_finish(s->file.digest, m.size);
    struct wanted *w = recv_find(s, m.file_id);
    struct err why = {0};
    if (w)
        recv_stop_basis(s, w); /* what is to be replaced must not be open */
    if (!s->file.ignored && w) {
        const struct msg_file_begin *b = &s->file.begin;
        struct metadata meta = {b->mode, b->mtime_sec, b->mtime_nsec, w->uid, w->gid, w->win};
        bool same = m.chunks == s->file.chunks && memcmp(digest.b, m.digest, DIGEST_SIZE) == 0;
        int again = same ? 0 : recv_want_whole(s, w, err);
        if (again < 0)
            return -1;
        w->complete = same;
        if (again > 0) {
            sink_file_drop(s->sink);
        } else if (!same) {
            (void)err_set(&why, s->file.gap ? EXIT_VANISHED : EXIT_VERIFY, "%s: %s; send it again",
                          ESCAPED(w->path),
                          s->file.gap ? "changed at the sender while it was being sent"
                                      : "the file digest does not match");
            recv_fail_open_file(s, &why);
        } else if (sink_file_end(s->sink, m.size, &meta, &why) != 0) {
            if (why.code == EXIT_SIGNAL)
                return recv_cancelled(err);
            recv_fail_open_file(s, &why);
        }
    }
    s->file.open = false;
    return 0;
}

/* One whole small file. */
static int take_member(struct recv_session *s, const struct bundle_member *m, const uint8_t *data,
                       struct err *err) {
    struct wanted *w = recv_find(s, m->file_id);
    struct err why = {0};
    if (w == NULL)
        return err_set(err, EXIT_STREAM, "BUNDLE: file %" PRIu64 " was not asked for", m->file_id);
    if (w->complete)
        return came_already("BUNDLE", m->file_id, err);
    struct metadata meta = {m->mode, m->mtime_sec, m->mtime_nsec, w->uid, w->gid, w->win};
    count(&s->report->bytes_done, m->size);
    int result = sink_file_begin(s->sink, m->file_id, w->path, 0, &meta, &why);
    if (result == 0 && m->size > 0)
        result = sink_file_write(s->sink, data, m->size, 0, &why);
    w->complete = result == 0;
    recv_progress(s); /* no bundle brings it again */
    if (result == 0)
        result = sink_file_end(s->sink, m->size, &meta, &why);
    if (result != 0) {
        recv_file_error(s, m->file_id, w->path, &why);
        recv_forget(s, w);
    }
    return 0;
}

int recv_bundle(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_bundle m;
    if (msg_bundle_decode(item_body(item), item->frame.data_length, s->agreed.chunk_size, &m, err) != 0)
        return -1;
    if (s->file.open)
        return err_set(err, EXIT_STREAM, "BUNDLE: file %" PRIu64 " is still open", s->file.begin.file_id);
    uint64_t at = 0;
    for (uint32_t i = 0; i < m.count; i++) {
        struct bundle_member member = bundle_member_at(&m, i);
        if (take_member(s, &member, item->data ? item->data->data + at : NULL, err) != 0)
            return -1;
        if (err_is_set(&s->out_of_space))
            return 0; /* the session ends here */
        at += member.size;
    }
    s->in->written += m.raw_length;
    count(&s->report->bytes_raw, m.raw_length);
    count(&s->report->codec_chunks[m.codec], 1);
    return 0;
}

int recv_file_fail(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_file_text m;
    struct escaped text;
    if (msg_file_text_decode(item_body(item), &m, err) != 0)
        return -1;
    if (m.file_id > s->highest_id)
        return err_set(err, EXIT_STREAM, "FILE_FAIL: file %" PRIu64 " was never listed", m.file_id);
    if (s->file.open && s->file.begin.file_id == m.file_id) {
        s->file.open = false;
        sink_file_drop(s->sink);
    }
    struct wanted *w = recv_find(s, m.file_id);
    if (w == NULL)
        return 0; /* it failed here first, and is counted */
    if (w->complete)
        return came_already("FILE_FAIL", m.file_id, err);
    struct err why = {0};
    (void)err_set(&why, err_code_of_peer(m.text.code), "the sender gave up %s: %s", ESCAPED(w->path),
                  escape_said((const char *)m.text.text.p, m.text.text.n, &text));
    report_failure(s->report, w->path, &why);
    count(&s->report->files_failed, 1);
    count(&s->report->files_done, 1);
    recv_forget(s, w);
    return recv_verdict(s, m.file_id, VERDICT_GONE, err);
}

int recv_file_same(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_file_same m;
    if (msg_file_same_decode(item_body(item), &m, err) != 0)
        return -1;
    struct wanted *w = recv_find(s, m.file_id);
    struct err why = {0};
    if (w == NULL || !w->told)
        return err_set(err, EXIT_STREAM, "FILE_SAME: file %" PRIu64 " was not compared", m.file_id);
    if (s->file.open && s->file.begin.file_id == m.file_id) /* or nobody would close it */
        return err_set(err, EXIT_STREAM, "FILE_SAME: file %" PRIu64 " is still open", m.file_id);
    if (w->complete)
        return came_already("FILE_SAME", m.file_id, err);
    int result = 0;
    struct metadata meta = {m.mode, m.mtime_sec, m.mtime_nsec, w->uid, w->gid, w->win};
    if (sink_touch(s->sink, w->path, &w->was, &meta, &why) != 0) {
        recv_file_error(s, m.file_id, w->path, &why);
    } else {
        count(&s->report->files_skipped, 1);
        count(&s->report->files_done, 1);
        result = recv_verdict(s, m.file_id, VERDICT_SKIP, err);
    }
    recv_forget(s, w);
    return result;
}

int recv_void(struct recv_session *s, struct item *item, struct err *err) {
    if (!(item->frame.flags & FRAME_RESENT) && atomic_load(&s->report->retries) == 0)
        return err_set(err, EXIT_STREAM, "VOID: it stands in for no refused frame");
    s->file.gap = true; /* of the open file, if any: no bundle has a place there */
    return msg_empty_decode(item_body(item), "VOID", err);
}
