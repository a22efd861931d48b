#include "sender/ledger.h"

#include "core/text.h"
#include "os/os_waits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    COST_PER_ENTRY = 64, /* as UNSETTLED_BYTES_MAX counts */
    DIR_ENDS_BYTES = 32 * 1024,
    WANTS_MAX = 4 * UNSETTLED_MAX, /* a file can be wanted twice, and a SYNC may follow each time */
};

struct ledger {
    struct os_mutex lock;
    struct os_cond room;
    struct outbox *out;
    struct queue *wants;
    struct delta_box *deltas;
    struct report *report;
    struct pending *ring[UNSETTLED_MAX]; /* lock; by file_id; NULL: settled */
    uint64_t base; /* lock; lowest id that may be unsettled */
    uint64_t release_at; /* lock; every DIR_END below is sent */
    uint64_t next_id; /* lock */
    size_t bytes; /* lock */
    uint64_t unanswered; /* lock; entries sent without a verdict (or basis) yet */
    bool list_complete, finished, sync_due, cancelled; /* lock */
    bool flooded; /* lock; more is wanted than can be */
    unsigned syncs; /* lock; in `wants` or behind it, and not sent yet: FINISH must not overtake the data of
                     * wanted files, which go before it, though the receiver may have settled all of them */
    struct msg_totals totals; /* lock */
    char last_path[PATH_BYTES_MAX]; /* lock; for encoding */
};

struct ledger *ledger_new(struct outbox *out, struct report *report) {
    struct ledger *l = calloc(1, sizeof *l);
    struct queue *wants = queue_new(WANTS_MAX);
    struct delta_box *deltas = delta_box_new();
    if (l == NULL || wants == NULL || deltas == NULL) {
        free(l);
        queue_free(wants, NULL);
        delta_box_free(deltas);
        return NULL;
    }
    os_mutex_init(&l->lock);
    os_cond_init(&l->room);
    l->out = out;
    l->report = report;
    l->wants = wants;
    l->deltas = deltas;
    l->base = l->release_at = l->next_id = 1;
    return l;
}

void pending_release(struct pending *p) {
    if (p == NULL || atomic_fetch_sub(&p->users, 1) != 1)
        return;
    delta_free(p->delta);
    free(p);
}

static void drop_want(void *p) {
    pending_release(p);
}

void ledger_free(struct ledger *l) {
    if (l == NULL)
        return;
    queue_free(l->wants, drop_want);
    for (size_t i = 0; i < UNSETTLED_MAX; i++)
        pending_release(l->ring[i]);
    delta_box_free(l->deltas);
    os_cond_free(&l->room);
    os_mutex_free(&l->lock);
    free(l);
}

struct queue *ledger_wants(struct ledger *l) {
    return l->wants;
}

void ledger_cancel(void *arg) {
    struct ledger *l = arg;
    queue_cancel(l->wants);
    delta_box_cancel(l->deltas);
    os_lock(&l->lock);
    l->cancelled = true;
    os_cond_broadcast(&l->room);
    os_unlock(&l->lock);
}

/* ---- under the lock ------------------------------------------------------------------------------------ */

static struct pending **slot(struct ledger *l, uint64_t file_id) {
    return &l->ring[file_id % UNSETTLED_MAX];
}

/* The unsettled entry, or NULL. */
static struct pending *find(struct ledger *l, uint64_t file_id) {
    struct pending *p = *slot(l, file_id);
    return p && p->file_id == file_id ? p : NULL;
}

static bool has_room(const struct ledger *l) {
    return l->next_id - l->base < UNSETTLED_MAX - 1 &&
           l->bytes < UNSETTLED_BYTES_MAX - PATH_BYTES_MAX - COST_PER_ENTRY;
}

static void settle(struct ledger *l, struct pending *p) {
    *slot(l, p->file_id) = NULL;
    l->bytes -= strlen(p->path) + COST_PER_ENTRY;
    l->unanswered -= !p->answered;
    pending_release(p);
    while (l->base < l->next_id && *slot(l, l->base) == NULL)
        l->base++;
    os_cond_broadcast(&l->room);
}

