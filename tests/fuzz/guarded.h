/* guarded.h: memory that nobody may go beyond. */
#ifndef FUZZ_GUARDED_H
#define FUZZ_GUARDED_H

#include <stddef.h>
#include <stdint.h>

/* `usable` bytes and after them `guard` that cannot be accessed; both are multiples of 64 KiB. NULL when there are
 * none. It is never freed. */
uint8_t *guarded_area(size_t usable, size_t guard);

#endif
