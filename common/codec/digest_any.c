#include "codec/digest_code.h"

const struct digest_code *digest_code_here(void) {
    return &digest_code_plain;
}