static struct entry entry_of(const struct pending *p) {
    return (struct entry){
        .file_id = p->file_id,
        .type = (uint8_t)p->type,
        .mode = p->st.mode,
        .uid = p->st.uid,
        .gid = p->st.gid,
        .mtime_sec = p->st.mtime_sec,
        .mtime_nsec = p->st.mtime_nsec,
        .path = p->path,
    };
}

/* The entry of a DIR_END into *item, which is sent when full. False: no memory. */
static bool write_dir_end(struct ledger *l, struct item **item, struct entry_writer *ew, struct pending *p) {
    struct entry e = entry_of(p);
    uint8_t tags[32];
    struct wr tw = wr_of(tags, sizeof tags);
    win_attr_encode(&tw, &p->st.win);
    e.tags = (struct span){.p = tags, .n = wr_used(&tw)};
    for (int attempt = 0; attempt < 2; attempt++) {
        if (*item == NULL) {
            *item = item_new(MSG_ENTRIES, DIR_ENDS_BYTES);
            if (*item == NULL)
                return false;
            l->last_path[0] = '\0';
            *ew = (struct entry_writer){.w = item_writer(*item), .last = l->last_path};
        }
        if (entry_encode(ew, &e)) {
            p->held = false;
            return true;
        }
        item_written(*item, &ew->w);
        (void)outbox_put(l->out, *item);
        *item = NULL;
    }
    return false;
}

/* Send the ends of directories before which everything is settled. */
static bool release_dir_ends(struct ledger *l) {
    struct item *item = NULL;
    struct entry_writer ew;
    bool ok = true;
    for (; ok && l->release_at < l->next_id; l->release_at++) {
        struct pending *p = find(l, l->release_at);
        if (p == NULL)
            continue;
        if (p->type != ENTRY_DIR_END)
            break;
        ok = write_dir_end(l, &item, &ew, p);
    }
    if (item) {
        item_written(item, &ew.w);
        (void)outbox_put(l->out, item);
    }
    return ok;
}

static bool put_finish(struct ledger *l) {
    struct item *item = item_new(MSG_FINISH, 64);
    if (item == NULL)
        return false;
    struct wr w = item_writer(item);
    msg_totals_encode(&w, &l->totals);
    item_written(item, &w);
    l->finished = true;
    (void)outbox_put(l->out, item);
    queue_close(l->wants);
    return true;
}

/* NULL: a SYNC. Never waits, for that would be with the lock held, and the thread that reads the stream comes here. */
static void put_want(struct ledger *l, struct pending *p) {
    if (queue_length(l->wants) == WANTS_MAX)
        l->flooded = true;
    else if (queue_put(l->wants, p))
        return;
    pending_release(p);
}

/* What became possible: ends of directories, a SYNC, the FINISH. 0, or -1 and err (EXIT_MEMORY; EXIT_STREAM when the
 * receiver asked for too much). */
static int advance(struct ledger *l, struct err *err) {
    bool ok = release_dir_ends(l);
    if (ok && l->list_complete && l->sync_due && l->unanswered == 0) {
        l->sync_due = false;
        l->syncs++;
        put_want(l, NULL);
    }
    if (ok && l->list_complete && l->base == l->next_id && l->syncs == 0 && !l->finished)
        ok = put_finish(l);
    if (l->flooded)
        return err_set(err, EXIT_STREAM, "the receiver wants more files than it can wait for");
    return ok ? 0 : err_set(err, EXIT_MEMORY, "out of memory");
}

/* ---- scan stage ------------------------------------------------------------------------------------------ */

bool ledger_has_room(struct ledger *l) {
    os_lock(&l->lock);
    bool result = has_room(l);
    os_unlock(&l->lock);
    return result;
}

