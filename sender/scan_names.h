/* scan_names.h: where sources meet, which names their places in a directory have: a name that only one of them has need not be
 * looked for in all the others. */
#ifndef SENDER_SCAN_NAMES_H
#define SENDER_SCAN_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* What all tables of a scan share. */
struct scan_names_common {
    uint64_t key; /* random: nobody knows where in a table a name lies */
    uint32_t left; /* names that may still be added, to any of them */
};

/* The key, and room for `most` names, which take at most 32 bytes each. */
void scan_names_begin(struct scan_names_common *ret, uint32_t most);

struct scan_names;
/* Empty; `common` outlives it. NULL: no memory. */
struct scan_names *scan_names_new(struct scan_names_common *common);
void scan_names_free(struct scan_names *names); /* gives back its part of `left`; NULL is fine */
/* `place` has it, a number below ROOTS_MAX (scan.h). False: no memory, or nothing left; then the table is of no use. */
bool scan_names_add(struct scan_names *names, const char *name, unsigned place);
/* True when it was added for `place`, and for no other. */
bool scan_names_only(const struct scan_names *names, const char *name, unsigned place);

#endif
