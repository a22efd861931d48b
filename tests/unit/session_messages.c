/* session_messages.c: messages with valid bodies. */
#include "session_peer.h"

static struct item *with_body(uint8_t type, uint32_t capacity, struct wr *ret) {
    struct item *item = item_new(type, capacity);
    assert_non_null(item);
    *ret = item_writer(item);
    return item;
}

static struct item *done(struct item *item, const struct wr *w) {
    assert_false(w->bad);
    item_written(item, w);
    return item;
}

struct item *say_empty(uint8_t type) {
    struct wr w;
    struct item *item = with_body(type, 0, &w);
    return done(item, &w);
}

struct item *say_start(uint64_t flags) {
    struct wr w;
    struct item *item = with_body(MSG_START, 64, &w);
    msg_start_encode(&w, &(struct msg_start){.flags = flags, .durable = DURABLE_BATCH});
    return done(item, &w);
}

struct item *say_request(const char *select) {
    uint8_t path[256], tags[512];
    struct wr w, pw = wr_of(path, sizeof path), tw = wr_of(tags, sizeof tags);
    struct item *item = with_body(MSG_REQUEST, 1024, &w);
    if (select) {
        path_encode(&pw, select);
        tag_encode(&tw, TAG_SELECT, path, wr_used(&pw));
    }
    msg_start_encode(&w, &(struct msg_start){.tags = {.p = tags, .n = wr_used(&tw)}});
    return done(item, &w);
}

struct item *say_entries(const struct listed *list, size_t count) {
    char last[PATH_BYTES_MAX] = "";
    struct wr w;
    struct item *item = with_body(MSG_ENTRIES, BODY_MAX, &w);
    struct entry_writer ew = {.w = w, .last = last};
    uint8_t tags[16];
    struct wr tw = wr_of(tags, sizeof tags);
    tag_encode(&tw, TAG_LINK_TARGET, "x", 1);
    for (size_t i = 0; i < count; i++) {
        struct entry e = {
            .file_id = list[i].id,
            .type = (uint8_t)list[i].type,
            .mode = list[i].type == ENTRY_FILE ? 0644 : 0755,
            .mtime_sec = 1000,
            .size = list[i].size,
            .path = list[i].path,
            .tags = {.p = tags, .n = list[i].type == ENTRY_SYMLINK ? wr_used(&tw) : 0},
        };
        assert_true(entry_encode(&ew, &e));
    }
    return done(item, &ew.w);
}

struct item *say_begin(uint64_t id, uint64_t size) {
    struct wr w;
    struct item *item = with_body(MSG_FILE_BEGIN, 64, &w);
    struct msg_file_begin m = {
        .file_id = id, .size = size, .data_size = size, .mtime_sec = 1000, .mode = 0644};
    msg_file_begin_encode(&w, &m);
    return done(item, &w);
}

static struct digest put_zeros(struct item *item, struct pool *pool, uint32_t n) {
    item->data = n > 0 ? pool_get(pool) : NULL;
    item->frame.data_length = item->raw_length = n;
    if (n == 0)
        return digest_of(NULL, 0);
    assert_non_null(item->data);
    memset(item->data->data, 0, n);
    return digest_of(item->data->data, n);
}

struct item *say_chunk(struct pool *pool, uint64_t id, uint64_t offset, uint32_t n) {
    struct wr w;
    struct item *item = with_body(MSG_CHUNK, 64, &w);
    struct digest digest = put_zeros(item, pool, n);
    struct msg_chunk m = {.file_id = id, .offset = offset, .raw_length = n};
    memcpy(m.digest, digest.b, DIGEST_SIZE);
    msg_chunk_encode(&w, &m);
    return done(item, &w);
}

struct item *say_hole(uint64_t id, uint64_t offset, uint64_t length) {
    struct wr w;
    struct item *item = with_body(MSG_HOLE, 64, &w);
    msg_hole_encode(&w, &(struct msg_hole){.file_id = id, .offset = offset, .length = length});
    return done(item, &w);
}

struct item *say_end(uint64_t id, uint64_t size, uint64_t chunks, uint32_t chunk) {
    struct wr w;
    struct item *item = with_body(MSG_FILE_END, 64, &w);
    struct file_digest *fd = file_digest_new();
    uint8_t *zeros = calloc(1, chunk + 1);
    struct digest one = digest_of(zeros, chunk);
    file_digest_start(fd);
    for (uint64_t i = 0; i < chunks; i++)
        file_digest_add(fd, i * chunk, chunk, &one);
    struct digest digest = file_digest_finish(fd, size);
    struct msg_file_end m = {.file_id = id, .size = size, .chunks = chunks};
    memcpy(m.digest, digest.b, DIGEST_SIZE);
    msg_file_end_encode(&w, &m);
    free(zeros);
    file_digest_free(fd);
    return done(item, &w);
}

