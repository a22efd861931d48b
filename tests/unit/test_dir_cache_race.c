/* A directory that is exchanged with a link to outside, over and over, while the cache opens it. */
#include "files_help.h"
#include "threads_help.h"

#include "tree/dir_cache.h"

#include <sys/syscall.h>

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

enum { FLIPS = 2000 };

struct flipper {
    atomic_bool done;
    atomic_int failure;
};

/* Exchanges a directory with a link to outside, over and over: each of both is "d" half of the time. */
static void *flip(void *arg) {
    struct flipper *f = arg;
    for (int i = 0; i < FLIPS; i++)
        if (syscall(SYS_renameat2, root.fd, "d", root.fd, "s", 2 /* RENAME_EXCHANGE */) != 0) {
            atomic_store(&f->failure, errno);
            break;
        }
    atomic_store(&f->done, true);
    return NULL;
}

static void nothing_outside_opens_while_a_directory_is_exchanged_with_a_link(void **state) {
    (void)state;
    struct flipper f = {false, 0};
    struct waiters w;
    unsigned opened = 0, refused = 0;
    make_dir(root, "d", 0700);
    make_dir(root, "d/sub", 0700);
    (void)put_link(root, "s", "../outside");
    uint64_t inside = stat_of(root, "d/sub").inode;
    waiters_start(&w, 1, flip, &f);
    bool strayed = false, odd = false;
    for (bool last = false; !last;) {
        last = atomic_load(&f.done);
        struct os_dir dir;
        int result = get("d/sub", &dir);
        strayed |= result == 0 && stat_of(dir, ".").inode != inside;
        odd |= result != 0 && result != -ELOOP && result != -ENOTDIR;
        opened += result == 0;
        refused += result != 0;
        dir_cache_forget(&cache, "");
    }
    waiters_join(&w);
    if (atomic_load(&f.failure) == EINVAL) {
        print_message("skipped: this file system cannot exchange names\n");
        skip();
    }
    assert_int_equal(atomic_load(&f.failure), 0);
    assert_false(strayed);
    assert_false(odd);
    assert_true(opened + refused > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_outside_opens_while_a_directory_is_exchanged_with_a_link,
                                        start_openat2, stop),
        {"and_neither_by_the_fallback", nothing_outside_opens_while_a_directory_is_exchanged_with_a_link,
         start_fallback, stop, NULL},
    };
    return cmocka_run_group_tests_name("dir_cache_race", tests, NULL, NULL);
}
