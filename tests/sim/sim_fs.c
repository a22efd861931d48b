/* sim_fs.c: nodes, names, handles. */
#include "sim_fs_impl.h"

#include "os/os.h"

#include "sim.h"

#include <stdlib.h>
#include <string.h>

enum { HANDLES_MAX = 512, SIM_NOW_S = 1700000000 };

static struct {
    struct sim_node *nodes;
    uint64_t next_inode;
    uint32_t changes;
    struct handle {
        struct sim_node *node; /* NULL: it is free */
        bool locks, claims;
        uint64_t id; /* of the claim */
    } handles[HANDLES_MAX];
    unsigned open;
    unsigned fail_in; /* 0: no more */
    int fail_with;
    bool failed;
} fs;

/* ---- nodes and names ---------------------------------------------------------------------------------------- */

struct sim_node *sim_node_new(enum os_kind kind, uint32_t mode) {
    struct sim_node *n = calloc(1, sizeof *n);
    SIM_MUST(n != NULL);
    n->kind = kind;
    n->mode = mode;
    n->inode = ++fs.next_inode;
    n->next = fs.nodes;
    fs.nodes = n;
    sim_node_changed(n);
    return n;
}

void sim_node_touched(struct sim_node *node) {
    node->change = ++fs.changes;
    node->ctime_sec = os_wall_ns() / 1000000000;
}

void sim_node_changed(struct sim_node *node) {
    node->dirty = true;
    node->holes = 0;
    sim_node_touched(node);
    if (node->kind == OS_DIR)
        node->mtime_sec = SIM_NOW_S + node->change;
}

struct sim_name *sim_name_find(const struct sim_node *dir, const char *name) {
    struct sim_name *at = dir->names;
    while (at && strcmp(at->text, name) != 0)
        at = at->next;
    return at;
}

void sim_name_add(struct sim_node *dir, const char *name, struct sim_node *node) {
    size_t n = strlen(name) + 1;
    struct sim_name *add = malloc(sizeof *add + n), **end = &dir->names;
    SIM_MUST(add != NULL);
    *add = (struct sim_name){.node = node};
    memcpy(add->text, name, n);
    while (*end)
        end = &(*end)->next;
    *end = add;
    sim_node_changed(dir);
}

void sim_name_drop(struct sim_node *dir, struct sim_name *name) {
    struct sim_name **at = &dir->names;
    while (*at != name)
        at = &(*at)->next;
    *at = name->next;
    free(name);
    sim_node_changed(dir);
}

void sim_volume_clean(void) {
    for (struct sim_node *n = fs.nodes; n; n = n->next) {
        n->dirty = false;
        for (struct sim_name *name = n->names; name; name = name->next)
            name->durable = true;
    }
}

/* ---- handles ------------------------------------------------------------------------------------------------- */

int sim_handle_new(struct sim_node *node) {
    int fd = 0;
    while (fd < HANDLES_MAX && fs.handles[fd].node)
        fd++;
    SIM_MUST(fd < HANDLES_MAX);
    fs.handles[fd] = (struct handle){.node = node};
    fs.open++;
    return fd;
}

struct sim_node *sim_handle_node(int fd) {
    SIM_MUST(fd >= 0 && fd < HANDLES_MAX && fs.handles[fd].node);
    return fs.handles[fd].node;
}

void sim_handle_close(int *fd) {
    if (*fd < 0)
        return;
    (void)sim_handle_node(*fd);
    fs.handles[*fd] = (struct handle){0};
    fs.open--;
    *fd = -1;
}

bool sim_handle_lock(int fd) {
    const struct sim_node *node = sim_handle_node(fd);
    for (int i = 0; i < HANDLES_MAX; i++)
        if (i != fd && fs.handles[i].node == node && fs.handles[i].locks)
            return false;
    fs.handles[fd].locks = true;
    return true;
}

void sim_handle_claim(int fd, uint64_t id) {
    (void)sim_handle_node(fd);
    fs.handles[fd].claims = true;
    fs.handles[fd].id = id;
}

bool sim_is_claimed(const struct sim_node *node, uint64_t id) {
    for (int i = 0; i < HANDLES_MAX; i++)
        if (fs.handles[i].node == node && fs.handles[i].claims && fs.handles[i].id == id)
            return true;
    return false;
}

int sim_failure(void) {
    sim_preempt();
    if (fs.fail_in == 0 || --fs.fail_in > 0)
        return 0;
    fs.failed = true;
    return -fs.fail_with;
}

