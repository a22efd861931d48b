/* recover.c: a stream broke. Another one is got, and the session goes on where it was. */
#include "program/line.h"

#include "core/log.h"
#include "program/backoff.h"
#include "program/lanes.h"

#include <inttypes.h>
#include <limits.h>

enum {
    BREAKS_MAX = 64, /* in a row without progress, for a listener: a peer cannot keep it busy for nothing */
    WELCOME_MS = 60000, /* the other end may have a full window to write first */
    BACKS_AT_ONCE =
        16, /* times that a dialler comes back without a pause, and once more for each --retry-delay */
};

/* Lock held. Whoever opened this stream may be the session's peer. */
static bool is_of_peer(const struct line *line, const struct comeback *back, const struct stream *stream) {
    return !line->cancelled && !line->over && back->role != line->role &&
           back->version == line->agreed.version && back->proven == (line->agreed.key != NULL) &&
           peer_may_be_same(&line->peer, conn_peer_id(stream->conn));
}

bool line_offer(struct line *line, const struct comeback *back, struct stream *stream) {
    os_lock(&line->lock);
    bool taken = is_of_peer(line, back, stream);
    if (taken && back->intent == INTENT_JOIN) {
        taken = lanes_take(line, back, stream);
        os_unlock(&line->lock);
        return taken;
    }
    taken = taken && line->resumable;
    struct stream *older = taken ? line->offered : NULL;
    if (taken) {
        line->offered = stream;
        line->offers++;
        line->back = *back;
        atomic_store(&line->broken, true); /* this end may not have noticed */
        if (line->stream)
            conn_wake(line->stream->conn);
        os_cond_broadcast(&line->changed);
    }
    os_unlock(&line->lock);
    (void)stream_close(older, NULL);
    return taken;
}

static bool is_cancelled(struct line *line) {
    os_lock(&line->lock);
    bool cancelled = line->cancelled;
    os_unlock(&line->lock);
    return cancelled;
}

/* A stream that is being opened is woken by line_cancel too. False: cancelled already. */
static bool set_trying(struct line *line, struct stream *stream) {
    os_lock(&line->lock);
    bool go_on = !line->cancelled;
    line->trying = go_on ? stream : NULL;
    os_unlock(&line->lock);
    return go_on;
}

/* ---- dialler ------------------------------------------------------------------------------------------------ */

/* What is left until the deadline (INT64_MAX: none), but at most `most` ms (-1: no bound). */
static int bounded_ms(int most, int64_t deadline) {
    int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline - os_now_ms();
    left = left > 0 ? left : 0;
    if (most >= 0 && most < left)
        return most;
    return left < INT_MAX ? (int)left : most;
}

static int dial_once(struct line *line, uint64_t processed, int64_t deadline, struct stream **ret,
                     uint64_t *ret_theirs, struct err *err) {
    const struct way *way = line->way;
    int welcome_ms = line->timeout_ms < 0 ? WELCOME_MS : line->timeout_ms;
    struct conn *conn;
    struct stream *stream;
    if (conn_dial(way->to, bounded_ms(way->retry.try_ms, deadline), line->waker, &conn, err) != 0 ||
        stream_new(conn, line->timeout_ms, &stream, err) != 0)
        return -1;
    int result = -1;
    if (!set_trying(line, stream))
        (void)err_set(err, EXIT_SIGNAL, "interrupted");
    else
        result = handshake_resume(stream, line->role, &line->agreed, processed,
                                  bounded_ms(welcome_ms, deadline), ret_theirs, err);
    (void)set_trying(line, NULL);
    if (result == HANDSHAKE_VIOLATED)
        line->violated = true;
    if (result == 0)
        *ret = stream;
    else {
        line->unproven = stream->unproven;
        (void)stream_close(stream, NULL);
    }
    return result;
}

/* A stream that breaks now and then costs no time. But an end that takes us back and hangs up again is not dialled without
 * pauses: not when nothing came of it, and not again and again, whatever it did between, for it alone would say how busy
 * this end is. False: cancelled. */
static bool pause_before(struct line *line) {
    int64_t now = os_now_ms(), at = line->backs_due_ms - (int64_t)BACKS_AT_ONCE * line->way->retry.delay_ms;
    if (line->breaks > 1)
        at = now + backoff_pause_ms(line->way->retry.delay_ms, 1);
    return at <= now || waker_pause(line->waker, at);
}

static void came_back(struct line *line) {
    int64_t now = os_now_ms(), from = line->backs_due_ms > now ? line->backs_due_ms : now;
    line->backs_due_ms = from + backoff_pause_ms(line->way->retry.delay_ms, 1);
}

