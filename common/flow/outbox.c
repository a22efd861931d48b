#include "flow/outbox.h"

#include "os/os_waits.h"
#include "wire/msg.h"

#include <inttypes.h>
#include <stdlib.h>

struct fifo {
    struct ticketed *first, *last;
    unsigned count;
};

struct outbox {
    struct os_mutex lock;
    struct os_cond changed; /* something can be sent, or closed, or cancelled */
    struct os_cond room; /* fewer control or data items than before */
    struct fifo urgent, again, control; /* lock */
    uint64_t control_bytes; /* lock; of the bodies in `control` */
    struct ticketed *data; /* lock; ascending tickets */
    unsigned data_count; /* lock */
    uint64_t next_ticket; /* lock */
    uint64_t limit, spent; /* lock */
    uint64_t most; /* that may be spent on what is not processed */
    uint64_t charged; /* lock; messages that took credit */
    struct flown flown; /* lock; those of them that are processed */
    unsigned later; /* lock; items put without waking anyone */
    uint32_t chunk_size;
    bool closed, cancelled; /* lock */
    bool held; /* lock; the stream is broken */
    int64_t rest_ms; /* lock; nothing but urgent items leaves before then; 0: not so */
    bool taken; /* lock; the sending thread has something in hand */
};

struct outbox *outbox_new(uint64_t limit, uint32_t chunk_size) {
    struct outbox *ob = calloc(1, sizeof *ob);
    if (ob == NULL)
        return NULL;
    os_mutex_init(&ob->lock);
    os_cond_init(&ob->changed);
    os_cond_init(&ob->room);
    ob->limit = limit;
    ob->most = UINT64_MAX;
    ob->chunk_size = chunk_size;
    ob->next_ticket = 1;
    return ob;
}

static void fifo_push(struct fifo *f, struct ticketed *t) {
    t->next = NULL;
    if (f->last)
        f->last->next = t;
    else
        f->first = t;
    f->last = t;
    f->count++;
}

static struct ticketed *fifo_pop(struct fifo *f) {
    struct ticketed *t = f->first;
    f->first = t->next;
    if (f->first == NULL)
        f->last = NULL;
    f->count--;
    return t;
}

static void drop_chain(struct ticketed *t) {
    while (t) {
        struct ticketed *next = t->next;
        item_drop_ticketed(t);
        t = next;
    }
}

void outbox_free(struct outbox *ob) {
    if (ob == NULL)
        return;
    drop_chain(ob->urgent.first);
    drop_chain(ob->again.first);
    drop_chain(ob->control.first);
    drop_chain(ob->data);
    os_cond_free(&ob->room);
    os_cond_free(&ob->changed);
    os_mutex_free(&ob->lock);
    free(ob);
}

static void insert_data(struct outbox *ob, struct ticketed *t) {
    struct ticketed **at = &ob->data;
    while (*at && (*at)->ticket < t->ticket)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
    ob->data_count++;
}

enum lane { LANE_URGENT, LANE_CONTROL, LANE_DATA };

/* Lock held. */
static struct ticketed **find_ack(struct outbox *ob) {
    struct ticketed **at = &ob->urgent.first;
    while (*at && ((struct item *)*at)->frame.type != MSG_ACK)
        at = &(*at)->next;
    return at;
}

/* Lock held. An ACK says all that the one before it said: for a peer that does not read, no more than one waits. */
static void push_urgent(struct outbox *ob, struct item *item) {
    struct ticketed **at = find_ack(ob), *older = *at;
    if (item->frame.type != MSG_ACK || older == NULL) {
        fifo_push(&ob->urgent, &item->t);
        return;
    }
    item->t.next = older->next;
    *at = &item->t;
    if (ob->urgent.last == older)
        ob->urgent.last = &item->t;
    item_drop_ticketed(older);
}

/* Lock held. */
static void push_control(struct outbox *ob, struct item *item) {
    fifo_push(&ob->control, &item->t);
    ob->control_bytes += item->frame.body_length;
}

/* Lock held. */
static struct ticketed *pop_control(struct outbox *ob) {
    struct ticketed *t = fifo_pop(&ob->control);
    ob->control_bytes -= ((struct item *)t)->frame.body_length;
    os_cond_broadcast(&ob->room);
    return t;
}

