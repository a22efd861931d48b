#include "guarded.h"

#include <sys/mman.h>

uint8_t *guarded_area(size_t usable, size_t guard) {
    uint8_t *area = mmap(NULL, usable + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || mprotect(area + usable, guard, PROT_NONE) != 0)
        return NULL;
    return area;
}