static int dial_back(struct line *line, uint64_t processed, struct stream **ret, uint64_t *ret_theirs,
                     struct err *err) {
    const struct retry_policy *retry = &line->way->retry;
    if (!pause_before(line))
        return err_set(err, EXIT_SIGNAL, "interrupted");
    bool bounded = retry->retries != RETRY_FOREVER && line->timeout_ms >= 0;
    int64_t deadline = bounded ? os_now_ms() + line->timeout_ms : INT64_MAX;
    for (uint32_t tries = 1;; tries++) {
        if (dial_once(line, processed, deadline, ret, ret_theirs, err) == 0) {
            came_back(line);
            return 0;
        }
        if (line->violated || is_cancelled(line) || err->code == EXIT_SIGNAL)
            return -1;
        if (err->code == EXIT_REFUSED || err->code == EXIT_UNSUPPORTED) {
            line->way->lost = line->way->met = !line->unproven;
            return -1;
        }
        log_line(LOG_INFO, "coming back, try %" PRIu32 ": %s", tries, err->msg);
        if (retry->retries != RETRY_FOREVER && tries >= retry->retries)
            return err_wrap(err, "tried %" PRIu32 " times to come back", tries);
        int64_t next = os_now_ms() + backoff_pause_ms(retry->delay_ms, tries);
        if (next > deadline)
            return err_wrap(err, "tried to come back for %d s", line->timeout_ms / 1000);
        if (!waker_pause(line->waker, next))
            return err_set(err, EXIT_SIGNAL, "interrupted");
    }
}

/* ---- listener ------------------------------------------------------------------------------------------------ */

static struct stream *wait_for_offer(struct line *line, int64_t deadline, struct comeback *ret) {
    os_lock(&line->lock);
    while (line->offered == NULL && !line->cancelled)
        if (!os_cond_wait_until(&line->changed, &line->lock, deadline))
            break;
    struct stream *stream = line->cancelled ? NULL : line->offered;
    if (stream) {
        line->offered = NULL;
        *ret = line->back;
    }
    os_unlock(&line->lock);
    return stream;
}

static void set_welcomed(struct line *line, bool welcomed) {
    os_lock(&line->lock);
    line->welcomed = welcomed;
    os_unlock(&line->lock);
}

/* Once it has WELCOME the peer may open further streams, though this end is not so far yet. */
static int welcome_back(struct line *line, struct stream *stream, const struct comeback *back,
                        uint64_t processed, int64_t deadline, struct err *err) {
    int usual_ms = stream->timeout_ms, result = -1;
    set_welcomed(line, true);
    stream->timeout_ms = bounded_ms(usual_ms, deadline);
    if (set_trying(line, stream))
        result = handshake_accept(stream, line->role, &line->agreed, back, processed, err);
    (void)set_trying(line, NULL);
    stream->timeout_ms = usual_ms;
    if (result == 0)
        return 0;
    set_welcomed(line, false);
    lanes_close(line); /* none can be of use */
    (void)stream_close(stream, NULL);
    return -1;
}

static int wait_back(struct line *line, uint64_t processed, struct stream **ret, uint64_t *ret_theirs,
                     struct err *err) {
    int64_t deadline = os_now_ms() + line->way->grace_ms;
    bool late = line->back_by_ms < deadline;
    deadline = late ? line->back_by_ms : deadline;
    struct comeback back;
    struct stream *stream;
    while ((stream = wait_for_offer(line, deadline, &back)) != NULL) {
        if (welcome_back(line, stream, &back, processed, deadline, err) == 0) {
            *ret = stream;
            *ret_theirs = back.processed;
            return 0;
        }
    }
    if (is_cancelled(line))
        return err_set(err, EXIT_SIGNAL, "interrupted");
    if (late)
        return err_set(err, EXIT_STREAM, "the other end did not come back in time");
    return err_set(err, EXIT_STREAM, "the other end did not come back within %d s",
                   line->way->grace_ms / 1000);
}

/* ---- both ---------------------------------------------------------------------------------------------------- */

/* The sending thread is held: nobody else uses the stream. Its order numbers go on. */
static uint64_t retire(struct line *line) {
    os_lock(&line->lock);
    struct stream *stream = line->stream;
    line->stream = NULL;
    os_unlock(&line->lock);
    uint64_t next_order = stream->out.next_order;
    line->bytes_in += atomic_load(&stream->bytes_in);
    line->bytes_out += atomic_load(&stream->bytes_out);
    (void)stream_close(stream, NULL);
    return next_order;
}

static void adopt(struct line *line, struct stream *stream) {
    os_lock(&line->lock);
    line->stream = stream;
    line->cause.code = 0;
    bool again = line->offered != NULL;
    if (again || line->cancelled)
        conn_wake(stream->conn);
    atomic_store(&line->broken, again);
    line->welcomed = false;
    lanes_go_on(line);
    os_unlock(&line->lock);
}

/* A peer that comes back again and again, and gets nothing done, is not served for ever. That it processed messages, or
 * sent some, is not enough: it can make up as many as it likes. */
