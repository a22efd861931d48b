/* router.c: see router.h. */
#include "router.h"

#include <string.h>

enum { BATCH = 32 }; /* packets a turn from one device: guests are told in between */

#define NS_PER_S 1000000000ULL

struct device *router_find(struct router *r, uint64_t cid) {
    for (unsigned i = 0; i < r->count; i++)
        if (r->device[i].cid == cid)
            return &r->device[i];
    return NULL;
}

/* --- Packets that the switch makes */

static void push_answer(struct device *to, struct vsock_hdr h) {
    struct packet p = {.hdr = h, .is_answer = true};
    if (!device_takes_packets(to))
        return;
    if (to->answers >= RESETS_MAX)
        (void)err_set(&to->failure, EXIT_PROTOCOL, "takes no packets: %u wait", to->answers);
    else
        (void)device_enqueue(to, &p);
}

static void push_reset(struct router *r, struct vsock_addr src, struct vsock_addr dst, uint16_t type) {
    struct device *to = router_find(r, dst.cid);
    if (to)
        push_answer(to, vsock_hdr_make(src, dst, type, VIRTIO_VSOCK_OP_RST));
}

unsigned router_reset_streams(struct router *r, const struct device *device) {
    unsigned count = 0;
    struct stream *s = NULL;
    while ((s = streams_next(r->streams, s)) != NULL) {
        if (device && stream_side(s, device->cid) < 0)
            continue;
        push_reset(r, s->end[0], s->end[1], s->type);
        push_reset(r, s->end[1], s->end[0], s->type);
        streams_close(r->streams, s);
        count++;
    }
    return count;
}

void router_disconnect(struct router *r, struct device *d) {
    device_reset(d);
    (void)router_reset_streams(r, d); /* itself takes nothing any more */
}

