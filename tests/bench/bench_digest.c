/* XXH3-128 as the pipelines use it: of chunks and blocks, of contents in pieces, and over the chunks of a file. */
#include "bench.h"

#include "codec/digest.h"

enum { KIB = 1024, LARGEST = 16 * 1024 * KIB, CHUNK = 1024 * KIB, CHUNKS = 1024 };

struct content {
    const uint8_t *p;
    size_t n;
    struct stream_digest *pieces;
    struct file_digest *file;
    uint8_t last; /* of a digest, so that none is left out */
};

static void whole(void *arg, uint64_t rounds) {
    struct content *c = arg;
    for (uint64_t i = 0; i < rounds; i++)
        c->last = (uint8_t)(c->last + digest_of(c->p, c->n).b[0]);
}

static void in_pieces(void *arg, uint64_t rounds) {
    struct content *c = arg;
    stream_digest_start(c->pieces);
    for (uint64_t i = 0; i < rounds; i++)
        stream_digest_add(c->pieces, c->p, c->n);
    c->last = stream_digest_finish(c->pieces).b[0];
}

/* A round is one chunk of a file of CHUNKS. */
static void of_chunks(void *arg, uint64_t rounds) {
    struct content *c = arg;
    const struct digest chunk = {.b = {c->last}};
    for (uint64_t i = 0; i < rounds; i++) {
        if (i % CHUNKS == 0)
            file_digest_start(c->file);
        file_digest_add(c->file, i % CHUNKS * CHUNK, CHUNK, &chunk);
    }
    c->last = file_digest_finish(c->file, CHUNKS * (uint64_t)CHUNK).b[0];
}

int main(void) {
    static const size_t sizes[] = {64, 4 * KIB, 64 * KIB, CHUNK, LARGEST};
    uint8_t *data = bench_random(LARGEST);
    struct content c = {.p = data, .pieces = stream_digest_new(), .file = file_digest_new()};
    bench_check(c.pieces && c.file, "memory");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "digest_of %zu bytes", sizes[i]);
        c.n = sizes[i];
        bench(name, whole, &c, c.n);
    }
    c.n = 64 * KIB;
    bench("stream_digest_add 65536 bytes", in_pieces, &c, c.n);
    bench("file_digest_add", of_chunks, &c, 0);
    stream_digest_free(c.pieces);
    file_digest_free(c.file);
    os_page_free(data);
    return 0;
}