static bool put(struct outbox *ob, struct item *item, enum lane lane, bool wake) {
    os_lock(&ob->lock);
    bool open = !ob->closed && !ob->cancelled;
    if (open && lane == LANE_DATA)
        insert_data(ob, &item->t);
    else if (open && lane == LANE_URGENT)
        push_urgent(ob, item);
    else if (open)
        push_control(ob, item);
    if (open && !wake)
        wake = ++ob->later >= OUTBOX_LATER_MAX;
    if (open && wake) {
        ob->later = 0;
        os_cond_broadcast(&ob->changed);
    }
    os_unlock(&ob->lock);
    if (!open)
        item_free(item);
    return open;
}

/* Lock held. */
static void kick(struct outbox *ob) {
    if (ob->later > 0)
        os_cond_broadcast(&ob->changed);
    ob->later = 0;
}

void outbox_kick(struct outbox *ob) {
    os_lock(&ob->lock);
    kick(ob);
    os_unlock(&ob->lock);
}

bool outbox_put_urgent(struct outbox *ob, struct item *item) {
    return put(ob, item, LANE_URGENT, true);
}
bool outbox_put(struct outbox *ob, struct item *item) {
    return put(ob, item, LANE_CONTROL, true);
}
bool outbox_put_data(struct outbox *ob, struct item *item) {
    return put(ob, item, LANE_DATA, true);
}
bool outbox_put_later(struct outbox *ob, struct item *item) {
    return put(ob, item, LANE_CONTROL, false);
}
bool outbox_put_data_later(struct outbox *ob, struct item *item) {
    return put(ob, item, LANE_DATA, false);
}

bool outbox_wait_room(struct outbox *ob, unsigned most) {
    os_lock(&ob->lock);
    while (ob->control.count >= most && !ob->cancelled)
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &ob->room, &ob->lock, INT64_MAX);
    bool open = !ob->cancelled;
    os_unlock(&ob->lock);
    return open;
}

bool outbox_wait_bytes(struct outbox *ob, uint64_t most) {
    os_lock(&ob->lock);
    while (ob->control_bytes >= most && !ob->cancelled)
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &ob->room, &ob->lock, INT64_MAX);
    bool open = !ob->cancelled;
    os_unlock(&ob->lock);
    return open;
}

bool outbox_wait_data(struct outbox *ob, unsigned most) {
    os_lock(&ob->lock);
    while (ob->data_count >= most && !ob->cancelled) {
        kick(ob);
        (void)os_cond_wait_for(OS_WAIT_OUTPUT, &ob->room, &ob->lock, INT64_MAX);
    }
    bool open = !ob->cancelled;
    os_unlock(&ob->lock);
    return open;
}

uint64_t outbox_bytes(struct outbox *ob) {
    os_lock(&ob->lock);
    uint64_t n = ob->control_bytes;
    os_unlock(&ob->lock);
    return n;
}

void outbox_raise(struct outbox *ob, uint64_t limit) {
    os_lock(&ob->lock);
    if (limit > ob->limit) {
        ob->limit = limit;
        os_cond_broadcast(&ob->changed);
    }
    os_unlock(&ob->lock);
}

void outbox_bound(struct outbox *ob, uint64_t most) {
    ob->most = most;
}

void outbox_flown(struct outbox *ob, struct flown flown) {
    os_lock(&ob->lock);
    if (flown.count > ob->flown.count) { /* another thread may have told of more */
        ob->flown = flown;
        os_cond_broadcast(&ob->changed);
    }
    os_unlock(&ob->lock);
}

int outbox_take_ack(struct outbox *ob, struct flight *flight, const struct item *item, struct err *err) {
    struct msg_ack ack;
    if (msg_ack_decode(item_body(item), &ack, err) != 0)
        return -1;
    if (!flight_was_sent(flight, ack.processed))
        return err_set(err, EXIT_STREAM, "ACK: message %" PRIu64 " was never sent", ack.processed);
    outbox_flown(ob, flight_done(flight, ack.processed));
    outbox_raise(ob, ack.credit);
    return 0;
}

