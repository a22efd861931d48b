/* zstd.c: one zstd frame (RFC 8878) a block, without zstd's own checksum: the block's digest is checked. */
#include "codec/backend.h"
#include "core/bytes.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct zstd_memory {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

static struct zstd_memory *zstd_memory(struct codec_state *state) {
    if (state->memory[CODEC_ZSTD] == NULL)
        state->memory[CODEC_ZSTD] = calloc(1, sizeof(struct zstd_memory));
    return state->memory[CODEC_ZSTD];
}

static void zstd_release(void *memory) {
    struct zstd_memory *m = memory;
    (void)ZSTD_freeCCtx(m->pack);
    (void)ZSTD_freeDCtx(m->unpack);
    free(m);
}

static ZSTD_CCtx *pack_context(struct codec_state *state) {
    struct zstd_memory *m = zstd_memory(state);
    if (m && m->pack == NULL)
        m->pack = ZSTD_createCCtx();
    return m ? m->pack : NULL;
}

static ZSTD_DCtx *unpack_context(struct codec_state *state) {
    struct zstd_memory *m = zstd_memory(state);
    if (m && m->unpack == NULL)
        m->unpack = ZSTD_createDCtx();
    return m ? m->unpack : NULL;
}

static ptrdiff_t zstd_pack(struct codec_state *state, int level, const void *raw, size_t n, void *to,
                           struct err *err) {
    if (n < 2)
        return 0;
    ZSTD_CCtx *context = pack_context(state);
    if (context == NULL)
        return err_set(err, EXIT_MEMORY, "zstd: out of memory");
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0);
    size_t packed = ZSTD_compress2(context, to, n - 1, raw, n);
    if (!ZSTD_isError(packed))
        return (ptrdiff_t)packed;
    if (ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation)
        return err_set(err, EXIT_MEMORY, "zstd: out of memory");
    return 0; /* the output is full: nothing else can fail here */
}

/* zstd itself reads any number of frames, of other formats too, one after another: only one plain frame
 * that ends where the data ends is ours. */
static bool is_one_frame(const void *packed, size_t n) {
    return n >= 4 && le32(packed) == ZSTD_MAGICNUMBER && ZSTD_findFrameCompressedSize(packed, n) == n;
}

static int zstd_unpack(struct codec_state *state, const void *packed, size_t n, void *to, size_t raw_length,
                       struct err *err) {
    if (!is_one_frame(packed, n))
        return err_set(err, EXIT_VERIFY, "zstd: data is not exactly one frame");
    ZSTD_DCtx *context = unpack_context(state);
    if (context == NULL)
        return err_set(err, EXIT_MEMORY, "zstd: out of memory");
    /* In one call the output is the window, so the frame's window size makes it allocate nothing. */
    size_t got = ZSTD_decompressDCtx(context, to, raw_length, packed, n);
    if (ZSTD_isError(got) && ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
        return err_set(err, EXIT_MEMORY, "zstd: out of memory");
    if (ZSTD_isError(got))
        return err_set(err, EXIT_VERIFY, "zstd: data is damaged (%s)", ZSTD_getErrorName(got));
    if (got != raw_length)
        return err_set(err, EXIT_VERIFY, "zstd: data is shorter than announced");
    return 0;
}

const struct codec_backend zstd_backend = {
    .codec =
        {
            .wire_id = CODEC_ZSTD,
            .name = "zstd",
            .level_min = 1,
            .level_max = 19, /* those above need hundreds of MiB a thread */
            .level_default = 1,
            .ladder = {1, 3, 6, 9},
            .pack = zstd_pack,
            .unpack = zstd_unpack,
        },
    .in_build = true,
    .release = zstd_release,
};
