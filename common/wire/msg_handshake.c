/* msg_handshake.c: HELLO, WELCOME, REJECT, AUTH, CHALLENGE, and the texts of ABORT, FILE_FAIL, FILE_ERROR and UNLISTED. */
#include "wire/msg_check.h"

enum { AGENT_BYTES_MAX = 255 };

void msg_hello_encode(struct wr *w, const struct msg_hello *m) {
    wr_u16(w, m->version);
    wr_u8(w, m->role);
    wr_u8(w, m->intent);
    wr_u64(w, m->features);
    wr_bytes(w, m->session_id, sizeof m->session_id);
    wr_u32(w, m->codecs);
    wr_u32(w, m->chunk_size);
    wr_u64(w, m->window);
    wr_u16(w, m->stream);
    wr_u16(w, m->streams);
    wr_u64(w, m->processed);
    wr_bytes(w, m->tags.p, m->tags.n);
}

static int hello_tag_check(const struct tag *tag, unsigned *seen, struct err *err) {
    static const struct {
        uint16_t tag, min, max;
        const char *name;
    } known[] = {
        {TAG_AGENT, 0, AGENT_BYTES_MAX, "TAG_AGENT"},
        {TAG_NONCE, NONCE_SIZE, NONCE_SIZE, "TAG_NONCE"},
        {TAG_MAC, MAC_SIZE, MAC_SIZE, "TAG_MAC"},
    };
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (tag->tag != known[i].tag)
            continue;
        if (*seen & 1U << i)
            return err_set(err, EXIT_STREAM, "HELLO: %s comes twice", known[i].name);
        *seen |= 1U << i;
        if (tag->value.n < known[i].min || tag->value.n > known[i].max)
            return err_set(err, EXIT_STREAM, "HELLO: %s has %zu bytes", known[i].name, tag->value.n);
        return 0;
    }
    if (tag->tag & TAG_CRITICAL)
        return err_set(err, EXIT_UNSUPPORTED, "HELLO: the peer needs the unknown tag 0x%04x", tag->tag);
    return 0;
}

static int hello_tags_check(struct span tags, struct err *err) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    unsigned seen = 0;
    int got;
    while ((got = tag_next(&r, &tag)) > 0)
        if (hello_tag_check(&tag, &seen, err))
            return -1;
    return got == 0 ? 0 : err_set(err, EXIT_STREAM, "HELLO: malformed tags");
}

/* A window must hold two of the largest frames, or an end could wait for ever. */
static uint64_t window_min(const struct msg_hello *m) {
    uint64_t control = 2 * ((uint64_t)FRAME_COST + BODY_MAX);
    return m->role == ROLE_RECEIVER ? control + 2 * (uint64_t)m->chunk_size : control;
}

static int hello_check(const struct msg_hello *m, const struct rd *r, struct err *err) {
    bool first = m->intent == INTENT_NEW, join = m->intent == INTENT_JOIN;
    bool resume = m->intent == INTENT_RESUME;
    const struct field fields[] = {
        {"version", m->version, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX},
        {"role", m->role, ROLE_SENDER, ROLE_RECEIVER},
        {"intent", m->intent, INTENT_NEW, INTENT_RESUME},
        {"codec none", m->codecs & 1U << CODEC_NONE, 1, 1},
        {"chunk_size", m->chunk_size, CHUNK_SIZE_MIN, CHUNK_SIZE_MAX},
        {"window", m->window, window_min(m), INT64_MAX},
        {"streams", m->streams, 1, UINT16_MAX},
        {"stream", m->stream, join ? 1 : 0, first ? 0U : m->streams - 1U},
        {"processed", m->processed, 0, resume ? UINT64_MAX : 0},
    };
    return FIELDS_CHECK("HELLO", r, fields, err);
}

int msg_hello_decode(struct span body, struct msg_hello *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_hello m;
    m.version = rd_u16(&r);
    m.role = rd_u8(&r);
    m.intent = rd_u8(&r);
    m.features = rd_u64(&r);
    rd_copy(&r, m.session_id, sizeof m.session_id);
    m.codecs = rd_u32(&r);
    m.chunk_size = rd_u32(&r);
    m.window = rd_u64(&r);
    m.stream = rd_u16(&r);
    m.streams = rd_u16(&r);
    m.processed = rd_u64(&r);
    m.tags = rd_rest(&r);
    if (hello_check(&m, &r, err) || hello_tags_check(m.tags, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_text_encode(struct wr *w, const struct msg_text *m) {
    size_t n = m->text.n < MESSAGE_TEXT_MAX ? m->text.n : MESSAGE_TEXT_MAX;
    wr_u16(w, m->code);
    wr_u16(w, (uint16_t)n);
    wr_bytes(w, m->text.p, n);
}

/* Code and text, to the end of the body. */
static int text_decode(struct rd *r, const char *message, struct msg_text *ret, struct err *err) {
    uint16_t code = rd_u16(r);
    uint16_t n = rd_u16(r);
    const struct field fields[] = {{"code", code, 1, 255}, {"text length", n, 0, MESSAGE_TEXT_MAX}};
    if (FIELDS_CHECK(message, r, fields, err))
        return -1;
    const uint8_t *text = rd_bytes(r, n);
    if (end_check(message, r, err))
        return -1;
    *ret = (struct msg_text){.code = code, .text = {.p = text, .n = n}};
    return 0;
}

int msg_text_decode(struct span body, struct msg_text *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    return text_decode(&r, "REJECT or ABORT", ret, err);
}

void msg_file_text_encode(struct wr *w, const struct msg_file_text *m) {
    wr_u64(w, m->file_id);
    msg_text_encode(w, &m->text);
}

int msg_file_text_decode(struct span body, struct msg_file_text *ret, struct err *err) {
    static const char message[] = "FILE_FAIL or FILE_ERROR";
    struct rd r = rd_of(body.p, body.n);
    struct msg_file_text m;
    m.file_id = rd_u64(&r);
    const struct field fields[] = {{"file_id", m.file_id, 1, UINT64_MAX}};
    if (FIELDS_CHECK(message, &r, fields, err) || text_decode(&r, message, &m.text, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_unlisted_encode(struct wr *w, const struct msg_unlisted *m) {
    path_encode(w, m->path);
    msg_text_encode(w, &m->text);
}

int msg_unlisted_decode(struct span body, struct msg_unlisted *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    if (path_decode(&r, ret->path, err) != 0)
        return err_wrap(err, "UNLISTED");
    return text_decode(&r, "UNLISTED", &ret->text, err);
}

void msg_auth_encode(struct wr *w, const struct msg_auth *m) {
    wr_bytes(w, m->mac, sizeof m->mac);
}

int msg_auth_decode(struct span body, struct msg_auth *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_auth m;
    rd_copy(&r, m.mac, sizeof m.mac);
    if (end_check("AUTH", &r, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_challenge_encode(struct wr *w, const struct msg_challenge *m) {
    wr_bytes(w, m->nonce, sizeof m->nonce);
}

int msg_challenge_decode(struct span body, struct msg_challenge *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_challenge m;
    rd_copy(&r, m.nonce, sizeof m.nonce);
    if (end_check("CHALLENGE", &r, err))
        return -1;
    *ret = m;
    return 0;
}
