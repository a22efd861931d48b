/* frame_reader.c: bytes in, frames out. Every part of a frame ends in one of the *_done functions, which
 * check the part and choose the next. */
#include "wire/frame.h"

void frame_reader_init(struct frame_reader *fr, uint8_t *body, uint32_t body_max, uint32_t data_max) {
    *fr = (struct frame_reader){.body = body, .body_max = body_max, .data_max = data_max};
    fr->part = READ_HEADER;
}

struct room frame_reader_space(struct frame_reader *fr) {
    switch (fr->part) {
    case READ_HEADER: return (struct room){fr->header + fr->have, FRAME_HEADER_SIZE - fr->have};
    case READ_BODY: return (struct room){fr->body + fr->have, fr->frame.body_length - fr->have};
    case READ_DATA: return (struct room){fr->data + fr->have, fr->frame.data_length - fr->have};
    case WAIT_DATA:
    case FRAME_DONE:
    case READ_FAILED: break;
    }
    return (struct room){NULL, 0};
}

static enum frame_status fail(struct frame_reader *fr) {
    fr->part = READ_FAILED;
    return FRAME_BAD;
}

static enum frame_status body_done(struct frame_reader *fr, struct err *err) {
    if (frame_check_body(&fr->frame, fr->body, err))
        return fail(fr);
    fr->have = 0;
    fr->part = fr->frame.data_length > 0 ? WAIT_DATA : FRAME_DONE;
    return fr->part == WAIT_DATA ? FRAME_NEED_DATA : FRAME_READY;
}

static enum frame_status header_done(struct frame_reader *fr, struct err *err) {
    if (frame_decode(fr->header, fr->body_max, fr->data_max, &fr->frame, err))
        return fail(fr);
    if (fr->frame.seq != fr->next_seq) {
        err_set(err, EXIT_STREAM, "%s: seq is %u, not %u: a frame was lost or repeated",
                msg_type_name(fr->frame.type), fr->frame.seq, fr->next_seq);
        return fail(fr);
    }
    fr->have = 0;
    fr->part = READ_BODY;
    return fr->frame.body_length > 0 ? FRAME_MORE : body_done(fr, err);
}

static enum frame_status data_done(struct frame_reader *fr) {
    fr->have = 0;
    fr->part = FRAME_DONE;
    return FRAME_READY;
}

enum frame_status frame_reader_fed(struct frame_reader *fr, size_t n, struct err *err) {
    size_t room = frame_reader_space(fr).n;
    if (n > room) {
        err_set(err, EXIT_STREAM, "frame: more bytes than there was room for");
        return fail(fr);
    }
    fr->have += n;
    bool whole = n == room;
    switch (fr->part) {
    case READ_HEADER: return whole ? header_done(fr, err) : FRAME_MORE;
    case READ_BODY: return whole ? body_done(fr, err) : FRAME_MORE;
    case READ_DATA: return whole ? data_done(fr) : FRAME_MORE;
    case WAIT_DATA: return FRAME_NEED_DATA;
    case FRAME_DONE: return FRAME_READY;
    case READ_FAILED: break;
    }
    err_set(err, EXIT_STREAM, "frame: the stream is already broken");
    return FRAME_BAD;
}

void frame_reader_give(struct frame_reader *fr, uint8_t *data) {
    if (fr->part != WAIT_DATA)
        return;
    fr->data = data;
    fr->part = READ_DATA;
}

void frame_reader_next(struct frame_reader *fr) {
    if (fr->part != FRAME_DONE)
        return;
    fr->next_seq++;
    fr->data = NULL;
    fr->have = 0;
    fr->part = READ_HEADER;
}

bool frame_reader_is_idle(const struct frame_reader *fr) {
    return fr->part == READ_HEADER && fr->have == 0;
}

bool frame_reader_is_readable(const struct frame_reader *fr) {
    return fr->part == READ_HEADER || fr->part == READ_BODY;
}
