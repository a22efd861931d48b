/* codec.h: packing and unpacking of one chunk. A const table of codecs; each is one file. */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

/* Working memory of one thread; made on first use of each codec, reused for ever after. */
struct codec_state;
struct codec_state *codec_state_new(void); /* NULL: no memory */
void codec_state_free(struct codec_state *state);

enum { CODEC_LADDER = 4 };

struct codec {
    uint8_t wire_id; /* enum codec_id */
    const char *name; /* "zlib" */
    int level_min, level_max, level_default;
    int ladder[CODEC_LADDER]; /* levels that are chosen automatically, the quickest first */
    /* Pack n raw bytes (0…CHUNK_SIZE_MAX) at a level in level_min…level_max into `to`, which has room for
     * n - 1: the packed length (< n), 0 when it would not be smaller (store it then), or -1 and err
     * (EXIT_MEMORY). */
    ptrdiff_t (*pack)(struct codec_state *state, int level, const void *raw, size_t n, void *to,
                      struct err *err);
    /* Unpack n bytes into exactly raw_length bytes (both at most CHUNK_SIZE_MAX). 0, or -1 and err:
     * EXIT_VERIFY when the data is damaged, too short, too long or followed by anything; EXIT_MEMORY. Never
     * writes outside `to`. */
    int (*unpack)(struct codec_state *state, const void *packed, size_t n, void *to, size_t raw_length,
                  struct err *err);
};

/* NULL when this build lacks it. CODEC_NONE has neither pack nor unpack. */
const struct codec *codec_by_id(unsigned wire_id);
const struct codec *codec_by_name(const char *name);
uint32_t codec_mask(void); /* bit i: codec i is in this build */
const char *codec_id_name(unsigned wire_id); /* "none", "zlib", "zstd", "?" */

#endif
