/* msg_reply.c: what answers: VERDICTS, DURABLE, REFUSED, BASIS, NAMES and DELETE, ACK, FINISH and FINISH_ACK,
 * and the messages without a body. */
#include "wire/msg_check.h"

void run_encode(struct wr *w, const struct run_of_ids *run) {
    wr_u64(w, run->first_id);
    wr_u32(w, run->count);
    wr_u8(w, run->verdict);
    wr_reserved(w, 3);
}

int run_next(struct rd *r, unsigned type, struct run_of_ids *ret, struct err *err) {
    if (!r->bad && rd_left(r) == 0)
        return 0;
    bool verdicts = type == MSG_VERDICTS;
    struct run_of_ids run;
    run.first_id = rd_u64(r);
    run.count = rd_u32(r);
    run.verdict = rd_u8(r);
    uint64_t reserved = rd_reserved(r, 3);
    const struct field fields[] = {
        {"count", run.count, 1, UNSETTLED_MAX},
        {"first_id", run.first_id, 1, UINT64_MAX - run.count},
        {"verdict", run.verdict, verdicts ? VERDICT_SKIP : 0, verdicts ? VERDICT_GONE : 0},
        {"reserved", reserved, 0, 0},
    };
    if (FIELDS_CHECK(msg_type_name(type), r, fields, err))
        return -1;
    *ret = run;
    return 1;
}

void msg_refused_encode(struct wr *w, const struct msg_refused *m) {
    wr_u64(w, m->refused_order);
}

