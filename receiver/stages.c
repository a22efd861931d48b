#include "receiver/stages.h"

#include "program/lanes.h"

#include <string.h>

/* ---- ingest: socket -> frames, one thread a stream ---------------------------------------------------- */

int ingest_item(struct receiver *r, struct item *item, struct item **ret, struct err *err) {
    os_lock(&r->arriving);
    int result = link_in_arrived(&r->in, &item->frame, &item->cost, err);
    os_unlock(&r->arriving);
    *ret = NULL;
    if (result == 0 && item->frame.flags & FRAME_RESENT)
        result = refusals_answer(r->refusals, item, err);
    if (result == 0 && item->frame.order > 0) {
        item->t.ticket = item->frame.order;
        *ret = item;
        return 0;
    }
    if (result == 0 && item->frame.type == MSG_ABORT)
        result = stream_refusal(item, "sender", err);
    else if (result == 0 && item->frame.type == MSG_ACK)
        result = outbox_take_ack(r->out, r->flight, item, err);
    item_free(item);
    return result;
}

int ingest_failed(struct receiver *r, enum stream_result result, struct err *err) {
    if (result == STREAM_QUIET)
        return err_set(err, EXIT_TIMEOUT, "nothing was heard from the sender for %d seconds",
                       r->config->timeout_ms / 1000);
    if (result == STREAM_EOF)
        return err_set(err, EXIT_STREAM, "the sender closed the stream before the transfer was complete%s",
                       r->line.resumable ? "" : "; run it again");
    return err_wrap(err, "receiving");
}

/* To its place in the order. 1: cancelled; 0; -1 and err. Uses the item up. */
static int put_in_order(struct receiver *r, struct item *item, struct err *err) {
    enum seq_put put = sequencer_put(r->ordered, &item->t);
    if (put != SEQ_PUT)
        item_free(item);
    if (put == SEQ_DUPLICATE)
        return err_set(err, EXIT_STREAM, "a message arrived twice");
    return put == SEQ_PUT ? 0 : 1;
}

/* On its way to the sink. As put_in_order. */
static int pass_on(struct receiver *r, struct item *item, struct codec_state *state, struct err *err) {
    if (!item_carries_data(item))
        return put_in_order(r, item, err);
    if (r->unpack_threads == 0 || !unpack_inflates(item, r->agreed.chunk_size))
        return unpack_step(r, item, state, err);
    tally_up(&r->unpacking);
    if (queue_put(r->packed, item))
        return 0;
    item_free(item);
    return 1;
}

/* The sender says it when it has our FINISH_ACK: all that it sent before has been processed. Nobody reads what would come
 * after it. */
static int check_bye(struct receiver *r, const struct item *bye, struct err *err) {
    if (sequencer_awaits(r->ordered, bye->frame.order))
        return 0;
    return err_set(err, EXIT_STREAM, "BYE: it came before messages that were sent before it");
}

static int ingest(struct receiver *r, struct codec_state *state, struct err *err) {
    for (bool bye = false; !bye;) {
        struct item *item;
        enum stream_result result = stream_recv(r->line.stream, r->pool, r->config->timeout_ms, &item, err);
        if (result != STREAM_ITEM) {
            (void)ingest_failed(r, result, err);
            if (line_recover(&r->line, result, err) == 0)
                continue;
            return -1;
        }
        if (ingest_item(r, item, &item, err) != 0)
            return -1;
        if (item == NULL)
            continue;
        bye = item->frame.type == MSG_BYE;
        lanes_note_traffic(&r->line);
        if (bye && check_bye(r, item, err) != 0) {
            item_free(item);
            return -1;
        }
        int passed = pass_on(r, item, state, err);
        if (passed != 0)
            return passed < 0 ? -1 : 0;
    }
    line_reading_over(&r->line);
    queue_close(r->packed);
    return 0;
}

/* Where there are no threads that unpack, each that reads does, and needs a state for it; else *ret is NULL. False: no
 * memory. */
static bool make_state(const struct receiver *r, struct codec_state **ret, struct err *err) {
    *ret = r->unpack_threads == 0 ? codec_state_new() : NULL;
    if (*ret == NULL && r->unpack_threads == 0)
        (void)err_set(err, EXIT_MEMORY, "out of memory");
    return *ret || r->unpack_threads > 0;
}

int stage_ingest(void *arg, struct err *err) {
    struct receiver *r = arg;
    struct codec_state *state;
    if (!make_state(r, &state, err))
        return -1;
    int result = ingest(r, state, err);
    codec_state_free(state);
    return result;
}

/* What comes by a lane, to its end. 1: cancelled; -1 and err, *ret_broke when the stream is what failed. */
static int ingest_lane(struct receiver *r, struct stream *stream, struct codec_state *state, bool *ret_broke,
                       struct err *err) {
    int passed = 0;
    while (passed == 0) {
        struct item *item;
        enum stream_result result = stream_recv(stream, r->pool, r->config->timeout_ms, &item, err);
        if (result != STREAM_ITEM) {
            *ret_broke = result != STREAM_FAILED || stream->broke;
            return ingest_failed(r, result, err);
        }
        bool data = item_carries_data(item) && !(item->frame.flags & FRAME_RESENT);
        if (!data && item->frame.type != MSG_HEARTBEAT) {
            (void)err_set(err, EXIT_STREAM, "%s is not allowed on a further stream",
                          msg_type_name(item->frame.type));
            item_free(item);
            return -1;
        }
        if (ingest_item(r, item, &item, err) != 0)
            return -1;
        passed = item ? pass_on(r, item, state, err) : 0;
    }
    return passed;
}

