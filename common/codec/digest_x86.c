#include "codec/digest_code.h"

const struct digest_code *digest_code_here(void) {
    return __builtin_cpu_supports("avx2") ? &digest_code_avx2 : &digest_code_plain;
}
