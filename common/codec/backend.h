/* backend.h: what a codec's file gives to the table in codec.c. Only for the files of this folder. */
#ifndef CODEC_BACKEND_H
#define CODEC_BACKEND_H

#include "codec/codec.h"
#include "wire/protocol.h"

#include <stdbool.h>

struct codec_state {
    void *memory[CODEC_COUNT]; /* by wire_id: owned by that backend, NULL until it is first used */
};

struct codec_backend {
    struct codec codec; /* of a codec that is not in this build only wire_id and name are there */
    bool in_build;
    void (*release)(void *memory); /* frees what the backend keeps in a codec_state; never gets NULL */
};

extern const struct codec_backend zlib_backend, zstd_backend;

#endif
