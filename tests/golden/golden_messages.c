/* golden_messages.c: every message type of the golden vectors: decode, note the fields, encode again. */
#include "golden.h"

#include "codec/codec.h"
#include "codec/digest.h"

#include <stdlib.h>

#define NUMBER(field) seen_number(seen, #field, m.field)
#define SIGNED(field) seen_signed(seen, #field, m.field)
#define HEX(field) seen_hex(seen, #field, m.field, sizeof m.field)

static void see_tags(struct seen *seen, struct span tags) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    while (tag_next(&r, &tag) > 0) {
        seen_line(seen, "tag = 0x%04x", tag.tag);
        seen_hex(seen, "value", tag.value.p, tag.value.n);
    }
}

static int see_hello(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_hello m;
    if (msg_hello_decode(given->body, &m, err))
        return -1;
    NUMBER(version), NUMBER(role), NUMBER(intent), NUMBER(features), HEX(session_id), NUMBER(codecs);
    NUMBER(chunk_size), NUMBER(window), NUMBER(stream), NUMBER(streams), NUMBER(processed);
    see_tags(seen, m.tags);
    msg_hello_encode(&seen->again, &m);
    return 0;
}

static int see_text(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_text m;
    if (msg_text_decode(given->body, &m, err))
        return -1;
    NUMBER(code);
    seen_text(seen, "text", m.text.p, m.text.n);
    msg_text_encode(&seen->again, &m);
    return 0;
}

static int see_file_text(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_file_text m;
    if (msg_file_text_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id);
    seen_number(seen, "code", m.text.code);
    seen_text(seen, "text", m.text.text.p, m.text.text.n);
    msg_file_text_encode(&seen->again, &m);
    return 0;
}

static int see_unlisted(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_unlisted m;
    if (msg_unlisted_decode(given->body, &m, err))
        return -1;
    uint8_t encoded[PATH_BYTES_MAX + 1];
    struct wr w = wr_of(encoded, sizeof encoded);
    path_encode(&w, m.path);
    seen_hex(seen, "path", encoded, wr_used(&w));
    seen_number(seen, "code", m.text.code);
    seen_text(seen, "text", m.text.text.p, m.text.text.n);
    msg_unlisted_encode(&seen->again, &m);
    return 0;
}

static int see_auth(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_auth m;
    if (msg_auth_decode(given->body, &m, err))
        return -1;
    HEX(mac);
    msg_auth_encode(&seen->again, &m);
    return 0;
}

static int see_challenge(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_challenge m;
    if (msg_challenge_decode(given->body, &m, err))
        return -1;
    HEX(nonce);
    msg_challenge_encode(&seen->again, &m);
    return 0;
}

static int see_start(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_start m;
    if (msg_start_decode(given->body, &m, err))
        return -1;
    NUMBER(flags), NUMBER(durable);
    see_tags(seen, m.tags);
    msg_start_encode(&seen->again, &m);
    return 0;
}

static void see_entry(struct seen *seen, const struct entry *e) {
    seen_number(seen, "file_id", e->file_id);
    seen_number(seen, "entry type", e->type);
    seen_number(seen, "mode", e->mode);
    seen_number(seen, "uid", e->uid);
    seen_number(seen, "gid", e->gid);
    seen_signed(seen, "mtime_sec", e->mtime_sec);
    seen_number(seen, "mtime_nsec", e->mtime_nsec);
    seen_number(seen, "size", e->size);
    seen_text(seen, "path", e->path, strlen(e->path));
    see_tags(seen, e->tags);
}

static int see_entries(const struct given *given, struct seen *seen, struct err *err) {
    static char path[PATH_BYTES_MAX], last[PATH_BYTES_MAX];
    struct entry_reader er = {.r = rd_of(given->body.p, given->body.n), .path = path};
    struct entry_writer ew = {.w = seen->again, .last = last};
    struct entry e;
    enum name_fault fault;
    struct span target;
    int got;
    while ((got = entry_next(&er, &e, &fault, err)) > 0) {
        if (fault != NAME_OK)
            return err_set(err, EXIT_PARTIAL, "%s", name_fault_text(fault));
        if (entry_link_target(&e, &target, err) || entry_win_attr(&e, err))
            return -1;
        see_entry(seen, &e);
        if (!entry_encode(&ew, &e))
            return err_set(err, EXIT_FILE_IO, "does not encode");
    }
    seen->again = ew.w;
    return got;
}

