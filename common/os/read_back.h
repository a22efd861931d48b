/* read_back.h: what os_read_back does alike in both families. */
#ifndef OS_READ_BACK_H
#define OS_READ_BACK_H

#include "os/os_file.h"

enum {
    READ_BACK_PIECE = 1024 * 1024,
    READ_BACK_ALIGNMENT = 4096, /* of offsets and lengths: no storage asks for more */
};

/* What to ask for, so that it is aligned, of a file that has `left` bytes behind an aligned offset. */
static inline size_t read_back_ask(uint64_t left) {
    return left < READ_BACK_PIECE
               ? (size_t)(left + READ_BACK_ALIGNMENT - 1) / READ_BACK_ALIGNMENT * READ_BACK_ALIGNMENT
               : READ_BACK_PIECE;
}

/* Reads from the aligned offset: the number of bytes, never 0 or more than `left`, or -errno (-EIO: the file ends before).
 * `to` has room for READ_BACK_PIECE. */
typedef ptrdiff_t read_back_piece_fn(struct os_file file, void *to, uint64_t left, uint64_t offset);

/* All that is no hole, by `piece`. As os_read_back; `buffer` has READ_BACK_PIECE bytes. */
int read_back_data(struct os_file file, void *buffer, uint64_t size, read_back_piece_fn *piece,
                   os_piece_fn *take, void *ctx);

#endif