/* ---- for tests ----------------------------------------------------------------------------------------------- */

void sim_fs_begin(void) {
    SIM_MUST(fs.nodes == NULL);
    memset(&fs, 0, sizeof fs);
}

static void free_node(struct sim_node *n) {
    while (n->names)
        sim_name_drop(n, n->names);
    free(n->data);
    free(n);
}

void sim_fs_end(void) {
    SIM_MUST(fs.open == 0);
    for (struct sim_node *next; fs.nodes; fs.nodes = next) {
        next = fs.nodes->next;
        free_node(fs.nodes);
    }
}

struct os_dir sim_fs_root(struct sim_node **ret) {
    *ret = sim_node_new(OS_DIR, 0755);
    return (struct os_dir){.fd = sim_handle_new(*ret)};
}

static struct sim_node *durable(struct sim_node *at, const char *name, struct sim_node *node) {
    sim_name_add(at, name, node);
    sim_name_find(at, name)->durable = true;
    node->dirty = at->dirty = false;
    return node;
}

struct sim_node *sim_fs_dir(struct sim_node *at, const char *name) {
    return durable(at, name, sim_node_new(OS_DIR, 0755));
}

bool sim_block_is_zero(const struct sim_node *n, uint64_t at) {
    static const uint8_t zeros[SIM_BLOCK];
    if (at >= n->kept)
        return true;
    size_t left = n->kept - (size_t)at;
    return memcmp(n->data + at, zeros, left < SIM_BLOCK ? left : SIM_BLOCK) == 0;
}

static void keep(struct sim_node *node, const void *p, size_t n) {
    node->data = malloc(n + 1);
    SIM_MUST(node->data != NULL);
    memcpy(node->data, p, n);
    node->kept = node->size = node->room = n;
    for (size_t at = 0; at + SIM_BLOCK <= n; at += SIM_BLOCK)
        node->holes += sim_block_is_zero(node, at) ? SIM_BLOCK : 0u;
}

struct sim_node *sim_fs_file(struct sim_node *at, const char *name, const void *p, size_t n,
                             int64_t mtime_sec) {
    struct sim_node *node = sim_node_new(OS_FILE, 0644);
    node->mtime_sec = mtime_sec;
    node->size = n;
    if (p)
        keep(node, p, n);
    return durable(at, name, node);
}

struct sim_node *sim_fs_link(struct sim_node *at, const char *name, const char *target) {
    struct sim_node *node = sim_node_new(OS_SYMLINK, 0777);
    keep(node, target, strlen(target));
    return durable(at, name, node);
}

void sim_fs_fail(unsigned nth, int sys) {
    fs.fail_in = nth;
    fs.fail_with = sys;
}

bool sim_fs_failed(void) {
    return fs.failed;
}

static void show(const struct sim_name *name, struct sim_seen *ret) {
    bool clean = name->node->kind == OS_DIR || !name->node->dirty;
    *ret = (struct sim_seen){name->text, name->node, name->durable && clean};
}

bool sim_fs_at(const struct sim_node *dir, unsigned i, struct sim_seen *ret) {
    const struct sim_name *name = dir->names;
    while (name && i-- > 0)
        name = name->next;
    if (name)
        show(name, ret);
    return name != NULL;
}

bool sim_fs_find(const struct sim_node *dir, const char *name, struct sim_seen *ret) {
    const struct sim_name *found = sim_name_find(dir, name);
    if (found)
        show(found, ret);
    return found != NULL;
}

enum os_kind sim_fs_kind(const struct sim_node *node) {
    return node->kind;
}

/* Bytes beyond what is kept are zeros. */
static bool same_content(const struct sim_node *a, const struct sim_node *b) {
    static const uint8_t zeros[SIM_BLOCK];
    size_t both = a->kept < b->kept ? a->kept : b->kept;
    const struct sim_node *longer = a->kept > b->kept ? a : b;
    if (a->size != b->size || (both > 0 && memcmp(a->data, b->data, both) != 0))
        return false;
    for (size_t at = both; at < longer->kept; at += SIM_BLOCK) {
        size_t n = longer->kept - at < SIM_BLOCK ? longer->kept - at : SIM_BLOCK;
        if (memcmp(longer->data + at, zeros, n) != 0)
            return false;
    }
    return true;
}

bool sim_fs_same(const struct sim_node *a, const struct sim_node *b) {
    if (a->kind != b->kind || a->mode != b->mode || (a->kind != OS_DIR && !same_content(a, b)))
        return false;
    return a->kind == OS_SYMLINK || (a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec);
}
