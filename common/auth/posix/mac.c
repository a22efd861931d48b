#include "auth/mac.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

_Static_assert(MAC_SIZE == crypto_auth_hmacsha256_BYTES, "docs/protocol.md, \"Authentication\"");

int mac_make(struct span key, const struct span *parts, size_t count, uint8_t ret[MAC_SIZE],
             struct err *err) {
    crypto_auth_hmacsha256_state state;
    if (sodium_init() < 0)
        return err_set(err, EXIT_REFUSED, "libsodium does not work on this system");
    (void)crypto_auth_hmacsha256_init(&state, key.p, key.n);
    for (size_t i = 0; i < count; i++)
        (void)crypto_auth_hmacsha256_update(&state, parts[i].p, parts[i].n);
    (void)crypto_auth_hmacsha256_final(&state, ret);
    sodium_memzero(&state, sizeof state);
    return 0;
}

bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]) {
    return sodium_memcmp(a, b, MAC_SIZE) == 0;
}

void *secret_new(size_t n) {
    return sodium_init() < 0 ? NULL : sodium_malloc(n);
}

void secret_free(void *p) {
    sodium_free(p);
}

void secret_wipe(void *p, size_t n) {
    sodium_memzero(p, n);
}

void secret_hide_process(void) {
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
