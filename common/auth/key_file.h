/* key_file.h: what the system knows of a key's file. Twin files under posix/ and win32/. */
#ifndef AUTH_KEY_FILE_H
#define AUTH_KEY_FILE_H

#include "core/err.h"

#include <stddef.h>

/* Reads at most n bytes of a file that is only for this user's eyes, see key_load. 0 and how many there were, or -1 and
 * err. */
int key_file_read(const char *path, void *to, size_t n, size_t *ret_n, struct err *err);
/* Makes the file, for this user alone, and flushes it. 0, or -1 and err; then it is not there, unless it was before. */
int key_file_create(const char *path, const void *p, size_t n, struct err *err);

#endif
