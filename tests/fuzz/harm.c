#include "harm.h"

#include "../sim/sim.h"
#include "core/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { REFUSED_DIALS_MAX = 8, DELAY_MAX_MS = 5000 };

/* One preamble or frame on its way. */
struct passing {
    struct sim_stream *s;
    unsigned direction;
    uint8_t *p;
    size_t n, head, body; /* head: the frame's header, or the preamble */
    uint8_t type; /* 0: preamble */
    unsigned delay_ms;
    bool gone;
};

static void flip(uint8_t *p, size_t n, unsigned bit) {
    if (n > 0)
        p[bit / 8 % n] ^= (uint8_t)(1u << bit % 8);
}

static void hold(struct harm_state *h, struct passing *f) {
    struct held *held = &h->held[f->direction];
    free(held->bytes);
    *held = (struct held){.bytes = malloc(f->n), .n = f->n, .stream = sim_net_number(f->s)};
    SIM_MUST(held->bytes != NULL);
    memcpy(held->bytes, f->p, f->n);
    f->gone = true;
}

static void cut(struct passing *f, bool lossy) {
    sim_net_cut(f->s, lossy);
    f->gone = true;
}

/* What a harm means for what may be expected of the ends. */
static void note(struct harm_state *h, const struct harm *harm, const struct passing *f) {
    bool greets = f->type == 0 || f->type == MSG_HELLO || f->type == MSG_WELCOME;
    h->greeting |= greets && sim_net_number(f->s) == 1;
    h->flips += harm->kind == HARM_FLIP_DATA;
    h->farewell |= h->finishing || f->type == MSG_FINISH_ACK;
    h->hit[f->type % MSG_TYPE_LIMIT]++;
}

static void do_harm(struct harm_state *h, const struct harm *harm, struct passing *f) {
    note(h, harm, f);
    switch (harm->kind) {
    case HARM_DROP: f->gone = true; break;
    case HARM_DOUBLE: sim_net_put(f->s, f->direction, f->p, f->n, f->delay_ms); break;
    case HARM_SWAP: hold(h, f); break;
    case HARM_CUT: cut(f, false); break;
    case HARM_CUT_LOSSY: cut(f, true); break;
    case HARM_CUT_INSIDE:
        sim_net_put(f->s, f->direction, f->p, harm->arg % f->n, f->delay_ms);
        cut(f, false);
        break;
    case HARM_FLIP_HEADER: flip(f->p, f->head, harm->arg); break;
    case HARM_FLIP_BODY: flip(f->p + f->head, f->body, harm->arg); break;
    case HARM_FLIP_DATA: flip(f->p + f->head + f->body, f->n - f->head - f->body, harm->arg); break;
    case HARM_DELAY: f->delay_ms += harm->arg % DELAY_MAX_MS; break;
    case HARM_STALL: h->stalled[f->direction][sim_net_number(f->s) % HARM_STREAMS_MAX] = true; break;
    case HARM_REFUSE:
        cut(f, true);
        sim_net_refuse(harm->arg % REFUSED_DIALS_MAX);
        break;
    case HARM_NONE:
    case HARM_KINDS: break;
    }
}

static void pass(struct harm_state *h, struct passing *f) {
    struct held before = h->held[f->direction];
    h->held[f->direction] = (struct held){0};
    unsigned index = h->index[f->direction]++;
    for (unsigned i = 0; i < h->script.count && !f->gone; i++) {
        const struct harm *harm = &h->script.harms[i];
        if (harm->kind != HARM_NONE && harm->direction == f->direction && harm->index == index)
            do_harm(h, harm, f);
    }
    h->finishing |= f->type == MSG_FINISH_ACK;
    bool stalled = h->stalled[f->direction][sim_net_number(f->s) % HARM_STREAMS_MAX];
    if (!f->gone && !stalled)
        sim_net_put(f->s, f->direction, f->p, f->n, f->delay_ms);
    if (before.bytes && before.stream == sim_net_number(f->s) && !stalled)
        sim_net_put(f->s, f->direction, before.bytes, before.n, 0);
    free(before.bytes);
}

/* The frame at p, whose sizes are those of its header: what an end writes is whole. */
static struct passing frame_at(struct harm_state *h, const uint8_t *p, size_t left) {
    struct frame f = {.type = p[0],
                      .flags = p[1],
                      .body_length = le32(p + 4),
                      .data_length = le32(p + 8),
                      .seq = le32(p + 12),
                      .order = le64(p + 16)};
    SIM_MUST(left >= FRAME_HEADER_SIZE && f.body_length <= left - FRAME_HEADER_SIZE &&
             f.data_length <= left - FRAME_HEADER_SIZE - f.body_length);
    if (h->seen)
        h->seen(h->ctx, &f, p + FRAME_HEADER_SIZE);
    return (struct passing){.n = (size_t)FRAME_HEADER_SIZE + f.body_length + f.data_length,
                            .head = FRAME_HEADER_SIZE,
                            .body = f.body_length,
                            .type = f.type};
}

void harm_tap(void *ctx, struct sim_stream *s, unsigned direction, const uint8_t *p, size_t n) {
    static const uint8_t magic = 0x89; /* of the preamble; no type is that large */
    while (n > 0) {
        struct passing f = {.n = PREAMBLE_SIZE, .head = PREAMBLE_SIZE};
        if (p[0] != magic)
            f = frame_at(ctx, p, n);
        f.s = s;
        f.direction = direction;
        f.p = malloc(f.n);
        SIM_MUST(f.p != NULL);
        memcpy(f.p, p, f.n);
        pass(ctx, &f);
        free(f.p);
        p += f.n;
        n -= f.n;
    }
}

void harm_free(struct harm_state *h) {
    for (unsigned i = 0; i < 2; i++)
        free(h->held[i].bytes);
}