/* Lock held. */
static bool fits(const struct outbox *ob, uint64_t cost) {
    bool few = ob->charged - ob->flown.count < FLYING_MIN;
    return ob->limit - ob->spent >= cost && (few || ob->spent + cost - ob->flown.cost <= ob->most);
}

bool outbox_has_credit(struct outbox *ob, uint64_t cost) {
    os_lock(&ob->lock);
    bool result = fits(ob, cost);
    os_unlock(&ob->lock);
    return result;
}

void outbox_close(struct outbox *ob) {
    os_lock(&ob->lock);
    ob->closed = true;
    os_cond_broadcast(&ob->changed);
    os_unlock(&ob->lock);
}

void outbox_cancel(void *arg) {
    struct outbox *ob = arg;
    os_lock(&ob->lock);
    ob->cancelled = true;
    os_cond_broadcast(&ob->changed);
    os_cond_broadcast(&ob->room);
    os_unlock(&ob->lock);
}

/* Lock held. Spends the credit of `t` if there is enough. */
static bool afford(struct outbox *ob, struct ticketed *t) {
    struct item *item = (struct item *)t;
    uint64_t cost = frame_cost(&item->frame, ob->chunk_size);
    if (!fits(ob, cost))
        return false;
    ob->spent += cost;
    ob->charged++;
    item->cost = cost;
    return true;
}

/* Lock held. */
static struct ticketed *take(struct outbox *ob) {
    if (ob->urgent.first)
        return fifo_pop(&ob->urgent);
    if (ob->rest_ms != 0 && os_now_ms() < ob->rest_ms)
        return NULL;
    if (ob->again.first)
        return afford(ob, ob->again.first) ? fifo_pop(&ob->again) : NULL;
    if (ob->control.first)
        return afford(ob, ob->control.first) ? pop_control(ob) : NULL;
    struct ticketed *t = ob->data;
    if (t == NULL || t->ticket != ob->next_ticket || !afford(ob, t))
        return NULL;
    ob->data = t->next;
    ob->data_count--;
    ob->next_ticket++;
    os_cond_broadcast(&ob->room);
    return t;
}

static bool is_empty(const struct outbox *ob) {
    return ob->urgent.first == NULL && ob->again.first == NULL && ob->control.first == NULL &&
           ob->data == NULL;
}

/* Nothing is left that could ever be sent: after closing, a missing ticket does not come any more. */
static bool is_exhausted(const struct outbox *ob) {
    bool data = ob->data && ob->data->ticket == ob->next_ticket;
    return ob->urgent.first == NULL && ob->again.first == NULL && ob->control.first == NULL && !data;
}

/* Lock held. Items after the first, which is in ret[0]. */
static unsigned take_more(struct outbox *ob, struct item **ret, unsigned most) {
    unsigned n = 1;
    uint64_t data = ret[0]->frame.data_length;
    while (n < most && data < OUTBOX_BATCH_DATA && !item_lacks_data(ret[n - 1])) {
        struct ticketed *t = take(ob);
        if (t == NULL)
            break;
        ret[n] = (struct item *)t;
        data += ret[n++]->frame.data_length;
    }
    return n;
}

/* Lock held. Waits for a change, or the end of a rest. False: the deadline passed (INT64_MAX: there is none). */
static bool wait_for_change(struct outbox *ob, int64_t deadline_ms) {
    bool resting = ob->rest_ms != 0 && !ob->held && ob->rest_ms < deadline_ms;
    int64_t until = resting ? ob->rest_ms : deadline_ms;
    enum os_wait what = is_empty(ob) ? OS_WAIT_INPUT : OS_WAIT_OUTPUT; /* for credit */
    bool in_time = os_cond_wait_for(what, &ob->changed, &ob->lock, until);
    if (resting && !in_time)
        ob->rest_ms = 0;
    return in_time || resting;
}

enum queue_result outbox_get(struct outbox *ob, struct item **ret, int timeout_ms) {
    unsigned count;
    return outbox_get_batch(ob, ret, 1, &count, timeout_ms);
}

