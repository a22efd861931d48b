#include "os/read_back.h"
#include "os/win32/os_win32.h"

#include <errno.h>

static ptrdiff_t read_piece(struct os_file file, void *to, uint64_t left, uint64_t offset) {
    size_t n = read_back_ask(left), wanted = left < n ? (size_t)left : n;
    OVERLAPPED where = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
    DWORD got = 0;
    if (!ReadFile(file.handle, to, (DWORD)n, &got, &where))
        return win_error(GetLastError());
    return got < wanted ? -EIO : (ptrdiff_t)wanted;
}

int os_drop_cached(struct os_file file) {
    (void)file;
    return 0;
}

/* What was open for writing is shared with nobody, so that it is closed first. Its time may be set afterwards, and nothing
 * can flush that through a handle for reading: the handle writes through. */
int os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size, os_piece_fn *take,
                 void *ctx, const char **ret_how) {
    static const struct nt_how how = {
        FILE_GENERIC_READ | FILE_WRITE_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_DELETE, FILE_OPEN,
        FILE_NON_DIRECTORY_FILE | FILE_NO_INTERMEDIATE_BUFFERING | FILE_WRITE_THROUGH};
    void *buffer = os_page_alloc(READ_BACK_PIECE);
    int result = buffer ? os_close_checked(file) : -ENOMEM;
    if (result == 0)
        result = nt_open(at.handle, name, &how, &file->handle);
    if (result == 0)
        result = read_back_data(*file, buffer, size, read_piece, take, ctx);
    os_page_free(buffer);
    *ret_how = "past the cache (without intermediate buffering)";
    return result;
}
