#include "program/handshake.h"

#include "codec/codec.h"
#include "core/text.h"
#include "program/prove.h"

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

int handshake_probe(struct stream *s, int timeout_ms, unsigned *ret_version, struct err *err) {
    struct meeting m = {.stream = s, .deadline_ms = os_now_ms() + timeout_ms};
    if (meeting_begin(&m, err) != 0)
        return -1;
    *ret_version = m.version;
    return 0;
}

/* HELLO or WELCOME with what goes with it; `nonce` and `auth` (under which a WELCOME is proven) may be NULL. NULL: err
 * says why. */
static struct item *hello_item(uint8_t type, const struct msg_hello *h, const uint8_t *nonce,
                               const struct key *key, const uint8_t *auth, struct err *err) {
    static const char agent[] = "hvferry " HVFERRY_VERSION;
    struct item *item = item_new(type, HANDSHAKE_BODY_MAX);
    if (item == NULL) {
        (void)err_set(err, EXIT_MEMORY, "out of memory");
        return NULL;
    }
    struct wr w = item_writer(item);
    msg_hello_encode(&w, h);
    tag_encode(&w, TAG_AGENT, agent, sizeof agent - 1);
    if (nonce)
        tag_encode(&w, TAG_NONCE, nonce, NONCE_SIZE);
    if (auth && prove_in_welcome(key, auth, &w, err) != 0) {
        item_free(item);
        return NULL;
    }
    item_written(item, &w);
    return item;
}

void handshake_reject(struct stream *s, const struct err *why) {
    meeting_end(s, MSG_REJECT, why);
}

void handshake_refuse(struct stream *s, const struct err *why) {
    uint8_t sent[PREAMBLE_SIZE];
    struct err ignored;
    if (preamble_send(s, sent, &ignored) == 0)
        handshake_reject(s, why);
}

static void note_agent(struct span tags, struct agreement *a) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    while (tag_next(&r, &tag) == 1) {
        struct escaped text;
        if (tag.tag == TAG_AGENT)
            (void)strncpy(a->agent, escape_text((const char *)tag.value.p, tag.value.n, &text),
                          sizeof a->agent - 1);
    }
}

static int check_hello(const struct msg_hello *m, unsigned version, enum role role, enum intent intent,
                       struct err *err) {
    if (m->version != version)
        return err_set(err, EXIT_STREAM, "the peer chose protocol version %u, but %u was agreed", m->version,
                       version);
    if (m->role == role)
        return err_set(err, EXIT_REFUSED, "both ends want to be the %s", role_name(role));
    if (m->intent != intent)
        return err_set(err, EXIT_UNSUPPORTED, "%s is not possible here",
                       m->intent == INTENT_JOIN ? "a further stream" : "going on with a session");
    return 0;
}

/* ---- listener --------------------------------------------------------------------------------------------- */

/* HELLO, and with a key the proof of who sent it; ret has no tags. Before that proof nothing is looked at but whether the
 * message is well formed, and no more is kept of it than what is in *ret. */
static int hear_dialler(struct meeting *m, struct msg_hello *ret, struct agreement *a, struct err *err) {
    struct item *item = NULL;
    if (meeting_recv(m, MSG_HELLO, 0, &item, err) != 0)
        return -1;
    int result = msg_hello_decode(item_body(item), ret, err);
    if (result == 0 && m->key)
        result = prove_challenge(m, ret, item_body(item), err);
    if (result == 0)
        note_agent(ret->tags, a);
    ret->tags = (struct span){.p = NULL};
    item_free(item);
    return result == 0 && m->key ? prove_await_auth(m, err) : result;
}

static struct comeback comeback_of(const struct meeting *m, const struct msg_hello *theirs) {
    struct comeback back = {
        .version = theirs->version,
        .role = theirs->role,
        .intent = theirs->intent,
        .stream = theirs->stream,
        .processed = theirs->processed,
        .proven = m->key != NULL,
    };
    memcpy(back.session_id, theirs->session_id, SESSION_ID_SIZE);
    memcpy(back.proof, m->proof, MAC_SIZE);
    return back;
}

static void agree_on_streams(struct msg_hello *h, uint16_t theirs) {
    if (theirs < h->streams)
        h->streams = theirs;
    if (!(h->features & FEATURE_STREAMS))
        h->streams = 1;
    if (h->streams == 1)
        h->features &= ~(uint64_t)FEATURE_STREAMS;
}