static int count_break(struct line *line, uint64_t moved, struct err *err) {
    uint64_t progress = moved + line->hooks.progress(line->hooks.ctx);
    uint32_t most = line->way->to ? line->way->retry.retries : BREAKS_MAX;
    line->breaks = progress > line->progress_then ? 1 : line->breaks + 1;
    line->progress_then = progress;
    if (most == RETRY_FOREVER || line->breaks <= most)
        return 0;
    return err_set(err, EXIT_STREAM, "the stream broke %u times without any progress", line->breaks);
}

static int go_on(struct line *line, struct stream *stream, uint64_t next_order, uint64_t theirs,
                 struct err *err) {
    struct ticketed *chain;
    uint64_t cost;
    if (theirs >= next_order || !flight_take(line->flight, theirs, &chain, &cost)) {
        line->violated = true;
        return err_set(err, EXIT_STREAM,
                       "the peer claims to have processed %" PRIu64 " messages, which cannot be", theirs);
    }
    struct flown flown = flight_done(line->flight, theirs);
    int result = count_break(line, flown.moved, err);
    if (result == 0)
        result = line->hooks.prepare(line->hooks.ctx, chain, err);
    outbox_rewind(line->out, chain, cost);
    outbox_flown(line->out, flown);
    if (result != 0)
        return -1;
    stream->out.next_order = next_order;
    adopt(line, stream);
    outbox_release(line->out);
    count(&line->report->retries, 1);
    log_line(LOG_INFO, "the session goes on");
    return 0;
}

/* Another thread woke the reading one, which knows nothing of why. */
static void explain(struct line *line, struct err *err) {
    os_lock(&line->lock);
    if (err->code == EXIT_SIGNAL && line->cause.code != 0)
        *err = line->cause;
    else if (err->code == EXIT_SIGNAL)
        (void)err_set(err, EXIT_STREAM, "the other end came back with another stream");
    os_unlock(&line->lock);
}

static uint64_t offers_made(struct line *line) {
    os_lock(&line->lock);
    uint64_t offers = line->offers;
    os_unlock(&line->lock);
    return offers;
}

/* What came before the break may take long, though it was short to say. It goes on for as long as a peer is waited for, and
 * as long as one comes back. */
static int settle(struct line *line, uint64_t *ret_processed, struct err *err) {
    int patience_ms = line->way->to ? line->timeout_ms : line->way->grace_ms;
    uint64_t offers = 0, before;
    do {
        before = offers;
        int64_t deadline = os_now_ms() + (patience_ms < 0 ? INT32_MAX : patience_ms);
        enum queue_result result = line->hooks.settle(line->hooks.ctx, deadline, ret_processed);
        if (result == QUEUE_OK)
            return 0;
        if (result == QUEUE_CLOSED)
            return err_set(err, EXIT_SIGNAL, "cancelled");
        offers = offers_made(line);
    } while (offers > before || patience_ms < 0);
    return err_set(err, EXIT_STREAM, "what had come before took longer than %d s", patience_ms / 1000);
}

static int recover(struct line *line, struct err *err) {
    struct stream *stream = NULL;
    uint64_t processed, theirs = 0;
    if (!outbox_hold(line->out))
        return err_set(err, EXIT_SIGNAL, "cancelled");
    lanes_close(line);
    uint64_t next_order = retire(line);
    if (settle(line, &processed, err) != 0 ||
        (line->way->to ? dial_back : wait_back)(line, processed, &stream, &theirs, err) != 0)
        return -1;
    if (go_on(line, stream, next_order, theirs, err) == 0)
        return 0;
    if (line->stream == NULL)
        (void)stream_close(stream, NULL);
    return -1;
}

int line_recover(struct line *line, enum stream_result result, struct err *err) {
    bool broke =
        result == STREAM_EOF || result == STREAM_QUIET || line->stream->broke || atomic_load(&line->broken);
    if (!broke || line->stream->refused || is_cancelled(line))
        return -1;
    if (!line->resumable) { /* the other end keeps none, as a command that went with its stream */
        line->way->lost = line->way->met =
            line->way->to && line->way->retry.retries > 0 && result != STREAM_QUIET;
        return -1;
    }
    explain(line, err);
    struct err first = *err, second = {0};
    log_line(LOG_INFO, "%s; going on with another stream", err->msg);
    atomic_store(&line->broken, true);
    conn_wake(line->stream->conn); /* the sending thread may be in it */
    if (recover(line, &second) == 0)
        return 0;
    if (second.code == EXIT_SIGNAL || line->violated) { /* the break has no part in it */
        *err = second;
        return -1;
    }
    int code = err->code;
    *err = second;
    err->code = code;
    return err_wrap(err, "%s", first.msg);
}

uint64_t line_bytes_in(const struct line *line) {
    return line->bytes_in;
}
uint64_t line_bytes_out(const struct line *line) {
    return line->bytes_out;
}
