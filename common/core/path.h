/* path.h: what a name may be, for every platform alike.
 *
 * Inside the programs a relative path is a NUL-terminated string of components joined by '/', without
 * a leading or trailing '/'; "" is the root itself. On the wire it is a list of components. A name that
 * breaks a rule is refused, never repaired.
 */
#ifndef CORE_PATH_H
#define CORE_PATH_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NAME_BYTES_MAX = 255, /* one component, as in Linux NAME_MAX */
    PATH_DEPTH_MAX = 64, /* components below the root */
    PATH_BYTES_MAX = PATH_DEPTH_MAX * (NAME_BYTES_MAX + 1), /* with separators and the final NUL */
    NAME_SALT_DIGITS = 16, /* of an unfinished file's name */
};

/* Names that begin so belong to the sink's unfinished files; a peer may not use them. */
#define RESERVED_PREFIX ".hvferry."

enum name_fault {
    NAME_OK,
    NAME_EMPTY,
    NAME_TOO_LONG,
    NAME_DOT, /* "." or ".." */
    NAME_SEPARATOR, /* holds '/' */
    NAME_NUL,
    NAME_RESERVED, /* begins with RESERVED_PREFIX (case is ignored) */
};

/* What is wrong with one component of n bytes; NAME_OK when nothing is. */
enum name_fault name_check(const void *name, size_t n);

/* The numbers of a name .hvferry.SALT.ID or .hvferry.SALT.ID.UP, in hexadecimal digits, of which SALT has NAME_SALT_DIGITS: 2
 * or 3 of them; 0 when it is no such name. */
unsigned name_read_temp(const char *name, uint64_t ret_numbers[3]);

/* True for the names that receivers give (receiver/sink_names.c, os/win32/share.c), and for no other that begins with
 * RESERVED_PREFIX. */
bool name_is_unfinished(const char *name);

/* For people: "name is empty", … */
const char *name_fault_text(enum name_fault fault);

/* Check a whole relative path (depth, every component). 0, or -1 and err (EXIT_PARTIAL). */
int path_check(const char *path, struct err *err);

/* Number of components; 0 for "". */
unsigned path_depth(const char *path);

/* Points at the last component of `path`; *ret_parent_len is the length of what stands before it,
 * without the separator (0 when the parent is the root). */
const char *path_base(const char *path, size_t *ret_parent_len);

/* True when both have the same parent. */
bool path_are_neighbours(const char *a, const char *b);

/* Of the first n bytes of `path`, those of the directory that holds what they name; 0: the root. */
size_t path_parent_length(const char *path, size_t n);

/* True when `path` is `above` or lies below it. "" is above everything. */
bool path_is_within(const char *path, const char *above);

#endif
