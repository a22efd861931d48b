#include "codec/digest.h"

#include "codec/digest_code.h"
#include "core/bytes.h"

#include <stdlib.h>

enum { FILE_RECORD_SIZE = 32 }; /* offset u64 | raw_length u32 | 0 u32 | digest 16 */

_Static_assert(sizeof(XXH128_canonical_t) == sizeof(struct digest), "a digest is a canonical XXH3-128");

static struct digest canonical(XXH128_hash_t hash) {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, hash);
    struct digest d;
    memcpy(d.b, bytes.digest, sizeof d.b);
    return d;
}

static XXH128_hash_t plain_of(const void *p, size_t n) {
    return XXH3_128bits(p, n);
}

static void plain_add(XXH3_state_t *state, const void *p, size_t n) {
    (void)XXH3_128bits_update(state, p, n);
}

const struct digest_code digest_code_plain = {plain_of, plain_add};

struct digest digest_of(const void *p, size_t n) {
    return canonical(digest_code_here()->of(p, n));
}

uint64_t digest_keyed(uint64_t key, const void *p, size_t n) {
    return XXH3_64bits_withSeed(p, n, key);
}

bool digest_equal(const struct digest *a, const struct digest *b) {
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

struct file_digest {
    XXH3_state_t *records;
    XXH3_state_t *last; /* where finish() adds the size, so that `records` can go on */
};

struct file_digest *file_digest_new(void) {
    struct file_digest *fd = calloc(1, sizeof *fd);
    if (fd == NULL)
        return NULL;
    fd->records = XXH3_createState();
    fd->last = XXH3_createState();
    if (fd->records == NULL || fd->last == NULL) {
        file_digest_free(fd);
        return NULL;
    }
    file_digest_start(fd);
    return fd;
}

void file_digest_free(struct file_digest *fd) {
    if (fd == NULL)
        return;
    (void)XXH3_freeState(fd->records);
    (void)XXH3_freeState(fd->last);
    free(fd);
}

void file_digest_start(struct file_digest *fd) {
    (void)XXH3_128bits_reset(fd->records);
}

void file_digest_add(struct file_digest *fd, uint64_t offset, uint32_t raw_length,
                     const struct digest *chunk) {
    uint8_t record[FILE_RECORD_SIZE];
    struct wr w = wr_of(record, sizeof record);
    wr_u64(&w, offset);
    wr_u32(&w, raw_length);
    wr_u32(&w, 0);
    wr_bytes(&w, chunk->b, sizeof chunk->b);
    (void)XXH3_128bits_update(fd->records, record, sizeof record);
}

struct digest file_digest_finish(const struct file_digest *fd, uint64_t size) {
    uint8_t tail[8];
    put_le64(tail, size);
    XXH3_copyState(fd->last, fd->records);
    (void)XXH3_128bits_update(fd->last, tail, sizeof tail);
    return canonical(XXH3_128bits_digest(fd->last));
}

struct stream_digest {
    XXH3_state_t *state;
};

struct stream_digest *stream_digest_new(void) {
    struct stream_digest *sd = calloc(1, sizeof *sd);
    if (sd == NULL)
        return NULL;
    sd->state = XXH3_createState();
    if (sd->state == NULL) {
        free(sd);
        return NULL;
    }
    stream_digest_start(sd);
    return sd;
}

void stream_digest_free(struct stream_digest *sd) {
    if (sd == NULL)
        return;
    (void)XXH3_freeState(sd->state);
    free(sd);
}

void stream_digest_start(struct stream_digest *sd) {
    (void)XXH3_128bits_reset(sd->state);
}

void stream_digest_add(struct stream_digest *sd, const void *p, size_t n) {
    digest_code_here()->add(sd->state, p, n);
}

struct digest stream_digest_finish(const struct stream_digest *sd) {
    return canonical(XXH3_128bits_digest(sd->state));
}
