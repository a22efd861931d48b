/* key.h: the key that both ends share (--key-file), and its file. Main thread; a key is read by any thread. */
#ifndef AUTH_KEY_H
#define AUTH_KEY_H

#include "core/bytes.h"
#include "core/err.h"

enum {
    KEY_BYTES_MIN = 32, /* what HMAC-SHA-256 is worth */
    KEY_BYTES_MAX = 4096,
};

struct key; /* in memory of its own, see secret_new */

/* The bytes of a regular file that belongs to this user or to root and that nobody else may touch; one line end at its
 * end is not part of the key. A link is followed: the file is what counts. From now on this process leaves no core dump.
 * 0, or -1 and err: EXIT_FILE_IO when it cannot be read, EXIT_USAGE for what is wrong with it, EXIT_MEMORY. */
int key_load(const char *path, struct key **ret, struct err *err);
/* A new file with a random key, 64 hexadecimal digits and a line end, for this user alone. 0, or -1 and err: EXIT_FILE_IO,
 * also when there is something of that name. */
int key_generate(const char *path, struct err *err);

/* A key of these bytes, at least KEY_BYTES_MIN; NULL: no memory. */
struct key *key_new(struct span bytes);
struct span key_bytes(const struct key *key); /* lives as long as the key */
void key_free(struct key *key); /* NULL is fine */

#endif
