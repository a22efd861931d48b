/* device.c: see device.h. Packets and life time; what front-ends ask for is in device_request.c. */
#include "device.h"

#include <unistd.h>

void device_init(struct device *d, uint64_t cid) {
    *d = (struct device){.cid = cid, .backend_req = -1};
    for (unsigned i = 0; i < RINGS; i++)
        d->kick[i] = d->call[i] = -1;
    TAILQ_INIT(&d->queue);
    TAILQ_INIT(&d->pinned);
}

bool device_takes_packets(const struct device *d) {
    return d->is_connected && d->failure.code == 0;
}

int device_enqueue(struct device *to, const struct packet *p) {
    struct packet *kept = packet_keep(p);
    if (!kept)
        return err_set(&to->failure, EXIT_MEMORY, "no memory for a packet");
    kept->to = to;
    TAILQ_INSERT_TAIL(&to->queue, kept, in_queue);
    to->queued++;
    to->queued_bytes += kept->hdr.len;
    to->answers += kept->is_answer;
    if (kept->from)
        TAILQ_INSERT_TAIL(&kept->from->pinned, kept, in_pinned);
    return 0;
}

/* Lets go of the chain of `p`. */
static void unpin(struct packet *p) {
    TAILQ_REMOVE(&p->from->pinned, p, in_pinned);
    device_complete(p->from, RING_TX, p->head, 0);
    p->from = NULL;
}

void device_dequeue(struct packet *p) {
    TAILQ_REMOVE(&p->to->queue, p, in_queue);
    p->to->queued--;
    p->to->queued_bytes -= p->hdr.len;
    p->to->answers -= p->is_answer;
    if (p->from)
        unpin(p);
    packet_free(p);
}

void device_complete(struct device *d, unsigned ring, uint16_t head, uint32_t written) {
    vq_complete(&d->ring[ring], head, written);
    d->has_news[ring] = true;
}

void device_tell(struct device *d) {
    static const uint64_t one = 1;
    for (unsigned i = 0; i < RINGS; i++) {
        if (!d->has_news[i])
            continue;
        d->has_news[i] = false;
        /* A full pipe or counter means that the guest has not yet looked at an earlier one. */
        if (d->call[i] >= 0 && vq_wants_call(&d->ring[i]) && write(d->call[i], &one, sizeof one) < 0)
            continue;
    }
}

static void close_file(int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void device_reset(struct device *d) {
    while (!TAILQ_EMPTY(&d->pinned))
        device_dequeue(TAILQ_FIRST(&d->pinned));
    while (!TAILQ_EMPTY(&d->queue))
        device_dequeue(TAILQ_FIRST(&d->queue));
    for (unsigned i = 0; i < RINGS; i++) {
        close_file(&d->kick[i]);
        close_file(&d->call[i]);
        d->ring[i] = (struct virtqueue){.num = 0};
        d->has_news[i] = false;
    }
    close_file(&d->backend_req);
    guest_mem_unmap(&d->mem);
    d->is_starved = d->is_held = false;
    d->features = 0;
    d->free_ns = 0;
    d->is_connected = false;
    d->failure = (struct err){.code = 0};
}
