#include "guarded.h"

#include <windows.h>

uint8_t *guarded_area(size_t usable, size_t guard) {
    uint8_t *area = VirtualAlloc(NULL, usable + guard, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    DWORD before;
    if (area == NULL || !VirtualProtect(area + usable, guard, PAGE_NOACCESS, &before))
        return NULL;
    return area;
}
