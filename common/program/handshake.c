#include "program/handshake.h"

#include "codec/codec.h"
#include "core/text.h"

#include <string.h>

enum {
    WINDOW_BYTES = 8 * 1024 * 1024, /* data that a receiver holds at most, where chunks are small enough */
    WINDOW_CHUNKS_MIN = 4,
    REPLY_WINDOW_BYTES = 1024 * 1024, /* replies are small; the sender takes them at once */
};

uint64_t window_for(enum role role, uint32_t chunk_size) {
    uint64_t control = 2 * (FRAME_COST + (uint64_t)BODY_MAX);
    if (role == ROLE_SENDER)
        return control + REPLY_WINDOW_BYTES;
    uint64_t chunks = WINDOW_BYTES / chunk_size;
    if (chunks < WINDOW_CHUNKS_MIN)
        chunks = WINDOW_CHUNKS_MIN;
    return control + chunks * (chunk_size + (uint64_t)FRAME_COST);
}

static const char *role_name(unsigned role) {
    return role == ROLE_SENDER ? "sender" : "receiver";
}

static const struct preamble our_preamble = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX};

static int send_preamble(struct stream *s, uint8_t sent[PREAMBLE_SIZE], struct err *err) {
    preamble_encode(&our_preamble, sent);
    return stream_send_raw(s, sent, PREAMBLE_SIZE, err) == 0 ? 0 : err_wrap(err, "greeting the peer");
}

static int exchange_preambles(struct stream *s, int64_t deadline, unsigned *ret_version, struct err *err) {
    struct preamble theirs;
    uint8_t sent[PREAMBLE_SIZE], bytes[PREAMBLE_SIZE] = {0};
    size_t got;
    if (send_preamble(s, sent, err) != 0) {
        s->greeted = true; /* it hung up before it could say anything wrong */
        return -1;
    }
    if (stream_recv_raw(s, bytes, sizeof bytes, deadline, &got, err) != 0) {
        struct err other = {0}; /* what came may say more than that it was too little */
        bool cut = memcmp(bytes, sent, got < PREAMBLE_MAGIC_SIZE ? got : PREAMBLE_MAGIC_SIZE) == 0;
        s->greeted = cut;
        bool foreign = !cut && preamble_decode(bytes, &theirs, &other) != 0 && other.code == EXIT_PROTOCOL;
        if (foreign)
            *err = other;
        else if (err->code == EXIT_TIMEOUT)
            (void)err_set(err, EXIT_TIMEOUT, "the peer accepted, but said nothing: is it hvsend or hvrecv?");
        return -1;
    }
    if (preamble_decode(bytes, &theirs, err) != 0)
        return -1;
    s->greeted = true;
    return version_choose(&our_preamble, &theirs, ret_version, err);
}

int handshake_probe(struct stream *s, int timeout_ms, unsigned *ret_version, struct err *err) {
    return exchange_preambles(s, os_now_ms() + timeout_ms, ret_version, err);
}

static int send_hello(struct stream *s, uint8_t type, const struct msg_hello *m, struct err *err) {
    static const char agent[] = "hvferry " HVFERRY_VERSION;
    uint8_t tags[64];
    struct wr tw = wr_of(tags, sizeof tags);
    tag_encode(&tw, TAG_AGENT, agent, sizeof agent - 1);
    struct msg_hello with_tags = *m;
    with_tags.tags = (struct span){.p = tags, .n = wr_used(&tw)};
    struct item *item = item_new(type, HANDSHAKE_BODY_MAX);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct wr w = item_writer(item);
    msg_hello_encode(&w, &with_tags);
    item_written(item, &w);
    int result = stream_send(s, item, err);
    item_free(item);
    return result;
}

/* Nothing follows a REJECT, no ABORT either. */
void handshake_reject(struct stream *s, const struct err *why) {
    if (s->refused)
        return;
    struct item *item = item_of_text(MSG_REJECT, why->code, why->msg);
    struct err ignored;
    if (item && stream_send(s, item, &ignored) == 0)
        stream_drain(s, 1000);
    item_free(item);
    s->cut = true;
}

void handshake_refuse(struct stream *s, const struct err *why) {
    uint8_t sent[PREAMBLE_SIZE];
    struct err ignored;
    if (send_preamble(s, sent, &ignored) == 0)
        handshake_reject(s, why);
}

