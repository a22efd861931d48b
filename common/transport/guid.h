/* guid.h: GUIDs as Hyper-V sockets use them, and the ones that stand for vsock ports.
 *
 * All of it is pure and the same on every system.
 */
#ifndef TRANSPORT_GUID_H
#define TRANSPORT_GUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which Windows keeps a GUID in memory: Data1, Data2 and Data3 little-endian, then Data4. */
struct guid {
    uint8_t b[16];
};

enum {
    GUID_TEXT_LENGTH = 36, /* "00000ac9-facb-11e6-bd58-64006a7986d3" */
    GUID_PORT_MAX = 0x7FFFFFFF, /* the highest vsock port that has a service GUID */
};

struct guid_text {
    char s[GUID_TEXT_LENGTH + 1];
};

/* The n characters at `text`, in either case, with or without braces. 0, or -1 when they are no GUID. */
int guid_parse(const char *text, size_t n, struct guid *ret);

/* Lower case, without braces. Returns to->s. */
const char *guid_format(const struct guid *guid, struct guid_text *to);
/* For use as a printf argument; lives until the end of the enclosing block. */
#define GUID_TEXT(guid) guid_format((guid), &(struct guid_text){.s = ""})

bool guid_equal(const struct guid *a, const struct guid *b);

/* Hyper-V's template for Linux guests, 00000000-facb-11e6-bd58-64006a7986d3, with Data1 as the vsock port.
 * Ports are 0…GUID_PORT_MAX. */
struct guid guid_of_port(uint32_t port);
/* False, and *ret_port untouched, when the GUID does not follow the template. */
bool guid_to_port(const struct guid *guid, uint32_t *ret_port);

#endif
