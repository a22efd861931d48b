/* recv_delta.c: files of which something is here already. */
#include "receiver/recv_impl.h"

#include <inttypes.h>

enum { DELTA_FILE_MIN = 128 * 1024 }; /* what is not larger travels in bundles */

int recv_offer_basis(struct recv_session *s, struct wanted *w, uint64_t size, struct err *err) {
    if (s->basis == NULL || size <= DELTA_FILE_MIN)
        return 0;
    struct sink_basis basis = sink_find_basis(s->sink, w->path, size);
    if (basis.size < basis.block_size)
        return 0;
    w->basis = basis;
    if (recv_verdict(s, w->file_id, VERDICT_CHECK, err) != 0)
        return -1;
    recv_session_answer(s); /* what tells of the digests goes before them */
    w->job = basis_add(s->basis, w->file_id, w->path, &basis);
    return w->job ? 1 : err_set(err, EXIT_MEMORY, "out of memory");
}

void recv_stop_basis(struct recv_session *s, struct wanted *w) {
    if (w->job)
        basis_drop(s->basis, w->job);
    w->job = NULL;
}

int recv_want_whole(struct recv_session *s, struct wanted *w, struct err *err) {
    if (w->again || !(s->file.reused || s->file.gap))
        return 0;
    w->again = true;
    recv_stop_basis(s, w);
    w->basis = (struct sink_basis){0}; /* it cannot be reused again */
    report_warning(s->report, w->path,
                   s->file.gap ? "it changed at the sender while it was being sent: it is sent again"
                               : "what was there of it has changed meanwhile: it is sent again, whole");
    return recv_verdict(s, w->file_id, VERDICT_WANT, err) == 0 ? 1 : -1;
}

static void add_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    struct recv_session *s = ctx;
    file_digest_add(s->file.digest, offset, n, digest);
    s->file.chunks++;
}

/* A range of whole blocks that the basis has. */
static int check_range(const struct sink_basis *basis, const struct msg_hole *m, uint64_t end,
                       struct err *err) {
    if (end <= basis->size && m->offset % basis->block_size == 0 &&
        (end % basis->block_size == 0 || end == basis->size))
        return 0;
    return err_set(err, EXIT_STREAM,
                   "REUSE: %" PRIu64 " bytes at %" PRIu64 " are no blocks of %" PRIu32
                   " that the receiver has",
                   m->length, m->offset, basis->block_size);
}

int recv_reuse(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_hole m;
    uint64_t end = 0;
    if (s->basis == NULL)
        return err_set(err, EXIT_STREAM, "REUSE is not allowed: delta was not agreed on");
    if (msg_hole_decode(item_body(item), &m, err) != 0 ||
        recv_check_place(s, "REUSE", m.file_id, m.offset, m.length, &end, err) != 0)
        return -1;
    struct wanted *w = recv_find(s, m.file_id);
    if (w && w->basis.size == 0)
        return err_set(err, EXIT_STREAM, "REUSE: file %" PRIu64 " has no basis", m.file_id);
    if (w && check_range(&w->basis, &m, end, err) != 0)
        return -1;
    count(&s->report->bytes_done, m.length);
    struct err why = {0};
    if (!s->file.ignored) {
        s->file.reused = true;
        int result = sink_file_reuse(s->sink, m.offset, m.length, add_block, s, &why);
        if (result != 0 && why.code == EXIT_SIGNAL)
            return recv_cancelled(err);
        if (result != 0 && why.code != EXIT_VERIFY)
            recv_fail_open_file(s, &why); /* else the file's digest shows the gap, and it comes again */
    }
    recv_moved(s, end);
    return 0;
}
