#include "sender/flight.h"

#include <stdlib.h>
#include <string.h>

/* Credit bounds how many frames can be in flight: a short list. */
struct flight {
    struct os_mutex lock;
    struct ticketed *first, *last; /* lock; items without data, ticket = order, ascending */
};

struct flight *flight_new(void) {
    struct flight *f = calloc(1, sizeof *f);
    if (f)
        os_mutex_init(&f->lock);
    return f;
}

static struct item *copy_of(const struct item *item) {
    struct item *copy = item_new(item->frame.type, item->frame.body_length);
    if (copy == NULL)
        return NULL;
    copy->frame = item->frame;
    copy->raw_length = item->raw_length;
    memcpy(copy->body, item->body, item->frame.body_length);
    return copy;
}

static void pop(struct flight *f) {
    struct ticketed *t = f->first;
    f->first = t->next;
    if (f->first == NULL)
        f->last = NULL;
    item_drop_ticketed(t);
}

void flight_free(struct flight *f) {
    if (f == NULL)
        return;
    while (f->first)
        pop(f);
    os_mutex_free(&f->lock);
    free(f);
}

bool flight_add(struct flight *f, const struct item *item, uint64_t order) {
    struct item *copy = copy_of(item);
    if (copy == NULL)
        return false;
    copy->t.ticket = order;
    os_lock(&f->lock);
    if (f->last)
        f->last->next = &copy->t;
    else
        f->first = &copy->t;
    f->last = &copy->t;
    os_unlock(&f->lock);
    return true;
}

void flight_done(struct flight *f, uint64_t processed) {
    os_lock(&f->lock);
    while (f->first && f->first->ticket <= processed)
        pop(f);
    os_unlock(&f->lock);
}

struct item *flight_find(struct flight *f, uint64_t order) {
    os_lock(&f->lock);
    struct ticketed *t = f->first;
    while (t && t->ticket != order)
        t = t->next;
    struct item *copy = t ? copy_of((struct item *)t) : NULL;
    os_unlock(&f->lock);
    return copy;
}

void flight_drop(struct flight *f, uint64_t order) {
    os_lock(&f->lock);
    for (struct ticketed *before = NULL, *t = f->first; t; before = t, t = t->next) {
        if (t->ticket != order)
            continue;
        *(before ? &before->next : &f->first) = t->next;
        if (f->last == t)
            f->last = before;
        item_drop_ticketed(t);
        break;
    }
    os_unlock(&f->lock);
}
