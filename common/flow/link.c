#include "flow/link.h"

#include <inttypes.h>
#include <string.h>

/* Ordered messages after which the other end hears that they were processed, though no credit is short. */
enum { ACK_EVERY = 256 };

void link_out_init(struct link_out *out) {
    *out = (struct link_out){.next_order = 1};
}

void link_out_order(struct link_out *out, struct item *item) {
    if (item->ordered && item->frame.order == 0)
        item->frame.order = out->next_order++;
}

unsigned link_out_frame(struct link_out *out, struct item *item, struct span parts[3]) {
    struct frame *f = &item->frame;
    f->seq = out->next_seq++;
    link_out_order(out, item);
    frame_encode(f, item->body, item->header);
    unsigned n = 0;
    parts[n++] = (struct span){.p = item->header, .n = FRAME_HEADER_SIZE};
    if (f->body_length)
        parts[n++] = item_body(item);
    if (f->data_length)
        parts[n++] = (struct span){.p = item->data->data, .n = f->data_length};
    return n;
}

void link_in_init(struct link_in *in, uint64_t window, uint32_t chunk_size) {
    memset(in, 0, sizeof *in);
    in->next_order = 1;
    atomic_init(&in->granted, window);
    in->acked_limit = window;
    in->window = window;
    in->chunk_size = chunk_size;
}

static bool is_free(unsigned type) {
    return type == MSG_ACK || type == MSG_HEARTBEAT || type == MSG_ABORT;
}

/* Over several streams a message may overtake others, but only as many as there is credit for. */
static bool may_come_now(const struct link_in *in, uint64_t order) {
    if (order == in->next_order || !in->several)
        return order == in->next_order;
    return order < in->next_order ? order > 0 && in->missing > 0
                                  : order <= atomic_load(&in->granted) / FRAME_COST;
}

static void note_order(struct link_in *in, uint64_t order) {
    if (order < in->next_order) {
        in->missing--;
    } else {
        in->missing += order - in->next_order;
        in->next_order = order + 1;
    }
}

int link_in_arrived(struct link_in *in, const struct frame *f, uint64_t *ret_cost, struct err *err) {
    const char *name = msg_type_name(f->type);
    *ret_cost = 0;
    if (f->type == MSG_HEARTBEAT && f->body_length > 0)
        return err_set(err, EXIT_STREAM, "%s: %u bytes too many in the body", name, (unsigned)f->body_length);
    if (is_free(f->type)) {
        if (f->order == 0 && !(f->flags & FRAME_RESENT))
            return 0;
        return err_set(err, EXIT_STREAM, "%s: it has an order, but is not an ordered message", name);
    }
    if (f->flags & FRAME_RESENT) {
        if (f->order > 0 && f->order < in->next_order)
            return 0; /* the sequencer knows whether it is awaited */
        return err_set(err, EXIT_STREAM, "%s: resent with order %" PRIu64 ", which was never sent", name,
                       f->order);
    }
    if (!may_come_now(in, f->order))
        return err_set(err, EXIT_STREAM, "%s: order %" PRIu64 " where %" PRIu64 " is next", name, f->order,
                       in->next_order);
    uint64_t cost = frame_cost(f, in->chunk_size);
    if (in->used + cost > atomic_load(&in->granted))
        return err_set(err, EXIT_STREAM, "%s: the peer sent more than its credit", name);
    note_order(in, f->order);
    in->used += cost;
    *ret_cost = cost;
    return 0;
}

bool link_in_done(struct link_in *in, uint64_t order, uint64_t cost, struct msg_ack *ret_ack) {
    in->done += cost;
    if (order > in->processed)
        in->processed = order;
    uint64_t limit = in->done + in->window;
    if (limit - in->acked_limit < in->window / 4 && in->processed - in->acked_order < ACK_EVERY)
        return false;
    *ret_ack = link_in_ack(in);
    return true;
}

struct msg_ack link_in_ack(struct link_in *in) {
    in->acked_limit = in->done + in->window;
    in->acked_order = in->processed;
    atomic_store(&in->granted, in->acked_limit);
    return (struct msg_ack){.processed = in->processed, .credit = in->acked_limit, .written = in->written};
}

void link_in_resume(struct link_in *in) {
    in->next_order = in->processed + 1;
    in->missing = 0;
    in->used = in->done;
}

struct item *item_of_ack(const struct msg_ack *ack) {
    struct item *item = item_new(MSG_ACK, 32);
    if (item == NULL)
        return NULL;
    struct wr w = item_writer(item);
    msg_ack_encode(&w, ack);
    item_written(item, &w);
    return item;
}

static struct msg_text text_of(int code, const char *text) {
    size_t n = strlen(text);
    return (struct msg_text){
        .code = (uint16_t)code,
        .text = {.p = (const uint8_t *)text, .n = n < MESSAGE_TEXT_MAX ? n : MESSAGE_TEXT_MAX},
    };
}

struct item *item_of_text(uint8_t type, int code, const char *text) {
    struct item *item = item_new(type, MESSAGE_TEXT_MAX + 16);
    if (item == NULL)
        return NULL;
    struct wr w = item_writer(item);
    struct msg_text m = text_of(code, text);
    msg_text_encode(&w, &m);
    item_written(item, &w);
    return item;
}

struct item *item_of_file_text(uint8_t type, uint64_t file_id, int code, const char *text) {
    struct msg_file_text m = {.file_id = file_id, .text = text_of(code, text)};
    struct item *item = item_new(type, (uint32_t)m.text.text.n + 16);
    if (item == NULL)
        return NULL;
    struct wr w = item_writer(item);
    msg_file_text_encode(&w, &m);
    item_written(item, &w);
    return item;
}

struct item *item_of_unlisted(const char *path, int code, const char *text) {
    struct msg_unlisted m = {.text = text_of(code, text)};
    struct item *item = item_new(MSG_UNLISTED, PATH_BYTES_MAX + PATH_DEPTH_MAX + MESSAGE_TEXT_MAX + 16);
    if (item == NULL)
        return NULL;
    struct wr w = item_writer(item);
    (void)snprintf(m.path, sizeof m.path, "%s", path);
    msg_unlisted_encode(&w, &m);
    item_written(item, &w);
    item->frame.flags |= FRAME_OPTIONAL;
    return item_fit(item);
}
