/* A directory that is exchanged with a link to outside, over and over, while the cache opens it. */
#include "dir_cache_rig.h"

#include <sys/syscall.h>

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
