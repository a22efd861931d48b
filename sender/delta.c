#include "sender/delta.h"

#include "os/os_waits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct delta_piece {
    struct delta_piece *next;
    uint64_t first_block;
    uint32_t count;
    struct digest digests[];
};

struct delta_box {
    struct os_mutex lock;
    struct os_cond changed;
    uint64_t held; /* lock; digests of pieces */
    uint64_t kept; /* lock; digests that were of use when they came, in all */
    bool cancelled; /* lock */
};

struct delta_box *delta_box_new(void) {
    struct delta_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return NULL;
    os_mutex_init(&box->lock);
    os_cond_init(&box->changed);
    return box;
}

void delta_box_free(struct delta_box *box) {
    if (box == NULL)
        return;
    os_cond_free(&box->changed);
    os_mutex_free(&box->lock);
    free(box);
}

void delta_box_wake(struct delta_box *box) {
    os_lock(&box->lock);
    os_cond_broadcast(&box->changed);
    os_unlock(&box->lock);
}

uint64_t delta_box_kept(struct delta_box *box) {
    os_lock(&box->lock);
    uint64_t n = box->kept;
    os_unlock(&box->lock);
    return n;
}

void delta_box_cancel(struct delta_box *box) {
    os_lock(&box->lock);
    box->cancelled = true;
    os_cond_broadcast(&box->changed);
    os_unlock(&box->lock);
}

/* ---- under the lock ------------------------------------------------------------------------------------ */

static void drop_first(struct delta *d) {
    struct delta_piece *piece = d->first;
    d->first = piece->next;
    if (d->first == NULL)
        d->last = NULL;
    d->box->held -= piece->count;
    free(piece);
}

static void drop_all(struct delta *d) {
    while (d->first)
        drop_first(d);
}

static int append(struct delta *d, const struct msg_basis *m, struct err *err) {
    struct delta_piece *piece = malloc(sizeof *piece + m->count * sizeof piece->digests[0]);
    if (piece == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    *piece = (struct delta_piece){.first_block = m->first_block, .count = m->count};
    memcpy(piece->digests, m->digests.p, m->digests.n);
    if (d->last)
        d->last->next = piece;
    else
        d->first = piece;
    d->last = piece;
    d->box->held += m->count;
    d->box->kept += m->count;
    return 0;
}

static int take(struct delta *d, const struct msg_basis *m, struct err *err) {
    if (m->size != d->size || m->block_size != d->block_size || d->complete ||
        (m->count > 0 && m->first_block < d->next))
        return err_set(err, EXIT_STREAM, "BASIS: it does not go on with what came before of file %" PRIu64,
                       m->file_id);
    if (m->count > 0)
        d->next = m->first_block + m->count;
    d->complete = m->count == 0 || d->next * d->block_size >= d->size;
    if (d->closed || m->count == 0)
        return 0;
    if (d->box->held + m->count > BASIS_AHEAD_MAX)
        return err_set(err, EXIT_STREAM, "BASIS: the receiver is more than %d blocks ahead", BASIS_AHEAD_MAX);
    return append(d, m, err);
}

/* What is known about `block`; pieces before it are dropped. */
static enum delta_answer look(struct delta *d, uint64_t block) {
    while (d->first && d->first->first_block + d->first->count <= block)
        drop_first(d);
    if (d->first)
        return d->first->first_block <= block ? DELTA_HERE : DELTA_NONE;
    return d->complete || d->closed || block < d->next ? DELTA_NONE : DELTA_AWAITED;
}

/* ------------------------------------------------------------------------------------------------------------ */

int delta_add(struct delta_box *box, struct delta **delta, const struct msg_basis *m, struct err *err) {
    if (*delta == NULL) {
        struct delta *d = calloc(1, sizeof *d);
        if (d == NULL)
            return err_set(err, EXIT_MEMORY, "out of memory");
        d->box = box;
        d->size = m->size;
        d->block_size = m->block_size;
        *delta = d;
    }
    os_lock(&box->lock);
    int result = take(*delta, m, err);
    os_cond_broadcast(&box->changed);
    os_unlock(&box->lock);
    return result;
}

void delta_free(struct delta *d) {
    if (d == NULL)
        return;
    delta_close(d);
    free(d);
}

enum delta_answer delta_get(struct delta *d, uint64_t block, struct digest *ret) {
    os_lock(&d->box->lock);
    enum delta_answer answer = look(d, block);
    if (answer == DELTA_HERE)
        *ret = d->first->digests[block - d->first->first_block];
    os_unlock(&d->box->lock);
    return answer;
}

bool delta_wait(struct delta *d, uint64_t block, const _Atomic bool *failed) {
    struct delta_box *box = d->box;
    os_lock(&box->lock);
    while (!box->cancelled && !atomic_load(failed) && look(d, block) == DELTA_AWAITED)
        (void)os_cond_wait_for(OS_WAIT_INPUT, &box->changed, &box->lock, INT64_MAX);
    bool result = !box->cancelled;
    os_unlock(&box->lock);
    return result;
}

void delta_close(struct delta *d) {
    os_lock(&d->box->lock);
    d->closed = true;
    drop_all(d);
    os_unlock(&d->box->lock);
}

bool delta_is_closed(struct delta *d) {
    os_lock(&d->box->lock);
    bool result = d->closed;
    os_unlock(&d->box->lock);
    return result;
}
