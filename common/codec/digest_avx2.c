/* digest_avx2.c: compiled with -mavx2, so that nothing else may be in it. */
#include "codec/digest_code.h"

static XXH128_hash_t of(const void *p, size_t n) {
    return XXH3_128bits(p, n);
}

static void add(XXH3_state_t *state, const void *p, size_t n) {
    (void)XXH3_128bits_update(state, p, n);
}

const struct digest_code digest_code_avx2 = {of, add};
