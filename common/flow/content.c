#include "flow/content.h"

#include "os/os.h"

#include <errno.h>

static int make_room(struct content_room *room, uint32_t block_size) {
    if (room->digest == NULL)
        room->digest = file_digest_new();
    if (room->block_size < block_size) {
        os_page_free(room->block);
        room->block = os_page_alloc(block_size);
        room->block_size = room->block ? block_size : 0;
    }
    return room->digest && room->block ? 0 : -ENOMEM;
}

void content_room_free(struct content_room *room) {
    file_digest_free(room->digest);
    os_page_free(room->block);
    *room = (struct content_room){0};
}

int content_digest(struct content_room *room, struct os_file file, uint64_t size, uint32_t block_size,
                   struct digest *ret) {
    int result = make_room(room, block_size);
    if (result != 0)
        return result;
    file_digest_start(room->digest);
    for (uint64_t offset = 0; offset < size; offset += block_size) {
        uint32_t want = size - offset < block_size ? (uint32_t)(size - offset) : block_size;
        if (room->cancelled && atomic_load_explicit(room->cancelled, memory_order_relaxed))
            return -EINTR;
        ptrdiff_t got = os_pread(file, room->block, want, offset);
        if (got != (ptrdiff_t)want)
            return got < 0 ? (int)got : -EIO;
        if (room->read)
            atomic_fetch_add_explicit(room->read, want, memory_order_relaxed);
        struct digest d = digest_of(room->block, want);
        file_digest_add(room->digest, offset, want, &d);
    }
    *ret = file_digest_finish(room->digest, size);
    return 0;
}
