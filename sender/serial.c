/* serial.c: the same session on one thread: answers first, then what can be sent, then listing and reading. */
#include "sender/stages.h"

struct serial {
    struct sender *s;
    struct packer packer;
};

static int say_alive(struct sender *s, struct err *err) {
    struct item *item = item_new(MSG_HEARTBEAT, 0);
    return item ? send_step(s, &item, 1, err) : err_set(err, EXIT_MEMORY, "out of memory");
}

/* One message of the receiver; waits for it when `wait`. 1: there was one, 0: not, -1 and err. */
static int take_reply(struct sender *s, bool wait, struct err *err) {
    int64_t start = os_now_ms();
    for (;;) {
        struct item *item;
        enum stream_result result =
            stream_recv(s->line.stream, NULL, wait ? stream_pause(s->config->timeout_ms) : 0, &item, err);
        if (result == STREAM_ITEM)
            return send_session_take(&s->session, item, err) == 0 ? 1 : -1;
        if (result == STREAM_QUIET && !wait)
            return 0;
        bool too_long = s->config->timeout_ms >= 0 && os_now_ms() - start >= s->config->timeout_ms;
        if (result != STREAM_QUIET || too_long)
            return ack_failed(s, result, err);
        if (say_alive(s, err) != 0)
            return -1;
    }
}

/* Send all that waits; where credit is short, take the receiver's messages. */
static int send_all(struct sender *s, struct err *err) {
    while (!outbox_is_empty(s->out)) {
        struct item *item;
        int got = take_reply(s, false, err);
        if (got < 0)
            return -1;
        if (outbox_get(s->out, &item, 0) == QUEUE_OK) {
            if (send_step(s, &item, 1, err) != 0)
                return -1;
        } else if (got == 0 && take_reply(s, true, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static int emit_now(void *ctx, struct item *item, struct err *err) {
    struct serial *serial = ctx;
    item->t.ticket = serial->s->next_ticket++;
    if (!item_carries_data(item))
        (void)outbox_put_data(serial->s->out, item);
    else if (pack_step(serial->s, item, &serial->packer, outbox_put_data, err) != 0)
        return -1;
    return send_all(serial->s, err);
}

static int await_now(void *ctx, struct pending *p, uint64_t block, struct err *err) {
    struct serial *serial = ctx;
    (void)p;
    (void)block;
    return take_reply(serial->s, true, err) < 0 ? -1 : 0;
}

static int read_wanted(struct sender *s, struct pending *p, struct err *err) {
    int result = p ? source_read(&s->source, p, err) : source_sync(&s->source, err);
    pending_release(p);
    return result;
}

/* One step of what there is to do. */
static int step(struct sender *s, bool *listed, struct err *err) {
    void *p = NULL;
    if (queue_get(ledger_wants(s->session.ledger), &p, 0) == QUEUE_OK)
        return read_wanted(s, p, err);
    if (source_flush(&s->source, err) != 0)
        return -1;
    if (!*listed && ledger_has_room(s->session.ledger))
        return scan_step(s, 4096, listed, err);
    int got = take_reply(s, true, err);
    return got < 0 ? -1 : 0;
}

int send_serially(struct sender *s, struct err *err) {
    struct serial serial = {.s = s};
    if (packer_init(&serial.packer, s->pool, s->source.share, err) != 0)
        return -1;
    s->source.emit = emit_now;
    s->source.await = await_now;
    s->source.ctx = &serial;
    bool listed = false;
    int result = 0;
    while (result == 0 && s->session.state != SEND_DONE) {
        result = send_all(s, err);
        if (result == 0 && s->session.state != SEND_DONE)
            result = step(s, &listed, err);
    }
    if (result == 0)
        result = send_all(s, err); /* BYE */
    packer_free(&serial.packer);
    return result;
}
