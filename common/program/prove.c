#include "program/prove.h"

#include "auth/mac.h"

/* What the peer is told, for every reason. */
static const char told[] = "authentication failed: both ends need the same key (--key-file)";

static int fail(struct meeting *m, uint8_t last_word, const char *why, struct err *err) {
    struct err public = {0};
    (void)err_set(&public, EXIT_REFUSED, "%s", told);
    meeting_end(m->stream, last_word, &public);
    m->stream->unproven = true;
    return err_set(err, EXIT_REFUSED, "%s: refused, because %s", conn_peer(m->stream->conn), why);
}

/* The value of a tag of that size; NULL: it is not there. Tags were checked by msg_hello_decode. */
static const uint8_t *find_tag(struct span tags, uint16_t wanted) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    while (tag_next(&r, &tag) == 1)
        if (tag.tag == wanted)
            return tag.value.p;
    return NULL;
}

/* A message that is nothing but these bytes. */
static int send_bytes(struct meeting *m, uint8_t type, const void *p, size_t n, struct err *err) {
    struct item *item = item_new(type, (uint32_t)n);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct wr w = item_writer(item);
    wr_bytes(&w, p, n);
    item_written(item, &w);
    int result = meeting_send(m, item, err);
    item_free(item);
    return result;
}

/* ---- listener ------------------------------------------------------------------------------------------ */

int prove_challenge(struct meeting *m, const struct msg_hello *hello, struct span body, struct err *err) {
    struct msg_challenge challenge;
    if (!(hello->features & FEATURE_AUTH) || find_tag(hello->tags, TAG_NONCE) == NULL)
        return fail(m, MSG_REJECT, "it has no key, and this end has one (--key-file)", err);
    os_random(challenge.nonce, sizeof challenge.nonce);
    const struct greeting g = {
        .dialler_preamble = m->theirs,
        .listener_preamble = m->ours,
        .hello = body,
        .challenge = {.p = challenge.nonce, .n = sizeof challenge.nonce},
    };
    if (proof_of_dialler(m->key, &g, m->proof, err) != 0)
        return -1;
    return send_bytes(m, MSG_CHALLENGE, challenge.nonce, sizeof challenge.nonce, err);
}

int prove_await_auth(struct meeting *m, struct err *err) {
    struct item *item;
    struct msg_auth auth;
    if (meeting_recv(m, MSG_AUTH, 0, &item, err) != 0)
        return -1;
    int result = msg_auth_decode(item_body(item), &auth, err);
    item_free(item);
    if (result != 0 || mac_equal(auth.mac, m->proof))
        return result;
    return fail(m, MSG_REJECT,
                "it has another key (--key-file), or somebody on the way changed what was said", err);
}

int prove_in_welcome(const struct key *key, const uint8_t auth[MAC_SIZE], struct wr *welcome,
                     struct err *err) {
    uint8_t mac[MAC_SIZE];
    const struct span body = {.p = welcome->start, .n = wr_used(welcome)};
    if (proof_of_listener(key, auth, body, mac, err) != 0)
        return -1;
    tag_encode(welcome, TAG_MAC, mac, sizeof mac);
    return 0;
}

/* ---- dialler ------------------------------------------------------------------------------------------- */

int prove_answer(struct meeting *m, struct span hello, struct span challenge, struct err *err) {
    struct msg_challenge c;
    const struct greeting g = {
        .dialler_preamble = m->ours,
        .listener_preamble = m->theirs,
        .hello = hello,
        .challenge = challenge,
    };
    if (msg_challenge_decode(challenge, &c, err) != 0 || proof_of_dialler(m->key, &g, m->proof, err) != 0)
        return -1;
    return send_bytes(m, MSG_AUTH, m->proof, sizeof m->proof, err);
}

int prove_check_welcome(struct meeting *m, const struct msg_hello *welcome, struct span body,
                        struct err *err) {
    enum { TAG_HEAD = 4, LAST_TAG = TAG_HEAD + MAC_SIZE };
    uint8_t mac[MAC_SIZE];
    const uint8_t *theirs = find_tag(welcome->tags, TAG_MAC);
    bool is_last = theirs && theirs + MAC_SIZE == body.p + body.n;
    const struct span signed_part = {.p = body.p, .n = is_last ? body.n - LAST_TAG : 0};
    if (proof_of_listener(m->key, m->proof, signed_part, mac, err) != 0)
        return -1;
    if (is_last && welcome->features & FEATURE_AUTH && mac_equal(mac, theirs))
        return 0;
    return fail(
        m, MSG_ABORT,
        "it did not prove that it has the key (--key-file), or somebody on the way changed what was said",
        err);
}

int prove_missing(struct meeting *m, struct err *err) {
    return fail(m, MSG_ABORT, "it has no key, and this end has one (--key-file)", err);
}
