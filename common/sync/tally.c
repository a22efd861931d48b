#include "sync/sync.h"

void tally_init(struct tally *t) {
    os_mutex_init(&t->lock);
    os_cond_init(&t->zero);
    t->n = 0;
    t->cancelled = false;
}

void tally_free(struct tally *t) {
    os_cond_free(&t->zero);
    os_mutex_free(&t->lock);
}

void tally_up(struct tally *t) {
    os_lock(&t->lock);
    t->n++;
    os_unlock(&t->lock);
}

void tally_down(struct tally *t) {
    os_lock(&t->lock);
    if (--t->n == 0)
        os_cond_broadcast(&t->zero);
    os_unlock(&t->lock);
}

bool tally_wait(struct tally *t) {
    os_lock(&t->lock);
    while (t->n > 0 && !t->cancelled)
        os_cond_wait(&t->zero, &t->lock);
    bool open = !t->cancelled;
    os_unlock(&t->lock);
    return open;
}

void tally_cancel(void *arg) {
    struct tally *t = arg;
    os_lock(&t->lock);
    t->cancelled = true;
    os_cond_broadcast(&t->zero);
    os_unlock(&t->lock);
}
