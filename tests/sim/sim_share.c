/* sim_share.c: what several sessions meet at, and what two files share: claims, locks, copies, holes, and reading back. */
#include "sim_fs_impl.h"

#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int os_claim(struct os_dir dir, uint64_t id, struct os_file *ret) {
    ret->fd = sim_handle_new(sim_dir_node(dir));
    sim_handle_claim(ret->fd, id);
    return 0;
}

void os_unclaim(struct os_dir dir, struct os_file *claim) {
    (void)dir;
    os_close(claim);
}

int os_is_claimed(struct os_dir dir, uint64_t id) {
    sim_preempt();
    return sim_is_claimed(sim_dir_node(dir), id);
}

/* The node to open, which is made if it is missing and would be `ours`. */
static int find_or_make(struct os_dir at, const char *name, bool ours, struct sim_node **ret) {
    int result = sim_look(at, name, ret);
    if (result == -ENOENT && ours)
        result = sim_make(at, name, OS_FILE, 0600, ret);
    if (result == -EEXIST) /* another was quicker */
        result = sim_look(at, name, ret);
    if (result != 0)
        return result;
    if ((*ret)->kind == OS_SYMLINK)
        return -ELOOP;
    return (*ret)->kind == OS_FILE ? 0 : -EISDIR;
}

/* All files here are this user's, and have one name. Others may have their turn between the steps, as on Linux. */
int os_open_locked(struct os_dir at, const char *name, bool ours, struct os_file *ret) {
    struct sim_node *n, *now;
    int result = find_or_make(at, name, ours, &n);
    if (result != 0)
        return result;
    int fd = sim_handle_new(n);
    sim_preempt();
    bool locked = sim_handle_lock(fd);
    sim_preempt();
    result = !locked || sim_look(at, name, &now) != 0 || now != n ? -EBUSY
             : ours && n->mode != 0600                            ? -EPERM
                                                                  : 0;
    if (result != 0) {
        sim_handle_close(&fd);
        return result;
    }
    ret->fd = fd;
    return 0;
}

int os_copy_range(struct os_file from, struct os_file to, uint64_t offset, uint64_t n) {
    enum { PIECE = 64 * 1024 };
    uint8_t piece[PIECE];
    for (uint64_t end = offset + n; offset < end;) {
        size_t want = end - offset < PIECE ? (size_t)(end - offset) : PIECE;
        ptrdiff_t got = os_pread(from, piece, want, offset);
        if (got <= 0)
            return got < 0 ? (int)got : -ENODATA;
        int result = os_pwrite(to, piece, (size_t)got, offset);
        if (result != 0)
            return result;
        offset += (uint64_t)got;
    }
    return 0;
}

bool os_copy_may_share(struct os_file file) {
    (void)file;
    return false;
}

int os_zero_range(struct os_file file, uint64_t offset, uint64_t n) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result != 0)
        return result;
    if (offset < node->kept)
        memset(node->data + offset, 0, n < node->kept - offset ? (size_t)n : node->kept - (size_t)offset);
    sim_node_changed(node);
    return 0;
}

int os_drop_cached(struct os_file file) {
    (void)file;
    return 0;
}

/* There is no cache, but what was not flushed cannot be read from storage. */
int os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size, os_piece_fn *take,
                 void *ctx, const char **ret_how) {
    enum { PIECE = 64 * 1024 };
    uint8_t piece[PIECE];
    struct sim_node *n;
    SIM_MUST(sim_look(at, name, &n) == 0 && n == sim_handle_node(file->fd) && !n->dirty);
    *ret_how = "from memory";
    if (n->size < size)
        return -EIO;
    for (uint64_t offset = 0, end = 0; offset < size;) {
        if (offset == end && os_next_data(*file, offset, size, &offset, &end) != 0)
            return 0; /* only a hole follows */
        size_t want = end - offset < PIECE ? (size_t)(end - offset) : PIECE;
        ptrdiff_t got = os_pread(*file, piece, want, offset);
        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        if (!take(ctx, piece, (size_t)got, offset))
            return -EINTR;
        offset += (uint64_t)got;
    }
    return 0;
}
