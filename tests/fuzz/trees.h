/* trees.h: the files that go from one end to the other. All is made once for all runs. */
#ifndef FUZZ_TREES_H
#define FUZZ_TREES_H

#include <stdint.h>

enum {
    TREES_FILES = 8,
    TREES_VERSIONS = 2, /* 1 the old one, 2 the new one */
    TREES_BLOCK = 4096,
    TREES_HUGE_BYTES = 12 * 1024 * 1024, /* beyond the window of a receiver */
};

extern const uint32_t trees_sizes[TREES_FILES];
extern const char *const trees_names[TREES_FILES];
const uint8_t *trees_content(unsigned file, unsigned version);
const uint8_t *trees_huge(void); /* data at both ends, and a hole between them */

#endif
