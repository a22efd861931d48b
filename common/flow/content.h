/* content.h: the content digest of a file, for comparison (docs/protocol.md, "Comparison"). */
#ifndef FLOW_CONTENT_H
#define FLOW_CONTENT_H

#include "codec/digest.h"
#include "os/os_file.h"

#include <stdatomic.h>

/* What digests are made in, kept from file to file. {0} at first; freed by content_room_free(). */
struct content_room {
    struct file_digest *digest;
    uint8_t *block;
    uint32_t block_size;
    const atomic_bool *cancelled; /* ends what would take long; NULL: nothing does */
    _Atomic uint64_t *read; /* bytes that were read are added here; NULL: nowhere */
};
void content_room_free(struct content_room *room);

/* The file digest over the grid of blocks of block_size, with holes read as zeros: what BASIS_CONTENT carries. Reads
 * `size` bytes. 0, or a negative result (-EIO when the file is shorter, -EINTR when it was cancelled). */
int content_digest(struct content_room *room, struct os_file file, uint64_t size, uint32_t block_size,
                   struct digest *ret);

#endif
