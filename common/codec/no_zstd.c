/* no_zstd.c: in place of zstd.c in a build without the library; only the name is known. */
#include "codec/backend.h"

const struct codec_backend zstd_backend = {
    .codec = {.wire_id = CODEC_ZSTD, .name = "zstd"},
    .in_build = false,
};
