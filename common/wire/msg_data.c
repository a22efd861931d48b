/* msg_data.c: the contents of files: FILE_BEGIN, CHUNK, HOLE, REUSE, BUNDLE, FILE_END, FILE_SAME. */
#include "wire/msg_check.h"

#include <inttypes.h>

void msg_file_begin_encode(struct wr *w, const struct msg_file_begin *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, m->size);
    wr_u64(w, m->data_size);
    wr_u64(w, (uint64_t)m->mtime_sec);
    wr_u32(w, m->mtime_nsec);
    wr_u32(w, m->mode);
}

int msg_file_begin_decode(struct span body, struct msg_file_begin *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_file_begin m;
    m.file_id = rd_u64(&r);
    m.size = rd_u64(&r);
    m.data_size = rd_u64(&r);
    m.mtime_sec = (int64_t)rd_u64(&r);
    m.mtime_nsec = rd_u32(&r);
    m.mode = rd_u32(&r);
    const struct field fields[] = {
        {"file_id", m.file_id, 1, UINT64_MAX}, {"size", m.size, 0, INT64_MAX},
        {"data_size", m.data_size, 0, m.size}, {"mtime_nsec", m.mtime_nsec, 0, NSEC_MAX},
        {"mode", m.mode, 0, MODE_MAX},
    };
    if (FIELDS_CHECK("FILE_BEGIN", &r, fields, err) || end_check("FILE_BEGIN", &r, err))
        return -1;
    *ret = m;
    return 0;
}

/* Stored data is as long as the raw bytes; packed data is shorter, or it would have been stored. */
static int data_length_check(const char *message, uint8_t codec, uint32_t data_length, uint32_t raw_length,
                             struct err *err) {
    bool stored = codec == CODEC_NONE;
    uint64_t min = stored ? raw_length : 1;
    uint64_t max = stored ? raw_length : (uint64_t)raw_length - 1;
    if (raw_length == 0 && !stored)
        return err_set(err, EXIT_STREAM, "%s: codec %u for no bytes", message, codec);
    if (data_length < min || data_length > max)
        return err_set(err, EXIT_STREAM,
                       "%s: data_length %" PRIu32 " does not fit codec %u and raw_length %" PRIu32, message,
                       data_length, codec, raw_length);
    return 0;
}

void msg_chunk_encode(struct wr *w, const struct msg_chunk *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, m->offset);
    wr_u32(w, m->raw_length);
    wr_u8(w, m->codec);
    wr_reserved(w, 3);
    wr_bytes(w, m->digest, sizeof m->digest);
}

