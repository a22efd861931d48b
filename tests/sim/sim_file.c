/* sim_file.c: what os/os_file.h has for files, over the nodes of sim_fs.c. */
#include "sim_fs_impl.h"

#include "os/os.h"
#include "sim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int os_file_error(struct err *err, int result, const char *fmt, ...) {
    char context[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    bool full = result == -ENOSPC || result == -EDQUOT;
    return err_sys(err, full ? EXIT_NO_SPACE : EXIT_FILE_IO, -result, "%s", context);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

int os_open_read(struct os_dir at, const char *name, struct os_file *ret) {
    struct sim_node *n;
    int result = sim_look(at, name, &n);
    if (result != 0)
        return result;
    if (n->kind == OS_SYMLINK)
        return -ELOOP;
    ret->fd = sim_handle_new(n);
    return 0;
}

int os_create(struct os_dir at, const char *name, uint32_t mode, struct os_file *ret) {
    struct sim_node *n;
    int result = sim_make(at, name, OS_FILE, mode, &n);
    if (result == 0)
        ret->fd = sim_handle_new(n);
    return result;
}

int os_close_checked(struct os_file *file) {
    bool was_open = file->fd >= 0;
    sim_handle_close(&file->fd);
    return was_open ? sim_failure() : 0;
}

void os_close(struct os_file *file) {
    sim_handle_close(&file->fd);
}

void os_close_all(struct os_file *files, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        os_close(&files[i]);
}

int os_fstat(struct os_file file, struct os_stat *ret) {
    return sim_stat(sim_handle_node(file.fd), ret);
}

int os_fstat_now(struct os_file file, struct os_stat *ret) {
    return os_fstat(file, ret);
}

ptrdiff_t os_pread(struct os_file file, void *to, size_t n, uint64_t offset) {
    struct sim_node *node = sim_handle_node(file.fd);
    sim_preempt();
    if (node->kind != OS_FILE)
        return -EISDIR;
    if (offset >= node->size)
        return 0;
    size_t got = node->size - offset < n ? (size_t)(node->size - offset) : n, kept = 0;
    if (offset < node->kept) {
        kept = node->kept - (size_t)offset < got ? node->kept - (size_t)offset : got;
        memcpy(to, node->data + offset, kept);
    }
    memset((char *)to + kept, 0, got - kept);
    return (ptrdiff_t)got;
}

static void grow(struct sim_node *node, size_t kept) {
    if (kept > node->room) {
        size_t room = kept > 2 * node->room ? kept : 2 * node->room;
        uint8_t *more = realloc(node->data, room);
        SIM_MUST(more != NULL);
        node->data = more;
        node->room = room;
    }
    memset(node->data + node->kept, 0, kept - node->kept);
    node->kept = kept;
}

int os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result != 0)
        return result;
    if (offset > SIM_FILE_MAX || n > SIM_FILE_MAX - offset)
        return -EFBIG;
    size_t end = (size_t)offset + n;
    if (end > node->kept)
        grow(node, end);
    memcpy(node->data + offset, from, n);
    if (end > node->size)
        node->size = end;
    sim_node_changed(node);
    return 0;
}

void os_expect_holes(struct os_file file) {
    (void)sim_handle_node(file.fd);
}

int os_truncate(struct os_file file, uint64_t size) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result != 0)
        return result;
    if (size > INT64_MAX)
        return -EFBIG;
    if (size < node->kept)
        node->kept = (size_t)size;
    node->size = size;
    sim_node_changed(node);
    return 0;
}

int os_set_mode(struct os_file file, uint32_t mode) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result == 0) {
        int64_t mtime_sec = node->mtime_sec;
        sim_node_changed(node);
        node->mtime_sec = mtime_sec;
        node->mode = mode;
    }
    return result;
}

int os_set_owner(struct os_file file, uint32_t uid, uint32_t gid) {
    (void)file;
    (void)uid;
    (void)gid;
    return -EPERM; /* as for anybody who is not privileged */
}

int os_set_win_attr(struct os_file file, const struct win_attr *win) {
    (void)file, (void)win;
    return -ENOTSUP;
}

int os_set_mtime(struct os_file file, int64_t sec, uint32_t nsec) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result == 0) {
        sim_node_changed(node);
        node->mtime_sec = sec;
        node->mtime_nsec = nsec;
    }
    return result;
}

int os_set_mtime_now(struct os_file file) {
    int64_t now = os_wall_ns();
    return os_set_mtime(file, now / 1000000000, (uint32_t)(now % 1000000000));
}

int os_sync(struct os_file file) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result == 0)
        node->dirty = false;
    return result;
}

int os_write_out_soon(struct os_file file, uint64_t offset, uint64_t n) {
    (void)sim_handle_node(file.fd);
    (void)offset, (void)n;
    return sim_failure();
}

int os_next_data(struct os_file file, uint64_t offset, uint64_t size, uint64_t *ret_start,
                 uint64_t *ret_end) {
    const struct sim_node *n = sim_handle_node(file.fd);
    uint64_t at = offset / SIM_BLOCK * SIM_BLOCK;
    while (at < n->kept && sim_block_is_zero(n, at))
        at += SIM_BLOCK;
    if (at >= n->kept || at >= size)
        return -ENXIO;
    *ret_start = at > offset ? at : offset;
    while (at < n->kept && !sim_block_is_zero(n, at))
        at += SIM_BLOCK;
    *ret_end = at < size ? at : size;
    return 0;
}

void os_await_write(struct os_file file) {
    (void)sim_handle_node(file.fd);
}
