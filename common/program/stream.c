#include "program/stream.h"

#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    STAGED_BYTES = 16 * 1024, /* more than most control frames, little beside a chunk */
    ABORT_WAIT_MS = 1000,
    FRAME_RATE_MIN = 100, /* bytes a second, of a frame that has begun; a modem of 1200 baud is faster */
};

int stream_new(struct conn *conn, int timeout_ms, struct stream **ret, struct err *err) {
    struct stream *s = calloc(1, sizeof *s);
    uint8_t *body = malloc(HANDSHAKE_BODY_MAX);
    if (s == NULL || body == NULL) {
        free(s);
        free(body);
        (void)conn_close(conn, NULL);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    s->conn = conn;
    s->timeout_ms = timeout_ms;
    s->body = body;
    s->read_by_ms = INT64_MAX;
    frame_reader_init(&s->reader, body, HANDSHAKE_BODY_MAX, 0);
    link_out_init(&s->out);
    *ret = s;
    return 0;
}

int stream_open_up(struct stream *s, uint32_t chunk_size, struct err *err) {
    uint8_t *body = realloc(s->body, BODY_MAX);
    if (body)
        s->reader.body = s->body = body;
    s->staged = malloc(STAGED_BYTES);
    if (body == NULL || s->staged == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    s->reader.body_max = BODY_MAX;
    s->reader.data_max = chunk_size;
    s->read_by_ms = INT64_MAX;
    return 0;
}

int stream_close(struct stream *s, struct err *err) {
    if (s == NULL)
        return 0;
    int result = conn_close(s->conn, err);
    free(s->body);
    free(s->staged);
    free(s);
    return result;
}

/* The handshake has one deadline for all its reads. */
static int bounded_wait(const struct stream *s, int timeout_ms) {
    if (s->read_by_ms == INT64_MAX)
        return timeout_ms;
    int64_t left = s->read_by_ms - os_now_ms();
    if (timeout_ms >= 0 && timeout_ms <= left)
        return timeout_ms;
    return left > 0 ? (int)left : 0;
}

/* At most room.n bytes to room.p, from what was read ahead or from the conn. As conn_read. */
static ptrdiff_t fill(struct stream *s, struct room room, int timeout_ms, struct err *err) {
    if (s->staged_at == s->staged_end) {
        bool direct = s->staged == NULL || room.n >= STAGED_BYTES;
        ptrdiff_t n = conn_read(s->conn, direct ? room.p : s->staged, direct ? room.n : STAGED_BYTES,
                                bounded_wait(s, timeout_ms), err);
        if (n == 0 || (n < 0 && err->code == EXIT_SOCKET))
            s->broke = true;
        if (n <= 0)
            return n;
        atomic_fetch_add_explicit(&s->bytes_in, (uint64_t)n, memory_order_relaxed);
        if (direct)
            return n;
        s->staged_at = 0;
        s->staged_end = (size_t)n;
    }
    size_t n = s->staged_end - s->staged_at;
    if (n > room.n)
        n = room.n;
    memcpy(room.p, s->staged + s->staged_at, n);
    s->staged_at += n;
    return (ptrdiff_t)n;
}

static int give_buffer(struct stream *s, struct pool *pool, struct buf **data, struct err *err) {
    if (pool == NULL)
        return err_set(err, EXIT_STREAM, "%s is not allowed from this end",
                       msg_type_name(s->reader.frame.type));
    *data = pool_get(pool);
    if (*data == NULL)
        return pool_error(pool, err);
    frame_reader_give(&s->reader, (*data)->data);
    return 0;
}

/* The reader has a whole frame: copy its body, so that the reader can go on. */
static struct item *take_item(struct stream *s, struct buf *data) {
    struct item *item = item_new(s->reader.frame.type, s->reader.frame.body_length);
    if (item) {
        item->frame = s->reader.frame;
        item->data = data;
        if (item->frame.body_length)
            memcpy(item->body, s->reader.body, item->frame.body_length);
    }
    frame_reader_next(&s->reader);
    return item;
}

static enum stream_result failed_read(struct stream *s, ptrdiff_t n, struct err *err) {
    if (n == 0 && frame_reader_is_idle(&s->reader))
        return STREAM_EOF;
    if (n == 0)
        (void)err_set(err, EXIT_STREAM, "the peer closed the stream in the middle of a message");
    else if (err->code == EXIT_TIMEOUT)
        return STREAM_QUIET;
    return STREAM_FAILED;
}

/* Even when the n bytes came after the longest silence that there may be. */
static bool is_enough(const struct stream *s, size_t n) {
    return s->timeout_ms < 0 || n >= (uint64_t)s->timeout_ms * FRAME_RATE_MIN / 1000;
}

/* n bytes of a frame came, which is not whole yet. A peer that drips is not served for ever; one that is silent, as a
 * machine that is paused, is judged by its silence. 0, or -1 and err. */
static int check_pace(struct stream *s, size_t n, struct err *err) {
    if (is_enough(s, n)) { /* without asking for the time */
        s->lap_bytes += n;
        return 0;
    }
    int64_t now = os_now_ms();
    if (s->lap_ms == 0) {
        s->lap_ms = now;
        s->lap_bytes = 0;
        return 0;
    }
    s->lap_bytes += n;
    int64_t lap = now - s->lap_ms;
    if (lap < s->timeout_ms)
        return 0;
    if (s->lap_bytes < (uint64_t)lap * FRAME_RATE_MIN / 1000) {
        s->broke = true;
        return err_set(err, EXIT_TIMEOUT, "the other end sends fewer than %d bytes a second", FRAME_RATE_MIN);
    }
    s->lap_ms = now;
    s->lap_bytes = 0;
    return 0;
}

enum stream_result stream_recv(struct stream *s, struct pool *pool, int timeout_ms, struct item **ret,
                               struct err *err) {
    struct buf *data = NULL;
    for (;;) {
        ptrdiff_t n = fill(s, frame_reader_space(&s->reader), data ? s->timeout_ms : timeout_ms, err);
        if (n <= 0) {
            enum stream_result result = failed_read(s, n, err);
            buf_release(data);
            s->broke |= data && result == STREAM_QUIET;
            return data && result == STREAM_QUIET ? STREAM_FAILED : result;
        }
        enum frame_status status = frame_reader_fed(&s->reader, (size_t)n, err);
        if (status == FRAME_MORE && check_pace(s, (size_t)n, err) == 0)
            continue;
        if (status == FRAME_NEED_DATA && give_buffer(s, pool, &data, err) == 0)
            continue;
        s->lap_ms = 0;
        if (status != FRAME_READY) {
            s->broke |= status == FRAME_BAD;
            buf_release(data);
            return STREAM_FAILED;
        }
        s->refused |= s->reader.frame.type == MSG_ABORT || s->reader.frame.type == MSG_REJECT;
        *ret = take_item(s, data);
        if (*ret)
            return STREAM_ITEM;
        buf_release(data);
        (void)err_set(err, EXIT_MEMORY, "out of memory");
        return STREAM_FAILED;
    }
}

int stream_recv_raw(struct stream *s, void *to, size_t n, int64_t deadline_ms, size_t *ret_got,
                    struct err *err) {
    *ret_got = 0;
    while (*ret_got < n) {
        int64_t left = deadline_ms - os_now_ms();
        struct room room = {.p = (uint8_t *)to + *ret_got, .n = n - *ret_got};
        ptrdiff_t got = fill(s, room, left > 0 ? (int)left : 0, err);
        if (got < 0)
            return -1;
        if (got == 0)
            return err_set(err, EXIT_STREAM, "the peer closed the stream before it had introduced itself");
        *ret_got += (size_t)got;
    }
    return 0;
}

int stream_send_raw(struct stream *s, const void *p, size_t n, struct err *err) {
    struct span part = {.p = p, .n = n};
    if (conn_write(s->conn, &part, 1, s->timeout_ms, err) == 0)
        return 0;
    s->broke = err->code == EXIT_SOCKET;
    s->cut = true;
    return -1;
}

void stream_number(struct stream *s, struct item *item) {
    s->part_count += link_out_frame(&s->out, item, s->parts + s->part_count);
}

void stream_forget(struct stream *s) {
    s->out.next_seq = s->written_seq;
    s->part_count = 0;
}

int stream_write(struct stream *s, struct item **items, unsigned count, struct err *err) {
    unsigned parts = s->part_count;
    uint8_t last_type = items[count - 1]->frame.type; /* what is refused meanwhile becomes VOID */
    uint64_t total = 0;
    for (unsigned i = 0; i < parts; i++)
        total += s->parts[i].n;
    s->part_count = 0;
    if (conn_write(s->conn, s->parts, parts, s->timeout_ms, err) != 0) {
        if (err->code == EXIT_SIGNAL && err->sys == ECANCELED)
            s->out.next_seq = s->written_seq; /* none of it began */
        else
            s->cut = true;
        s->broke |= err->code == EXIT_SOCKET || err->code == EXIT_TIMEOUT;
        return err_wrap(err, "sending %s", msg_type_name(last_type));
    }
    s->written_seq = s->out.next_seq;
    atomic_fetch_add_explicit(&s->bytes_out, total, memory_order_relaxed);
    return 0;
}

int stream_send(struct stream *s, struct item *item, struct err *err) {
    stream_number(s, item);
    return stream_write(s, &item, 1, err);
}

int stream_refusal(const struct item *item, const char *peer_role, struct err *err) {
    struct msg_text m;
    struct escaped text;
    if (msg_text_decode(item_body(item), &m, err) != 0)
        return -1;
    return err_set(err, err_code_of_peer(m.code), "the %s ended the session: %s", peer_role,
                   escape_said((const char *)m.text.p, m.text.n, &text));
}

int stream_pause(int timeout_ms) {
    int third = timeout_ms / 3;
    return timeout_ms < 0 || third > HEARTBEAT_MS ? HEARTBEAT_MS : third;
}

void stream_drain(struct stream *s, int timeout_ms) {
    int64_t deadline = os_now_ms() + timeout_ms;
    uint8_t sink[4096];
    struct err ignored;
    for (int64_t left = timeout_ms; left > 0; left = deadline - os_now_ms())
        if (conn_read(s->conn, sink, sizeof sink, (int)left, &ignored) <= 0)
            return;
}

/* The peer may have failed too: then it waits for us to close as we wait for it. Its ABORT is found unless the stream
 * stands in the middle of data or of damage. */
static void drain_to_abort(struct stream *s) {
    int64_t deadline = os_now_ms() + ABORT_WAIT_MS, left = ABORT_WAIT_MS;
    s->read_by_ms = deadline; /* for the parts of a message, too */
    enum stream_result result = frame_reader_is_readable(&s->reader) ? STREAM_ITEM : STREAM_FAILED;
    while (result == STREAM_ITEM && !s->refused && left > 0) {
        struct item *item;
        struct err ignored;
        result = stream_recv(s, NULL, (int)left, &item, &ignored);
        if (result == STREAM_ITEM)
            item_free(item);
        left = deadline - os_now_ms();
    }
    if (!s->refused && result == STREAM_FAILED && left > 0)
        stream_drain(s, (int)left);
}

void stream_abort(struct stream *s, const struct err *why) {
    conn_resume(s->conn);
    if (s->cut || s->refused)
        return;
    struct item *item = item_of_text(MSG_ABORT, why->code, why->msg);
    struct err ignored;
    s->timeout_ms = ABORT_WAIT_MS;
    if (item && stream_send(s, item, &ignored) == 0)
        drain_to_abort(s);
    item_free(item);
}
