#include "os/read_back.h"

#include <errno.h>

struct run {
    uint64_t offset, end;
};

static int read_run(struct os_file file, void *buffer, struct run run, read_back_piece_fn *piece,
                    os_piece_fn *take, void *ctx) {
    while (run.offset < run.end) {
        ptrdiff_t got = piece(file, buffer, run.end - run.offset, run.offset);
        if (got < 0)
            return (int)got;
        if (!take(ctx, buffer, (size_t)got, run.offset))
            return -EINTR;
        run.offset += (uint64_t)got;
    }
    return 0;
}

int read_back_data(struct os_file file, void *buffer, uint64_t size, read_back_piece_fn *piece,
                   os_piece_fn *take, void *ctx) {
    struct os_stat st;
    struct run run = {0};
    int result = os_fstat(file, &st);
    if (result == 0 && st.size < size)
        result = -EIO;
    while (result == 0 && run.end < size) {
        result = os_next_data(file, run.end, size, &run.offset, &run.end);
        if (result != 0)
            return result == -ENXIO ? 0 : result; /* only a hole follows */
        run.offset -= run.offset % READ_BACK_ALIGNMENT;
        if (run.end < size)
            run.end = (run.end + READ_BACK_ALIGNMENT - 1) / READ_BACK_ALIGNMENT * READ_BACK_ALIGNMENT;
        if (run.end > size)
            run.end = size;
        result = read_run(file, buffer, run, piece, take, ctx);
    }
    return result;
}
