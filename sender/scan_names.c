/* scan_names.c: a hash table with linear probing. Of a name there is only its hash: where two have the same, the answer is
 * that more places have it, which costs time and nothing else. */
#include "sender/scan_names.h"

#include "codec/digest.h"
#include "os/os.h"
#include "sender/scan.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_FIRST = 64,
    PLACE_BITS = 16,
    PLACE_MASK = (1 << PLACE_BITS) - 1,
    MANY = PLACE_MASK, /* instead of a place */
};
_Static_assert((int)ROOTS_MAX < (int)MANY, "a place fits, and 1 more");

struct scan_names {
    struct scan_names_common *common;
    uint64_t *slots; /* 0: free; else the hash, with the place and 1 instead of its lowest bits */
    uint32_t count, used; /* slots: a power of two, at most half of them used */
};

void scan_names_begin(struct scan_names_common *ret, uint32_t most) {
    os_random(&ret->key, sizeof ret->key);
    ret->left = most;
}

struct scan_names *scan_names_new(struct scan_names_common *common) {
    struct scan_names *names = calloc(1, sizeof *names);
    uint64_t *slots = calloc(SLOTS_FIRST, sizeof *slots);
    if (names == NULL || slots == NULL) {
        free(names);
        free(slots);
        return NULL;
    }
    *names = (struct scan_names){.common = common, .slots = slots, .count = SLOTS_FIRST};
    return names;
}

void scan_names_free(struct scan_names *names) {
    if (names == NULL)
        return;
    names->common->left += names->used;
    free(names->slots);
    free(names);
}

/* The slot of this hash, or the free one where it would be. */
static uint64_t *slot_of(uint64_t *slots, uint32_t count, uint64_t hash) {
    for (uint64_t i = hash >> PLACE_BITS;; i++) {
        uint64_t *slot = &slots[i & (count - 1)];
        if (*slot == 0 || (*slot ^ hash) >> PLACE_BITS == 0)
            return slot;
    }
}

static bool grow(struct scan_names *names) {
    uint32_t count = names->count * 2;
    uint64_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < names->count; i++)
        if (names->slots[i])
            *slot_of(slots, count, names->slots[i]) = names->slots[i];
    free(names->slots);
    names->slots = slots;
    names->count = count;
    return true;
}

bool scan_names_add(struct scan_names *names, const char *name, unsigned place) {
    uint64_t hash = digest_keyed(names->common->key, name, strlen(name));
    uint64_t *slot = slot_of(names->slots, names->count, hash);
    if (*slot) {
        if ((*slot & PLACE_MASK) != place + 1)
            *slot |= MANY;
        return true;
    }
    if (names->common->left == 0)
        return false;
    names->common->left--;
    names->used++;
    *slot = (hash & ~(uint64_t)PLACE_MASK) | (place + 1);
    return names->used * 2 <= names->count || grow(names);
}

bool scan_names_only(const struct scan_names *names, const char *name, unsigned place) {
    uint64_t slot =
        *slot_of(names->slots, names->count, digest_keyed(names->common->key, name, strlen(name)));
    return (slot & PLACE_MASK) == place + 1;
}
