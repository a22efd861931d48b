#include "auth/mac.h"

#include <windows.h>
#include <bcrypt.h>

int mac_make(struct span key, const struct span *parts, size_t count, uint8_t ret[MAC_SIZE],
             struct err *err) {
    BCRYPT_ALG_HANDLE algorithm = NULL;
    BCRYPT_HASH_HANDLE hash = NULL;
    NTSTATUS status =
        BCryptOpenAlgorithmProvider(&algorithm, BCRYPT_SHA256_ALGORITHM, NULL, BCRYPT_ALG_HANDLE_HMAC_FLAG);
    if (BCRYPT_SUCCESS(status))
        status = BCryptCreateHash(algorithm, &hash, NULL, 0, (PUCHAR)key.p, (ULONG)key.n, 0);
    for (size_t i = 0; BCRYPT_SUCCESS(status) && i < count; i++)
        status = BCryptHashData(hash, (PUCHAR)parts[i].p, (ULONG)parts[i].n, 0);
    if (BCRYPT_SUCCESS(status))
        status = BCryptFinishHash(hash, ret, MAC_SIZE, 0);
    if (hash)
        (void)BCryptDestroyHash(hash);
    if (algorithm)
        (void)BCryptCloseAlgorithmProvider(algorithm, 0);
    if (BCRYPT_SUCCESS(status))
        return 0;
    return err_set(err, EXIT_REFUSED, "HMAC-SHA-256 does not work on this system (status %#lx)",
                   (unsigned long)status);
}

bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]) {
    volatile uint8_t differs = 0; /* volatile: no byte is skipped once the answer is clear */
    for (size_t i = 0; i < MAC_SIZE; i++)
        differs |= a[i] ^ b[i];
    return differs == 0;
}

/* The size is kept before the memory, in a block of pages that nothing else shares. */
enum { HEAD = 16 };

void *secret_new(size_t n) {
    uint8_t *block = VirtualAlloc(NULL, HEAD + n, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    if (block == NULL)
        return NULL;
    (void)VirtualLock(block, HEAD + n); /* refused beyond the working set: then it may be swapped */
    memcpy(block, &n, sizeof n);
    return block + HEAD;
}

void secret_free(void *p) {
    size_t n;
    if (p == NULL)
        return;
    uint8_t *block = (uint8_t *)p - HEAD;
    memcpy(&n, block, sizeof n);
    SecureZeroMemory(block, HEAD + n);
    (void)VirtualFree(block, 0, MEM_RELEASE);
}

void secret_wipe(void *p, size_t n) {
    SecureZeroMemory(p, n);
}

void secret_hide_process(void) {
    (void)SetErrorMode(SEM_FAILCRITICALERRORS |
                       SEM_NOGPFAULTERRORBOX); /* no error report, so no dump in it */
}
