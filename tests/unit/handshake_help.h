/* handshake_help.h: two ends in their handshake, and the test between them. */
#ifndef HANDSHAKE_HELP_H
#define HANDSHAKE_HELP_H

#include "stream_help.h"

#include "os/os.h"
#include "program/handshake.h"

#include "sockets_help.h"

static const char told[] = "authentication failed: both ends need the same key (--key-file)";

static struct key *key, *other_key;

static inline int keys_make(void **state) {
    uint8_t bytes[40];
    (void)state;
    memset(bytes, 'k', sizeof bytes);
    key = key_new((struct span){bytes, sizeof bytes});
    bytes[39]++;
    other_key = key_new((struct span){bytes, sizeof bytes});
    return key && other_key ? 0 : -1;
}

static inline int keys_free(void **state) {
    (void)state;
    key_free(key);
    key_free(other_key);
    return 0;
}

/* ---- the ends, and who is between them ------------------------------------------------------------------ */

struct half {
    struct handshake ours;
    int timeout_ms;
    struct stream *stream; /* the end's own */
    struct stream *outer; /* the test's side of it */
    struct agreement agreed;
    struct comeback back;
    int result;
    struct err err;
    uint64_t bytes_in;
    struct os_thread thread;
};

static inline struct stream *stream_of(int fd) {
    struct conn *conn;
    struct stream *s;
    assert_int_equal(conn_from_fd(fd, "peer", &conn, NULL), 0);
    assert_int_equal(stream_new(conn, PATIENT_MS, &s, NULL), 0);
    return s;
}

static inline void *shake(void *arg) {
    struct half *h = arg;
    h->result = h->ours.dialler
                    ? handshake(h->stream, &h->ours, h->timeout_ms, &h->agreed, &h->err)
                    : handshake_listen(h->stream, &h->ours, h->timeout_ms, &h->agreed, &h->back, &h->err);
    h->bytes_in = atomic_load(&h->stream->bytes_in);
    (void)stream_close(h->stream, NULL);
    return NULL;
}

static inline void half_start(struct half *h, enum role role, bool dialler, const struct key *k) {
    int fds[2];
    *h = (struct half){.timeout_ms = h->timeout_ms ? h->timeout_ms : PATIENT_MS};
    h->ours = (struct handshake){
        .role = role,
        .dialler = dialler,
        .chunk_size = CHUNK_SIZE_MIN,
        .features = FEATURE_CHECK | FEATURE_RESUME,
        .key = k,
    };
    sockets_pair(fds);
    h->stream = stream_of(fds[0]);
    h->outer = stream_of(fds[1]);
    assert_int_equal(os_thread_start(&h->thread, "half", shake, h, NULL), 0);
}

/* The test hangs up, too. */
static inline void half_join(struct half *h) {
    (void)stream_close(h->outer, NULL);
    os_thread_join(&h->thread);
    assert_int_equal(h->result < 0, h->err.code != 0);
}

static inline void pass_preamble(struct half *from, struct half *to) {
    uint8_t bytes[PREAMBLE_SIZE];
    size_t got;
    assert_int_equal(stream_recv_raw(from->outer, bytes, sizeof bytes, os_now_ms() + PATIENT_MS, &got, NULL),
                     0);
    assert_int_equal(stream_send_raw(to->outer, bytes, sizeof bytes, NULL), 0);
}

/* The next message; NULL: the end hung up instead. */
static inline struct item *hear(struct half *from) {
    struct item *item;
    struct err err;
    enum stream_result result = stream_recv(from->outer, NULL, PATIENT_MS, &item, &err);
    assert_int_not_equal(result, STREAM_QUIET);
    return result == STREAM_ITEM ? item : NULL;
}

static inline struct item *must_hear(struct half *from, uint8_t type) {
    struct item *item = hear(from);
    assert_non_null(item);
    assert_int_equal(item->frame.type, type);
    return item;
}

static inline void say(struct half *to, struct item *item) {
    struct err ignored; /* it may have hung up */
    (void)stream_send(to->outer, item, &ignored);
    item_free(item);
}

/* Changes what passes, or drops it (false). */
struct meddler {
    bool (*meddle)(struct meddler *m, struct item *item);
    uint8_t type; /* of the message that it is after */
    size_t bit; /* of its body */
};

/* Passes everything on, until either end hangs up or the listener has welcomed the dialler. */
static inline void relay(struct half *dialler, struct half *listener, struct meddler *m) {
    struct half *from = dialler, *to = listener;
    pass_preamble(dialler, listener);
    pass_preamble(listener, dialler);
    for (;;) {
        struct item *item = hear(from);
        if (item == NULL)
            return;
        uint8_t type = item->frame.type;
        if (m && m->type == type && !m->meddle(m, item)) {
            item_free(item);
            return;
        }
        say(to, item);
        if (type == MSG_WELCOME || type == MSG_REJECT || type == MSG_ABORT)
            return;
        struct half *next = to;
        to = from;
        from = next;
    }
}

static inline void meet(struct half *dialler, const struct key *d, struct half *listener, const struct key *l,
                        enum role dials, struct meddler *m) {
    half_start(dialler, dials, true, d);
    half_start(listener, dials == ROLE_SENDER ? ROLE_RECEIVER : ROLE_SENDER, false, l);
    relay(dialler, listener, m);
    half_join(dialler);
    half_join(listener);
}

static inline void greet_alone(struct half *h) {
    uint8_t bytes[PREAMBLE_SIZE];
    size_t got;
    preamble_encode(&(struct preamble){1, 1}, bytes);
    assert_int_equal(stream_send_raw(h->outer, bytes, sizeof bytes, NULL), 0);
    assert_int_equal(stream_recv_raw(h->outer, bytes, sizeof bytes, os_now_ms() + PATIENT_MS, &got, NULL), 0);
}

#endif
