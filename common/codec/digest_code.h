/* digest_code.h: XXH3-128 compiled for one instruction set. Every file that includes this compiles xxhash's header inline,
 * so that a state made in one of them may be used in another. */
#ifndef CODEC_DIGEST_CODE_H
#define CODEC_DIGEST_CODE_H

#include <stddef.h>
#include <xxhash.h>

struct digest_code {
    XXH128_hash_t (*of)(const void *p, size_t n);
    void (*add)(XXH3_state_t *state, const void *p, size_t n);
};

extern const struct digest_code digest_code_plain; /* what every processor of this family has */
extern const struct digest_code digest_code_avx2; /* only where the processor has AVX2 */

/* The fastest that this processor can run. Any thread. */
const struct digest_code *digest_code_here(void);

#endif
