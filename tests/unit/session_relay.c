#include "session_relay.h"

#include "sockets_help.h"

#include "codec/codec.h"
#include "wire/msg.h"

#include <stdlib.h>
#include <string.h>

const char *const fault_names[FAULT_KINDS] = {
    "none",        "drop",      "duplicate", "swap",          "cut before", "cut inside",
    "flip header", "flip body", "flip data", "flip preamble", "stall",
};

/* One direction; all of it belongs to its thread. */
struct way {
    struct relay *relay;
    enum direction direction;
    int from, to;
    struct frame_reader reader;
    struct passed passed;
    uint8_t *bytes; /* the frame at hand, whole */
    size_t n;
    uint8_t *held; /* FAULT_SWAP: goes after the next one */
    size_t held_n;
    unsigned of_type[256]; /* frames so far */
    struct {
        bool began;
        uint64_t order;
        unsigned left;
    } repeats[PLAN_FAULTS];
    bool stalled, ended;
};

struct relay {
    const struct plan *plan;
    int sender_side, receiver_side;
    struct way ways[DIRECTIONS];
    struct os_thread threads[DIRECTIONS];
};

/* ---- bytes ------------------------------------------------------------------------------------------- */

/* Whole; false at the end of the stream. */
static bool take(int fd, uint8_t *to, size_t n) {
    while (n > 0) {
        ptrdiff_t got = socket_read(fd, to, n);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static void pass(struct way *w, const uint8_t *p, size_t n) {
    while (n > 0 && !w->stalled && !w->ended) {
        ptrdiff_t sent = socket_write(w->to, p, n);
        if (sent <= 0) {
            w->ended = true;
            return;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

/* Both directions, at once. What is in the sockets' buffers can still be read. */
static void cut(struct way *w) {
    socket_end_reading(w->relay->sender_side);
    socket_end_writing(w->relay->sender_side);
    socket_end_reading(w->relay->receiver_side);
    socket_end_writing(w->relay->receiver_side);
    w->ended = true;
}

static void flip(uint8_t *p, size_t n, uint64_t bit) {
    bit %= (uint64_t)n * 8;
    p[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* ---- one frame --------------------------------------------------------------------------------------- */

/* The next frame into w->bytes; false at the end of the stream. */
static bool take_frame(struct way *w) {
    struct frame_reader *fr = &w->reader;
    struct err err = {0};
    uint8_t *data = NULL;
    enum frame_status status = FRAME_MORE;
    while (status == FRAME_MORE) {
        struct room room = frame_reader_space(fr);
        if (!take(w->from, room.p, room.n))
            break;
        status = frame_reader_fed(fr, room.n, &err);
        if (status == FRAME_NEED_DATA) {
            data = malloc(fr->frame.data_length);
            frame_reader_give(fr, data);
            status = data ? FRAME_MORE : FRAME_BAD;
        }
    }
    w->passed.unreadable |= status == FRAME_BAD;
    if (status == FRAME_READY) {
        size_t body = fr->frame.body_length;
        w->n = FRAME_HEADER_SIZE + body + fr->frame.data_length;
        memcpy(w->bytes, fr->header, FRAME_HEADER_SIZE);
        memcpy(w->bytes + FRAME_HEADER_SIZE, fr->body, body);
        if (data)
            memcpy(w->bytes + FRAME_HEADER_SIZE + body, data, fr->frame.data_length);
    }
    free(data);
    return status == FRAME_READY;
}

/* Is this fault meant for the frame at hand, the `index`th in all? */
static bool is_due(struct way *w, unsigned which, unsigned index) {
    const struct fault *fault = &w->relay->plan->faults[which];
    const struct frame *f = &w->reader.frame;
    if (fault->direction != w->direction || fault->kind == FAULT_FLIP_PREAMBLE)
        return false;
    if (w->repeats[which].began) {
        bool again = f->order == w->repeats[which].order && w->repeats[which].left > 0;
        w->repeats[which].left -= again;
        return again;
    }
    unsigned place = fault->type == 0 ? index : w->of_type[f->type];
    bool first_time = !(f->flags & FRAME_RESENT) || f->type == MSG_VOID;
    bool due = (fault->type == 0 || (fault->type == f->type && first_time)) &&
               (fault->index == EVERY_FRAME || fault->index == place);
    if ((fault->kind == FAULT_FLIP_BODY && f->body_length == 0) ||
        (fault->kind == FAULT_FLIP_DATA && f->data_length == 0))
        return false;
    if (due && fault->repeat > 0) {
        w->repeats[which].began = true;
        w->repeats[which].order = f->order;
        w->repeats[which].left = fault->repeat;
    }
    return due;
}

static void hold(struct way *w) {
    free(w->held);
    w->held = malloc(w->n);
    w->held_n = w->held ? w->n : 0;
    if (w->held)
        memcpy(w->held, w->bytes, w->n);
}

/* What the data area of a CHUNK or a BUNDLE is packed with, NULL for none, and how long it was before. */
static const struct codec *codec_of(const struct frame *f, const uint8_t *body, uint32_t *ret_raw) {
    struct msg_chunk chunk = {.codec = CODEC_NONE};
    struct msg_bundle bundle = {.codec = CODEC_NONE};
    struct span at = {body, f->body_length};
    bool read = f->type == MSG_CHUNK
                    ? msg_chunk_decode(at, f->data_length, CHUNK_SIZE_MAX, &chunk, NULL) == 0
                    : msg_bundle_decode(at, f->data_length, CHUNK_SIZE_MAX, &bundle, NULL) == 0;
    uint8_t codec = f->type == MSG_CHUNK ? chunk.codec : bundle.codec;
    *ret_raw = f->type == MSG_CHUNK ? chunk.raw_length : bundle.raw_length;
    return read && codec != CODEC_NONE ? codec_by_id(codec) : NULL;
}

/* Whether the same comes out when the bit is turned: some bits are filler, and what is repeated can be copied from several
 * places. */
static bool means_the_same(const struct frame *f, const uint8_t *body, uint64_t bit) {
    uint32_t raw_length = 0, n = f->data_length;
    const struct codec *codec = codec_of(f, body, &raw_length);
    if (codec == NULL)
        return false;
    struct codec_state *state = codec_state_new();
    uint8_t *turned = malloc(n), *raw = malloc(2 * (size_t)raw_length);
    bool same = state && turned && raw;
    if (same) {
        memcpy(turned, body + f->body_length, n);
        flip(turned, n, bit);
        same = codec->unpack(state, body + f->body_length, n, raw, raw_length, NULL) == 0 &&
               codec->unpack(state, turned, n, raw + raw_length, raw_length, NULL) == 0 &&
               memcmp(raw, raw + raw_length, raw_length) == 0;
    }
    free(raw);
    free(turned);
    codec_state_free(state);
    return same;
}

static void do_fault(struct way *w, const struct fault *fault) {
    const struct frame *f = &w->reader.frame;
    uint8_t *body = w->bytes + FRAME_HEADER_SIZE;
    if (w->passed.hits++ == 0)
        w->passed.hit_type = f->type;
    w->passed.harms += fault->kind != FAULT_FLIP_DATA;
    w->passed.unseen += fault->kind == FAULT_FLIP_DATA && means_the_same(f, body, fault->bit);
    switch (fault->kind) {
    case FAULT_DUPLICATE: pass(w, w->bytes, w->n); break;
    case FAULT_SWAP:
        hold(w);
        w->n = 0;
        break;
    case FAULT_CUT_INSIDE: pass(w, w->bytes, 1 + (size_t)(fault->bit % (w->n - 1))); /* fall through */
    case FAULT_CUT_BEFORE: cut(w); /* fall through */
    case FAULT_DROP: w->n = 0; break;
    case FAULT_FLIP_HEADER: flip(w->bytes, FRAME_HEADER_SIZE, fault->bit); break;
    case FAULT_FLIP_BODY: flip(body, f->body_length, fault->bit); break;
    case FAULT_FLIP_DATA: flip(body + f->body_length, f->data_length, fault->bit); break;
    case FAULT_STALL: w->stalled = true; break;
    case FAULT_NONE:
    case FAULT_FLIP_PREAMBLE:
    case FAULT_KINDS: break;
    }
}

static void treat(struct way *w) {
    const struct plan *plan = w->relay->plan;
    const struct frame *f = &w->reader.frame;
    unsigned index = w->passed.count++;
    uint8_t *held = w->held;
    size_t held_n = w->held_n;
    bool unharmed = w->passed.harms == 0, doubled = false;
    if (index < RECORD_FRAMES)
        w->passed.frames[index] = *f;
    w->held = NULL;
    for (unsigned i = 0; plan && i < plan->count && w->n > 0; i++)
        if (is_due(w, i, index)) {
            doubled |= w->passed.harms == 0 && plan->faults[i].kind == FAULT_DUPLICATE;
            do_fault(w, &plan->faults[i]);
        }
    w->of_type[f->type] += !(f->flags & FRAME_RESENT);
    bool whole = unharmed && (w->passed.harms == 0 || doubled);
    w->passed.finish_ack |= f->type == MSG_FINISH_ACK && whole;
    w->passed.bye |= f->type == MSG_BYE && whole;
    pass(w, w->bytes, w->n);
    if (held)
        pass(w, held, held_n);
    free(held);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void pass_preamble(struct way *w) {
    const struct plan *plan = w->relay->plan;
    uint8_t preamble[PREAMBLE_SIZE];
    if (!take(w->from, preamble, sizeof preamble)) {
        w->ended = true;
        return;
    }
    for (unsigned i = 0; plan && i < plan->count; i++) {
        const struct fault *fault = &plan->faults[i];
        if (fault->kind != FAULT_FLIP_PREAMBLE || fault->direction != w->direction)
            continue;
        flip(preamble, sizeof preamble, fault->bit);
        w->passed.hits++;
        w->passed.harms++;
    }
    pass(w, preamble, sizeof preamble);
}

static void *run_way(void *arg) {
    struct way *w = arg;
    pass_preamble(w);
    while (!w->ended && take_frame(w)) {
        treat(w);
        frame_reader_next(&w->reader);
    }
    /* As a socket would: who reads sees the end after what was sent, who writes finds nobody there. */
    socket_end_writing(w->to);
    socket_end_reading(w->from);
    return NULL;
}

static bool way_init(struct way *w, struct relay *r, enum direction direction) {
    uint8_t *body = malloc(BODY_MAX);
    bool forth = direction == TO_RECEIVER;
    w->relay = r;
    w->direction = direction;
    w->from = forth ? r->sender_side : r->receiver_side;
    w->to = forth ? r->receiver_side : r->sender_side;
    w->bytes = malloc(FRAME_HEADER_SIZE + BODY_MAX + RELAY_DATA_MAX);
    frame_reader_init(&w->reader, body, BODY_MAX, RELAY_DATA_MAX);
    return body && w->bytes;
}

struct relay *relay_start(int sender_side, int receiver_side, const struct plan *plan) {
    struct relay *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->plan = plan;
    r->sender_side = sender_side;
    r->receiver_side = receiver_side;
    for (unsigned d = 0; d < DIRECTIONS; d++)
        if (!way_init(&r->ways[d], r, (enum direction)d))
            abort(); /* no memory for a test */
    for (unsigned d = 0; d < DIRECTIONS; d++)
        if (os_thread_start(&r->threads[d], "relay", run_way, &r->ways[d], NULL) != 0)
            abort();
    return r;
}

void relay_join(struct relay *r, struct passed ret[DIRECTIONS]) {
    for (unsigned d = 0; d < DIRECTIONS; d++) {
        os_thread_join(&r->threads[d]);
        ret[d] = r->ways[d].passed;
        free(r->ways[d].reader.body);
        free(r->ways[d].bytes);
        free(r->ways[d].held);
    }
    socket_close(r->sender_side);
    socket_close(r->receiver_side);
    free(r);
}
