/* fuzz_msg.c: the decoders of the message bodies.
 *
 * Input: byte 0 chooses the decoder, the rest is the body (for CHUNK and BUNDLE after data_length u32). Promise: what
 * is accepted encodes to the same bytes; entries, which may be written in several ways, to the same entries.
 */
#include "fuzz.h"

#include "wire/msg.h"

enum { CHUNK_SIZE = CHUNK_SIZE_DEFAULT };

static uint8_t out[BODY_MAX];

static void must_equal(const struct wr *w, struct span body) {
    MUST(!w->bad && wr_used(w) == body.n);
    MUST(body.n == 0 || memcmp(w->start, body.p, body.n) == 0);
}

/* A target for one message: a decoder, and the encoder that must give the body back. */
#define TARGET(message, ...)                                                                                 \
    static void try_##message(struct span body) {                                                            \
        struct err err = {.code = 0};                                                                        \
        struct msg_##message m;                                                                              \
        struct wr w = wr_of(out, sizeof out);                                                                \
        if (msg_##message##_decode(__VA_ARGS__, &m, &err)) {                                                 \
            MUST(err.code != 0 && err.msg[0] != '\0');                                                       \
            return;                                                                                          \
        }                                                                                                    \
        MUST(err.code == 0);                                                                                 \
        msg_##message##_encode(&w, &m);                                                                      \
        must_equal(&w, body);                                                                                \
    }

TARGET(hello, body)
TARGET(text, body)
TARGET(file_text, body)
TARGET(unlisted, body)
TARGET(auth, body)
TARGET(challenge, body)
TARGET(start, body)
TARGET(file_begin, body)
TARGET(hole, body)
TARGET(file_end, body)
TARGET(file_same, body)
TARGET(refused, body)
TARGET(basis, body)
TARGET(ack, body)
TARGET(totals, body)
TARGET(names, body)

static uint32_t data_length; /* of the CHUNK or BUNDLE under test */
TARGET(chunk, body, data_length, CHUNK_SIZE)
TARGET(bundle, body, data_length, CHUNK_SIZE)

static bool take_data_length(struct span *body) {
    if (body->n < 4)
        return false;
    data_length = le32(body->p);
    *body = (struct span){.p = body->p + 4, .n = body->n - 4};
    return true;
}

static void try_data_chunk(struct span body) {
    if (take_data_length(&body))
        try_chunk(body);
}

static void try_data_bundle(struct span body) {
    struct msg_bundle m;
    uint64_t sum = 0;
    if (!take_data_length(&body))
        return;
    try_bundle(body);
    if (msg_bundle_decode(body, data_length, CHUNK_SIZE, &m, NULL))
        return;
    for (uint32_t i = 0; i < m.count; i++)
        sum += bundle_member_at(&m, i).size;
    MUST(sum == m.raw_length && sum <= CHUNK_SIZE);
}

static void try_runs(struct span body) {
    unsigned type = body.n && body.p[0] & 1 ? MSG_VERDICTS : MSG_DURABLE;
    struct rd r = rd_of(body.p, body.n);
    struct wr w = wr_of(out, sizeof out);
    struct run_of_ids run;
    int got;
    while ((got = run_next(&r, type, &run, NULL)) > 0)
        run_encode(&w, &run);
    if (got == 0)
        must_equal(&w, body);
}

static void try_tags(struct span body) {
    struct rd r = rd_of(body.p, body.n);
    struct wr w = wr_of(out, sizeof out);
    struct tag tag;
    int got;
    while ((got = tag_next(&r, &tag)) > 0)
        tag_encode(&w, tag.tag, tag.value.p, tag.value.n);
    if (got == 0)
        must_equal(&w, body);
}

static bool same_span(struct span a, struct span b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void must_be_same_entry(const struct entry *a, const struct entry *b) {
    MUST(a->file_id == b->file_id && a->type == b->type && a->mode == b->mode && a->uid == b->uid);
    MUST(a->gid == b->gid && a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec);
    MUST(a->size == b->size && strcmp(a->path, b->path) == 0 && same_span(a->tags, b->tags));
}

/* Write the sound entries of `body` into `out`; false when the body is refused. */
static bool rewrite_entries(struct span body, struct entry_writer *ew) {
    static char path[PATH_BYTES_MAX];
    struct entry_reader er = {.r = rd_of(body.p, body.n), .path = path};
    struct entry e;
    struct span target;
    enum name_fault fault;
    int got;
    while ((got = entry_next(&er, &e, &fault, NULL)) > 0) {
        if (entry_link_target(&e, &target, NULL) == 0)
            MUST((e.type == ENTRY_SYMLINK) == (target.n > 0));
        MUST(entry_win_attr(&e, NULL) != 0 || !e.win.known || (e.win.bits & ~WIN_ATTR_KEPT) == 0);
        if (fault == NAME_OK && !entry_encode(ew, &e))
            return false; /* longer than the largest body */
    }
    return got == 0;
}

static void try_entries(struct span body) {
    static char last[PATH_BYTES_MAX], paths[2][PATH_BYTES_MAX];
    struct entry_writer ew = {.w = wr_of(out, sizeof out), .last = last};
    if (!rewrite_entries(body, &ew) || ew.count == 0)
        return;
    struct entry_reader first = {.r = rd_of(body.p, body.n), .path = paths[0]};
    struct entry_reader second = {.r = rd_of(out, wr_used(&ew.w)), .path = paths[1]};
    struct entry a, b;
    enum name_fault fault_a, fault_b;
    while (entry_next(&first, &a, &fault_a, NULL) > 0) {
        if (fault_a != NAME_OK)
            continue;
        MUST(entry_next(&second, &b, &fault_b, NULL) == 1 && fault_b == NAME_OK);
        must_be_same_entry(&a, &b);
    }
    MUST(entry_next(&second, &b, &fault_b, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    static void (*const targets[])(struct span) = {
        try_hello,      try_text, try_file_text,   try_auth,  try_start,    try_entries,   try_file_begin,
        try_data_chunk, try_hole, try_data_bundle, try_runs,  try_file_end, try_file_same, try_refused,
        try_basis,      try_ack,  try_totals,      try_names, try_tags,     try_challenge, try_unlisted,
    };
    if (n < 1 || n > BODY_MAX)
        return 0;
    targets[input[0] % (sizeof targets / sizeof targets[0])]((struct span){.p = input + 1, .n = n - 1});
    return 0;
}