enum queue_result outbox_get_batch(struct outbox *ob, struct item **ret, unsigned most, unsigned *ret_count,
                                   int timeout_ms) {
    int64_t deadline =
        timeout_ms > 0 ? 0 : INT64_MAX; /* 0: the clock was not asked yet, which may cost a system call */
    enum queue_result result = QUEUE_TIMEOUT;
    os_lock(&ob->lock);
    for (bool waiting = true;;) {
        if (ob->cancelled) {
            result = QUEUE_CLOSED;
            break;
        }
        struct ticketed *t = ob->held ? NULL : take(ob);
        if (t) {
            ret[0] = (struct item *)t;
            *ret_count = take_more(ob, ret, most);
            ob->taken = true;
            result = QUEUE_OK;
            break;
        }
        if (ob->closed && !ob->held && is_exhausted(ob)) {
            result = QUEUE_CLOSED;
            break;
        }
        if (timeout_ms == 0 || (!waiting && !ob->held)) {
            ob->taken = timeout_ms != 0; /* a HEARTBEAT is due */
            break;
        }
        if (deadline == 0)
            deadline = os_now_ms() + timeout_ms;
        waiting = wait_for_change(ob, ob->held ? INT64_MAX : deadline);
    }
    os_unlock(&ob->lock);
    return result;
}

void outbox_rest(struct outbox *ob, int64_t until_ms) {
    os_lock(&ob->lock);
    ob->rest_ms = until_ms;
    os_unlock(&ob->lock);
}

void outbox_sent(struct outbox *ob) {
    os_lock(&ob->lock);
    ob->taken = false;
    if (ob->held)
        os_cond_broadcast(&ob->changed);
    os_unlock(&ob->lock);
}

void outbox_refund(struct outbox *ob, struct item *item) {
    uint64_t cost = frame_cost(&item->frame, ob->chunk_size);
    os_lock(&ob->lock);
    ob->spent -= item->cost - cost;
    item->cost = cost;
    os_unlock(&ob->lock);
}

bool outbox_hold(struct outbox *ob) {
    os_lock(&ob->lock);
    ob->held = true;
    while (ob->taken && !ob->cancelled)
        os_cond_wait(&ob->changed, &ob->lock);
    bool open = !ob->cancelled;
    os_unlock(&ob->lock);
    return open;
}

void outbox_rewind(struct outbox *ob, struct ticketed *chain, uint64_t cost) {
    os_lock(&ob->lock);
    ob->spent -= cost;
    struct fifo before = ob->again, urgent = ob->urgent;
    ob->again = ob->urgent = (struct fifo){0};
    for (struct ticketed *next; chain; chain = next, ob->charged--) {
        next = chain->next;
        fifo_push(&ob->again, chain);
    }
    while (before.first) /* it broke again before these had left */
        fifo_push(&ob->again, fifo_pop(&before));
    while (urgent.first) {
        struct ticketed *t = fifo_pop(&urgent);
        if (((struct item *)t)->frame.flags & FRAME_RESENT)
            item_drop_ticketed(t);
        else
            fifo_push(&ob->urgent, t);
    }
    os_unlock(&ob->lock);
}

void outbox_each(struct outbox *ob, void (*fn)(struct item *item)) {
    os_lock(&ob->lock);
    for (struct ticketed *t = ob->again.first; t; t = t->next)
        fn((struct item *)t);
    for (struct ticketed *t = ob->control.first; t; t = t->next)
        fn((struct item *)t);
    os_unlock(&ob->lock);
}

void outbox_release(struct outbox *ob) {
    os_lock(&ob->lock);
    ob->held = false;
    os_cond_broadcast(&ob->changed);
    os_unlock(&ob->lock);
}

unsigned outbox_waiting(struct outbox *ob) {
    os_lock(&ob->lock);
    unsigned n = ob->again.count + ob->control.count;
    os_unlock(&ob->lock);
    return n;
}

bool outbox_is_empty(struct outbox *ob) {
    os_lock(&ob->lock);
    bool empty = is_empty(ob);
    os_unlock(&ob->lock);
    return empty;
}

void outbox_wait_cancelled(struct outbox *ob, int timeout_ms) {
    int64_t deadline = os_now_ms() + timeout_ms;
    os_lock(&ob->lock);
    while (!ob->cancelled && os_cond_wait_until(&ob->changed, &ob->lock, deadline))
        ;
    os_unlock(&ob->lock);
}
