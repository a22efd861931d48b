/* wtf8.h: names between UTF-16, as Windows has them, and bytes, as the wire and the rest of the program have them.
 *
 * Windows names are any 16-bit units. WTF-8 is UTF-8 where a surrogate without its partner is encoded as if it
 * were a character, so that every name goes there and back unchanged. Bytes that are no such encoding, among them
 * a pair of surrogates written as two, have no name here and are refused.
 */
#ifndef OS_WIN32_WTF8_H
#define OS_WIN32_WTF8_H

#include <stddef.h>
#include <stdint.h>

/* Units written to `to` (room for max; no terminator), or -EILSEQ, -ENAMETOOLONG. */
ptrdiff_t wtf8_to_utf16(const char *from, size_t n, uint16_t *to, size_t max);
/* The same, from malloc and with a terminator. NULL: no name of Windows, or no memory. */
uint16_t *wtf8_new_utf16(const char *from);
/* Bytes written to `to` (room for max; no terminator), or -ENAMETOOLONG. Each unit takes at most 3. */
ptrdiff_t utf16_to_wtf8(const uint16_t *from, size_t n, char *to, size_t max);

#endif
