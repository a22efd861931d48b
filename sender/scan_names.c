/* scan_names.c: a hash table with linear probing. Of a name there is only its hash: where two have the same, the answer is
 * that more places have it, which costs time and nothing else. */
#include "sender/scan_names.h"

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
    os_random(ret->key, sizeof ret->key);
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

static uint64_t turn(uint64_t v, unsigned bits) {
    return v << bits | v >> (64 - bits);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turn(v[1], 13) ^ v[0];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] = turn(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = turn(v[1], 17) ^ v[2];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] = turn(v[2], 32);
}

/* SipHash-1-3, but for the order of a word's bytes, which is the machine's. */
static uint64_t hash_of(const uint64_t key[2], const char *name) {
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                     key[1] ^ 0x7465646279746573};
    size_t n = strlen(name);
    for (size_t at = 0; at <= n;
         at += 8) { /* the last word has less than 8 bytes of the name, and ends with its length */
        uint64_t word = at + 8 > n ? (uint64_t)n << 56 : 0;
        memcpy(&word, name + at, at + 8 > n ? n - at : 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
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
    uint64_t hash = hash_of(names->common->key, name);
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
    uint64_t slot = *slot_of(names->slots, names->count, hash_of(names->common->key, name));
    return (slot & PLACE_MASK) == place + 1;
}
