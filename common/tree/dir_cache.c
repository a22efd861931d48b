#include "tree/dir_cache.h"

#include "core/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void dir_cache_init(struct dir_cache *cache, struct os_dir root) {
    memset(cache, 0, sizeof *cache);
    cache->root = root;
}

static void slot_clear(struct dir_slot *slot) {
    if (slot->path == NULL)
        return;
    os_dir_close(&slot->dir);
    free(slot->path);
    slot->path = NULL;
}

void dir_cache_free(struct dir_cache *cache) {
    for (size_t i = 0; i < DIR_CACHE_SIZE; i++)
        slot_clear(&cache->slots[i]);
    for (unsigned i = 0; i < cache->staged_count; i++)
        free(cache->staged[i].path);
    free(cache->staged);
}

void dir_cache_forget(struct dir_cache *cache, const char *path) {
    for (size_t i = 0; i < DIR_CACHE_SIZE; i++)
        if (cache->slots[i].path && path_is_within(cache->slots[i].path, path))
            slot_clear(&cache->slots[i]);
}

/* The kept directory with the longest path that is path[0…n) or above it; NULL: only the root is. */
static struct dir_slot *nearest(struct dir_cache *cache, const char *path, size_t n) {
    struct dir_slot *best = NULL;
    for (size_t i = 0; i < DIR_CACHE_SIZE; i++) {
        struct dir_slot *slot = &cache->slots[i];
        if (slot->path == NULL || slot->n > n || memcmp(slot->path, path, slot->n) != 0)
            continue;
        if (slot->n < n && path[slot->n] != '/')
            continue;
        if (best == NULL || slot->n > best->n)
            best = slot;
    }
    if (best)
        best->used = ++cache->clock;
    return best;
}

static struct dir_slot *oldest(struct dir_cache *cache) {
    struct dir_slot *best = &cache->slots[0];
    for (size_t i = 0; i < DIR_CACHE_SIZE; i++) {
        struct dir_slot *slot = &cache->slots[i];
        if (slot->path == NULL)
            return slot;
        if (slot->used < best->used)
            best = slot;
    }
    return best;
}

/* Takes `dir` over, also on failure. */
static int keep(struct dir_cache *cache, const char *path, size_t n, struct os_dir dir) {
    char *copy = malloc(n + 1);
    if (copy == NULL) {
        os_dir_close(&dir);
        return -ENOMEM;
    }
    memcpy(copy, path, n);
    copy[n] = '\0';
    struct dir_slot *slot = oldest(cache);
    slot_clear(slot);
    *slot = (struct dir_slot){.dir = dir, .path = copy, .n = n, .used = ++cache->clock};
    return 0;
}

/* ---- staged directories ------------------------------------------------------------------------------- */

int dir_cache_stage(struct dir_cache *cache, const char *path, const char *temp) {
    size_t n = strlen(path), m = strlen(temp);
    if (cache->staged_count == cache->staged_room) {
        unsigned room = cache->staged_room ? 2 * cache->staged_room : 16;
        struct dir_staged *more = realloc(cache->staged, room * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        cache->staged = more;
        cache->staged_room = room;
    }
    char *names = malloc(n + 1 + m + 1);
    if (names == NULL)
        return -ENOMEM;
    memcpy(names, path, n + 1);
    memcpy(names + n + 1, temp, m + 1);
    cache->staged[cache->staged_count++] = (struct dir_staged){.path = names, .n = n, .temp = names + n + 1};
    return 0;
}

bool dir_staged_holds(const struct dir_staged *staged, const char *path) {
    return strncmp(path, staged->path, staged->n) == 0 && path[staged->n] == '/';
}

/* True when it is the parent of `path`: then no other one is nearer. */
static bool is_parent(const struct dir_staged *staged, const char *path) {
    return dir_staged_holds(staged, path) && strchr(path + staged->n + 1, '/') == NULL;
}

struct dir_staged *dir_cache_staged(struct dir_cache *cache, const char *path) {
    struct dir_staged *best = NULL;
    if (cache->staged_last < cache->staged_count && is_parent(&cache->staged[cache->staged_last], path))
        return &cache->staged[cache->staged_last]; /* neighbours come together */
    for (unsigned i = 0; i < cache->staged_count; i++) {
        struct dir_staged *staged = &cache->staged[i];
        if (dir_staged_holds(staged, path) && (best == NULL || staged->n > best->n))
            best = staged;
    }
    if (best)
        cache->staged_last = (unsigned)(best - cache->staged);
    return best;
}

void dir_cache_unstage(struct dir_cache *cache, struct dir_staged *staged) {
    size_t after = (size_t)(cache->staged + cache->staged_count - staged) - 1;
    free(staged->path);
    memmove(staged, staged + 1, after * sizeof *staged);
    cache->staged_count--;
}

/* Where the directory at path[0…n) is, if it is staged; else NULL. */
static const char *staged_as(const struct dir_cache *cache, const char *path, size_t n) {
    for (unsigned i = 0; i < cache->staged_count; i++)
        if (cache->staged[i].n == n && memcmp(cache->staged[i].path, path, n) == 0)
            return cache->staged[i].temp;
    return NULL;
}

bool dir_cache_is_staged(const struct dir_cache *cache, const char *path) {
    return staged_as(cache, path, strlen(path)) != NULL;
}

/* ---- finding ------------------------------------------------------------------------------------------- */

/* Open the component path[from…to) below `at`. */
static int open_component(const struct dir_cache *cache, struct os_dir at, const char *path, size_t from,
                          size_t to, struct os_dir *ret) {
    char name[NAME_BYTES_MAX + 1];
    const char *temp = staged_as(cache, path, to);
    if (temp)
        return os_dir_open(at, temp, ret);
    if (to - from > NAME_BYTES_MAX)
        return -ENAMETOOLONG;
    memcpy(name, path + from, to - from);
    name[to - from] = '\0';
    return os_dir_open(at, name, ret);
}

int dir_cache_get(struct dir_cache *cache, const char *path, size_t n, struct os_dir *ret) {
    struct dir_slot *slot = nearest(cache, path, n);
    struct os_dir at = slot ? slot->dir : cache->root;
    size_t from = slot ? slot->n + 1 : 0;
    while (from < n) {
        const char *slash = memchr(path + from, '/', n - from);
        size_t to = slash ? (size_t)(slash - path) : n;
        struct os_dir next;
        int result = open_component(cache, at, path, from, to, &next);
        if (result == 0)
            result = keep(cache, path, to, next);
        if (result != 0)
            return result;
        at = next;
        from = to + 1;
    }
    *ret = at;
    return 0;
}

int dir_cache_parent(struct dir_cache *cache, const char *path, struct os_dir *ret, const char **ret_name) {
    size_t n;
    *ret_name = path_base(path, &n);
    return dir_cache_get(cache, path, n, ret);
}

int dir_cache_made(struct dir_cache *cache, const char *path) {
    struct os_dir ignored;
    dir_cache_forget(cache, path);
    int result = dir_cache_get(cache, path, strlen(path), &ignored);
    if (result == 0)
        nearest(cache, path, strlen(path))->made = true;
    return result;
}

bool dir_cache_has_new_parent(struct dir_cache *cache, const char *path) {
    size_t n;
    (void)path_base(path, &n);
    const struct dir_slot *slot = nearest(cache, path, n);
    return slot && slot->n == n && slot->made;
}
