/* serial.c: the same session on one thread: read a frame, unpack it, apply it, answer. */
#include "receiver/stages.h"

static int send_answers(struct receiver *r, struct err *err) {
    struct item *items[STREAM_BATCH];
    unsigned n;
    while (outbox_get_batch(r->out, items, STREAM_BATCH, &n, 0) == QUEUE_OK)
        if (reply_step(r, items, n, err) != 0)
            return -1;
    return 0;
}

static int apply_all(struct receiver *r, struct err *err) {
    struct ticketed *t;
    while (sequencer_get(r->ordered, &t, 0) == QUEUE_OK)
        if (recv_session_apply(r->session, (struct item *)t, err) != 0)
            return -1;
    recv_session_answer(r->session);
    return 0;
}

/* What is asked for beside the pipeline. */
static int make_digests(struct receiver *r, struct err *err) {
    int more = r->session->basis != NULL;
    while (more > 0)
        more = basis_step(r->session->basis, err);
    return more;
}

static int take_one(struct receiver *r, struct item *item, struct codec_state *state, struct err *err) {
    if (ingest_item(r, item, &item, err) != 0)
        return -1;
    if (item == NULL)
        return 0;
    if (item_carries_data(item))
        return unpack_step(r, item, state, err);
    if (sequencer_put(r->ordered, &item->t) == SEQ_PUT)
        return 0;
    item_free(item);
    return err_set(err, EXIT_STREAM, "a message arrived twice");
}

/* Waits for the next frame; commits and says that it is alive meanwhile. */
static int wait_for_item(struct receiver *r, int64_t due_ms, struct item **ret, struct err *err) {
    int64_t heard = os_now_ms();
    r->line.stream->read_by_ms = due_ms >= 0 ? due_ms : INT64_MAX; /* whatever drips */
    for (;;) {
        if (due_ms >= 0 && os_now_ms() >= due_ms) /* heartbeats come here too */
            return overdue(r->session, err);
        bool batch = recv_session_has_batch(r->session);
        enum stream_result result = stream_recv(
            r->line.stream, r->pool, batch ? COMMIT_IDLE_MS : stream_pause(r->config->timeout_ms), ret, err);
        if (result == STREAM_ITEM)
            return 0;
        if (result == STREAM_QUIET && due_ms >= 0 && os_now_ms() >= due_ms)
            continue;
        bool too_long = r->config->timeout_ms >= 0 && os_now_ms() - heard >= r->config->timeout_ms;
        if (result != STREAM_QUIET || too_long)
            return ingest_failed(r, result, err);
        if (batch && recv_session_idle(r->session, err) != 0)
            return -1;
        struct item *alive = batch ? NULL : item_new(MSG_HEARTBEAT, 0);
        if (alive)
            (void)outbox_put_urgent(r->out, alive);
        if (send_answers(r, err) != 0)
            return -1;
    }
}

int receive_serially(struct receiver *r, struct err *err) {
    struct codec_state *state = codec_state_new();
    if (state == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    int result = send_answers(r, err); /* REQUEST, if this end dialled */
    enum recv_state before = r->session->state;
    int64_t due_ms = time_of_one_due(r);
    while (result == 0 && r->session->state != RECV_DONE) {
        struct item *item;
        if (r->session->state != before)
            due_ms = time_of_one_due(r);
        before = r->session->state;
        result = wait_for_item(r, due_ms, &item, err);
        if (result == 0)
            result = take_one(r, item, state, err);
        if (result == 0)
            result = apply_all(r, err);
        if (result == 0)
            result = make_digests(r, err);
        if (result == 0)
            result = send_answers(r, err);
    }
    codec_state_free(state);
    return result;
}
