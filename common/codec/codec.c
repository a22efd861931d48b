#include "codec/backend.h"

#include <stdlib.h>
#include <string.h>

static const struct codec_backend none_backend = {
    .codec = {.wire_id = CODEC_NONE, .name = "none"},
    .in_build = true,
};

static const struct codec_backend *const backends[CODEC_COUNT] = {
    [CODEC_NONE] = &none_backend,
    [CODEC_ZLIB] = &zlib_backend,
    [CODEC_ZSTD] = &zstd_backend,
};

struct codec_state *codec_state_new(void) {
    return calloc(1, sizeof(struct codec_state));
}

void codec_state_free(struct codec_state *state) {
    if (state == NULL)
        return;
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (state->memory[i])
            backends[i]->release(state->memory[i]);
    free(state);
}

const struct codec *codec_by_id(unsigned wire_id) {
    return wire_id < CODEC_COUNT && backends[wire_id]->in_build ? &backends[wire_id]->codec : NULL;
}

const struct codec *codec_by_name(const char *name) {
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (strcmp(backends[i]->codec.name, name) == 0)
            return codec_by_id(i);
    return NULL;
}

uint32_t codec_mask(void) {
    uint32_t mask = 0;
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        mask |= codec_by_id(i) ? UINT32_C(1) << i : 0;
    return mask;
}

const char *codec_id_name(unsigned wire_id) {
    return wire_id < CODEC_COUNT ? backends[wire_id]->codec.name : "?";
}