static struct pending *pending_new(const struct found *f) {
    size_t n = strlen(f->path);
    struct pending *p = calloc(1, sizeof *p + n + 1);
    if (p == NULL)
        return NULL;
    atomic_init(&p->users, 1);
    p->root = f->root;
    p->type = f->type;
    p->st = *f->st;
    memcpy(p->path, f->path, n + 1);
    return p;
}

uint64_t ledger_add(struct ledger *l, const struct found *f) {
    struct pending *p = pending_new(f);
    struct err ignored;
    if (p == NULL)
        return 0;
    bool held = f->type == ENTRY_DIR_END;
    os_lock(&l->lock);
    while (!has_room(l) && !l->cancelled)
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &l->room, &l->lock, INT64_MAX);
    uint64_t id = 0;
    if (!l->cancelled) {
        id = p->file_id = l->next_id++;
        p->held = held;
        p->answered = held; /* it waits for others, not for a verdict that a SYNC would have to wait for */
        l->unanswered += !held;
        l->bytes += strlen(p->path) + COST_PER_ENTRY;
        l->totals.entries++;
        *slot(l, id) = p;
        p = NULL;
        if (held && advance(l, &ignored) != 0)
            id = 0;
    }
    os_unlock(&l->lock);
    pending_release(p);
    return id;
}

int ledger_list_end(struct ledger *l, struct err *err) {
    os_lock(&l->lock);
    l->list_complete = true;
    int result = advance(l, err);
    os_unlock(&l->lock);
    return result;
}

/* ---- ack stage -------------------------------------------------------------------------------------------- */

static void want(struct ledger *l, struct pending *p) {
    atomic_fetch_add(&p->users, 1);
    l->sync_due = true;
    put_want(l, p);
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
    settle(l, p);
}

static void made(struct ledger *l, struct pending *p) {
    l->totals.made++;
    count(&l->report->dirs_and_links, p->type != ENTRY_DIR_END);
    if (p->type != ENTRY_DIR_END && p->path[0])
        report_made(l->report, p->path);
    settle(l, p);
}

static void gone(struct ledger *l, struct pending *p) {
    l->totals.failed++;
    count(&l->report->files_failed, 1);
    count(&l->report->files_done, 1);
    settle(l, p);
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
        struct pending *p = find(l, id);
        if (p == NULL || !judge(l, p, run->verdict))
            result = unasked("VERDICTS: a verdict", id, err);
    }
    if (result == 0)
        result = advance(l, err);
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
    struct pending *p = find(l, basis->file_id);
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
        result = advance(l, err);
    }
    os_unlock(&l->lock);
    return result;
}

int ledger_durable(struct ledger *l, const struct run_of_ids *run, struct err *err) {
    int result = 0;
    os_lock(&l->lock);
    for (uint64_t id = run->first_id; result == 0 && id - run->first_id < run->count; id++) {
        struct pending *p = find(l, id);
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
        settle(l, p);
    }
    if (result == 0)
        result = advance(l, err);
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
    struct pending *p = find(l, file_id);
    if (p == NULL) {
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
        result = advance(l, err);
    }
    os_unlock(&l->lock);
    return result;
}

int ledger_want_again(struct ledger *l, const struct msg_bundle *bundle, bool refused, struct err *err) {
    int result = 0;
    os_lock(&l->lock);
    for (uint32_t i = 0; result == 0 && i < bundle->count; i++) {
        struct bundle_member m = bundle_member_at(bundle, i);
        struct pending *p = find(l, m.file_id);
        if (p && refused && p->refusals++ == REFUSALS_MAX)
            result =
                err_set(err, EXIT_VERIFY, "%s arrived damaged %d times: something on the way changes data",
                        ESCAPED(p->path), REFUSALS_MAX + 1);
        else if (p)
            want_again(l, p, refused);
    }
    if (result == 0)
        result = advance(l, err);
    os_unlock(&l->lock);
    return result;
}

/* ---- send stage -------------------------------------------------------------------------------------------- */

/* Lock held. */
static void has_left(struct pending *p, enum sent what, uint64_t size) {
    p->sent = what;
    p->sent_size = size;
}