struct item *say_bundle(struct pool *pool, const uint64_t *ids, uint32_t count, uint32_t size_each) {
    uint8_t members[8 * BUNDLE_MEMBER_SIZE];
    struct wr w, mw = wr_of(members, sizeof members);
    struct item *item = with_body(MSG_BUNDLE, 512, &w);
    struct digest digest = put_zeros(item, pool, count * size_each);
    for (uint32_t i = 0; i < count; i++) {
        struct bundle_member m = {.file_id = ids[i], .mtime_sec = 1000, .mode = 0644, .size = size_each};
        bundle_member_encode(&mw, &m);
    }
    struct msg_bundle m = {
        .raw_length = count * size_each, .count = count, .members = {.p = members, .n = wr_used(&mw)}};
    memcpy(m.digest, digest.b, DIGEST_SIZE);
    msg_bundle_encode(&w, &m);
    return done(item, &w);
}

struct item *say_same(uint64_t id) {
    struct wr w;
    struct item *item = with_body(MSG_FILE_SAME, 64, &w);
    msg_file_same_encode(&w, &(struct msg_file_same){.file_id = id, .mtime_sec = 1000, .mode = 0644});
    return done(item, &w);
}

struct item *say_totals(uint8_t type, const struct msg_totals *totals) {
    struct wr w;
    struct item *item = with_body(type, 64, &w);
    msg_totals_encode(&w, totals);
    return done(item, &w);
}

struct item *say_runs(uint8_t type, uint64_t first, uint32_t count, uint8_t verdict) {
    struct wr w;
    struct item *item = with_body(type, 64, &w);
    run_encode(&w, &(struct run_of_ids){.first_id = first, .count = count, .verdict = verdict});
    return done(item, &w);
}

struct item *say_refused(uint64_t order) {
    struct wr w;
    struct item *item = with_body(MSG_REFUSED, 16, &w);
    msg_refused_encode(&w, &(struct msg_refused){.refused_order = order});
    return done(item, &w);
}

struct item *say_basis(uint64_t id, uint64_t size) {
    static const uint8_t digest[DIGEST_SIZE] = {1};
    struct wr w;
    struct item *item = with_body(MSG_BASIS, 128, &w);
    struct msg_basis m = {.file_id = id,
                          .size = size,
                          .kind = BASIS_CONTENT,
                          .block_size = PAIR_CHUNK,
                          .count = 1,
                          .digests = {.p = digest, .n = sizeof digest}};
    msg_basis_encode(&w, &m);
    return done(item, &w);
}

struct item *say_names(uint8_t type, uint64_t id) {
    static const uint8_t name[] = {1, 'n'};
    struct wr w;
    struct item *item = with_body(type, 64, &w);
    struct msg_names m = {.file_id = id, .last = 1, .count = 1, .names = {.p = name, .n = sizeof name}};
    msg_names_encode(&w, &m);
    return done(item, &w);
}

struct item *say_text(uint8_t type, uint64_t id) {
    struct item *item = item_of_file_text(type, id, EXIT_PARTIAL, "given up by the test");
    assert_non_null(item);
    return item;
}

struct item *say_any(uint8_t type, struct pool *pool) {
    static const struct listed entry = {.id = 9, .type = ENTRY_FILE, .path = "nine", .size = 9};
    static const struct msg_totals nothing = {0};
    const uint64_t id = 1;
    switch (type) {
    case MSG_START: return say_start(0);
    case MSG_ENTRIES: return say_entries(&entry, 1);
    case MSG_FILE_BEGIN: return say_begin(id, 9);
    case MSG_CHUNK: return say_chunk(pool, id, 0, 9);
    case MSG_HOLE:
    case MSG_REUSE: {
        struct item *item = say_hole(id, 0, 9);
        item->frame.type = type;
        return item;
    }
    case MSG_BUNDLE: return say_bundle(pool, &id, 1, 9);
    case MSG_FILE_END: return say_end(id, 9, 0, 0);
    case MSG_FILE_FAIL:
    case MSG_FILE_ERROR: return say_text(type, id);
    case MSG_FILE_SAME: return say_same(id);
    case MSG_UNLISTED: return item_of_unlisted("nine", EXIT_PARTIAL, "not listed by the test");
    case MSG_DELETE:
    case MSG_NAMES: return say_names(type, id);
    case MSG_FINISH:
    case MSG_FINISH_ACK: return say_totals(type, &nothing);
    case MSG_REQUEST: return say_request(NULL);
    case MSG_VERDICTS: return say_runs(type, id, 1, VERDICT_WANT);
    case MSG_DURABLE: return say_runs(type, id, 1, 0);
    case MSG_REFUSED: return say_refused(1);
    case MSG_BASIS: return say_basis(id, 9);
    default: return say_empty(type);
    }
}
