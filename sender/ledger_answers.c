/* ledger_answers.c: what the receiver says of the entries. The ack stage. */
#include "sender/ledger_impl.h"

#include "core/text.h"

#include <inttypes.h>
#include <string.h>

static void want(struct ledger *l, struct pending *p) {
    atomic_fetch_add(&p->users, 1);
    l->sync_due = true;
    ledger_put_want(l, p);
}

static void want_again(struct ledger *l, struct pending *p, bool refused) {
    if (refused)
        atomic_store(&p->damaged, true);
    p->sent = SENT_NOTHING;
    want(l, p);
}

static void skipped(struct ledger *l, struct pending *p) {
    l->totals.skipped++;
    count(&l->report->files_skipped, 1);
    count(&l->report->files_done, 1);
    if (!p->has_basis) /* a compared file was read, and counted then */
        count(&l->report->bytes_done, p->st.size);
    ledger_settle(l, p);
}

static void made(struct ledger *l, struct pending *p) {
    l->totals.made++;
    count(&l->report->dirs_and_links, p->type != ENTRY_DIR_END);
    if (p->type != ENTRY_DIR_END && p->path[0])
        report_made(l->report, p->path);
    ledger_settle(l, p);
}

static void gone(struct ledger *l, struct pending *p) {
    l->totals.failed++;
    count(&l->report->files_failed, 1);
    count(&l->report->files_done, 1);
    ledger_settle(l, p);
}

static int unasked(const char *what, uint64_t file_id, struct err *err) {
    return err_set(err, EXIT_STREAM, "%s for file %" PRIu64 ", which does not wait for it", what, file_id);
}

/* What it had of the file has changed, or some of the data did not come. */
static bool may_come_again(const struct pending *p) {
    return p->sent == SENT_ALL && !p->again && (p->delta || pending_is_spoilt(p, p->sent_reading));
}

/* One verdict. False: it does not fit the entry. */
static bool judge(struct ledger *l, struct pending *p, unsigned verdict) {
    bool file = p->type == ENTRY_FILE;
    bool first = !p->answered;
    if (verdict == VERDICT_CHECK) { /* answered when the basis comes */
        bool fits = file && first && !p->checked;
        p->checked = true;
        return fits;
    }
    if (first) {
        p->answered = true;
        l->unanswered--;
    }
    switch (verdict) {
    case VERDICT_SKIP:
        if (file && (first || p->sent == SENT_SAME))
            return skipped(l, p), true;
        return false;
    case VERDICT_WANT:
        if (!file || !(first || may_come_again(p)))
            return false;
        p->again = !first;
        p->sent = SENT_NOTHING;
        return want(l, p), true;
    case VERDICT_MADE:
        if (!file && !p->held)
            return made(l, p), true;
        return false;
    default: /* VERDICT_GONE */
        if (file && p->given_up)
            return gone(l, p), true;
        return false;
    }
}

int ledger_verdicts(struct ledger *l, const struct run_of_ids *run, struct err *err) {
    int result = 0;
    os_lock(&l->lock);
    for (uint64_t id = run->first_id; result == 0 && id - run->first_id < run->count; id++) {
        struct pending *p = ledger_find(l, id);
        if (p == NULL || !judge(l, p, run->verdict))
            result = unasked("VERDICTS: a verdict", id, err);
    }
    if (result == 0)
        result = ledger_advance(l, err);
    os_unlock(&l->lock);
    return result;
}

/* The content digest, or the first digests of blocks: the file is to be compared when its turn comes. */
static int keep_basis(struct ledger *l, struct pending *p, const struct msg_basis *basis, struct err *err) {
    if (basis->kind == BASIS_BLOCKS)
        return delta_add(l->deltas, &p->delta, basis, err);
    p->has_basis = true;
    p->basis = *basis;
    p->basis.digests = (struct span){0};
    memcpy(p->basis_digest.b, basis->digests.p, sizeof p->basis_digest.b);
    return 0;
}

int ledger_basis(struct ledger *l, const struct msg_basis *basis, struct err *err) {
    os_lock(&l->lock);
    struct pending *p = ledger_find(l, basis->file_id);
    bool more = p && p->delta && basis->kind == BASIS_BLOCKS;
    int result = 0;
    if (p == NULL || p->type != ENTRY_FILE || (p->answered && !more))
        result = unasked("BASIS: digests", basis->file_id, err);
    else
        result = keep_basis(l, p, basis, err);
    if (result == 0 && !more) {
        p->answered = true;
        l->unanswered--;
        want(l, p);
        result = ledger_advance(l, err);
    }
    os_unlock(&l->lock);
    return result;
}

int ledger_durable(struct ledger *l, const struct run_of_ids *run, struct err *err) {
    int result = 0;
    os_lock(&l->lock);
    for (uint64_t id = run->first_id; result == 0 && id - run->first_id < run->count; id++) {
        struct pending *p = ledger_find(l, id);
        if (p == NULL || p->sent != SENT_ALL || pending_is_spoilt(p, p->sent_reading)) {
            result = unasked("DURABLE: an acknowledgement", id, err);
            break;
        }
        l->totals.committed++;
        uint64_t size = p->sent_size;
        l->totals.bytes += size;
        count(&l->report->files_committed, 1);
        count(&l->report->files_done, 1);
        count(&l->report->bytes_committed, size);
        report_file(l->report, p->path, size);
        ledger_settle(l, p);
    }
    if (result == 0)
        result = ledger_advance(l, err);
    os_unlock(&l->lock);
    return result;
}

static void report_spoilt(struct ledger *l, const struct pending *p) {
    struct err why = {0};
    (void)err_set(&why, p->spoilt_code, "%s: %s", ESCAPED(p->path),
                  p->spoilt_code == EXIT_VANISHED ? "changed while it was being sent; send it again"
                                                  : "a part that had to be sent again cannot be read");
    report_failure(l->report, p->path, &why);
}

int ledger_failed(struct ledger *l, uint64_t file_id, const struct err *why, struct err *err) {
    int result = 0;
    os_lock(&l->lock);
    struct pending *p = ledger_find(l, file_id);
    if (p == NULL || p->held) { /* an end of a directory that it cannot know of */
        result = unasked("FILE_ERROR: a failure", file_id, err);
    } else {
        bool gap = why->code == EXIT_VERIFY || why->code == EXIT_VANISHED; /* of which this end knows more */
        if (gap && pending_is_spoilt(p, p->sent_reading))
            report_spoilt(l, p);
        else
            report_failure(l->report, p->path, why);
        atomic_store(&p->failed, true);
        delta_box_wake(l->deltas);
        gone(l, p);
        result = ledger_advance(l, err);
    }
    os_unlock(&l->lock);
    return result;
}

int ledger_want_again(struct ledger *l, const struct msg_bundle *bundle, bool refused, struct err *err) {
    int result = 0;
    os_lock(&l->lock);
    for (uint32_t i = 0; result == 0 && i < bundle->count; i++) {
        struct bundle_member m = bundle_member_at(bundle, i);
        struct pending *p = ledger_find(l, m.file_id);
        if (p && refused && p->refusals++ == REFUSALS_MAX)
            result =
                err_set(err, EXIT_VERIFY, "%s arrived damaged %d times: something on the way changes data",
                        ESCAPED(p->path), REFUSALS_MAX + 1);
        else if (p)
            want_again(l, p, refused);
    }
    if (result == 0)
        result = ledger_advance(l, err);
    os_unlock(&l->lock);
    return result;
}
