#include "trees.h"

#include "../sim/sim.h"

#include <stdlib.h>
#include <string.h>

enum { LARGE = 131072 /* and more: most blocks are the same in both versions */ };

const uint32_t trees_sizes[TREES_FILES] = {0, 1, 5000, 70000, 131072, 131073, 200000, 330000};
const char *const trees_names[TREES_FILES] = {"empty", "one",     "small", "bundled",
                                              "edge",  "chunked", "holes", "large"};

static const uint8_t *make_content(unsigned file, unsigned version) {
    uint8_t *bytes = malloc(trees_sizes[file] + 1);
    uint32_t x = file * 977 + 1;
    SIM_MUST(bytes != NULL);
    for (uint32_t i = 0; i < trees_sizes[file]; i++) {
        x = x * 1664525 + 1013904223;
        bool hole = file == 6 && i >= 8192 && i < 150000;
        unsigned v = trees_sizes[file] < LARGE || i / TREES_BLOCK % 4 == 0 ? version : 0;
        bytes[i] = hole ? 0 : (uint8_t)((file % 2 ? x >> 24 : i / 61) + v);
    }
    return bytes;
}

const uint8_t *trees_content(unsigned file, unsigned version) {
    static const uint8_t *made[TREES_FILES][TREES_VERSIONS + 1];
    if (made[file][version] == NULL)
        made[file][version] = make_content(file, version);
    return made[file][version];
}

const uint8_t *trees_huge(void) {
    static uint8_t *bytes;
    if (bytes == NULL) {
        bytes = calloc(TREES_HUGE_BYTES, 1);
        SIM_MUST(bytes != NULL);
        memcpy(bytes, trees_content(7, 2), trees_sizes[7]);
        memcpy(bytes + TREES_HUGE_BYTES - trees_sizes[7], trees_content(7, 2), trees_sizes[7]);
    }
    return bytes;
}
