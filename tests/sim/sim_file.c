/* sim_file.c: os/os_file.h over the nodes of sim_fs.c. */
#include "sim_fs_impl.h"

#include "sim.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { HOLE_BLOCK = 4096 };

static struct sim_node *dir_node(struct os_dir dir) {
    struct sim_node *n = sim_handle_node(dir.fd);
    SIM_MUST(n->kind == OS_DIR);
    return n;
}

/* The node of that name, which is one component. */
static int look(struct os_dir at, const char *name, struct sim_node **ret) {
    SIM_MUST(name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    struct sim_name *found = sim_name_find(dir_node(at), name);
    if (found == NULL)
        return -ENOENT;
    *ret = found->node;
    return 0;
}

static int stat_of(const struct sim_node *n, struct os_stat *ret) {
    *ret = (struct os_stat){
        .kind = n->kind,
        .mode = n->mode,
        .uid = n->uid,
        .gid = n->gid,
        .size = n->size,
        .allocated = n->kept,
        .mtime_sec = n->mtime_sec,
        .mtime_nsec = n->mtime_nsec,
        .ctime_sec = n->ctime,
        .device = 1,
        .inode = n->inode,
    };
    return 0;
}

int os_file_error(struct err *err, int result, const char *fmt, ...) {
    char context[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(context, sizeof context, fmt, args);
    va_end(args);
    bool full = result == -ENOSPC || result == -EDQUOT;
    return err_sys(err, full ? EXIT_NO_SPACE : EXIT_FILE_IO, -result, "%s", context);
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

int os_dir_open(struct os_dir at, const char *name, struct os_dir *ret) {
    struct sim_node *n;
    int result = look(at, name, &n);
    if (result != 0)
        return result;
    if (n->kind != OS_DIR)
        return n->kind == OS_SYMLINK ? -ELOOP : -ENOTDIR;
    ret->fd = sim_handle_new(n);
    return 0;
}

int os_dir_dup(struct os_dir dir, struct os_dir *ret) {
    ret->fd = sim_handle_new(dir_node(dir));
    return 0;
}

void os_dir_close(struct os_dir *dir) {
    sim_handle_close(&dir->fd);
}

int os_dir_sync(struct os_dir dir) {
    int result = sim_failure();
    if (result == 0)
        for (struct sim_name *name = dir_node(dir)->names; name; name = name->next)
            name->durable = true;
    return result;
}

int os_dir_stat(struct os_dir dir, struct os_stat *ret) {
    return stat_of(dir_node(dir), ret);
}

int os_volume_sync(struct os_dir dir) {
    (void)dir_node(dir);
    int result = sim_failure();
    if (result == 0)
        sim_volume_clean();
    return result;
}

int os_volume_free(struct os_dir dir, uint64_t *ret_bytes) {
    (void)dir_node(dir);
    *ret_bytes = UINT64_C(1) << 40;
    return 0;
}

void os_dir_force_fallback(bool on) {
    (void)on;
}

int os_stat_at(struct os_dir at, const char *name, struct os_stat *ret) {
    struct sim_node *n;
    int result = look(at, name, &n);
    return result == 0 ? stat_of(n, ret) : result;
}

static int make(struct os_dir at, const char *name, enum os_kind kind, uint32_t mode, struct sim_node **ret) {
    int result = sim_failure();
    if (result != 0)
        return result;
    if (look(at, name, ret) == 0)
        return -EEXIST;
    *ret = sim_node_new(kind, mode);
    sim_name_add(dir_node(at), name, *ret);
    return 0;
}

int os_mkdir_at(struct os_dir at, const char *name, uint32_t mode) {
    struct sim_node *n;
    return make(at, name, OS_DIR, mode, &n);
}

int os_symlink_at(const char *target, struct os_dir at, const char *name) {
    struct sim_node *n;
    int result = make(at, name, OS_SYMLINK, 0777, &n);
    if (result != 0)
        return result;
    n->size = n->kept = strlen(target);
    n->data = malloc(n->kept + 1);
    SIM_MUST(n->data != NULL);
    memcpy(n->data, target, n->kept + 1);
    n->dirty = false; /* it is part of its name */
    return 0;
}

ptrdiff_t os_readlink_at(struct os_dir at, const char *name, char *to, size_t n) {
    struct sim_node *node;
    int result = look(at, name, &node);
    if (result != 0)
        return result;
    if (node->kind != OS_SYMLINK)
        return -EINVAL;
    size_t most = node->kept < n ? node->kept : n;
    memcpy(to, node->data, most);
    return (ptrdiff_t)most;
}

static int drop(struct os_dir at, const char *name, bool dir) {
    struct sim_node *n;
    int result = look(at, name, &n);
    if (result == 0)
        result = sim_failure();
    if (result == 0 && dir != (n->kind == OS_DIR))
        result = dir ? -ENOTDIR : -EISDIR;
    if (result == 0 && n->names)
        result = -ENOTEMPTY;
    if (result == 0)
        sim_name_drop(dir_node(at), sim_name_find(dir_node(at), name));
    return result;
}

int os_unlink_at(struct os_dir at, const char *name) {
    return drop(at, name, false);
}
int os_rmdir_at(struct os_dir at, const char *name) {
    return drop(at, name, true);
}

int os_rename_at(struct os_dir at, const char *from, const char *to) {
    struct sim_node *n, *old;
    int result = look(at, from, &n);
    if (result == 0)
        result = sim_failure();
    if (result != 0)
        return result;
    struct sim_node *dir = dir_node(at);
    if (look(at, to, &old) == 0) {
        if ((old->kind == OS_DIR) != (n->kind == OS_DIR))
            return old->kind == OS_DIR ? -EISDIR : -ENOTDIR;
        if (old->names)
            return -ENOTEMPTY;
        sim_name_drop(dir, sim_name_find(dir, to));
    }
    sim_name_drop(dir, sim_name_find(dir, from));
    sim_name_add(dir, to, n);
    n->ctime++;
    return 0;
}

int os_set_owner_at(struct os_dir at, const char *name, uint32_t uid, uint32_t gid) {
    struct sim_node *n;
    int result = look(at, name, &n);
    return result == 0 ? os_set_owner((struct os_file){.fd = -1}, uid, gid) : result;
}

int os_set_mtime_at(struct os_dir at, const char *name, int64_t sec, uint32_t nsec) {
    struct sim_node *n;
    int result = look(at, name, &n);
    if (result == 0) {
        n->mtime_sec = sec;
        n->mtime_nsec = nsec;
    }
    return result;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

int os_open_read(struct os_dir at, const char *name, struct os_file *ret) {
    struct sim_node *n;
    int result = look(at, name, &n);
    if (result != 0)
        return result;
    if (n->kind == OS_SYMLINK)
        return -ELOOP;
    ret->fd = sim_handle_new(n);
    return 0;
}

int os_create(struct os_dir at, const char *name, uint32_t mode, struct os_file *ret) {
    struct sim_node *n;
    int result = make(at, name, OS_FILE, 0600, &n);
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

int os_fstat(struct os_file file, struct os_stat *ret) {
    return stat_of(sim_handle_node(file.fd), ret);
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
    uint8_t *more = realloc(node->data, kept);
    SIM_MUST(more != NULL);
    memset(more + node->kept, 0, kept - node->kept);
    node->data = more;
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

int os_sync(struct os_file file) {
    struct sim_node *node = sim_handle_node(file.fd);
    int result = sim_failure();
    if (result == 0)
        node->dirty = false;
    return result;
}

static bool is_zero(const struct sim_node *n, uint64_t at) {
    static const uint8_t zeros[HOLE_BLOCK];
    if (at >= n->kept)
        return true;
    size_t left = n->kept - (size_t)at;
    return memcmp(n->data + at, zeros, left < HOLE_BLOCK ? left : HOLE_BLOCK) == 0;
}

int os_next_data(struct os_file file, uint64_t offset, uint64_t size, uint64_t *ret_start,
                 uint64_t *ret_end) {
    const struct sim_node *n = sim_handle_node(file.fd);
    uint64_t at = offset / HOLE_BLOCK * HOLE_BLOCK;
    while (at < n->kept && is_zero(n, at))
        at += HOLE_BLOCK;
    if (at >= n->kept || at >= size)
        return -ENXIO;
    *ret_start = at > offset ? at : offset;
    while (at < n->kept && !is_zero(n, at))
        at += HOLE_BLOCK;
    *ret_end = at < size ? at : size;
    return 0;
}

/* ---- listing --------------------------------------------------------------------------------------------------- */

struct os_list {
    const struct sim_node *dir;
    unsigned at;
};

int os_list_open(struct os_dir dir, struct os_list **ret) {
    *ret = calloc(1, sizeof **ret);
    SIM_MUST(*ret != NULL);
    (*ret)->dir = dir_node(dir);
    return 0;
}

int os_list_next(struct os_list *list, const char **ret_name, enum os_kind *ret_kind) {
    struct sim_seen seen;
    sim_preempt();
    if (!sim_fs_at(list->dir, list->at++, &seen))
        return 0;
    *ret_name = seen.name;
    *ret_kind = sim_fs_kind(seen.node);
    return 1;
}

void os_list_close(struct os_list *list) {
    free(list);
}

/* ---- whole paths: not here ---------------------------------------------------------------------------------------- */

int os_dir_open_path(const char *path, struct os_dir *ret) {
    (void)path;
    (void)ret;
    return -ENOENT;
}
int os_stat_path(const char *path, bool follow, struct os_stat *ret) {
    (void)path;
    (void)follow;
    (void)ret;
    return -ENOENT;
}
int os_mkdir_path(const char *path) {
    (void)path;
    return -EACCES;
}
int os_last_name(const char *path, char *ret, size_t max) {
    (void)path;
    (void)ret;
    (void)max;
    return -ENOENT;
}
void os_path_normalize(char *path) {
    (void)path;
}
const char *os_name_fault(const char *name, size_t n) {
    (void)name;
    (void)n;
    return NULL;
}