static int read_tags(struct span tags, struct agreement *a, struct err *err) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    int more;
    while ((more = tag_next(&r, &tag)) == 1) {
        struct escaped text;
        if (tag.tag == TAG_AGENT)
            (void)strncpy(a->agent, escape_text((const char *)tag.value.p, tag.value.n, &text),
                          sizeof a->agent - 1);
        else if (tag.tag & TAG_CRITICAL)
            return err_set(err, EXIT_UNSUPPORTED,
                           "the peer needs something this version does not know (tag %#x)",
                           (unsigned)tag.tag);
    }
    return more == 0 ? 0 : err_set(err, EXIT_STREAM, "malformed tags in the handshake");
}

/* Receive HELLO or WELCOME into *ret_item (its tags point into it). */
static int recv_hello(struct stream *s, uint8_t type, int64_t deadline, struct msg_hello *ret,
                      struct item **ret_item, struct err *err) {
    int64_t left = deadline - os_now_ms();
    enum stream_result result = stream_recv(s, NULL, left > 0 ? (int)left : 0, ret_item, err);
    if (result == STREAM_EOF)
        return err_set(err, EXIT_STREAM, "the peer closed the stream during the handshake");
    if (result == STREAM_QUIET)
        return err_set(err, EXIT_TIMEOUT, "the peer fell silent during the handshake");
    if (result != STREAM_ITEM)
        return -1;
    unsigned got = (*ret_item)->frame.type;
    if (got == MSG_REJECT || got == MSG_ABORT)
        return stream_refusal(*ret_item, "other end", err);
    if (got != type || (*ret_item)->frame.order != 0)
        return err_set(err, EXIT_STREAM, "%s is not allowed in the handshake", msg_type_name(got));
    return msg_hello_decode(item_body(*ret_item), ret, err);
}

static int check_hello(const struct msg_hello *m, unsigned version, enum role role, enum intent intent,
                       struct err *err) {
    if (m->version != version)
        return err_set(err, EXIT_STREAM, "the peer chose protocol version %u, but %u was agreed", m->version,
                       version);
    if (m->role == role)
        return err_set(err, EXIT_REFUSED, "both ends want to be the %s", role_name(role));
    if (m->intent == INTENT_JOIN)
        return err_set(err, EXIT_UNSUPPORTED, "further streams are not supported by this version");
    if (m->intent != intent)
        return err_set(err, EXIT_UNSUPPORTED, "going on with a session is not possible here");
    return 0;
}

/* `back`: NULL where nobody can come back. */
static int answer_dialler(struct stream *s, const struct handshake *ours, unsigned version, int64_t deadline,
                          struct msg_hello *m, struct agreement *a, struct comeback *back, struct err *err) {
    struct item *item = NULL;
    struct msg_hello theirs;
    int result = recv_hello(s, MSG_HELLO, deadline, &theirs, &item, err);
    enum intent intent = result == 0 && back && theirs.intent == INTENT_RESUME ? INTENT_RESUME : INTENT_NEW;
    if (result == 0 &&
        (check_hello(&theirs, version, ours->role, intent, err) != 0 || read_tags(theirs.tags, a, err) != 0))
        result = -1;
    if (result == 0 && intent == INTENT_NEW && ours->admit && ours->admit(ours->admit_ctx, err) != 0)
        result = -1;
    if (result != 0 && item) /* a message came, but not one to go on with */
        handshake_reject(s, err);
    item_free(item);
    if (result != 0)
        return -1;
    if (intent == INTENT_RESUME) {
        *back =
            (struct comeback){.version = theirs.version, .role = theirs.role, .processed = theirs.processed};
        memcpy(back->session_id, theirs.session_id, SESSION_ID_SIZE);
        return HANDSHAKE_BACK;
    }
    memcpy(m->session_id, theirs.session_id, SESSION_ID_SIZE);
    m->codecs &= theirs.codecs;
    m->features &= theirs.features;
    if (theirs.chunk_size < m->chunk_size)
        m->chunk_size = theirs.chunk_size;
    a->their_window = theirs.window;
    return send_hello(s, MSG_WELCOME, m, err);
}

