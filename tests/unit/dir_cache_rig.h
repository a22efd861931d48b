/* dir_cache_rig.h: a dir_cache over root/ of a scratch directory, with outside/ beside it; with openat2 and without. For one
 * test program each, which includes it once. */
#ifndef DIR_CACHE_RIG_H
#define DIR_CACHE_RIG_H

#include "files_help.h"
#include "threads_help.h"

#include "tree/dir_cache.h"

static struct scratch scratch; /* root/ is the cache's root, outside/ lies beside it */
static struct os_dir root;
static struct dir_cache cache;
static unsigned descriptors;

static int start(bool fallback) {
    os_dir_force_fallback(fallback);
    descriptors = open_descriptors();
    scratch = scratch_new();
    make_dir(scratch.dir, "root", 0700);
    make_dir(scratch.dir, "outside", 0700);
    make_dir(scratch.dir, "outside/sub", 0700);
    if (os_dir_open(scratch.dir, "root", &root) != 0)
        return -1;
    dir_cache_init(&cache, root);
    return 0;
}
static int start_openat2(void **state) {
    (void)state;
    return start(false);
}
static int start_fallback(void **state) {
    (void)state;
    return start(true);
}
static int stop(void **state) {
    (void)state;
    dir_cache_free(&cache);
    os_dir_close(&root);
    scratch_free(&scratch);
    os_dir_force_fallback(false);
    return open_descriptors() == descriptors ? 0 : -1; /* no test may leak one */
}

static int get(const char *path, struct os_dir *ret) {
    return dir_cache_get(&cache, path, strlen(path), ret);
}

#endif
