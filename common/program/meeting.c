#include "program/meeting.h"

enum { LAST_WORD_MS = 1000 };

static const struct preamble our_preamble = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX};

/* What one wait may take: no more than the stream's timeout, and than what is left. */
static int time_left(const struct meeting *m) {
    int64_t left = m->deadline_ms - os_now_ms();
    if (left < 0)
        left = 0;
    return m->stream->timeout_ms >= 0 && m->stream->timeout_ms < left ? m->stream->timeout_ms : (int)left;
}

int preamble_send(struct stream *s, uint8_t sent[PREAMBLE_SIZE], struct err *err) {
    preamble_encode(&our_preamble, sent);
    return stream_send_raw(s, sent, PREAMBLE_SIZE, err) == 0 ? 0 : err_wrap(err, "greeting the peer");
}

int meeting_begin(struct meeting *m, struct err *err) {
    struct stream *s = m->stream;
    struct preamble theirs;
    size_t got;
    int usual_ms = s->timeout_ms;
    s->timeout_ms = time_left(m);
    s->read_by_ms = m->deadline_ms;
    (void)preamble_send(s, m->ours, &m->unsent);
    s->timeout_ms = usual_ms;
    if (stream_recv_raw(s, m->theirs, PREAMBLE_SIZE, m->deadline_ms, &got, err) != 0) {
        struct err other = {0}; /* what came may say more than that it was too little */
        bool cut = memcmp(m->theirs, m->ours, got < PREAMBLE_MAGIC_SIZE ? got : PREAMBLE_MAGIC_SIZE) == 0;
        s->greeted = cut;
        bool foreign =
            !cut && preamble_decode(m->theirs, &theirs, &other) != 0 && other.code == EXIT_PROTOCOL;
        if (foreign)
            *err = other;
        else if (err_is_set(&m->unsent))
            *err = m->unsent;
        else if (err->code == EXIT_TIMEOUT)
            (void)err_set(err, EXIT_TIMEOUT, "the peer accepted, but said nothing: is it hvsend or hvrecv?");
        return -1;
    }
    if (preamble_decode(m->theirs, &theirs, err) != 0)
        return -1;
    s->greeted = true;
    return version_choose(&our_preamble, &theirs, &m->version, err);
}

int meeting_send(struct meeting *m, struct item *item, struct err *err) {
    int usual_ms = m->stream->timeout_ms;
    m->stream->timeout_ms = time_left(m);
    int result = stream_send(m->stream, item, err);
    m->stream->timeout_ms = usual_ms;
    if (result != 0 && err_is_set(&m->unsent)) /* what failed first says why */
        *err = m->unsent;
    return result;
}

int meeting_recv(struct meeting *m, uint8_t type, uint8_t other_type, struct item **ret, struct err *err) {
    int64_t left = m->deadline_ms - os_now_ms();
    struct item *item;
    m->heard = false;
    enum stream_result result = stream_recv(m->stream, NULL, left > 0 ? (int)left : 0, &item, err);
    if (result != STREAM_ITEM && err_is_set(&m->unsent)) {
        *err = m->unsent;
        return -1;
    }
    if (result == STREAM_EOF)
        return err_set(err, EXIT_STREAM, "the peer closed the stream during the handshake");
    if (result == STREAM_QUIET)
        return err_set(err, EXIT_TIMEOUT, "the peer fell silent during the handshake");
    if (result != STREAM_ITEM)
        return -1;
    m->heard = true;
    unsigned got = item->frame.type;
    bool wanted = got != 0 && (got == type || got == other_type) && item->frame.order == 0;
    if (got == MSG_REJECT || got == MSG_ABORT)
        (void)stream_refusal(item, "other end", err);
    else if (!wanted)
        (void)err_set(err, EXIT_STREAM, "%s is not allowed in the handshake", msg_type_name(got));
    if (wanted)
        *ret = item;
    else
        item_free(item);
    return wanted ? 0 : -1;
}

void meeting_end(struct stream *s, uint8_t type, const struct err *why) {
    if (s->refused || s->cut)
        return;
    struct item *item = item_of_text(type, why->code, why->msg);
    struct err ignored;
    s->timeout_ms = LAST_WORD_MS; /* a peer that takes nothing is not waited for */
    if (item && stream_send(s, item, &ignored) == 0)
        stream_drain(s, LAST_WORD_MS);
    item_free(item);
    s->cut = true;
}