static int ask_listener(struct stream *s, const struct handshake *ours, unsigned version, int64_t deadline,
                        struct msg_hello *m, struct agreement *a, struct err *err) {
    struct item *item = NULL;
    struct msg_hello theirs;
    os_random(m->session_id, sizeof m->session_id);
    if (send_hello(s, MSG_HELLO, m, err) != 0)
        return -1;
    int result = recv_hello(s, MSG_WELCOME, deadline, &theirs, &item, err);
    if (result == 0)
        result = check_hello(&theirs, version, ours->role, INTENT_NEW, err);
    if (result == 0)
        result = read_tags(theirs.tags, a, err);
    if (result == 0 &&
        (theirs.chunk_size > m->chunk_size || (theirs.codecs & ~m->codecs) ||
         (theirs.features & ~m->features) || memcmp(theirs.session_id, m->session_id, SESSION_ID_SIZE)))
        result = err_set(err, EXIT_STREAM, "WELCOME: the peer chose what was not offered");
    item_free(item);
    if (result != 0)
        return -1;
    m->codecs = theirs.codecs;
    m->features = theirs.features;
    m->chunk_size = theirs.chunk_size;
    a->their_window = theirs.window;
    return 0;
}

static int greet(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
                 struct comeback *back, struct err *err) {
    int64_t deadline = os_now_ms() + timeout_ms;
    unsigned version = 0;
    struct agreement a = {.our_window = window_for(ours->role, ours->chunk_size)};
    if (exchange_preambles(s, deadline, &version, err) != 0)
        return -1;
    struct msg_hello m = {
        .version = (uint16_t)version,
        .role = (uint8_t)ours->role,
        .intent = INTENT_NEW,
        .features = ours->features,
        .codecs = codec_mask(),
        .chunk_size = ours->chunk_size,
        .window = a.our_window,
        .streams = 1,
    };
    int result = ours->dialler ? ask_listener(s, ours, version, deadline, &m, &a, err)
                               : answer_dialler(s, ours, version, deadline, &m, &a, back, err);
    if (result != 0)
        return result;
    memcpy(a.session_id, m.session_id, SESSION_ID_SIZE);
    a.version = version;
    a.codecs = m.codecs;
    a.features = m.features;
    a.chunk_size = m.chunk_size;
    stream_open_up(s, a.chunk_size);
    *ret = a;
    return 0;
}

int handshake(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
              struct err *err) {
    return greet(s, ours, timeout_ms, ret, NULL, err);
}

int handshake_listen(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
                     struct comeback *ret_back, struct err *err) {
    return greet(s, ours, timeout_ms, ret, ret_back, err);
}

/* ---- after a break ------------------------------------------------------------------------------------- */

static struct msg_hello hello_again(enum role role, const struct agreement *agreed, uint64_t processed) {
    struct msg_hello m = {
        .version = (uint16_t)agreed->version,
        .role = (uint8_t)role,
        .intent = INTENT_RESUME,
        .features = agreed->features,
        .codecs = agreed->codecs,
        .chunk_size = agreed->chunk_size,
        .window = agreed->our_window,
        .streams = 1,
        .processed = processed,
    };
    memcpy(m.session_id, agreed->session_id, SESSION_ID_SIZE);
    return m;
}

int handshake_accept(struct stream *s, enum role role, const struct agreement *agreed, uint64_t processed,
                     struct err *err) {
    struct msg_hello m = hello_again(role, agreed, processed);
    if (send_hello(s, MSG_WELCOME, &m, err) != 0)
        return -1;
    stream_open_up(s, agreed->chunk_size);
    return 0;
}

int handshake_resume(struct stream *s, enum role role, const struct agreement *agreed, uint64_t processed,
                     int timeout_ms, uint64_t *ret_processed, struct err *err) {
    int64_t deadline = os_now_ms() + timeout_ms;
    unsigned version = 0;
    struct msg_hello m = hello_again(role, agreed, processed), theirs;
    struct item *item = NULL;
    if (exchange_preambles(s, deadline, &version, err) != 0)
        return -1;
    if (version != agreed->version)
        return err_set(err, EXIT_REFUSED, "the other end speaks another version now");
    if (send_hello(s, MSG_HELLO, &m, err) != 0)
        return -1;
    int result = recv_hello(s, MSG_WELCOME, deadline, &theirs, &item, err);
    if (result == 0)
        result = check_hello(&theirs, version, role, INTENT_RESUME, err);
    if (result == 0 && memcmp(theirs.session_id, agreed->session_id, SESSION_ID_SIZE) != 0)
        result = err_set(err, EXIT_STREAM, "WELCOME: it is for another session");
    item_free(item);
    if (result != 0)
        return -1;
    stream_open_up(s, agreed->chunk_size);
    *ret_processed = theirs.processed;
    return 0;
}
