/* zlib.c: the zlib format (RFC 1950), with one stream for each way that is reset, not made, for a block. */
#include "codec/backend.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

struct zlib_memory {
    z_stream pack, unpack;
    int pack_level; /* what `pack` was made for */
    bool has_pack, has_unpack;
};

static struct zlib_memory *zlib_memory(struct codec_state *state, struct err *err) {
    if (state->memory[CODEC_ZLIB] == NULL)
        state->memory[CODEC_ZLIB] = calloc(1, sizeof(struct zlib_memory));
    if (state->memory[CODEC_ZLIB] == NULL)
        (void)err_set(err, EXIT_MEMORY, "zlib: out of memory");
    return state->memory[CODEC_ZLIB];
}

static void zlib_release(void *memory) {
    struct zlib_memory *m = memory;
    if (m->has_pack)
        (void)deflateEnd(&m->pack);
    if (m->has_unpack)
        (void)inflateEnd(&m->unpack);
    free(m);
}

/* A stream at its start, or NULL and err. */
static z_stream *pack_stream(struct codec_state *state, int level, struct err *err) {
    struct zlib_memory *m = zlib_memory(state, err);
    if (m == NULL)
        return NULL;
    if (m->has_pack && m->pack_level == level) {
        (void)deflateReset(&m->pack);
        return &m->pack;
    }
    if (m->has_pack)
        (void)deflateEnd(&m->pack);
    m->pack = (z_stream){.next_in = NULL};
    m->has_pack = deflateInit(&m->pack, level) == Z_OK;
    m->pack_level = level;
    if (!m->has_pack)
        (void)err_set(err, EXIT_MEMORY, "zlib: out of memory");
    return m->has_pack ? &m->pack : NULL;
}

static z_stream *unpack_stream(struct codec_state *state, struct err *err) {
    struct zlib_memory *m = zlib_memory(state, err);
    if (m == NULL)
        return NULL;
    if (m->has_unpack) {
        (void)inflateReset(&m->unpack);
        return &m->unpack;
    }
    m->unpack = (z_stream){.next_in = NULL};
    m->has_unpack = inflateInit(&m->unpack) == Z_OK;
    if (!m->has_unpack)
        (void)err_set(err, EXIT_MEMORY, "zlib: out of memory");
    return m->has_unpack ? &m->unpack : NULL;
}

/* zlib's pointers are not const for the input without ZLIB_CONST, which is not in every version. */
static void set_io(z_stream *z, const void *in, size_t in_n, void *out, size_t out_n) {
    assert(in_n <= CHUNK_SIZE_MAX && out_n <= CHUNK_SIZE_MAX);
    z->next_in = (Bytef *)(uintptr_t)in;
    z->avail_in = (uInt)in_n;
    z->next_out = out;
    z->avail_out = (uInt)out_n;
}

static ptrdiff_t zlib_pack(struct codec_state *state, int level, const void *raw, size_t n, void *to,
                           struct err *err) {
    if (n < 2)
        return 0;
    z_stream *z = pack_stream(state, level, err);
    if (z == NULL)
        return -1;
    set_io(z, raw, n, to, n - 1);
    /* All input is there, so anything but the end means that the output is full. */
    return deflate(z, Z_FINISH) == Z_STREAM_END ? (ptrdiff_t)(n - 1 - z->avail_out) : 0;
}

static int zlib_unpack(struct codec_state *state, const void *packed, size_t n, void *to, size_t raw_length,
                       struct err *err) {
    z_stream *z = unpack_stream(state, err);
    if (z == NULL)
        return -1;
    set_io(z, packed, n, to, raw_length);
    int status = inflate(z, Z_FINISH);
    if (status == Z_MEM_ERROR)
        return err_set(err, EXIT_MEMORY, "zlib: out of memory");
    if (status == Z_BUF_ERROR || status == Z_OK)
        return err_set(err, EXIT_VERIFY, "zlib: data is %s",
                       z->avail_out ? "cut short" : "longer than announced, or its end is missing");
    if (status != Z_STREAM_END)
        return err_set(err, EXIT_VERIFY, "zlib: data is damaged (%s)", z->msg ? z->msg : "no reason given");
    if (z->avail_out > 0)
        return err_set(err, EXIT_VERIFY, "zlib: data is shorter than announced");
    if (z->avail_in > 0)
        return err_set(err, EXIT_VERIFY, "zlib: %u bytes follow the data", z->avail_in);
    return 0;
}

const struct codec_backend zlib_backend = {
    .codec =
        {
            .wire_id = CODEC_ZLIB,
            .name = "zlib",
            .level_min = Z_BEST_SPEED,
            .level_max = Z_BEST_COMPRESSION,
            .level_default = Z_BEST_SPEED,
            .ladder = {1, 3, 6, 9},
            .pack = zlib_pack,
            .unpack = zlib_unpack,
        },
    .in_build = true,
    .release = zlib_release,
};
