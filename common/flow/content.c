#include "flow/content.h"

#include <errno.h>
#include <stdlib.h>

static int add_blocks(struct os_file file, uint64_t size, uint32_t block_size, uint8_t *block,
                      struct file_digest *fd) {
    for (uint64_t offset = 0; offset < size; offset += block_size) {
        uint32_t want = size - offset < block_size ? (uint32_t)(size - offset) : block_size;
        ptrdiff_t got = os_pread(file, block, want, offset);
        if (got != (ptrdiff_t)want)
            return got < 0 ? (int)got : -EIO;
        struct digest d = digest_of(block, want);
        file_digest_add(fd, offset, want, &d);
    }
    return 0;
}

int content_digest(struct os_file file, uint64_t size, uint32_t block_size, struct digest *ret) {
    uint8_t *block = malloc(size < block_size ? (size_t)size + 1 : block_size);
    struct file_digest *fd = file_digest_new();
    int result = -ENOMEM;
    if (block && fd) {
        file_digest_start(fd);
        result = add_blocks(file, size, block_size, block, fd);
    }
    if (result == 0)
        *ret = file_digest_finish(fd, size);
    file_digest_free(fd);
    free(block);
    return result;
}
