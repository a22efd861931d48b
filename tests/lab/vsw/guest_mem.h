/* guest_mem.h: the memory that a front-end shares, and the only way from a guest's address to a pointer.
 *
 * Nothing outside a region can be reached: every range is checked as a whole, without overflow. A file that is
 * cut short while it is mapped gives SIGBUS; guest_mem_guard() turns that into zero bytes and a lost region.
 */
#ifndef GUEST_MEM_H
#define GUEST_MEM_H

#include "vu_msg.h"

struct guest_region {
    uint64_t guest, user, size;
    uint8_t *at; /* the first byte of the region */
    void *map; /* what was mapped: the file from its start to the region's end */
    size_t map_bytes;
};

struct guest_mem {
    unsigned count;
    struct guest_region region[VU_REGIONS_MAX];
};

/* Maps `count` (at most VU_REGIONS_MAX) regions of the files `fds`, which stay the caller's. The old contents of
 * `mem` are unmapped in any case. 0, or -1 and an empty `mem` when a region is empty, wraps around, overlaps
 * another one, or is not wholly inside its file. */
int guest_mem_map(struct guest_mem *mem, const struct vu_region *regions, const int *fds, unsigned count,
                  struct err *err);
void guest_mem_unmap(struct guest_mem *mem);

/* `bytes` (not 0) at a guest physical or front-end address, or NULL when they are not inside one region. */
void *guest_mem_at(const struct guest_mem *mem, uint64_t guest, uint64_t bytes);
void *guest_mem_at_user(const struct guest_mem *mem, uint64_t user, uint64_t bytes);

/* Once a program, before the first map: handle SIGBUS inside mapped regions. */
void guest_mem_guard(void);

/* True when a region of `mem` was cut short by the front-end; its bytes read as zero since. */
bool guest_mem_is_lost(const struct guest_mem *mem);

#endif
