#include "os/os.h"
#include "os/posix/os_posix.h"
#include "os/read_back.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* True when reads of the file now go past the cache. */
static bool go_direct(int fd, bool on) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

static ptrdiff_t read_piece(struct os_file file, void *to, uint64_t left, uint64_t offset) {
    size_t ask = read_back_ask(left);
    uint64_t most = INT64_MAX - offset; /* what would reach beyond that is refused */
    ssize_t got;
    do
        got = pread(file.fd, to, ask < most ? ask : (size_t)most, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got < 0 ? -errno : -EIO;
    return (uint64_t)got > left ? (ptrdiff_t)left : got;
}

int os_drop_cached(struct os_file file) {
    return -posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
}

int os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size, os_piece_fn *take,
                 void *ctx, const char **ret_how) {
    (void)at;
    (void)name; /* the file need not be opened again */
    void *buffer = os_page_alloc(READ_BACK_PIECE);
    if (buffer == NULL)
        return -ENOMEM;
    bool direct = go_direct(file->fd, true);
    /* Some file systems take the flag and refuse the read. */
    if (direct && size > 0 && read_piece(*file, buffer, size, 0) == -EINVAL)
        direct = !go_direct(file->fd, false);
    int result = direct ? 0 : os_drop_cached(*file);
    if (result == 0)
        result = read_back_data(*file, buffer, size, read_piece, take, ctx);
    os_page_free(buffer);
    *ret_how = direct ? "past the cache (O_DIRECT)"
                      : "after the cache was told to drop them (this file system has no O_DIRECT)";
    return result;
}
