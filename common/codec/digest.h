/* digest.h: XXH3-128 of chunks, and the whole-file digest over them (docs/protocol.md, "File digest"). */
#ifndef CODEC_DIGEST_H
#define CODEC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest {
    uint8_t b[16]; /* canonical byte order: as xxhsum -H2 prints it */
};

struct digest digest_of(const void *p, size_t n);
/* XXH3-64, seeded: for tables in memory. */
uint64_t digest_keyed(uint64_t key, const void *p, size_t n);
bool digest_equal(const struct digest *a, const struct digest *b);

/* The whole-file digest: add every chunk in order of offset, then finish with the size. */
struct file_digest;
struct file_digest *file_digest_new(void); /* NULL: no memory */
void file_digest_free(struct file_digest *fd);
void file_digest_start(struct file_digest *fd);
void file_digest_add(struct file_digest *fd, uint64_t offset, uint32_t raw_length,
                     const struct digest *chunk);
struct digest file_digest_finish(const struct file_digest *fd, uint64_t size);

/* XXH3-128 of a content that comes in pieces, one after the other. */
struct stream_digest;
struct stream_digest *stream_digest_new(void); /* NULL: no memory */
void stream_digest_free(struct stream_digest *sd);
void stream_digest_start(struct stream_digest *sd);
void stream_digest_add(struct stream_digest *sd, const void *p, size_t n);
struct digest stream_digest_finish(const struct stream_digest *sd);

#endif