static int see_file_begin(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_file_begin m;
    if (msg_file_begin_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id), NUMBER(size), NUMBER(data_size), SIGNED(mtime_sec), NUMBER(mtime_nsec), NUMBER(mode);
    msg_file_begin_encode(&seen->again, &m);
    return 0;
}

/* The data area: unpacks to raw_length bytes of that digest, as a receiver finds out. */
static int data_check(const struct given *given, uint8_t codec_id, uint32_t raw_length, const uint8_t *digest,
                      struct err *err) {
    const struct codec *codec = codec_by_id(codec_id);
    struct codec_state *state = codec_state_new();
    uint8_t *raw = malloc(raw_length ? raw_length : 1);
    int result = 0;
    if (codec_id == CODEC_NONE)
        memcpy(raw, raw_length ? given->data : raw, raw_length);
    else
        result = codec->unpack(state, given->data, given->frame.data_length, raw, raw_length, err);
    if (result == 0 && memcmp(digest_of(raw, raw_length).b, digest, DIGEST_SIZE) != 0)
        result = err_set(err, EXIT_VERIFY, "digest is wrong");
    free(raw);
    codec_state_free(state);
    return result;
}

static int see_chunk(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_chunk m;
    if (msg_chunk_decode(given->body, given->frame.data_length, given->chunk_size, &m, err))
        return -1;
    NUMBER(file_id), NUMBER(offset), NUMBER(raw_length), NUMBER(codec), HEX(digest);
    msg_chunk_encode(&seen->again, &m);
    return data_check(given, m.codec, m.raw_length, m.digest, err);
}

static int see_hole(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_hole m;
    if (msg_hole_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id), NUMBER(offset), NUMBER(length);
    msg_hole_encode(&seen->again, &m);
    return 0;
}

static void see_member(struct seen *seen, struct wr *w, struct bundle_member m) {
    NUMBER(file_id), SIGNED(mtime_sec), NUMBER(mtime_nsec), NUMBER(mode), NUMBER(size);
    bundle_member_encode(w, &m);
}

static int see_bundle(const struct given *given, struct seen *seen, struct err *err) {
    static uint8_t members[BUNDLE_FILES_MAX * BUNDLE_MEMBER_SIZE];
    struct wr w = wr_of(members, sizeof members);
    struct msg_bundle m;
    if (msg_bundle_decode(given->body, given->frame.data_length, given->chunk_size, &m, err))
        return -1;
    NUMBER(raw_length), NUMBER(codec), HEX(digest), NUMBER(count);
    for (uint32_t i = 0; i < m.count; i++)
        see_member(seen, &w, bundle_member_at(&m, i));
    m.members = (struct span){.p = members, .n = wr_used(&w)};
    msg_bundle_encode(&seen->again, &m);
    return data_check(given, m.codec, m.raw_length, m.digest, err);
}

static int see_file_end(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_file_end m;
    if (msg_file_end_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id), NUMBER(size), NUMBER(chunks), HEX(digest);
    msg_file_end_encode(&seen->again, &m);
    return 0;
}

static int see_file_same(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_file_same m;
    if (msg_file_same_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id), SIGNED(mtime_sec), NUMBER(mtime_nsec), NUMBER(mode);
    msg_file_same_encode(&seen->again, &m);
    return 0;
}

static int see_empty(const struct given *given, struct seen *seen, struct err *err) {
    (void)seen;
    return msg_empty_decode(given->body, msg_type_name(given->frame.type), err);
}

static int see_runs(const struct given *given, struct seen *seen, struct err *err) {
    struct rd r = rd_of(given->body.p, given->body.n);
    struct run_of_ids m;
    int got;
    while ((got = run_next(&r, given->frame.type, &m, err)) > 0) {
        NUMBER(first_id), NUMBER(count), NUMBER(verdict);
        run_encode(&seen->again, &m);
    }
    return got;
}