/* Lock held. `again`: it has left before, with the stream that broke. */
static void end_leaves(struct ledger *l, struct item *item, const struct msg_file_end *end) {
    struct pending *p = find(l, end->file_id);
    if (p == NULL || item->again)
        return;
    has_left(p, SENT_ALL, end->size);
    p->sent_reading = item->reading;
}

/* Lock held. */
static int bundle_leaves(struct ledger *l, const struct item *item, uint32_t chunk_size, struct err *err) {
    struct msg_bundle m;
    if (msg_bundle_decode(item_body(item), item->frame.data_length, chunk_size, &m, err) != 0)
        return -1;
    for (uint32_t i = 0; i < m.count; i++) {
        struct bundle_member member = bundle_member_at(&m, i);
        struct pending *p = find(l, member.file_id);
        if (p)
            has_left(p, SENT_ALL, member.size);
    }
    return 0;
}

/* Lock held. A message about files; those that have left before with the stream that broke say nothing new, but FILE_END. */
static int leaves(struct ledger *l, struct item *item, uint32_t chunk_size, struct err *err) {
    struct msg_file_same same;
    struct msg_file_text fail;
    struct msg_file_end end;
    struct pending *p;
    switch (item->frame.type) {
    case MSG_BUNDLE: return bundle_leaves(l, item, chunk_size, err);
    case MSG_FILE_SAME:
        if (msg_file_same_decode(item_body(item), &same, err) != 0)
            return -1;
        if ((p = find(l, same.file_id)))
            has_left(p, SENT_SAME, 0);
        return 0;
    case MSG_FILE_FAIL:
        if (msg_file_text_decode(item_body(item), &fail, err) != 0)
            return -1;
        if ((p = find(l, fail.file_id)))
            p->given_up = true;
        return 0;
    default: /* MSG_FILE_END */
        if (msg_file_end_decode(item_body(item), &end, err) != 0)
            return -1;
        end_leaves(l, item, &end);
        return 0;
    }
}

int ledger_leaves(struct ledger *l, struct item *item, uint32_t chunk_size, struct err *err) {
    unsigned type = item->frame.type;
    bool once = type == MSG_BUNDLE || type == MSG_FILE_SAME || type == MSG_FILE_FAIL;
    if (type != MSG_FILE_END && (!once || item->again))
        return 0;
    os_lock(&l->lock);
    int result = leaves(l, item, chunk_size, err);
    os_unlock(&l->lock);
    return result;
}

void ledger_spoil(struct ledger *l, struct pending *p, unsigned reading, const struct err *why) {
    os_lock(&l->lock);
    bool news = reading > atomic_load(&p->spoilt);
    if (news) {
        p->spoilt_code = why->code;
        atomic_store(&p->spoilt, reading);
    }
    os_unlock(&l->lock);
    if (news) {
        struct err told = *why;
        (void)err_wrap(&told, "a chunk cannot be sent again");
        report_warning(l->report, p->path, told.msg);
    }
}

int ledger_sync_sent(struct ledger *l, struct err *err) {
    os_lock(&l->lock);
    l->syncs--;
    int result = advance(l, err);
    os_unlock(&l->lock);
    return result;
}

struct pending *ledger_borrow(struct ledger *l, uint64_t file_id) {
    os_lock(&l->lock);
    struct pending *p = find(l, file_id);
    if (p)
        atomic_fetch_add(&p->users, 1);
    os_unlock(&l->lock);
    return p;
}

uint64_t ledger_progress(struct ledger *l) {
    os_lock(&l->lock);
    const struct msg_totals *t = &l->totals;
    uint64_t settled = t->committed + t->skipped + t->made + t->failed;
    uint64_t result = t->entries - l->unanswered + settled + delta_box_kept(l->deltas);
    os_unlock(&l->lock);
    return result;
}

bool ledger_finished(struct ledger *l, struct msg_totals *ret_totals) {
    os_lock(&l->lock);
    bool result = l->finished;
    *ret_totals = l->totals;
    os_unlock(&l->lock);
    return result;
}
