#include "flow/flight.h"

#include <stdlib.h>
#include <string.h>

struct flight {
    struct os_mutex lock;
    struct ticketed *first, *last; /* lock; ticket = order, ascending */
    uint64_t processed, sent; /* lock; the highest orders */
    struct flown flown; /* lock; what is dropped */
};

struct flight *flight_new(void) {
    struct flight *f = calloc(1, sizeof *f);
    if (f)
        os_mutex_init(&f->lock);
    return f;
}

/* VOID, SYNC and REFUSED come as often as the other end asks for it, or breaks off. */
static bool moves(const struct item *item) {
    unsigned type = item->frame.type;
    return type != MSG_VOID && type != MSG_SYNC && type != MSG_REFUSED;
}

/* Lock held. What is still here counts as on its way, whatever the other end says: that bounds how much can be. */
static void drop_processed(struct flight *f) {
    while (f->first && !((struct item *)f->first)->writing && f->first->ticket <= f->processed) {
        struct item *item = (struct item *)f->first;
        f->first = item->t.next;
        f->flown.count++;
        f->flown.cost += item->cost;
        f->flown.moved += moves(item);
        item_drop_ticketed(&item->t);
    }
    if (f->first == NULL)
        f->last = NULL;
}

void flight_free(struct flight *f) {
    if (f == NULL)
        return;
    for (struct ticketed *t = f->first; t; t = t->next)
        ((struct item *)t)->writing = false; /* nobody does any more */
    f->processed = UINT64_MAX;
    drop_processed(f);
    os_mutex_free(&f->lock);
    free(f);
}

void flight_add(struct flight *f, struct item *item) {
    item->t.ticket = item->frame.order;
    item->t.next = NULL;
    item->writing = true;
    os_lock(&f->lock);
    if (f->last)
        f->last->next = &item->t;
    else
        f->first = &item->t;
    f->last = &item->t;
    if (item->frame.order > f->sent)
        f->sent = item->frame.order;
    os_unlock(&f->lock);
}

bool flight_was_sent(struct flight *f, uint64_t order) {
    os_lock(&f->lock);
    bool result = order <= f->sent;
    for (struct ticketed *t = f->first; result && t && t->ticket <= order; t = t->next)
        result = !((struct item *)t)->unnumbered;
    os_unlock(&f->lock);
    return result;
}

void flight_leaves(struct flight *f, struct item *item) {
    os_lock(&f->lock);
    item->unnumbered = false;
    os_unlock(&f->lock);
}

struct flown flight_sent(struct flight *f, struct item *item) {
    buf_release(item->data); /* which nobody else looks at while it is being written */
    item->data = NULL;
    os_lock(&f->lock);
    item->writing = item->unnumbered = false;
    drop_processed(f);
    struct flown flown = f->flown;
    os_unlock(&f->lock);
    return flown;
}

struct flown flight_done(struct flight *f, uint64_t processed) {
    os_lock(&f->lock);
    if (processed > f->processed)
        f->processed = processed;
    drop_processed(f);
    struct flown flown = f->flown;
    os_unlock(&f->lock);
    return flown;
}

/* Lock held. NULL also for what is processed, though a thread may still hold it, and for what cannot have arrived. */
static struct item *find(struct flight *f, uint64_t order) {
    struct ticketed *t = order > f->processed ? f->first : NULL;
    while (t && t->ticket != order)
        t = t->next;
    struct item *item = (struct item *)t;
    return item && !item->unnumbered ? item : NULL;
}

static struct item *copy_of(const struct item *item) {
    struct item *copy = item_new(item->frame.type, item->frame.body_length);
    if (copy == NULL)
        return NULL;
    copy->frame = item->frame;
    copy->raw_length = item->raw_length;
    copy->reading = item->reading;
    memcpy(copy->body, item->body, item->frame.body_length);
    return copy;
}

struct item *flight_refused(struct flight *f, uint64_t order) {
    os_lock(&f->lock);
    struct item *item = find(f, order);
    struct item *copy = item && item_carries_data(item) ? copy_of(item) : NULL;
    if (copy)
        copy->refusals = ++item->refusals;
    os_unlock(&f->lock);
    return copy;
}

void flight_void(struct flight *f, uint64_t order) {
    os_lock(&f->lock);
    struct item *item = find(f, order);
    if (item)
        item_make_void(item);
    os_unlock(&f->lock);
}

bool flight_take(struct flight *f, uint64_t processed, struct ticketed **ret, uint64_t *ret_cost) {
    flight_done(f, processed);
    os_lock(&f->lock);
    bool known = processed == f->processed;
    struct ticketed *chain = known ? f->first : NULL;
    if (known)
        f->first = f->last = NULL;
    os_unlock(&f->lock);
    if (!known)
        return false;
    *ret = chain;
    *ret_cost = 0;
    for (struct ticketed *t = chain; t; t = t->next)
        *ret_cost += ((struct item *)t)->cost;
    return true;
}
