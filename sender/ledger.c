#include "sender/ledger_impl.h"

#include "os/os_waits.h"

#include <stdlib.h>
#include <string.h>

enum {
    COST_PER_ENTRY = 64, /* as UNSETTLED_BYTES_MAX counts */
    DIR_ENDS_BYTES = 32 * 1024,
    WANTS_MAX = 4 * UNSETTLED_MAX, /* a file can be wanted twice, and a SYNC may follow each time */
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

struct pending *ledger_find(struct ledger *l, uint64_t file_id) {
    struct pending *p = *slot(l, file_id);
    return p && p->file_id == file_id ? p : NULL;
}

static bool has_room(const struct ledger *l) {
    return l->next_id - l->base < UNSETTLED_MAX - 1 &&
           l->bytes < UNSETTLED_BYTES_MAX - PATH_BYTES_MAX - COST_PER_ENTRY;
}

void ledger_settle(struct ledger *l, struct pending *p) {
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
        struct pending *p = ledger_find(l, l->release_at);
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

void ledger_put_want(struct ledger *l, struct pending *p) {
    if (queue_length(l->wants) == WANTS_MAX)
        l->flooded = true;
    else if (queue_put(l->wants, p))
        return;
    pending_release(p);
}

int ledger_advance(struct ledger *l, struct err *err) {
    bool ok = release_dir_ends(l);
    if (ok && l->list_complete && l->sync_due && l->unanswered == 0) {
        l->sync_due = false;
        l->syncs++;
        ledger_put_want(l, NULL);
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
        if (held && ledger_advance(l, &ignored) != 0)
            id = 0;
    }
    os_unlock(&l->lock);
    pending_release(p);
    return id;
}

int ledger_list_end(struct ledger *l, struct err *err) {
    os_lock(&l->lock);
    l->list_complete = true;
    int result = ledger_advance(l, err);
    os_unlock(&l->lock);
    return result;
}

/* ---- for all of them -------------------------------------------------------------------------------- */

struct pending *ledger_borrow(struct ledger *l, uint64_t file_id) {
    os_lock(&l->lock);
    struct pending *p = ledger_find(l, file_id);
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