int msg_chunk_decode(struct span body, uint32_t data_length, uint32_t chunk_size, struct msg_chunk *ret,
                     struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_chunk m;
    m.file_id = rd_u64(&r);
    m.offset = rd_u64(&r);
    m.raw_length = rd_u32(&r);
    m.codec = rd_u8(&r);
    uint64_t reserved = rd_reserved(&r, 3);
    rd_copy(&r, m.digest, sizeof m.digest);
    const struct field fields[] = {
        {"file_id", m.file_id, 1, UINT64_MAX},
        {"raw_length", m.raw_length, 1, chunk_size},
        {"offset", m.offset, 0, (uint64_t)INT64_MAX - m.raw_length},
        {"codec", m.codec, 0, CODEC_COUNT - 1},
        {"reserved", reserved, 0, 0},
    };
    if (FIELDS_CHECK("CHUNK", &r, fields, err) || end_check("CHUNK", &r, err) ||
        data_length_check("CHUNK", m.codec, data_length, m.raw_length, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_hole_encode(struct wr *w, const struct msg_hole *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, m->offset);
    wr_u64(w, m->length);
}

int msg_hole_decode(struct span body, struct msg_hole *ret, struct err *err) {
    static const char message[] = "HOLE or REUSE";
    struct rd r = rd_of(body.p, body.n);
    struct msg_hole m;
    m.file_id = rd_u64(&r);
    m.offset = rd_u64(&r);
    m.length = rd_u64(&r);
    const struct field fields[] = {
        {"file_id", m.file_id, 1, UINT64_MAX},
        {"length", m.length, 1, INT64_MAX},
        {"offset", m.offset, 0, (uint64_t)INT64_MAX - (m.length & INT64_MAX)},
    };
    if (FIELDS_CHECK(message, &r, fields, err) || end_check(message, &r, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_bundle_encode(struct wr *w, const struct msg_bundle *m) {
    wr_u32(w, m->raw_length);
    wr_u8(w, m->codec);
    wr_reserved(w, 3);
    wr_bytes(w, m->digest, sizeof m->digest);
    wr_u32(w, m->count);
    wr_reserved(w, 4);
    wr_bytes(w, m->members.p, m->members.n);
}

void bundle_member_encode(struct wr *w, const struct bundle_member *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, (uint64_t)m->mtime_sec);
    wr_u32(w, m->mtime_nsec);
    wr_u32(w, m->mode);
    wr_u32(w, m->size);
    wr_reserved(w, 4);
}

struct bundle_member bundle_member_at(const struct msg_bundle *m, uint32_t i) {
    const uint8_t *p = m->members.p + (size_t)i * BUNDLE_MEMBER_SIZE;
    return (struct bundle_member){
        .file_id = le64(p),
        .mtime_sec = (int64_t)le64(p + 8),
        .mtime_nsec = le32(p + 16),
        .mode = le32(p + 20),
        .size = le32(p + 24),
    };
}

/* Every member, and that their sizes add up to raw_length. */
static int members_check(const struct msg_bundle *m, struct err *err) {
    struct rd r = rd_of(m->members.p, m->members.n);
    uint64_t sum = 0; /* at most BUNDLE_FILES_MAX * UINT32_MAX: cannot overflow */
    for (uint32_t i = 0; i < m->count; i++) {
        struct bundle_member member = bundle_member_at(m, i);
        rd_bytes(&r, BUNDLE_MEMBER_SIZE - 4);
        const struct field fields[] = {
            {"member's file_id", member.file_id, 1, UINT64_MAX},
            {"member's mtime_nsec", member.mtime_nsec, 0, NSEC_MAX},
            {"member's mode", member.mode, 0, MODE_MAX},
            {"member's reserved", rd_reserved(&r, 4), 0, 0},
        };
        if (FIELDS_CHECK("BUNDLE", &r, fields, err))
            return -1;
        sum += member.size;
    }
    if (sum != m->raw_length)
        return err_set(err, EXIT_STREAM, "BUNDLE: sizes add up to %" PRIu64 ", raw_length is %" PRIu32, sum,
                       m->raw_length);
    return 0;
}

int msg_bundle_decode(struct span body, uint32_t data_length, uint32_t chunk_size, struct msg_bundle *ret,
                      struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_bundle m;
    m.raw_length = rd_u32(&r);
    m.codec = rd_u8(&r);
    uint64_t reserved = rd_reserved(&r, 3);
    rd_copy(&r, m.digest, sizeof m.digest);
    m.count = rd_u32(&r);
    reserved |= rd_reserved(&r, 4);
    m.members = rd_rest(&r);
    const struct field fields[] = {
        {"raw_length", m.raw_length, 0, chunk_size},
        {"codec", m.codec, 0, CODEC_COUNT - 1},
        {"reserved", reserved, 0, 0},
        {"count", m.count, 1, BUNDLE_FILES_MAX},
        {"length of members", m.members.n, (uint64_t)m.count * BUNDLE_MEMBER_SIZE,
         (uint64_t)m.count * BUNDLE_MEMBER_SIZE},
    };
    if (FIELDS_CHECK("BUNDLE", &r, fields, err) || members_check(&m, err) ||
        data_length_check("BUNDLE", m.codec, data_length, m.raw_length, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_file_end_encode(struct wr *w, const struct msg_file_end *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, m->size);
    wr_u64(w, m->chunks);
    wr_bytes(w, m->digest, sizeof m->digest);
}

int msg_file_end_decode(struct span body, struct msg_file_end *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_file_end m;
    m.file_id = rd_u64(&r);
    m.size = rd_u64(&r);
    m.chunks = rd_u64(&r);
    rd_copy(&r, m.digest, sizeof m.digest);
    const struct field fields[] = {
        {"file_id", m.file_id, 1, UINT64_MAX},
        {"size", m.size, 0, INT64_MAX},
        {"chunks", m.chunks, 0, m.size}, /* no chunk is empty */
    };
    if (FIELDS_CHECK("FILE_END", &r, fields, err) || end_check("FILE_END", &r, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_file_same_encode(struct wr *w, const struct msg_file_same *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, (uint64_t)m->mtime_sec);
    wr_u32(w, m->mtime_nsec);
    wr_u32(w, m->mode);
}

int msg_file_same_decode(struct span body, struct msg_file_same *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_file_same m;
    m.file_id = rd_u64(&r);
    m.mtime_sec = (int64_t)rd_u64(&r);
    m.mtime_nsec = rd_u32(&r);
    m.mode = rd_u32(&r);
    const struct field fields[] = {
        {"file_id", m.file_id, 1, UINT64_MAX},
        {"mtime_nsec", m.mtime_nsec, 0, NSEC_MAX},
        {"mode", m.mode, 0, MODE_MAX},
    };
    if (FIELDS_CHECK("FILE_SAME", &r, fields, err) || end_check("FILE_SAME", &r, err))
        return -1;
    *ret = m;
    return 0;
}