int msg_refused_decode(struct span body, struct msg_refused *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_refused m;
    m.refused_order = rd_u64(&r);
    const struct field fields[] = {{"refused_order", m.refused_order, 0, UINT64_MAX}};
    if (FIELDS_CHECK("REFUSED", &r, fields, err) || end_check("REFUSED", &r, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_basis_encode(struct wr *w, const struct msg_basis *m) {
    wr_u64(w, m->file_id);
    wr_u64(w, m->size);
    wr_u8(w, m->kind);
    wr_reserved(w, 3);
    wr_u32(w, m->block_size);
    wr_u64(w, m->first_block);
    wr_u32(w, m->count);
    wr_reserved(w, 4);
    wr_bytes(w, m->digests.p, m->digests.n);
}

/* BASIS_CONTENT has one digest; BASIS_BLOCKS those of blocks that the file has, or none: no more will come. */
static int basis_check(const struct msg_basis *m, const struct rd *r, uint64_t reserved, struct err *err) {
    const struct field head[] = {
        {"file_id", m->file_id, 1, UINT64_MAX},
        {"size", m->size, 0, INT64_MAX},
        {"kind", m->kind, BASIS_CONTENT, BASIS_BLOCKS},
        {"block_size", m->block_size, BASIS_BLOCK_MIN, CHUNK_SIZE_MAX},
        {"reserved", reserved, 0, 0},
        {"length of digests", m->digests.n, (uint64_t)m->count * DIGEST_SIZE,
         (uint64_t)m->count * DIGEST_SIZE},
    };
    if (FIELDS_CHECK("BASIS", r, head, err))
        return -1;
    bool content = m->kind == BASIS_CONTENT;
    uint64_t blocks = content ? 1 : m->size / m->block_size + (m->size % m->block_size != 0);
    const struct field list[] = {
        {"count", m->count, content ? 1 : 0, blocks},
        {"first_block", m->first_block, 0, blocks - m->count},
    };
    return FIELDS_CHECK("BASIS", r, list, err);
}

int msg_basis_decode(struct span body, struct msg_basis *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_basis m;
    m.file_id = rd_u64(&r);
    m.size = rd_u64(&r);
    m.kind = rd_u8(&r);
    uint64_t reserved = rd_reserved(&r, 3);
    m.block_size = rd_u32(&r);
    m.first_block = rd_u64(&r);
    m.count = rd_u32(&r);
    reserved |= rd_reserved(&r, 4);
    m.digests = rd_rest(&r);
    if (basis_check(&m, &r, reserved, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_ack_encode(struct wr *w, const struct msg_ack *m) {
    wr_u64(w, m->processed);
    wr_u64(w, m->credit);
    wr_u64(w, m->written);
}

int msg_ack_decode(struct span body, struct msg_ack *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_ack m;
    m.processed = rd_u64(&r);
    m.credit = rd_u64(&r);
    m.written = rd_u64(&r);
    const struct field fields[] = {{"credit", m.credit, 0, INT64_MAX}};
    if (FIELDS_CHECK("ACK", &r, fields, err) || end_check("ACK", &r, err))
        return -1;
    *ret = m;
    return 0;
}

void msg_totals_encode(struct wr *w, const struct msg_totals *m) {
    wr_u64(w, m->entries);
    wr_u64(w, m->committed);
    wr_u64(w, m->skipped);
    wr_u64(w, m->made);
    wr_u64(w, m->failed);
    wr_u64(w, m->bytes);
}

int msg_totals_decode(struct span body, struct msg_totals *ret, struct err *err) {
    static const char message[] = "FINISH or FINISH_ACK";
    struct rd r = rd_of(body.p, body.n);
    struct msg_totals m;
    m.entries = rd_u64(&r);
    m.committed = rd_u64(&r);
    m.skipped = rd_u64(&r);
    m.made = rd_u64(&r);
    m.failed = rd_u64(&r);
    m.bytes = rd_u64(&r);
    if (end_check(message, &r, err))
        return -1;
    uint64_t sum;
    if (!add_u64(m.committed, m.skipped, &sum) || !add_u64(sum, m.made, &sum) ||
        !add_u64(sum, m.failed, &sum) || sum != m.entries)
        return err_set(err, EXIT_STREAM, "%s: entries is not committed + skipped + made + failed", message);
    *ret = m;
    return 0;
}

bool msg_totals_equal(const struct msg_totals *a, const struct msg_totals *b) {
    return a->entries == b->entries && a->committed == b->committed && a->skipped == b->skipped &&
           a->made == b->made && a->failed == b->failed && a->bytes == b->bytes;
}

void msg_names_encode(struct wr *w, const struct msg_names *m) {
    wr_u64(w, m->file_id);
    wr_u8(w, m->last);
    wr_reserved(w, 3);
    wr_u32(w, m->count);
    wr_bytes(w, m->names.p, m->names.n);
}

static int names_check(struct rd r, uint32_t count, struct err *err) {
    for (uint32_t i = 0; i < count && !r.bad; i++) {
        uint8_t n = rd_u8(&r);
        const uint8_t *name = rd_bytes(&r, n);
        enum name_fault fault = name ? name_check(name, n) : NAME_OK;
        if (fault != NAME_OK)
            return err_set(err, EXIT_STREAM, "NAMES or DELETE: %s", name_fault_text(fault));
    }
    return end_check("NAMES or DELETE", &r, err);
}

int msg_names_decode(struct span body, struct msg_names *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_names m;
    m.file_id = rd_u64(&r);
    m.last = rd_u8(&r);
    uint64_t reserved = rd_reserved(&r, 3);
    m.count = rd_u32(&r);
    const struct field fields[] = {
        {"file_id", m.file_id, 1, UINT64_MAX},
        {"last", m.last, 0, 1},
        {"reserved", reserved, 0, 0},
    };
    if (FIELDS_CHECK("NAMES or DELETE", &r, fields, err) || names_check(r, m.count, err))
        return -1;
    m.names = rd_rest(&r);
    *ret = m;
    return 0;
}

int msg_empty_decode(struct span body, const char *name, struct err *err) {
    if (body.n != 0)
        return err_set(err, EXIT_STREAM, "%s: has a body of %zu bytes", name, body.n);
    return 0;
}
