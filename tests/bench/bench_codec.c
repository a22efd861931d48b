/* Packing and unpacking of one chunk: each codec of the build at three levels, on three kinds of data. */
#include "bench.h"

#include "codec/codec.h"
#include "wire/protocol.h"

#include <string.h>

enum { CHUNK = CHUNK_SIZE_DEFAULT, WORDS = 4096, WORD_MAX = 12 };

struct job {
    const struct codec *codec;
    struct codec_state *state;
    int level;
    const uint8_t *raw;
    uint8_t *packed, *unpacked; /* CHUNK bytes each */
    size_t packed_length; /* 0: it did not become smaller */
};

static void pack(void *arg, uint64_t rounds) {
    struct job *job = arg;
    struct err err;
    for (uint64_t i = 0; i < rounds; i++) {
        ptrdiff_t n = job->codec->pack(job->state, job->level, job->raw, CHUNK, job->packed, &err);
        bench_check(n >= 0, "pack");
        job->packed_length = (size_t)n;
    }
}

static void unpack(void *arg, uint64_t rounds) {
    struct job *job = arg;
    struct err err;
    for (uint64_t i = 0; i < rounds; i++)
        bench_check(
            job->codec->unpack(job->state, job->packed, job->packed_length, job->unpacked, CHUNK, &err) == 0,
            "unpack");
}

/* Words of a made-up language, rare ones rarely, as text has them. */
static uint8_t *text(void) {
    uint8_t *noise = bench_random(CHUNK), *to = os_page_alloc(CHUNK);
    bench_check(to != NULL, "memory");
    for (size_t at = 0, next = 0; at < CHUNK; next += 3) {
        const uint8_t *dice = noise + next % (CHUNK / 2);
        const size_t word = (size_t)dice[0] * dice[1] * dice[2] / (256 * 256 * 256 / WORDS);
        const uint8_t *letters = noise + CHUNK / 2 + word * WORD_MAX;
        const size_t length = 2 + letters[WORD_MAX - 1] % (WORD_MAX - 3);
        for (size_t i = 0; i < length && at < CHUNK; i++)
            to[at++] = (uint8_t)('a' + letters[i] % 26);
        if (at < CHUNK)
            to[at++] = ' ';
    }
    os_page_free(noise);
    return to;
}

static void both_ways(struct job *job, const char *kind) {
    char name[64];
    (void)snprintf(name, sizeof name, "%s %d, %s: pack", job->codec->name, job->level, kind);
    bench(name, pack, job, CHUNK);
    if (job->packed_length == 0)
        return;
    (void)snprintf(name, sizeof name, "%s %d, %s: unpack, ratio %.2f", job->codec->name, job->level, kind,
                   (double)CHUNK / (double)job->packed_length);
    bench(name, unpack, job, CHUNK);
    bench_check(memcmp(job->raw, job->unpacked, CHUNK) == 0, "what was unpacked is what was packed");
}

static void all_kinds(struct job *job) {
    uint8_t *random = bench_random(CHUNK), *words = text(), *zeros = os_page_alloc(CHUNK);
    bench_check(zeros != NULL, "memory");
    memset(zeros, 0, CHUNK);
    const uint8_t *kinds[] = {random, words, zeros};
    static const char *const names[] = {"random", "text", "zeros"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        job->raw = kinds[i];
        both_ways(job, names[i]);
    }
    os_page_free(random);
    os_page_free(words);
    os_page_free(zeros);
}

static void all_levels(struct job *job) {
    static const int levels[] = {1, 3, 6};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        job->level = levels[i];
        all_kinds(job);
    }
}

int main(void) {
    struct job job = {
        .state = codec_state_new(), .packed = os_page_alloc(CHUNK), .unpacked = os_page_alloc(CHUNK)};
    bench_check(job.state && job.packed && job.unpacked, "memory");
    static const char *const names[] = {"zlib", "zstd"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        job.codec = codec_by_name(names[i]);
        if (job.codec)
            all_levels(&job);
    }
    codec_state_free(job.state);
    os_page_free(job.packed);
    os_page_free(job.unpacked);
    return 0;
}
