#include "program/lanes.h"

#include "core/log.h"
#include "os/os_waits.h"

#include <stdlib.h>

enum {
    JOIN_MS = 10000, /* for a dial and a handshake, where the user does not bound a try */
    JOIN_FAILURES_MAX = 3, /* in a session */
    LAST_WORD_MS = 1000, /* for the first stream to say why all of them end */
};

struct lane {
    struct lanes *lanes;
    unsigned index; /* HELLO's `stream`: 1, 2, … */
    /* Line's lock. */
    struct stream *stream; /* NULL: not open */
    struct comeback back; /* listener */
    bool greeting; /* listener: WELCOME is still to be sent */
    bool used; /* its thread uses the stream */
    bool writing; /* sender: an item is on its way */
    bool lost; /* nothing more goes by this stream */
    struct item *next; /* sender: to be written */
};

struct lanes {
    struct line *line;
    void *session;
    unsigned count;
    _Atomic bool wanted; /* dialler: enough was carried */
    /* Line's lock. */
    struct os_cond changed;
    bool joining; /* dialler: a lane is being opened, by these: */
    struct waker *waker;
    struct stream *trying;
    bool enough; /* dialler: no more can be had before the next break */
    unsigned failures; /* dialler: streams that could not be had */
    unsigned turn; /* sender: the lane after the one that got the last item */
    struct lane lane[];
};