void router_show_credit(struct router *r, const struct device *d) {
    struct stream *s = NULL;
    while ((s = streams_next(r->streams, s)) != NULL) {
        for (unsigned i = 0; i < 2 && stream_side(s, d->cid) >= 0; i++) {
            struct device *to = router_find(r, s->end[1 - i].cid);
            const struct device *from = router_find(r, s->end[i].cid);
            if (!to || to->is_stalled || !from || from->is_stalled ||
                memcmp(&s->given[i], &s->shown[i], sizeof s->given[i]) == 0)
                continue;
            struct vsock_hdr h =
                vsock_hdr_make(s->end[i], s->end[1 - i], s->type, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
            h.buf_alloc = s->given[i].buf_alloc;
            h.fwd_cnt = s->given[i].fwd_cnt;
            s->shown[i] = s->given[i];
            push_answer(to, h);
        }
    }
}

/* --- Into a guest */

/* As much of `p` as there are receive buffers for: 1 when all is delivered, 0 when buffers ran out, -1 when the
 * guest broke a rule. Data is split to the size of the buffers; the end of a message is with its last part. */
static int deliver(struct device *to, struct packet *p) {
    struct virtqueue *rx = &to->ring[RING_RX];
    struct vq_chain chain;
    uint8_t bytes[VSOCK_HDR_BYTES];
    do {
        int got = vq_peek(rx, &to->mem, VQ_WRITABLE, &chain, &to->failure);
        if (got <= 0) {
            to->is_starved = got == 0;
            return got;
        }
        if (chain.bytes < VSOCK_HDR_BYTES + (p->left > 0 ? 1u : 0u))
            return err_set(&to->failure, EXIT_PROTOCOL, "receive buffer of %u bytes", chain.bytes);
        struct vsock_hdr h = p->hdr;
        h.len = p->left < chain.bytes - VSOCK_HDR_BYTES ? p->left : chain.bytes - VSOCK_HDR_BYTES;
        if (h.len < p->left)
            h.flags = 0;
        struct seg_cursor at = {.seg = chain.seg};
        vsock_hdr_encode(&h, bytes);
        cursor_write(&at, bytes, sizeof bytes);
        cursor_copy(&at, &p->data, h.len);
        p->left -= h.len;
        vq_take(rx);
        device_complete(to, RING_RX, chain.head, VSOCK_HDR_BYTES + h.len);
    } while (p->left > 0);
    to->stats.rx_packets++;
    to->stats.rx_bytes += p->hdr.len;
    return 1;
}

/* When `p`, the next one for `to`, may be delivered. */
static uint64_t due_at(const struct router *r, const struct device *to, const struct packet *p) {
    uint64_t due = p->taken_ns + r->delay_ns;
    return r->rate > 0 && to->free_ns > due ? to->free_ns : due;
}

static void charge(const struct router *r, struct device *to, uint32_t bytes, uint64_t now) {
    if (r->rate == 0)
        return;
    if (to->free_ns < now)
        to->free_ns = now;
    to->free_ns += (bytes + VSOCK_HDR_BYTES) * NS_PER_S / r->rate;
}

static bool is_cut_off(struct router *r, const struct packet *p) {
    const struct device *src = router_find(r, p->hdr.src.cid);
    const struct device *dst = router_find(r, p->hdr.dst.cid);
    return (src && src->is_vanished) || (dst && dst->is_vanished);
}

/* Delivers what waits for `to` and is due, at most a batch. */
static void drain(struct router *r, struct device *to, uint64_t now) {
    struct packet *p;
    to->is_starved = false;
    for (unsigned n = 0; n < BATCH && (p = TAILQ_FIRST(&to->queue)) != NULL; n++) {
        if (is_cut_off(r, p))
            to->stats.drops++;
        else if (due_at(r, to, p) > now || deliver(to, p) != 1)
            return;
        else
            charge(r, to, p->hdr.len, now);
        r->drained++;
        device_dequeue(p);
    }
}

/* --- Out of a guest */

static bool is_full(const struct device *to) {
    return to->queued >= BACKLOG_PACKETS_MAX || to->queued_bytes >= BACKLOG_BYTES_MAX;
}

enum verdict { PASS, WITHHOLD, DROP, REFUSE };

/* Keeps the table of streams, and withholds credit where one end is stalled. */
static enum verdict track(struct router *r, const struct device *src, const struct device *dst,
                          struct vsock_hdr *h) {
    unsigned side = 0;
    struct stream *s;
    if (h->op == VIRTIO_VSOCK_OP_REQUEST)
        s = streams_open(r->streams, h->src, h->dst, h->type);
    else
        s = streams_find(r->streams, h->src, h->dst, &side);
    if (!s)
        return h->op == VIRTIO_VSOCK_OP_REQUEST ? REFUSE : PASS;
    if (h->op == VIRTIO_VSOCK_OP_RST) {
        streams_close(r->streams, s);
        return PASS;
    }
    s->given[side] = (struct credit){.buf_alloc = h->buf_alloc, .fwd_cnt = h->fwd_cnt};
    if (!src->is_stalled && !dst->is_stalled) {
        s->shown[side] = s->given[side];
        return PASS;
    }
    h->buf_alloc = s->shown[side].buf_alloc;
    h->fwd_cnt = s->shown[side].fwd_cnt;
    return h->op == VIRTIO_VSOCK_OP_CREDIT_UPDATE ? WITHHOLD : PASS;
}

static enum verdict judge(struct router *r, struct device *from, struct device *to, struct packet *p) {
    if (is_cut_off(r, p))
        return DROP;
    if (!to || to == from || !device_takes_packets(to))
        return p->hdr.op == VIRTIO_VSOCK_OP_RST ? DROP : REFUSE;
    /* While a guest boots, connecting fails at once: a request that waited might be accepted when its sender has
     * long given up. */
    if (p->hdr.op == VIRTIO_VSOCK_OP_REQUEST && !vq_is_ready(&to->ring[RING_RX]))
        return REFUSE;
    return track(r, from, to, &p->hdr);
}

/* Delivers at once when nothing is before it, else lets it wait. */
static void pass_on(struct router *r, struct device *from, struct device *to, struct packet *p,
                    uint64_t now) {
    uint16_t head = p->head;
    if (TAILQ_EMPTY(&to->queue) && due_at(r, to, p) <= now && deliver(to, p) == 1) {
        charge(r, to, p->hdr.len, now);
        device_complete(from, RING_TX, head, 0);
        return;
    }
    if (p->left == 0)
        p->from = NULL; /* the header is all there is: the chain is not needed */
    if (!device_takes_packets(to) || device_enqueue(to, p) != 0 || !p->from)
        device_complete(from, RING_TX, head, 0);
}

static int parse(struct device *from, const struct vq_chain *chain, struct packet *p) {
    uint8_t bytes[VSOCK_HDR_BYTES];
    if (chain->bytes < sizeof bytes)
        return err_set(&from->failure, EXIT_PROTOCOL, "packet of %u bytes", chain->bytes);
    p->data = (struct seg_cursor){.seg = chain->seg};
    cursor_read(&p->data, bytes, sizeof bytes);
    if (vsock_hdr_decode(bytes, chain->bytes - sizeof bytes, &p->hdr, &from->failure) != 0)
        return -1;
    if (p->hdr.src.cid != from->cid)
        return err_set(&from->failure, EXIT_PROTOCOL, "packet from CID %llu",
                       (unsigned long long)p->hdr.src.cid);
    p->left = p->hdr.len;
    p->head = chain->head;
    return 0;
}

/* The next packet of a guest: 1; 0 when there is none, or it has to wait; -1 when the guest broke a rule. */
static int forward(struct router *r, struct device *from, uint64_t now) {
    struct vq_chain chain;
    struct packet p = {.from = from, .taken_ns = now};
    int got = vq_peek(&from->ring[RING_TX], &from->mem, VQ_READABLE, &chain, &from->failure);
    if (got <= 0 || parse(from, &chain, &p) != 0)
        return got <= 0 ? got : -1;
    struct device *to = router_find(r, p.hdr.dst.cid);
    from->is_held = (to && is_full(to)) || from->answers >= ANSWERS_MAX;
    if (from->is_held)
        return 0;
    vq_take(&from->ring[RING_TX]);
    from->stats.tx_packets++;
    from->stats.tx_bytes += p.hdr.len;
    enum verdict verdict = judge(r, from, to, &p);
    if (verdict == PASS) {
        pass_on(r, from, to, &p, now);
        return 1;
    }
    from->stats.drops += verdict != WITHHOLD;
    device_complete(from, RING_TX, chain.head, 0);
    if (verdict == REFUSE)
        push_answer(from, vsock_hdr_make(p.hdr.dst, p.hdr.src, p.hdr.type, VIRTIO_VSOCK_OP_RST));
    return 1;
}

/* --- A turn */

/* What waits for the guest, then what the guest sends; true when there is more than a batch of that. */
static bool serve(struct router *r, struct device *d, uint64_t now) {
    vq_want_kicks(&d->ring[RING_TX], false);
    d->is_held = false;
    drain(r, d, now);
    unsigned n = 0;
    while (n < BATCH && d->failure.code == 0 && forward(r, d, now) == 1)
        n++;
    if (guest_mem_is_lost(&d->mem))
        (void)err_set(&d->failure, EXIT_PROTOCOL, "the file of its memory was cut short");
    return n == BATCH;
}

/* Asks for kicks about what is waited for, then looks once more. How long there is nothing to do for `d`. */
static uint64_t rest(const struct router *r, struct device *d, uint64_t now) {
    const struct packet *p = TAILQ_FIRST(&d->queue);
    vq_want_kicks(&d->ring[RING_RX], d->is_starved);
    vq_want_kicks(&d->ring[RING_TX], !d->is_held);
    if (!d->is_held && vq_has_chains(&d->ring[RING_TX]))
        return 0;
    if (!p || (d->is_starved && !vq_has_chains(&d->ring[RING_RX])))
        return ROUTER_IDLE;
    uint64_t due = due_at(r, d, p);
    return due > now ? due - now : 0;
}

uint64_t router_run(struct router *r, uint64_t now) {
    uint64_t wait = ROUTER_IDLE, before = r->drained;
    bool more = false, is_held = false;
    for (unsigned i = 0; i < r->count; i++)
        if (device_takes_packets(&r->device[i]))
            more = serve(r, &r->device[i], now) || more;
    for (unsigned i = 0; i < r->count; i++) {
        struct device *d = &r->device[i];
        device_tell(d);
        uint64_t idle = device_takes_packets(d) ? rest(r, d, now) : ROUTER_IDLE;
        wait = idle < wait ? idle : wait;
        is_held = is_held || d->is_held;
    }
    /* Where something was drained, there is room for one that was held. */
    return more || (is_held && r->drained != before) ? 0 : wait;
}