int stage_lane(void *arg, struct err *err) {
    struct lane *lane = arg;
    struct receiver *r = lane_session(lane);
    struct codec_state *state;
    if (!make_state(r, &state, err))
        return -1;
    int result = 0;
    for (struct stream *stream; result == 0 && (stream = lane_await(lane)) != NULL;) {
        bool broke = false;
        result = ingest_lane(r, stream, state, &broke, err);
        if (lane_lost(lane, broke, err) == 0)
            result = 0;
    }
    codec_state_free(state);
    return result < 0 ? -1 : 0;
}

/* ---- unpack: N threads ------------------------------------------------------------------------------- */

static int refuse(struct receiver *r, struct item *item, struct err *err) {
    uint32_t raw_length = item->raw_length;
    int result = refusals_add(r->refusals, item, err);
    struct item *answer = result == 0 ? item_of_refused(item->frame.order) : NULL;
    item_free(item);
    if (result != 0)
        return -1;
    if (answer == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    count(&r->report.chunks_resent, 1);
    count(&r->report.bytes_resent, raw_length);
    (void)outbox_put(r->out, answer);
    return 0;
}

int unpack_step(struct receiver *r, struct item *item, struct codec_state *state, struct err *err) {
    if (unpack_item(item, r->agreed.codecs, r->agreed.chunk_size, state, r->pool, err) != 0) {
        item_free(item);
        return -1;
    }
    if (item->damaged)
        return refuse(r, item, err);
    return put_in_order(r, item, err) < 0 ? -1 : 0;
}

int stage_unpack(void *arg, struct err *err) {
    struct receiver *r = arg;
    struct codec_state *state = codec_state_new();
    if (state == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    int result = 0;
    void *item;
    while (result == 0 && queue_get(r->packed, &item, -1) == QUEUE_OK) {
        result = unpack_step(r, item, state, err);
        tally_down(&r->unpacking);
    }
    codec_state_free(state);
    return result;
}

/* ---- sink: one thread owns session and files ----------------------------------------------------------- */

int64_t time_of_one_due(const struct receiver *r) {
    bool one = r->session->state == RECV_AWAIT_START || r->session->state == RECV_FINISHED;
    int64_t timeout_ms = r->config->timeout_ms;
    return one && timeout_ms >= 0 ? os_now_ms() + 2 * timeout_ms + r->line.way->grace_ms : -1;
}

int overdue(const struct recv_session *s, struct err *err) {
    return s->state == RECV_FINISHED
               ? err_set(err, EXIT_TIMEOUT, "the sender did not say BYE; all of its files are committed")
               : err_set(err, EXIT_TIMEOUT, "the sender did not begin the transfer");
}

/* The next message in order; answers are on their way before this waits. */
static enum queue_result next_in_order(struct receiver *r, int64_t due_ms, struct ticketed **ret) {
    enum queue_result result = sequencer_get(r->ordered, ret, 0);
    if (result != QUEUE_TIMEOUT)
        return result;
    recv_session_answer(r->session);
    outbox_kick(r->out);
    if (due_ms >= 0) {
        int64_t left = due_ms - os_now_ms();
        return sequencer_get(r->ordered, ret, left > 0 ? (int)left : 0);
    }
    return sequencer_get(r->ordered, ret, recv_session_has_batch(r->session) ? COMMIT_IDLE_MS : -1);
}

int stage_sink(void *arg, struct err *err) {
    struct receiver *r = arg;
    struct recv_session *s = r->session;
    enum recv_state state = s->state;
    int64_t due_ms = time_of_one_due(r);
    while (s->state != RECV_DONE) {
        struct ticketed *t;
        enum queue_result got = next_in_order(r, due_ms, &t);
        if (got == QUEUE_CLOSED)
            return 0; /* cancelled */
        if (got == QUEUE_TIMEOUT && due_ms >= 0)
            return overdue(s, err);
        int result =
            got == QUEUE_TIMEOUT ? recv_session_idle(s, err) : recv_session_apply(s, (struct item *)t, err);
        if (result != 0)
            return -1;
        if (s->state != state)
            due_ms = time_of_one_due(r);
        state = s->state;
    }
    if (s->basis)
        basis_close(s->basis);
    outbox_close(r->out);
    return 0;
}

/* ---- basis: digests of what is here already ------------------------------------------------------------- */

int stage_basis(void *arg, struct err *err) {
    struct receiver *r = arg;
    int result = 0;
    basis_allow_helpers(r->session->basis, os_cpu_count() - 1);
    while (result >= 0 && basis_wait(r->session->basis))
        result = basis_step(r->session->basis, err);
    return result < 0 ? -1 : 0;
}

/* ---- reply: the only writer ---------------------------------------------------------------------------- */

int reply_step(struct receiver *r, struct item **items, unsigned count, struct err *err) {
    for (unsigned i = 0; i < count; i++)
        line_number(&r->line, items[i]);
    return line_write(&r->line, items, count, err);
}

int stage_reply(void *arg, struct err *err) {
    struct receiver *r = arg;
    for (;;) {
        struct item *items[STREAM_BATCH] = {NULL};
        unsigned n = 1;
        enum queue_result result =
            outbox_get_batch(r->out, items, STREAM_BATCH, &n, stream_pause(r->config->timeout_ms));
        if (result == QUEUE_CLOSED)
            return 0;
        if (result == QUEUE_TIMEOUT)
            items[0] = item_new(MSG_HEARTBEAT, 0);
        if (items[0] == NULL)
            return err_set(err, EXIT_MEMORY, "out of memory");
        if (reply_step(r, items, n, err) != 0) {
            outbox_wait_cancelled(r->out, 1000); /* the reading side may know the reason */
            return -1;
        }
    }
}
