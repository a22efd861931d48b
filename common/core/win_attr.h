/* win_attr.h: what only Windows keeps of a file or directory, besides read-only, which is a matter of its mode. */
#ifndef CORE_WIN_ATTR_H
#define CORE_WIN_ATTR_H

#include <stdbool.h>
#include <stdint.h>

/* FILE_ATTRIBUTE_*; the others say how a file is stored, and belong to where it is. */
enum { WIN_ATTR_HIDDEN = 0x02, WIN_ATTR_SYSTEM = 0x04, WIN_ATTR_ARCHIVE = 0x20 };
#define WIN_ATTR_KEPT (uint32_t)(WIN_ATTR_HIDDEN | WIN_ATTR_SYSTEM | WIN_ATTR_ARCHIVE)

struct win_attr {
    bool known; /* false on other systems */
    uint32_t bits; /* some of WIN_ATTR_KEPT */
    int64_t created_sec; /* time of creation */
    uint32_t created_nsec;
};

#endif
