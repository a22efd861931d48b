#include "program/line.h"

#include "program/lanes.h"
#include "program/registry.h"

#include <stdlib.h>
#include <string.h>

int line_init(struct line *line, struct way *way, enum role role, int timeout_ms, struct report *report,
              struct err *err) {
    memset(line, 0, sizeof *line);
    line->way = way;
    line->role = role;
    line->timeout_ms = timeout_ms;
    line->peer = *conn_peer_id(way->conn);
    line->report = report;
    line->back_by_ms = INT64_MAX;
    os_mutex_init(&line->lock);
    os_cond_init(&line->changed);
    return stream_new(way->conn, timeout_ms, &line->stream, err);
}

void line_free(struct line *line) {
    lanes_free(line->lanes);
    waker_free(line->waker);
    os_cond_free(&line->changed);
    os_mutex_free(&line->lock);
}

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* Can a session that begins here be gone on with after a break? */
static bool can_resume(const struct line *line) {
    const struct way *way = line->way;
    if (line->one_stream)
        return false;
    return way->to ? way->retry.retries > 0 : way->registry && way->grace_ms != 0;
}

/* Can a session that begins here have further streams? */
static bool can_join(const struct line *line) {
    return !line->one_stream && (line->way->to || line->way->registry);
}

/* Nobody else has it: line_cancel wakes what is still done with it, and line_close closes it. */
static void keep_stream(struct line *line, struct stream *stream) {
    os_lock(&line->lock);
    line->stream = stream;
    if (line->cancelled)
        conn_wake(stream->conn);
    os_unlock(&line->lock);
}

/* The stream is for some session: that has the stream now, or nobody. Whoever has it may close it at once, so it is
 * no longer ours from before it is offered. */
static int give_away(struct line *line, const struct comeback *back) {
    struct err why = {0};
    os_lock(&line->lock);
    struct stream *stream = line->stream;
    line->stream = NULL;
    os_unlock(&line->lock);
    if (!registry_offer(line->way->registry, back, stream)) {
        (void)err_set(&why, EXIT_REFUSED, "this session is not known here any more");
        keep_stream(line, stream);
        handshake_reject(stream, &why);
    }
    return HANDSHAKE_BACK;
}

int line_greet(struct line *line, const struct handshake *ours, int timeout_ms, struct err *err) {
    struct way *way = line->way;
    struct handshake h = *ours;
    struct comeback back;
    if (can_resume(line))
        h.features |= FEATURE_RESUME;
    if (!can_join(line))
        h.streams = 1;
    h.admit = way->admit;
    h.admit_ctx = way->admit_ctx;
    int result = way->registry ? handshake_listen(line->stream, &h, timeout_ms, &line->agreed, &back, err)
                               : handshake(line->stream, &h, timeout_ms, &line->agreed, err);
    if (result == HANDSHAKE_BACK)
        return give_away(line, &back);
    /* It spoke our language, and was cut off: it may do better next time. */
    bool cut_off = line->stream->greeted && line->stream->broke;
    bool hopeless = line->stream->unproven;
    way->lost = result != 0 && way->to && can_resume(line) && !hopeless && (cut_off || way->again);
    return result;
}

int line_open(struct line *line, struct outbox *out, struct flight *flight, const struct line_hooks *hooks,
              struct err *err) {
    struct way *way = line->way;
    line->out = out;
    line->flight = flight;
    line->hooks = *hooks;
    line->resumable = can_resume(line) && line->agreed.features & FEATURE_RESUME;
    if (line->resumable && way->to && waker_new(&line->waker, err) != 0)
        return -1;
    if (line->agreed.streams > 1 && lanes_new(line, err) != 0)
        return -1;
    if ((line->resumable || line->lanes) && way->registry)
        registry_add(way->registry, line);
    return 0;
}

/* ---- sending ------------------------------------------------------------------------------------------------ */

static bool goes_to_flight(const struct item *item) {
    return item->ordered && !(item->frame.flags & FRAME_RESENT);
}

void line_number(struct line *line, struct item *item) {
    stream_number(line->stream, item);
    if (goes_to_flight(item))
        flight_add(line->flight, item);
}

static bool is_over(struct line *line) {
    os_lock(&line->lock);
    bool over = line->over;
    os_unlock(&line->lock);
    return over;
}

/* The sending thread found out. The reading one sees it too, unless the stream still carries what it reads. */
static void break_off(struct line *line, const struct err *why) {
    os_lock(&line->lock);
    line->cause = *why;
    atomic_store(&line->broken, true);
    if (why->code == EXIT_TIMEOUT)
        conn_wake(line->stream->conn);
    os_unlock(&line->lock);
}

void line_broke(struct line *line, const struct err *why) {
    if (atomic_load(&line->broken))
        return;
    line->cause = *why;
    atomic_store(&line->broken, true);
    conn_wake(line->stream->conn);
}

int line_write(struct line *line, struct item **items, unsigned count, struct err *err) {
    int result = 0;
    if (atomic_load(&line->broken))
        stream_forget(line->stream);
    else if (count > 0)
        result = stream_write(line->stream, items, count, err);
    if (result != 0 && line->resumable && line->stream->broke)
        break_off(line, err);
    if (atomic_load(&line->broken) || (result != 0 && is_over(line)))
        result = 0;
    struct flown flown = {0};
    for (unsigned i = 0; i < count; i++)
        if (goes_to_flight(items[i]))
            flown = flight_sent(line->flight, items[i]);
        else
            item_free(items[i]);
    outbox_flown(line->out, flown);
    outbox_sent(line->out);
    return result;
}

bool line_acked(const struct line *line, uint64_t *ret_written, uint64_t *ret_acked) {
    if (atomic_load(&line->broken))
        return false;
    *ret_written = atomic_load(&line->stream->bytes_out);
    return conn_acked(line->stream->conn, ret_acked);
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

void line_reading_over(struct line *line) {
    os_lock(&line->lock);
    line->over = true;
    lanes_wake(line);
    os_unlock(&line->lock);
}

void line_cancel(void *arg) {
    struct line *line = arg;
    os_lock(&line->lock);
    line->cancelled = true;
    if (line->stream)
        conn_wake(line->stream->conn);
    if (line->trying)
        conn_wake(line->trying->conn);
    if (line->waker)
        waker_wake(line->waker);
    os_cond_broadcast(&line->changed);
    lanes_wake(line);
    os_unlock(&line->lock);
}

int line_close(struct line *line, const struct err *why, int drain_ms, struct err *err) {
    if (line->way->registry)
        registry_remove(line->way->registry, line);
    struct stream *stream = line->stream;
    (void)stream_close(line->offered, NULL);
    line->offered = line->stream = NULL;
    if (stream && why == NULL)
        stream_drain(stream, drain_ms);
    else if (stream && why->code != EXIT_SOCKET && !atomic_load(&line->broken))
        stream_abort(stream, why);
    lanes_close(line); /* not before the receiver has closed, or knows why */
    if (stream == NULL)
        return 0;
    line->bytes_in += atomic_load(&stream->bytes_in);
    line->bytes_out += atomic_load(&stream->bytes_out);
    return stream_close(stream, err);
}
