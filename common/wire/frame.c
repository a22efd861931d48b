/* frame.c: the preamble and the frame header. */
#include "wire/frame.h"

#include "core/text.h"

#include <xxhash.h>

static const uint8_t magic[PREAMBLE_MAGIC_SIZE] = {0x89, 'H', 'V', 'F', '\r', '\n', 0x1A, '\n'};

enum { PREAMBLE_CHECKED = 12, HEADER_CHECKED = 32 }; /* bytes that the check covers */

static uint32_t preamble_check(const uint8_t *p) {
    return (uint32_t)XXH3_64bits(p, PREAMBLE_CHECKED);
}

void preamble_encode(const struct preamble *p, uint8_t to[PREAMBLE_SIZE]) {
    memcpy(to, magic, sizeof magic);
    put_le16(to + 8, p->version_min);
    put_le16(to + 10, p->version_max);
    put_le32(to + 12, preamble_check(to));
}

/* What a peer that is not hvferry seems to speak; NULL when it is not known. */
static const char *other_protocol(const uint8_t *p) {
    static const struct {
        const char *start, *name;
    } known[] = {
        {"HTTP/", "HTTP"}, {"GET ", "HTTP"},    {"HEAD ", "HTTP"},    {"POST ", "HTTP"},
        {"PUT ", "HTTP"},  {"PRI * ", "HTTP"},  {"OPTIONS ", "HTTP"}, {"CONNECT ", "HTTP"},
        {"SSH-", "SSH"},   {"\x16\x03", "TLS"}, {"\x15\x03", "TLS"},  {"@RSYNCD:", "rsync"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (memcmp(p, known[i].start, strlen(known[i].start)) == 0)
            return known[i].name;
    return NULL;
}

int preamble_decode(const uint8_t from[PREAMBLE_SIZE], struct preamble *ret, struct err *err) {
    if (memcmp(from, magic, sizeof magic) != 0) {
        struct escaped text;
        const char *name = other_protocol(from);
        return err_set(err, EXIT_PROTOCOL, "the peer does not speak hvferry but %s: it sent \"%s\"",
                       name ? name : "something else", escape_text((const char *)from, PREAMBLE_SIZE, &text));
    }
    if (le32(from + 12) != preamble_check(from))
        return err_set(err, EXIT_STREAM, "preamble: check is wrong");
    struct preamble p = {.version_min = le16(from + 8), .version_max = le16(from + 10)};
    if (p.version_min == 0 || p.version_min > p.version_max)
        return err_set(err, EXIT_PROTOCOL, "preamble: versions %u…%u make no sense", p.version_min,
                       p.version_max);
    *ret = p;
    return 0;
}

int version_choose(const struct preamble *ours, const struct preamble *theirs, unsigned *ret,
                   struct err *err) {
    if (theirs->version_max < ours->version_min)
        return err_set(err, EXIT_PROTOCOL,
                       "the peer is older: it speaks protocol versions up to %u, this end %u…%u",
                       theirs->version_max, ours->version_min, ours->version_max);
    if (ours->version_max < theirs->version_min)
        return err_set(err, EXIT_PROTOCOL,
                       "this end is older: it speaks protocol versions up to %u, the peer %u…%u",
                       ours->version_max, theirs->version_min, theirs->version_max);
    *ret = ours->version_max < theirs->version_max ? ours->version_max : theirs->version_max;
    return 0;
}

uint64_t frame_cost(const struct frame *f, uint32_t chunk_size) {
    return (uint64_t)FRAME_COST + f->body_length + (f->data_length ? chunk_size : 0);
}

void frame_encode(const struct frame *f, const void *body, uint8_t to[FRAME_HEADER_SIZE]) {
    to[0] = f->type;
    to[1] = f->flags;
    put_le16(to + 2, 0);
    put_le32(to + 4, f->body_length);
    put_le32(to + 8, f->data_length);
    put_le32(to + 12, f->seq);
    put_le64(to + 16, f->order);
    put_le64(to + 24, XXH3_64bits(body, f->body_length));
    put_le64(to + 32, XXH3_64bits(to, HEADER_CHECKED));
}

static int check_lengths(const struct frame *f, uint32_t body_max, uint32_t data_max, struct err *err) {
    const char *name = msg_type_name(f->type);
    if (f->body_length > body_max)
        return err_set(err, EXIT_STREAM, "%s: body_length %u is more than %u", name, f->body_length,
                       body_max);
    if (f->data_length > data_max)
        return err_set(err, EXIT_STREAM, "%s: data_length %u is more than %u", name, f->data_length,
                       data_max);
    if (f->data_length > 0 && f->type != MSG_CHUNK && f->type != MSG_BUNDLE)
        return err_set(err, EXIT_STREAM, "%s: may not have a data area", name);
    if (f->data_length == 0 && f->type == MSG_CHUNK)
        return err_set(err, EXIT_STREAM, "%s: has no data area", name);
    return 0;
}

int frame_decode(const uint8_t from[FRAME_HEADER_SIZE], uint32_t body_max, uint32_t data_max,
                 struct frame *ret, struct err *err) {
    if (le64(from + 32) != XXH3_64bits(from, HEADER_CHECKED))
        return err_set(err, EXIT_STREAM, "frame: header_check is wrong");
    struct frame f = {
        .type = from[0],
        .flags = from[1],
        .body_length = le32(from + 4),
        .data_length = le32(from + 8),
        .seq = le32(from + 12),
        .order = le64(from + 16),
        .body_check = le64(from + 24),
    };
    if (le16(from + 2) != 0)
        return err_set(err, EXIT_STREAM, "%s: reserved is not 0", msg_type_name(f.type));
    if (f.flags & ~(FRAME_RESENT | FRAME_OPTIONAL))
        return err_set(err, EXIT_STREAM, "%s: unknown bits in flags 0x%02x", msg_type_name(f.type), f.flags);
    if (check_lengths(&f, body_max, data_max, err))
        return -1;
    *ret = f;
    return 0;
}

int frame_check_body(const struct frame *f, const void *body, struct err *err) {
    if (f->body_check != XXH3_64bits(body, f->body_length))
        return err_set(err, EXIT_STREAM, "%s: body_check is wrong", msg_type_name(f->type));
    return 0;
}
