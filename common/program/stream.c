#include "program/stream.h"

#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    STAGED_BYTES = 16 * 1024, /* more than most control frames, little beside a chunk */
    ABORT_WAIT_MS = 1000,
};

int stream_new(struct conn *conn, int timeout_ms, struct stream **ret, struct err *err) {
    struct stream *s = calloc(1, sizeof *s);
    uint8_t *body = malloc(BODY_MAX), *staged = malloc(STAGED_BYTES);
    if (s == NULL || body == NULL || staged == NULL) {
        free(s);
        free(body);
        free(staged);
        (void)conn_close(conn, NULL);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    s->conn = conn;
    s->timeout_ms = timeout_ms;
    s->body = body;
    s->staged = staged;
    frame_reader_init(&s->reader, body, HANDSHAKE_BODY_MAX, 0);
    link_out_init(&s->out);
    *ret = s;
    return 0;
}

void stream_open_up(struct stream *s, uint32_t chunk_size) {
    s->open = true;
    s->reader.body_max = BODY_MAX;
    s->reader.data_max = chunk_size;
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

/* At most room.n bytes to room.p, from what was read ahead or from the conn. As conn_read. Nothing is read ahead during the
 * handshake: a stranger has no more than one message of ours to fill. */
static ptrdiff_t fill(struct stream *s, struct room room, int timeout_ms, struct err *err) {
    if (s->staged_at == s->staged_end) {
        bool direct = !s->open || room.n >= STAGED_BYTES;
        ptrdiff_t n =
            conn_read(s->conn, direct ? room.p : s->staged, direct ? room.n : STAGED_BYTES, timeout_ms, err);
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
        return err_set(err, EXIT_SIGNAL, "cancelled while waiting for a buffer");
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
        if (status == FRAME_MORE)
            continue;
        if (status == FRAME_NEED_DATA && give_buffer(s, pool, &data, err) == 0)
            continue;
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
    uint64_t total = 0;
    for (unsigned i = 0; i < parts; i++)
        total += s->parts[i].n;
    s->part_count = 0;
    if (conn_write(s->conn, s->parts, parts, s->timeout_ms, err) != 0) {
        if (err->code == EXIT_SIGNAL && err->sys == ECANCELED)
            s->out.next_seq = s->written_seq; /* none of it began */
        else
            s->cut = true;
        s->broke |= err->code == EXIT_SOCKET;
        return err_wrap(err, "sending %s", msg_type_name(items[count - 1]->frame.type));
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
    /* A signal stopped the peer, not us. */
    int code = m.code == EXIT_SIGNAL ? EXIT_STREAM : m.code;
    return err_set(err, code, "the %s ended the session: %s", peer_role,
                   escape_text((const char *)m.text.p, m.text.n, &text));
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

void stream_abort(struct stream *s, const struct err *why) {
    conn_resume(s->conn);
    if (s->cut || s->refused)
        return;
    struct item *item = item_of_text(MSG_ABORT, why->code, why->msg);
    struct err ignored;
    s->timeout_ms = ABORT_WAIT_MS;
    if (item && stream_send(s, item, &ignored) == 0)
        stream_drain(s, ABORT_WAIT_MS);
    item_free(item);
}
