/* dir_cache.h: handles of directories below a root, found one component at a time.
 *
 * A few handles are kept, so that neighbours in the tree cost one open a file. A handle is valid until the
 * next call on the same cache. One thread.
 */
#ifndef TREE_DIR_CACHE_H
#define TREE_DIR_CACHE_H

#include "os/os_file.h"

enum { DIR_CACHE_SIZE = 8 };

struct dir_cache {
    struct os_dir root; /* borrowed; path "" */
    uint64_t clock;
    struct dir_slot {
        struct os_dir dir;
        char *path; /* NULL: empty slot */
        size_t n;
        uint64_t used; /* clock at the last use */
        bool made; /* dir_cache_made */
    } slots[DIR_CACHE_SIZE];
    /* Directories that have another name for now, in the order in which they were made. */
    struct dir_staged {
        char *path;
        size_t n;
        const char *temp; /* last component of where it is; lies behind `path` */
        bool filled, spoilt; /* the caller's */
    } * staged;
    unsigned staged_count, staged_room;
    unsigned staged_last; /* that was found */
};

void dir_cache_init(struct dir_cache *cache, struct os_dir root);
void dir_cache_free(struct dir_cache *cache); /* closes what it keeps, not the root */

/* The directory at path[0…n). 0, or -errno. */
int dir_cache_get(struct dir_cache *cache, const char *path, size_t n, struct os_dir *ret);
/* The parent of `path`, and its last component. */
int dir_cache_parent(struct dir_cache *cache, const char *path, struct os_dir *ret, const char **ret_name);
/* Keep the directory at `path`, which the caller made just now. 0, or -errno. */
int dir_cache_made(struct dir_cache *cache, const char *path);
/* The directory that belongs at `path` was made as `temp` beside it, and is found there until it is unstaged. 0, or -ENOMEM. */
int dir_cache_stage(struct dir_cache *cache, const char *path, const char *temp);
/* The nearest staged directory that `path` lies in, or NULL. Valid until the next one is staged or unstaged. */
struct dir_staged *dir_cache_staged(struct dir_cache *cache, const char *path);
bool dir_cache_is_staged(const struct dir_cache *cache, const char *path);
/* True when `path` lies in it, at whatever depth. */
bool dir_staged_holds(const struct dir_staged *staged, const char *path);
/* It has its name, or is gone. What is kept of it stays. */
void dir_cache_unstage(struct dir_cache *cache, struct dir_staged *staged);
/* True when the parent of `path` was made so and has been kept since: what is in it, the caller or a stranger put there. */
bool dir_cache_has_new_parent(struct dir_cache *cache, const char *path);
/* Forget the directory at `path` and all below it: it was removed or replaced. */
void dir_cache_forget(struct dir_cache *cache, const char *path);

#endif
