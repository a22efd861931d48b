#include "os/os.h"
#include "os/posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    PIECE = 1024 * 1024,
    ALIGNMENT = 4096, /* of offsets and lengths: no storage asks for more */
};

/* True when reads of the file now go past the cache. */
static bool go_direct(int fd, bool on) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* As pread, for lengths that are no multiple of what O_DIRECT can do. */
static ssize_t read_piece(int fd, void *to, uint64_t left, uint64_t offset) {
    size_t n = left < PIECE ? (size_t)(left + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : PIECE;
    ssize_t got;
    do
        got = pread(fd, to, n, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got >= 0 && (uint64_t)got > left ? (ssize_t)left : got;
}

static int read_run(int fd, void *buffer, uint64_t offset, uint64_t end, os_piece_fn *take, void *ctx) {
    while (offset < end) {
        ssize_t got = read_piece(fd, buffer, end - offset, offset);
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        if (!take(ctx, buffer, (size_t)got, offset))
            return -EINTR;
        offset += (uint64_t)got;
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
        result = read_run(file.fd, buffer, start, end < size ? end : size, take, ctx);
    }
    return result;
}

int os_drop_cached(struct os_file file) {
    return -posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
}

int os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size, os_piece_fn *take,
                 void *ctx, const char **ret_how) {
    (void)at;
    (void)name; /* the file need not be opened again */
    void *buffer = os_page_alloc(PIECE);
    if (buffer == NULL)
        return -ENOMEM;
    bool direct = go_direct(file->fd, true);
    /* Some file systems take the flag and refuse the read. */
    if (direct && size > 0 && read_piece(file->fd, buffer, size, 0) < 0 && errno == EINVAL)
        direct = !go_direct(file->fd, false);
    int result = direct ? 0 : os_drop_cached(*file);
    if (result == 0)
        result = read_all(*file, buffer, size, take, ctx);
    os_page_free(buffer);
    *ret_how = direct ? "past the cache (O_DIRECT)"
                      : "after the cache was told to drop them (this file system has no O_DIRECT)";
    return result;
}