/* `back`: NULL where nobody can come back. */
static int answer_dialler(struct meeting *m, const struct handshake *ours, struct msg_hello *h,
                          struct agreement *a, struct comeback *back, struct err *err) {
    struct msg_hello theirs;
    int result = hear_dialler(m, &theirs, a, err);
    enum intent intent = result == 0 && back ? (enum intent)theirs.intent : INTENT_NEW;
    if (result == 0)
        result = check_hello(&theirs, m->version, ours->role, intent, err);
    if (result == 0 && intent == INTENT_NEW && ours->admit)
        result = ours->admit(ours->admit_ctx, err);
    if (result != 0) {
        if (m->heard)
            handshake_reject(m->stream, err);
        return -1;
    }
    if (intent != INTENT_NEW) {
        *back = comeback_of(m, &theirs);
        return HANDSHAKE_BACK;
    }
    memcpy(h->session_id, theirs.session_id, SESSION_ID_SIZE);
    h->codecs &= theirs.codecs;
    h->features &= theirs.features;
    agree_on_streams(h, theirs.streams);
    if (theirs.chunk_size < h->chunk_size)
        h->chunk_size = theirs.chunk_size;
    a->their_window = theirs.window;
    struct item *welcome = hello_item(MSG_WELCOME, h, NULL, m->key, m->key ? m->proof : NULL, err);
    if (welcome == NULL)
        return -1;
    result = meeting_send(m, welcome, err);
    item_free(welcome);
    return result;
}

/* ---- dialler ---------------------------------------------------------------------------------------------- */

/* What the listener answers to HELLO, whose body is `hello`. */
static int hear_listener(struct meeting *m, struct span hello, struct item **ret, struct err *err) {
    if (meeting_recv(m, MSG_WELCOME, m->key ? MSG_CHALLENGE : 0, ret, err) != 0)
        return -1;
    if (m->key == NULL)
        return 0;
    if ((*ret)->frame.type == MSG_WELCOME)
        return prove_missing(m, err);
    int result = prove_answer(m, hello, item_body(*ret), err);
    item_free(*ret);
    *ret = NULL;
    return result == 0 ? meeting_recv(m, MSG_WELCOME, 0, ret, err) : -1;
}

/* HELLO, and WELCOME into *ret, whose tags are noted in `a` (NULL: not) and gone. */
static int introduce(struct meeting *m, const struct msg_hello *h, struct msg_hello *ret, struct agreement *a,
                     struct err *err) {
    uint8_t nonce[NONCE_SIZE];
    os_random(nonce, sizeof nonce);
    struct item *welcome = NULL, *hello = hello_item(MSG_HELLO, h, m->key ? nonce : NULL, NULL, NULL, err);
    if (hello == NULL)
        return -1;
    struct err unsent = {0};
    (void)meeting_send(m, hello, &unsent); /* who has hung up may have said why */
    int result = hear_listener(m, item_body(hello), &welcome, err);
    if (result != 0 && err_is_set(&unsent) && !m->stream->refused)
        *err = unsent;
    if (result == 0)
        result = msg_hello_decode(item_body(welcome), ret, err);
    if (result == 0 && m->key)
        result = prove_check_welcome(m, ret, item_body(welcome), err);
    if (result == 0)
        note_agent(ret->tags, a);
    ret->tags = (struct span){.p = NULL};
    item_free(welcome);
    item_free(hello);
    return result;
}

static int ask_listener(struct meeting *m, const struct handshake *ours, struct msg_hello *h,
                        struct agreement *a, struct err *err) {
    struct msg_hello theirs;
    os_random(h->session_id, sizeof h->session_id);
    if (introduce(m, h, &theirs, a, err) != 0 ||
        check_hello(&theirs, m->version, ours->role, INTENT_NEW, err) != 0)
        return -1;
    bool several = theirs.features & FEATURE_STREAMS;
    if (theirs.chunk_size > h->chunk_size || (theirs.codecs & ~h->codecs) ||
        (theirs.features & ~h->features) || theirs.streams > (several ? h->streams : 1) ||
        memcmp(theirs.session_id, h->session_id, SESSION_ID_SIZE))
        return err_set(err, EXIT_STREAM, "WELCOME: the peer chose what was not offered");
    h->codecs = theirs.codecs;
    h->features = theirs.features;
    h->chunk_size = theirs.chunk_size;
    h->streams = theirs.streams;
    a->their_window = theirs.window;
    return 0;
}

/* ---- both ------------------------------------------------------------------------------------------------- */

