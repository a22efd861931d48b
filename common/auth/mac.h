/* mac.h: the system's cryptography, as much as authentication needs: libsodium, or CNG on Windows. Any thread.
 * Random bytes are os_random. */
#ifndef AUTH_MAC_H
#define AUTH_MAC_H

#include "core/bytes.h"
#include "core/err.h"
#include "wire/protocol.h"

/* HMAC-SHA-256 of `parts`, one after another, under the key. 0, or -1 and err (EXIT_REFUSED): the system's provider does
 * not work. */
int mac_make(struct span key, const struct span *parts, size_t count, uint8_t ret[MAC_SIZE], struct err *err);

/* In a time that does not depend on the bytes. */
bool mac_equal(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]);

/* Memory for a key: not swapped out, where the system grants that; wiped by secret_free, which takes NULL too. NULL: no
 * memory. */
void *secret_new(size_t n);
void secret_free(void *p);
void secret_wipe(void *p, size_t n); /* overwritten, whatever the compiler thinks of it */

/* From now on this process leaves no core dump, and no other of the same user reads its memory, as far as the system lets
 * a process say so of itself. */
void secret_hide_process(void);

#endif