int lanes_new(struct line *line, struct err *err) {
    unsigned count = line->agreed.streams - 1;
    struct lanes *lanes = calloc(1, sizeof *lanes + count * sizeof lanes->lane[0]);
    if (lanes == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    lanes->line = line;
    lanes->count = count;
    os_cond_init(&lanes->changed);
    for (unsigned i = 0; i < count; i++) {
        lanes->lane[i].lanes = lanes;
        lanes->lane[i].index = i + 1;
    }
    os_lock(&line->lock);
    line->lanes = lanes;
    os_unlock(&line->lock);
    return 0;
}

void lanes_free(struct lanes *lanes) {
    if (lanes == NULL)
        return;
    os_cond_free(&lanes->changed);
    free(lanes);
}

/* Lock held. */
static bool is_ended(const struct line *line) {
    return line->over || line->cancelled;
}

/* Lock held. */
static bool is_open(const struct lane *lane) {
    return lane->stream && !lane->lost && !lane->greeting;
}

unsigned lanes_open(struct line *line) {
    unsigned n = 0;
    if (line->lanes == NULL)
        return 0;
    os_lock(&line->lock);
    for (unsigned i = 0; i < line->lanes->count; i++)
        n += is_open(&line->lanes->lane[i]);
    os_unlock(&line->lock);
    return n;
}

void *lane_session(struct lane *lane) {
    return lane->lanes->session;
}

/* ---- opening: dialler ---------------------------------------------------------------------------------------- */

void lanes_note_traffic(struct line *line) {
    struct lanes *lanes = line->lanes;
    if (lanes == NULL || line->way->to == NULL || atomic_load_explicit(&lanes->wanted, memory_order_relaxed))
        return;
    const struct stream *s = line->stream;
    uint64_t enough = LANES_AFTER_CHUNKS * (uint64_t)line->agreed.chunk_size;
    if (atomic_load(&s->bytes_in) + atomic_load(&s->bytes_out) < enough)
        return;
    os_lock(&line->lock);
    atomic_store(&lanes->wanted, true);
    os_cond_broadcast(&lanes->changed);
    os_unlock(&line->lock);
}

/* The next lane to open; NULL: the session is over. The lane is joining then. */
static struct lane *next_to_open(struct lanes *lanes, struct waker *waker) {
    struct line *line = lanes->line;
    struct lane *found = NULL;
    os_lock(&line->lock);
    while (!is_ended(line)) {
        bool wanted = atomic_load(&lanes->wanted) && !lanes->enough && !atomic_load(&line->broken);
        for (unsigned i = 0; wanted && found == NULL && i < lanes->count; i++)
            if (lanes->lane[i].stream == NULL)
                found = &lanes->lane[i];
        if (found)
            break;
        (void)os_cond_wait_for(OS_WAIT_INPUT, &lanes->changed, &line->lock, INT64_MAX);
    }
    lanes->joining = found != NULL;
    lanes->waker = found ? waker : NULL;
    os_unlock(&line->lock);
    return found;
}

/* A stream that is being opened is woken by lanes_close and lanes_wake. False: it is not wanted any more. */
static bool set_trying(struct lanes *lanes, struct stream *stream) {
    struct line *line = lanes->line;
    os_lock(&line->lock);
    bool go_on = !is_ended(line) && !atomic_load(&line->broken);
    lanes->trying = go_on ? stream : NULL;
    os_unlock(&line->lock);
    return go_on;
}

static int dial_lane(struct lanes *lanes, unsigned index, struct waker *waker, struct stream **ret,
                     struct err *err) {
    struct line *line = lanes->line;
    int try_ms = line->way->retry.try_ms < 0 ? JOIN_MS : line->way->retry.try_ms;
    struct conn *conn;
    if (conn_dial(line->way->to, try_ms, waker, &conn, err) != 0 ||
        stream_new(conn, line->timeout_ms, ret, err) != 0)
        return -1;
    int result = -1;
    if (set_trying(lanes, *ret))
        result = handshake_join(*ret, line->role, &line->agreed, index, try_ms, err);
    else
        (void)err_set(err, EXIT_SIGNAL, "interrupted");
    (void)set_trying(lanes, NULL);
    return result;
}

/* The dial is over, well or not; without a stream when it did not come so far. When the session is over meanwhile, the
 * listener may have let the stream in, and must not see it end before it has closed the first one. */
static void end_joining(struct lanes *lanes, struct lane *lane, struct stream *stream, bool good) {
    struct line *line = lanes->line;
    os_lock(&line->lock);
    bool in_time = !is_ended(line) && !atomic_load(&line->broken);
    bool keep = is_ended(line) || (good && in_time);
    if (keep) {
        lane->stream = stream;
        lane->lost = !in_time;
    }
    if (in_time && !good) {
        lanes->failures++;
        lanes->enough = true;
    }
    lanes->joining = false;
    lanes->waker = NULL;
    os_cond_broadcast(&lanes->changed);
    os_unlock(&line->lock);
    if (!keep)
        (void)stream_close(stream, NULL);
}

static int join_lanes(void *arg, struct err *err) {
    struct lanes *lanes = arg;
    for (;;) {
        struct waker *waker;
        if (waker_new(&waker, err) != 0) {
            log_line(LOG_INFO, "no more streams: %s", err->msg);
            return 0;
        }
        struct lane *lane = next_to_open(lanes, waker);
        struct stream *stream = NULL;
        if (lane) {
            struct err why = {0};
            bool good = dial_lane(lanes, lane->index, waker, &stream, &why) == 0;
            log_line(LOG_INFO, "stream %u of %u%s%s", lane->index + 1, lanes->count + 1,
                     good ? " is open" : ": ", good ? "" : why.msg);
            end_joining(lanes, lane, stream, good);
        }
        waker_free(waker);
        if (lane == NULL)
            return 0;
    }
}

/* ---- opening: listener --------------------------------------------------------------------------------------- */

bool lanes_take(struct line *line, const struct comeback *back, struct stream *stream) {
    struct lanes *lanes = line->lanes;
    bool broken = atomic_load(&line->broken) && !line->welcomed;
    if (lanes == NULL || back->stream > lanes->count || broken)
        return false;
    struct lane *lane = &lanes->lane[back->stream - 1];
    if (lane->stream)
        return false;
    lane->stream = stream;
    lane->back = *back;
    lane->greeting = true;
    os_cond_broadcast(&lanes->changed);
    return true;
}

/* ---- the thread of a lane -------------------------------------------------------------------------------------- */

int lanes_start(struct line *line, struct run *run, run_fn *use, void *session, struct err *err) {
    struct lanes *lanes = line->lanes;
    if (lanes == NULL)
        return 0;
    lanes->session = session;
    for (unsigned i = 0; i < lanes->count; i++)
        if (run_start(run, "lane", use, &lanes->lane[i], err) != 0)
            return -1;
    return line->way->to ? run_start(run, "join", join_lanes, lanes, err) : 0;
}

/* WELCOME, at a listener. When it cannot be sent, the dialler has no such lane either. */
static bool welcome(struct lane *lane) {
    struct line *line = lane->lanes->line;
    struct err err = {0};
    bool good = handshake_admit(lane->stream, line->role, &line->agreed, &lane->back, &err) == 0;
    log_line(LOG_INFO, "stream %u of %u%s%s", lane->index + 1, lane->lanes->count + 1,
             good ? " is open" : ": ", good ? "" : err.msg);
    struct stream *useless = NULL;
    os_lock(&line->lock);
    lane->greeting = false;
    if (!good) {
        useless = lane->stream;
        lane->stream = NULL;
        lane->used = false;
        os_cond_broadcast(&lane->lanes->changed);
    }
    os_unlock(&line->lock);
    (void)stream_close(useless, NULL);
    return good;
}

/* Lock held. One that joined before the session goes on is not used before that. */
static bool is_to_be_used(const struct lane *lane) {
    return lane->stream && !lane->lost && !atomic_load(&lane->lanes->line->broken);
}

struct stream *lane_await(struct lane *lane) {
    struct line *line = lane->lanes->line;
    for (;;) {
        os_lock(&line->lock);
        while (!is_ended(line) && !is_to_be_used(lane))
            (void)os_cond_wait_for(OS_WAIT_INPUT, &lane->lanes->changed, &line->lock, INT64_MAX);
        lane->used = !is_ended(line);
        struct stream *stream = lane->used ? lane->stream : NULL;
        bool greeting = lane->greeting;
        os_unlock(&line->lock);
        if (stream == NULL || !greeting || welcome(lane))
            return stream;
    }
}

/* Lock held. What waits in it stays in flight. */
static void give_back(struct line *line, struct lane *lane) {
    if (lane->next)
        outbox_flown(line->out, flight_sent(line->flight, lane->next));
    lane->next = NULL;
}

int lane_lost(struct lane *lane, bool broke, struct err *err) {
    struct line *line = lane->lanes->line;
    bool repair = broke && line->resumable;
    os_lock(&line->lock);
    bool ended = is_ended(line), taken = lane->lost; /* by lanes_close */
    give_back(line, lane); /* first: then what is in flight may go */
    lane->lost = true;
    lane->used = lane->writing = false;
    os_cond_broadcast(&lane->lanes->changed);
    bool alive = !ended && !taken;
    if (alive && repair)
        line_broke(line, err);
    os_unlock(&line->lock);
    if (alive && broke && !repair)
        outbox_wait_cancelled(line->out, LAST_WORD_MS);
    return alive && !repair ? -1 : 0;
}

/* ---- sending ------------------------------------------------------------------------------------------------ */

/* Lock held. One that waits for work rather than one that has some, each in its turn, so that all of them carry something
 * where one would be enough; NULL: all have enough. */
static struct lane *choose(struct lanes *lanes) {
    struct lane *found = NULL;
    for (unsigned i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lane[(lanes->turn + i) % lanes->count];
        if (is_open(lane) && lane->next == NULL && (found == NULL || !lane->writing))
            found = lane;
        if (found && !found->writing)
            break;
    }
    if (found)
        lanes->turn = found->index; /* which is the one after it */
    return found;
}

bool lanes_send(struct line *line, struct item *item) {
    struct lanes *lanes = line->lanes;
    bool suits = item_carries_data(item) && item->frame.data_length >= LANE_DATA_MIN &&
                 !(item->frame.flags & FRAME_RESENT);
    if (lanes == NULL || !suits)
        return false;
    os_lock(&line->lock);
    struct lane *lane = atomic_load(&line->broken) ? NULL : choose(lanes);
    if (lane) {
        link_out_order(&line->stream->out, item);
        item->unnumbered = true;
        flight_add(line->flight, item);
        lane->next = item;
        os_cond_broadcast(&lanes->changed);
    }
    os_unlock(&line->lock);
    return lane != NULL;
}

/* The next item, or a HEARTBEAT when there was none for a while. False: this stream has nothing more to carry. *ret is NULL
 * where memory is short. */
static bool next_item(struct lane *lane, struct item **ret) {
    struct line *line = lane->lanes->line;
    int64_t due_ms = os_now_ms() + stream_pause(line->timeout_ms);
    bool in_time = true;
    os_lock(&line->lock);
    lane->writing = false;
    while (in_time && !lane->next && !lane->lost && !is_ended(line))
        in_time = os_cond_wait_for(OS_WAIT_INPUT, &lane->lanes->changed, &line->lock, due_ms);
    bool more = !lane->lost && !is_ended(line);
    *ret = more ? lane->next : NULL;
    if (*ret) {
        lane->next = NULL;
        lane->writing = true;
    }
    os_unlock(&line->lock);
    if (more && *ret == NULL)
        *ret = item_new(MSG_HEARTBEAT, 0);
    return more;
}

/* Uses the item up. */
static int write_item(struct line *line, struct stream *stream, struct item *item, struct err *err) {
    stream_number(stream, item);
    if (item->ordered)
        flight_leaves(line->flight, item);
    int result = stream_write(stream, &item, 1, err);
    if (item->ordered)
        outbox_flown(line->out, flight_sent(line->flight, item));
    else
        item_free(item);
    return result;
}

int lane_carry(void *arg, struct err *err) {
    struct lane *lane = arg;
    for (struct stream *stream; (stream = lane_await(lane)) != NULL;) {
        struct item *item;
        int result = 0;
        while (result == 0 && next_item(lane, &item))
            result = item ? write_item(lane->lanes->line, stream, item, err)
                          : err_set(err, EXIT_MEMORY, "out of memory");
        if (lane_lost(lane, stream->broke, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- the end -------------------------------------------------------------------------------------------------- */

void lanes_wake(struct line *line) {
    struct lanes *lanes = line->lanes;
    if (lanes == NULL)
        return;
    for (unsigned i = 0; i < lanes->count; i++)
        if (lanes->lane[i].stream)
            conn_wake(lanes->lane[i].stream->conn);
    if (lanes->waker)
        waker_wake(lanes->waker);
    if (lanes->trying)
        conn_wake(lanes->trying->conn);
    os_cond_broadcast(&lanes->changed);
}

void lanes_go_on(struct line *line) {
    if (line->lanes)
        os_cond_broadcast(&line->lanes->changed);
}

/* Lock held; nobody uses the lane. */
static struct stream *take_out(struct line *line, struct lane *lane) {
    struct stream *stream = lane->stream;
    give_back(line, lane);
    lane->stream = NULL;
    lane->lost = lane->greeting = false;
    if (stream) {
        line->bytes_in += atomic_load(&stream->bytes_in);
        line->bytes_out += atomic_load(&stream->bytes_out);
    }
    return stream;
}

void lanes_close(struct line *line) {
    struct lanes *lanes = line->lanes;
    struct stream *streams[STREAMS_MAX] = {NULL};
    if (lanes == NULL)
        return;
    os_lock(&line->lock);
    lanes_wake(line);
    for (unsigned i = 0; i < lanes->count; i++)
        lanes->lane[i].lost = true;
    for (unsigned i = 0; i < lanes->count; i++)
        while (lanes->lane[i].used)
            os_cond_wait(&lanes->changed, &line->lock);
    while (lanes->joining)
        os_cond_wait(&lanes->changed, &line->lock);
    for (unsigned i = 0; i < lanes->count; i++)
        streams[i] = take_out(line, &lanes->lane[i]);
    lanes->enough = lanes->failures >= JOIN_FAILURES_MAX;
    os_unlock(&line->lock);
    for (unsigned i = 0; i < lanes->count; i++)
        (void)stream_close(streams[i], NULL);
}