static int greet(struct stream *s, const struct handshake *ours, int timeout_ms, struct agreement *ret,
                 struct comeback *back, struct err *err) {
    struct meeting m = {.stream = s, .deadline_ms = os_now_ms() + timeout_ms, .key = ours->key};
    struct agreement a = {.our_window = window_for(ours->role, ours->chunk_size), .key = ours->key};
    if (meeting_begin(&m, err) != 0)
        return -1;
    bool several = ours->streams > 1;
    struct msg_hello h = {
        .version = (uint16_t)m.version,
        .role = (uint8_t)ours->role,
        .intent = INTENT_NEW,
        .features = ours->features | (ours->key ? FEATURE_AUTH : 0u) | (several ? FEATURE_STREAMS : 0u),
        .codecs = codec_mask(),
        .chunk_size = ours->chunk_size,
        .window = a.our_window,
        .streams = (uint16_t)(several ? ours->streams : 1),
    };
    int result =
        ours->dialler ? ask_listener(&m, ours, &h, &a, err) : answer_dialler(&m, ours, &h, &a, back, err);
    if (result != 0)
        return result;
    memcpy(a.session_id, h.session_id, SESSION_ID_SIZE);
    a.version = m.version;
    a.codecs = h.codecs;
    a.features = h.features;
    a.chunk_size = h.chunk_size;
    a.streams = h.streams;
    if (stream_open_up(s, a.chunk_size, err) != 0)
        return -1;
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

/* ---- of a session that there is -------------------------------------------------------------------------- */

static struct msg_hello hello_of(enum role role, const struct agreement *agreed, enum intent intent) {
    struct msg_hello m = {
        .version = (uint16_t)agreed->version,
        .role = (uint8_t)role,
        .intent = (uint8_t)intent,
        .features = agreed->features,
        .codecs = agreed->codecs,
        .chunk_size = agreed->chunk_size,
        .window = agreed->our_window,
    };
    memcpy(m.session_id, agreed->session_id, SESSION_ID_SIZE);
    return m;
}

static struct msg_hello hello_again(enum role role, const struct agreement *agreed, uint64_t processed) {
    struct msg_hello m = hello_of(role, agreed, INTENT_RESUME);
    m.streams = 1;
    m.processed = processed;
    return m;
}

static struct msg_hello hello_further(enum role role, const struct agreement *agreed, unsigned index) {
    struct msg_hello m = hello_of(role, agreed, INTENT_JOIN);
    m.stream = (uint16_t)index;
    m.streams = (uint16_t)agreed->streams;
    return m;
}

static int welcome_back(struct stream *s, const struct msg_hello *h, const struct agreement *agreed,
                        const struct comeback *back, struct err *err) {
    struct item *welcome =
        hello_item(MSG_WELCOME, h, NULL, agreed->key, agreed->key ? back->proof : NULL, err);
    if (welcome == NULL)
        return -1;
    int result = stream_send(s, welcome, err);
    item_free(welcome);
    return result == 0 ? stream_open_up(s, agreed->chunk_size, err) : -1;
}

int handshake_accept(struct stream *s, enum role role, const struct agreement *agreed,
                     const struct comeback *back, uint64_t processed, struct err *err) {
    const struct msg_hello h = hello_again(role, agreed, processed);
    return welcome_back(s, &h, agreed, back, err);
}

int handshake_admit(struct stream *s, enum role role, const struct agreement *agreed,
                    const struct comeback *back, struct err *err) {
    const struct msg_hello h = hello_further(role, agreed, back->stream);
    return welcome_back(s, &h, agreed, back, err);
}

/* What was agreed is agreed: an end that goes on as something else would be believed no word of it. `window` is looked at
 * for the first stream only, which carries the credit. */
static bool is_as_agreed(const struct msg_hello *h, const struct agreement *agreed,
                         const struct msg_hello *theirs) {
    bool window = h->intent == INTENT_JOIN || theirs->window == agreed->their_window;
    bool processed = h->intent == INTENT_RESUME || theirs->processed == 0;
    return memcmp(theirs->session_id, agreed->session_id, SESSION_ID_SIZE) == 0 &&
           theirs->stream == h->stream && theirs->streams == h->streams &&
           theirs->features == agreed->features && theirs->codecs == agreed->codecs &&
           theirs->chunk_size == agreed->chunk_size && window && processed;
}

/* HELLO of a session that there is, and what the listener answers into *ret. 0, -1 and err, or HANDSHAKE_VIOLATED and
 * err, which it was told. */
static int ask_again(struct stream *s, const struct msg_hello *h, const struct agreement *agreed,
                     int timeout_ms, struct msg_hello *ret, struct err *err) {
    struct meeting m = {.stream = s, .deadline_ms = os_now_ms() + timeout_ms, .key = agreed->key};
    struct agreement ignored = {.version = 0};
    if (meeting_begin(&m, err) != 0)
        return -1;
    if (m.version != agreed->version)
        return err_set(err, EXIT_REFUSED, "the other end speaks another version now");
    if (introduce(&m, h, ret, &ignored, err) != 0 ||
        check_hello(ret, m.version, (enum role)h->role, (enum intent)h->intent, err) != 0)
        return -1;
    if (!is_as_agreed(h, agreed, ret)) {
        struct err why;
        (void)err_set(&why, EXIT_STREAM, "WELCOME: it is not as was agreed when the session began");
        meeting_end(s, MSG_ABORT, &why);
        *err = why;
        return HANDSHAKE_VIOLATED;
    }
    return stream_open_up(s, agreed->chunk_size, err);
}

int handshake_resume(struct stream *s, enum role role, const struct agreement *agreed, uint64_t processed,
                     int timeout_ms, uint64_t *ret_processed, struct err *err) {
    const struct msg_hello h = hello_again(role, agreed, processed);
    struct msg_hello theirs;
    int result = ask_again(s, &h, agreed, timeout_ms, &theirs, err);
    if (result != 0)
        return result;
    *ret_processed = theirs.processed;
    return 0;
}

int handshake_join(struct stream *s, enum role role, const struct agreement *agreed, unsigned index,
                   int timeout_ms, struct err *err) {
    const struct msg_hello h = hello_further(role, agreed, index);
    struct msg_hello theirs;
    return ask_again(s, &h, agreed, timeout_ms, &theirs, err) == 0 ? 0 : -1;
}
