#include "os/win32/os_win32.h"

#include <errno.h>

enum {
    PIECE = 1024 * 1024,
    ALIGNMENT = 4096, /* of offsets and lengths: no storage asks for more */
};

static int read_run(struct os_file file, void *buffer, uint64_t offset, uint64_t end, os_piece_fn *take,
                    void *ctx) {
    while (offset < end) {
        uint64_t left = end - offset;
        size_t n = left < PIECE ? (size_t)(left + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : PIECE;
        size_t wanted = left < n ? (size_t)left : n;
        OVERLAPPED where = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
        DWORD got = 0;
        if (!ReadFile(file.handle, buffer, (DWORD)n, &got, &where))
            return win_error(GetLastError());
        if (got < wanted)
            return -EIO;
        if (!take(ctx, buffer, wanted, offset))
            return -EINTR;
        offset += wanted;
    }
    return 0;
}

static int read_all(struct os_file file, void *buffer, uint64_t size, os_piece_fn *take, void *ctx) {
    struct os_stat st;
    uint64_t start, end = 0;
    int result = os_fstat(file, &st);
    if (result == 0 && st.size < size)
        result = -EIO;
    while (result == 0 && end < size) {
        result = os_next_data(file, end, size, &start, &end);
        if (result != 0)
            return result == -ENXIO ? 0 : result; /* only a hole follows */
        start -= start % ALIGNMENT;
        end = end < size ? (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : size;
        result = read_run(file, buffer, start, end < size ? end : size, take, ctx);
    }
    return result;
}

int os_drop_cached(struct os_file file) {
    (void)file;
    return 0;
}

/* What was open for writing is shared with nobody, so that it is closed first. */
int os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size, os_piece_fn *take,
                 void *ctx, const char **ret_how) {
    static const struct nt_how how = {FILE_GENERIC_READ | FILE_WRITE_ATTRIBUTES,
                                      FILE_SHARE_READ | FILE_SHARE_DELETE, FILE_OPEN,
                                      FILE_NON_DIRECTORY_FILE | FILE_NO_INTERMEDIATE_BUFFERING};
    void *buffer = os_page_alloc(PIECE);
    int result = buffer ? os_close_checked(file) : -ENOMEM;
    if (result == 0)
        result = nt_open(at.handle, name, &how, &file->handle);
    if (result == 0)
        result = read_all(*file, buffer, size, take, ctx);
    os_page_free(buffer);
    *ret_how = "past the cache (without intermediate buffering)";
    return result;
}
