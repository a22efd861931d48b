#include "sync/sync.h"

#include "os/os_waits.h"

#include <stdlib.h>

struct sequencer {
    struct os_mutex lock;
    struct os_cond arrived;
    struct os_cond idle; /* the taker waits */
    uint64_t next; /* lock; ticket that leaves next */
    struct ticketed *first; /* lock; ascending */
    struct ticketed *last; /* lock; most items come in order: append without a search */
    struct ticketed
        *latest; /* lock; put last: what comes by one of several streams follows it; NULL when it has left */
    bool closed, cancelled; /* lock */
    bool waiting; /* lock; the taker is in sequencer_get, and what is next is not there */
};

struct sequencer *sequencer_new(void) {
    struct sequencer *seq = calloc(1, sizeof *seq);
    if (seq == NULL)
        return NULL;
    os_mutex_init(&seq->lock);
    os_cond_init(&seq->arrived);
    os_cond_init(&seq->idle);
    seq->next = 1;
    return seq;
}

static struct ticketed *pop(struct sequencer *seq) {
    struct ticketed *item = seq->first;
    if (seq->latest == item)
        seq->latest = NULL;
    seq->first = item->next;
    if (seq->first == NULL)
        seq->last = NULL;
    item->next = NULL;
    return item;
}

void sequencer_free(struct sequencer *seq, void (*drop)(struct ticketed *item)) {
    if (seq == NULL)
        return;
    while (drop && seq->first)
        drop(pop(seq));
    os_cond_free(&seq->idle);
    os_cond_free(&seq->arrived);
    os_mutex_free(&seq->lock);
    free(seq);
}

/* Lock held. The link that holds, or would hold, `ticket`. */
static struct ticketed **find(struct sequencer *seq, uint64_t ticket) {
    struct ticketed **at = &seq->first;
    if (seq->last && seq->last->ticket < ticket)
        return &seq->last->next;
    if (seq->latest && seq->latest->ticket < ticket)
        at = &seq->latest->next;
    while (*at && (*at)->ticket < ticket)
        at = &(*at)->next;
    return at;
}

/* Lock held. */
static bool lacks(struct sequencer *seq, uint64_t ticket) {
    if (ticket < seq->next)
        return false;
    struct ticketed *at = *find(seq, ticket);
    return at == NULL || at->ticket != ticket;
}

bool sequencer_lacks(struct sequencer *seq, uint64_t ticket) {
    os_lock(&seq->lock);
    bool result = lacks(seq, ticket);
    os_unlock(&seq->lock);
    return result;
}

bool sequencer_awaits(struct sequencer *seq, uint64_t ticket) {
    os_lock(&seq->lock);
    bool result = ticket == seq->next;
    os_unlock(&seq->lock);
    return result;
}

enum seq_put sequencer_put(struct sequencer *seq, struct ticketed *item) {
    enum seq_put result = SEQ_PUT;
    os_lock(&seq->lock);
    if (seq->closed || seq->cancelled) {
        result = SEQ_CLOSED;
    } else if (!lacks(seq, item->ticket)) {
        result = SEQ_DUPLICATE;
    } else {
        struct ticketed **at = find(seq, item->ticket);
        item->next = *at;
        *at = item;
        seq->latest = item;
        if (item->next == NULL)
            seq->last = item;
        if (item->ticket == seq->next)
            os_cond_signal(&seq->arrived);
    }
    os_unlock(&seq->lock);
    return result;
}

/* Lock held. The item with the next ticket is here. */
static bool is_ready(const struct sequencer *seq) {
    return seq->first && seq->first->ticket == seq->next;
}

enum queue_result sequencer_get(struct sequencer *seq, struct ticketed **ret, int timeout_ms) {
    int64_t deadline = timeout_ms > 0 ? os_now_ms() + timeout_ms : INT64_MAX;
    enum queue_result result = QUEUE_OK;
    os_lock(&seq->lock);
    while (!is_ready(seq) && !seq->closed && !seq->cancelled && result == QUEUE_OK) {
        seq->waiting = true;
        os_cond_broadcast(&seq->idle);
        if (timeout_ms == 0 || !os_cond_wait_for(OS_WAIT_INPUT, &seq->arrived, &seq->lock, deadline))
            result = QUEUE_TIMEOUT;
    }
    seq->waiting = false;
    if (seq->cancelled) {
        result = QUEUE_CLOSED;
    } else if (is_ready(seq)) {
        *ret = pop(seq);
        seq->next++;
        if (is_ready(seq)) /* it was put before its turn, which woke nobody */
            os_cond_signal(&seq->arrived);
        result = QUEUE_OK;
    } else if (seq->closed) {
        result = QUEUE_CLOSED;
    }
    os_unlock(&seq->lock);
    return result;
}

static void stop(struct sequencer *seq, bool *flag) {
    os_lock(&seq->lock);
    *flag = true;
    os_cond_broadcast(&seq->arrived);
    os_cond_broadcast(&seq->idle);
    os_unlock(&seq->lock);
}

enum queue_result sequencer_settle(struct sequencer *seq, int64_t deadline_ms) {
    bool in_time = true;
    os_lock(&seq->lock);
    while (!(seq->waiting && !is_ready(seq)) && !seq->closed && !seq->cancelled && in_time)
        in_time = os_cond_wait_until(&seq->idle, &seq->lock, deadline_ms);
    bool open = !seq->closed && !seq->cancelled;
    os_unlock(&seq->lock);
    return !open ? QUEUE_CLOSED : in_time ? QUEUE_OK : QUEUE_TIMEOUT;
}

void sequencer_clear(struct sequencer *seq, void (*drop)(struct ticketed *item)) {
    os_lock(&seq->lock);
    struct ticketed *chain = seq->first;
    seq->first = seq->last = seq->latest = NULL;
    os_unlock(&seq->lock);
    while (chain) {
        struct ticketed *next = chain->next;
        drop(chain);
        chain = next;
    }
}

void sequencer_close(struct sequencer *seq) {
    stop(seq, &seq->closed);
}

void sequencer_cancel(void *arg) {
    struct sequencer *seq = arg;
    stop(seq, &seq->cancelled);
}
