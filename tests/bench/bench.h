/* bench.h: how a micro-benchmark is timed and printed. `meson test --benchmark -C BUILD --verbose` runs them.
 *
 * Each line is the fastest of SAMPLES samples, which is the one that other load disturbed least; a sample is as
 * many rounds as take SAMPLE_NS. What a round does is a function, so that the compiler cannot see through it. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "os/os.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 7, SAMPLE_NS = 20 * 1000 * 1000 };

/* Does the operation so many times. */
typedef void bench_fn(void *arg, uint64_t rounds);

/* A benchmark whose operation fails measures nothing. */
static inline void bench_check(bool good, const char *what) {
    if (!good) {
        (void)fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

static inline int64_t bench_sample(bench_fn *fn, void *arg, uint64_t rounds) {
    const int64_t began = os_now_ns();
    fn(arg, rounds);
    return os_now_ns() - began;
}

static inline uint64_t bench_rounds(bench_fn *fn, void *arg) {
    uint64_t rounds = 1;
    while (bench_sample(fn, arg, rounds) < SAMPLE_NS)
        rounds *= 2;
    return rounds;
}

/* Nanoseconds of one operation, at best. */
static inline double bench_ns(bench_fn *fn, void *arg) {
    const uint64_t rounds = bench_rounds(fn, arg);
    int64_t best = INT64_MAX;
    for (int i = 0; i < SAMPLES; i++) {
        const int64_t took = bench_sample(fn, arg, rounds);
        best = took < best ? took : best;
    }
    return (double)best / (double)rounds;
}

/* Prints "name   ns/op   GB/s"; the rate only where an operation has bytes. */
static inline void bench(const char *name, bench_fn *fn, void *arg, size_t bytes) {
    const double ns = bench_ns(fn, arg);
    if (bytes > 0)
        printf("%-36s %12.1f ns/op %8.2f GB/s\n", name, ns, (double)bytes / ns);
    else
        printf("%-36s %12.1f ns/op\n", name, ns);
    (void)fflush(stdout);
}

/* Memory with bytes that no codec can make smaller (xorshift64). */
static inline uint8_t *bench_random(size_t n) {
    uint8_t *p = os_page_alloc(n);
    bench_check(p != NULL, "memory");
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        p[i] = (uint8_t)(state >> 32);
    }
    return p;
}

#endif