static int see_refused(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_refused m;
    if (msg_refused_decode(given->body, &m, err))
        return -1;
    NUMBER(refused_order);
    msg_refused_encode(&seen->again, &m);
    return 0;
}

static int see_basis(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_basis m;
    if (msg_basis_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id), NUMBER(size), NUMBER(kind), NUMBER(block_size), NUMBER(first_block), NUMBER(count);
    for (uint32_t i = 0; i < m.count; i++)
        seen_hex(seen, "digest", m.digests.p + (size_t)i * DIGEST_SIZE, DIGEST_SIZE);
    msg_basis_encode(&seen->again, &m);
    return 0;
}

static int see_ack(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_ack m;
    if (msg_ack_decode(given->body, &m, err))
        return -1;
    NUMBER(processed), NUMBER(credit), NUMBER(written);
    msg_ack_encode(&seen->again, &m);
    return 0;
}

static int see_totals(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_totals m;
    if (msg_totals_decode(given->body, &m, err))
        return -1;
    NUMBER(entries), NUMBER(committed), NUMBER(skipped), NUMBER(made), NUMBER(failed), NUMBER(bytes);
    msg_totals_encode(&seen->again, &m);
    return 0;
}

static int see_names(const struct given *given, struct seen *seen, struct err *err) {
    struct msg_names m;
    if (msg_names_decode(given->body, &m, err))
        return -1;
    NUMBER(file_id), NUMBER(last), NUMBER(count);
    struct rd r = rd_of(m.names.p, m.names.n);
    for (uint32_t i = 0; i < m.count; i++) {
        uint8_t n = rd_u8(&r);
        seen_text(seen, "name", rd_bytes(&r, n), n);
    }
    msg_names_encode(&seen->again, &m);
    return 0;
}

int message_look(const struct given *given, struct seen *seen, struct err *err) {
    static int (*const looks[MSG_TYPE_LIMIT])(const struct given *, struct seen *, struct err *) = {
        [MSG_HELLO] = see_hello,
        [MSG_WELCOME] = see_hello,
        [MSG_REJECT] = see_text,
        [MSG_AUTH] = see_auth,
        [MSG_CHALLENGE] = see_challenge,
        [MSG_START] = see_start,
        [MSG_ENTRIES] = see_entries,
        [MSG_LIST_END] = see_empty,
        [MSG_FILE_BEGIN] = see_file_begin,
        [MSG_CHUNK] = see_chunk,
        [MSG_HOLE] = see_hole,
        [MSG_BUNDLE] = see_bundle,
        [MSG_FILE_END] = see_file_end,
        [MSG_FILE_FAIL] = see_file_text,
        [MSG_FILE_SAME] = see_file_same,
        [MSG_REUSE] = see_hole,
        [MSG_VOID] = see_empty,
        [MSG_SYNC] = see_empty,
        [MSG_DELETE] = see_names,
        [MSG_FINISH] = see_totals,
        [MSG_BYE] = see_empty,
        [MSG_REQUEST] = see_start,
        [MSG_VERDICTS] = see_runs,
        [MSG_DURABLE] = see_runs,
        [MSG_REFUSED] = see_refused,
        [MSG_FILE_ERROR] = see_file_text,
        [MSG_BASIS] = see_basis,
        [MSG_NAMES] = see_names,
        [MSG_FINISH_ACK] = see_totals,
        [MSG_ACK] = see_ack,
        [MSG_HEARTBEAT] = see_empty,
        [MSG_ABORT] = see_text,
        [MSG_UNLISTED] = see_unlisted,
    };
    uint8_t type = given->frame.type;
    if (type < MSG_TYPE_LIMIT && looks[type])
        return looks[type](given, seen, err);
    if (!(given->frame.flags & FRAME_OPTIONAL))
        return err_set(err, EXIT_STREAM, "%s is not known", msg_type_name(type));
    wr_bytes(&seen->again, given->body.p, given->body.n);
    return 0;
}
