/* sim_dir.c: what os/os_file.h has for directories and names, over the nodes of sim_fs.c. */
#include "sim_fs_impl.h"

#include "os/os.h"
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sim_node *sim_dir_node(struct os_dir dir) {
    struct sim_node *n = sim_handle_node(dir.fd);
    SIM_MUST(n->kind == OS_DIR);
    return n;
}

int sim_look(struct os_dir at, const char *name, struct sim_node **ret) {
    SIM_MUST(name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    struct sim_name *found = sim_name_find(sim_dir_node(at), name);
    if (found == NULL)
        return -ENOENT;
    *ret = found->node;
    return 0;
}

int sim_stat(const struct sim_node *n, struct os_stat *ret) {
    *ret = (struct os_stat){
        .kind = n->kind,
        .mode = n->mode,
        .uid = n->uid,
        .gid = n->gid,
        .size = n->size,
        .allocated = n->kept - n->holes,
        .links = 1,
        .mtime_sec = n->mtime_sec,
        .mtime_nsec = n->mtime_nsec,
        .ctime_sec = n->ctime_sec,
        .ctime_nsec = n->change % 1000000000,
        .device = 1,
        .inode = n->inode,
    };
    return 0;
}

int sim_make(struct os_dir at, const char *name, enum os_kind kind, uint32_t mode, struct sim_node **ret) {
    int result = sim_failure();
    if (result != 0)
        return result;
    if (sim_look(at, name, ret) == 0)
        return -EEXIST;
    *ret = sim_node_new(kind, kind == OS_SYMLINK ? mode : mode & ~os_umask());
    sim_name_add(sim_dir_node(at), name, *ret);
    return 0;
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

int os_dir_open(struct os_dir at, const char *name, struct os_dir *ret) {
    struct sim_node *n;
    int result = sim_look(at, name, &n);
    if (result != 0)
        return result;
    if (n->kind != OS_DIR)
        return n->kind == OS_SYMLINK ? -ELOOP : -ENOTDIR;
    ret->fd = sim_handle_new(n);
    return 0;
}

int os_dir_dup(struct os_dir dir, struct os_dir *ret) {
    ret->fd = sim_handle_new(sim_dir_node(dir));
    return 0;
}

void os_dir_close(struct os_dir *dir) {
    sim_handle_close(&dir->fd);
}

int os_dir_sync(struct os_dir dir) {
    int result = sim_failure();
    if (result == 0)
        for (struct sim_name *name = sim_dir_node(dir)->names; name; name = name->next)
            name->durable = true;
    return result;
}

bool os_dir_is_private(const struct os_stat *st) {
    (void)st;
    return true;
}
int os_dir_stat(struct os_dir dir, struct os_stat *ret) {
    return sim_stat(sim_dir_node(dir), ret);
}

int os_volume_sync(struct os_dir dir) {
    (void)sim_dir_node(dir);
    int result = sim_failure();
    if (result == 0)
        sim_volume_clean();
    return result;
}

bool os_volume_syncs(struct os_dir dir) {
    (void)sim_dir_node(dir);
    return true;
}

bool os_keeps_change_time(struct os_dir dir) {
    (void)sim_dir_node(dir);
    return true;
}

int os_volume_free(struct os_dir dir, uint64_t *ret_bytes) {
    (void)sim_dir_node(dir);
    *ret_bytes = UINT64_C(1) << 40;
    return 0;
}

void os_dir_force_fallback(bool on) {
    (void)on;
}

int os_stat_at(struct os_dir at, const char *name, struct os_stat *ret) {
    struct sim_node *n;
    int result = sim_look(at, name, &n);
    return result == 0 ? sim_stat(n, ret) : result;
}

int os_mkdir_at(struct os_dir at, const char *name, uint32_t mode) {
    struct sim_node *n;
    return sim_make(at, name, OS_DIR, mode, &n);
}

int os_symlink_at(const char *target, struct os_dir at, const char *name) {
    struct sim_node *n;
    int result = sim_make(at, name, OS_SYMLINK, 0777, &n);
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
    int result = sim_look(at, name, &node);
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
    int result = sim_look(at, name, &n);
    if (result == 0)
        result = sim_failure();
    if (result == 0 && dir != (n->kind == OS_DIR))
        result = dir ? -ENOTDIR : -EISDIR;
    if (result == 0 && n->names)
        result = -ENOTEMPTY;
    if (result == 0)
        sim_name_drop(sim_dir_node(at), sim_name_find(sim_dir_node(at), name));
    return result;
}

int os_unlink_at(struct os_dir at, const char *name) {
    return drop(at, name, false);
}
int os_rmdir_at(struct os_dir at, const char *name) {
    return drop(at, name, true);
}

int os_move(struct os_dir from, const char *name, struct os_dir to, const char *to_name, bool replace) {
    struct sim_node *n, *old;
    int result = sim_look(from, name, &n);
    if (result == 0)
        result = sim_failure();
    if (result != 0)
        return result;
    struct sim_node *dir = sim_dir_node(to);
    if (sim_look(to, to_name, &old) == 0) {
        if (!replace)
            return -EEXIST;
        if ((old->kind == OS_DIR) != (n->kind == OS_DIR))
            return old->kind == OS_DIR ? -EISDIR : -ENOTDIR;
        if (old->names)
            return -ENOTEMPTY;
        sim_name_drop(dir, sim_name_find(dir, to_name));
    }
    sim_name_drop(sim_dir_node(from), sim_name_find(sim_dir_node(from), name));
    sim_name_add(dir, to_name, n);
    sim_node_touched(n);
    return 0;
}

int os_rename_at(struct os_dir at, const char *from, const char *to) {
    return os_move(at, from, at, to, true);
}

int os_set_owner_at(struct os_dir at, const char *name, uint32_t uid, uint32_t gid) {
    struct sim_node *n;
    int result = sim_look(at, name, &n);
    return result == 0 ? os_set_owner((struct os_file){.fd = -1}, uid, gid) : result;
}

int os_set_mtime_at(struct os_dir at, const char *name, int64_t sec, uint32_t nsec) {
    struct sim_node *n;
    int result = sim_look(at, name, &n);
    if (result == 0) {
        n->mtime_sec = sec;
        n->mtime_nsec = nsec;
    }
    return result;
}

/* ---- listing --------------------------------------------------------------------------------------------------- */

struct os_list {
    const struct sim_node *dir;
    unsigned at;
};

int os_list_open(struct os_dir dir, struct os_list **ret) {
    *ret = calloc(1, sizeof **ret);
    SIM_MUST(*ret != NULL);
    (*ret)->dir = sim_dir_node(dir);
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

int os_dir_pass_path(const char *path, struct os_dir *ret) {
    return os_dir_open_path(path, ret);
}

int os_open_path(const char *path, struct os_file *ret) {
    (void)path, (void)ret;
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
