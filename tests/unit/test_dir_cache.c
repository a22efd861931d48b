/* Directories below a root, however deep and however many: only real ones, and only below the root. */
#include "dir_cache_rig.h"

#include "core/path.h"

/* The cache's handle is the directory that `real`, seen from the scratch directory, names. */
static void assert_is(const char *path, const char *real) {
    struct os_dir dir;
    struct os_stat st;
    assert_int_equal(get(path, &dir), 0);
    assert_int_equal(os_dir_stat(dir, &st), 0);
    assert_int_equal(st.inode, stat_of(scratch.dir, real).inode);
}

static void make(const char *path) {
    make_dir(root, path, 0700);
}

static void root_is_the_empty_path(void **state) {
    (void)state;
    struct os_dir dir;
    const char *name;
    assert_int_equal(get("", &dir), 0);
    assert_memory_equal(&dir, &root, sizeof dir);
    assert_int_equal(dir_cache_parent(&cache, "file", &dir, &name), 0);
    assert_memory_equal(&dir, &root, sizeof dir);
    assert_string_equal(name, "file");
}

static void parent_is_found_with_the_last_component(void **state) {
    (void)state;
    struct os_dir dir;
    const char *name;
    make("a");
    make("a/b");
    put_text(root, "a/b/file", "text");
    assert_int_equal(dir_cache_parent(&cache, "a/b/file", &dir, &name), 0);
    assert_string_equal(name, "file");
    assert_text(dir, name, "text");
    assert_int_equal(dir_cache_get(&cache, "a/bcd", 3, &dir), 0); /* n counts, not the NUL */
    assert_text(dir, "file", "text");
}

static void names_that_only_begin_alike_are_told_apart(void **state) {
    (void)state;
    make("ab");
    make("ab/x");
    make("abc");
    make("abc/x");
    make("a");
    make("a/x");
    for (int turn = 0; turn < 2; turn++) {
        assert_is("ab/x", "root/ab/x");
        assert_is("abc/x", "root/abc/x");
        assert_is("a/x", "root/a/x");
        assert_is("a", "root/a");
        assert_is("abc", "root/abc");
    }
}

static uint64_t identity_of(struct os_dir dir) {
    struct os_stat st;
    assert_int_equal(os_dir_stat(dir, &st), 0);
    return st.inode;
}

static void longest_path_opens_at_every_level(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX];
    struct os_dir at = root, next, dir;
    size_t n = 0;
    uint64_t inodes[PATH_DEPTH_MAX];
    for (size_t depth = 0; depth < PATH_DEPTH_MAX; depth++) {
        if (depth)
            path[n++] = '/';
        memset(path + n, 'a' + (int)(depth % 26), LEVEL_BYTES);
        path[n + LEVEL_BYTES] = '\0';
        assert_int_equal(os_mkdir_at(at, path + n, 0700), 0);
        assert_int_equal(os_dir_open(at, path + n, &next), 0);
        inodes[depth] = identity_of(next);
        n += LEVEL_BYTES;
        if (depth)
            os_dir_close(&at);
        at = next;
    }
    os_dir_close(&at);
    assert_int_equal(n, PATH_DEPTH_MAX * (LEVEL_BYTES + 1) - 1);
    for (int turn = 0; turn < 2; turn++)
        for (size_t depth = PATH_DEPTH_MAX; depth-- > 0;) { /* backwards: each starts from far above */
            assert_int_equal(dir_cache_get(&cache, path, (depth + 1) * (LEVEL_BYTES + 1) - 1, &dir), 0);
            assert_int_equal(identity_of(dir), inodes[depth]);
        }
    assert_true(open_descriptors() <= descriptors + DIR_CACHE_SIZE + 2);
}

static void only_what_was_made_and_kept_since_is_new(void **state) {
    (void)state;
    char path[8];
    make("old");
    make("old/new");
    assert_is("old/new", "root/old/new");
    assert_int_equal(dir_cache_made(&cache, "old/new"), 0); /* what was kept of it before does not count */
    assert_is("old", "root/old");
    assert_true(dir_cache_has_new_parent(&cache, "old/new/f"));
    assert_false(dir_cache_has_new_parent(&cache, "old/new"));
    assert_false(dir_cache_has_new_parent(&cache, "old/new/sub/f"));
    assert_false(dir_cache_has_new_parent(&cache, "old/ne/f"));
    assert_false(dir_cache_has_new_parent(&cache, "f"));
    for (unsigned i = 0; i < DIR_CACHE_SIZE; i++) { /* they push it out */
        struct os_dir dir;
        (void)snprintf(path, sizeof path, "d%u", i);
        make(path);
        assert_int_equal(get(path, &dir), 0);
    }
    assert_false(dir_cache_has_new_parent(&cache, "old/new/f"));
    assert_is("old/new", "root/old/new");
    assert_false(dir_cache_has_new_parent(&cache, "old/new/f"));
    assert_int_equal(dir_cache_made(&cache, "missing"), -ENOENT);
}

static void component_too_long_is_refused(void **state) {
    (void)state;
    char path[NAME_BYTES_MAX + 2];
    struct os_dir dir;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(get(path, &dir), -ENAMETOOLONG);
}

static void more_directories_than_slots_are_still_right(void **state) {
    (void)state;
    enum { DIRS = 3 * DIR_CACHE_SIZE };
    char path[32], real[40];
    uint32_t seed = 5;
    make("p");
    for (unsigned i = 0; i < DIRS; i++) {
        (void)snprintf(path, sizeof path, "p/%u", i);
        make(path);
    }
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(path, sizeof path, "p/%u", scatter(&seed) % DIRS);
        (void)snprintf(real, sizeof real, "root/%s", path);
        assert_is(path, real);
        assert_true(open_descriptors() <= descriptors + DIR_CACHE_SIZE + 2);
    }
}

static void missing_directory_is_an_error_and_leaves_the_cache_sound(void **state) {
    (void)state;
    struct os_dir dir;
    make("a");
    put_text(root, "a/file", "text");
    assert_int_equal(get("a/missing/x", &dir), -ENOENT);
    assert_int_equal(get("a/file/x", &dir), -ENOTDIR);
    assert_int_equal(get("a/file", &dir), -ENOTDIR);
    assert_is("a", "root/a");
}

static void forgotten_directory_is_looked_up_again(void **state) {
    (void)state;
    struct os_dir dir;
    make("a");
    make("a/b");
    make("ab");
    assert_is("a/b", "root/a/b");
    assert_is("ab", "root/ab");
    assert_int_equal(os_rename_at(root, "a", "old"), 0);
    make("a");
    make("a/b");
    assert_is("a/b", "root/old/b"); /* kept until it is forgotten */
    dir_cache_forget(&cache, "a");
    assert_is("a/b", "root/a/b");
    assert_is("a", "root/a");
    remove_dir(root, "a/b");
    dir_cache_forget(&cache, "a/b");
    assert_int_equal(get("a/b", &dir), -ENOENT);
    assert_is("ab", "root/ab");
    dir_cache_forget(&cache, "");
    assert_is("ab", "root/ab");
}

static void staged_directory_is_found_where_it_is(void **state) {
    (void)state;
    struct os_dir dir;
    make("a");
    make("a/temp");
    make("a/temp/in");
    make("other");
    assert_null(dir_cache_staged(&cache, "a/b"));
    assert_int_equal(dir_cache_stage(&cache, "a/b", "temp"), 0);
    assert_is("a/b", "root/a/temp");
    assert_is("a/b/in", "root/a/temp/in");
    dir_cache_forget(&cache, "");
    assert_is("a/b/in", "root/a/temp/in");
    assert_int_equal(get("a/bc", &dir), -ENOENT);
    assert_string_equal(dir_cache_staged(&cache, "a/b/x")->path, "a/b");
    assert_string_equal(dir_cache_staged(&cache, "a/b/x/y")->path, "a/b");
    assert_true(dir_cache_is_staged(&cache, "a/b"));
    static const char *const others[] = {"", "a", "a/b", "a/bc", "a/c", "other"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_null(dir_cache_staged(&cache, others[i]));
        assert_true(i == 2 || !dir_cache_is_staged(&cache, others[i]));
    }
    assert_false(dir_cache_is_staged(&cache, "a/b/x"));
    for (char name[] = "c"; name[0] <= 'z'; name[0]++)
        assert_int_equal(dir_cache_stage(&cache, name, "other"), 0);
    assert_is("m", "root/other");
    assert_string_equal(dir_cache_staged(&cache, "m/x")->path, "m");
    dir_cache_unstage(&cache, dir_cache_staged(&cache, "m/x"));
    assert_null(dir_cache_staged(&cache, "m/x"));
    assert_string_equal(dir_cache_staged(&cache, "n/x")->path, "n");
    assert_string_equal(dir_cache_staged(&cache, "a/b/x")->path, "a/b");
    assert_int_equal(os_rename_at(root, "other", "m"), 0);
    dir_cache_forget(&cache, "m");
    assert_is("m", "root/m");
}

static void link_anywhere_in_the_path_is_refused(void **state) {
    (void)state;
    need_links(root);
    struct os_dir dir;
    make("real");
    make("real/sub");
    (void)put_link(root, "inside", "real");
    (void)put_link(root, "up", "../outside");
    (void)put_link(root, "real/up", "../../outside");
    (void)put_link(root, "absolute", "/tmp");
    static const char *const paths[] = {"inside",  "inside/sub",  "up",       "up/sub",
                                        "real/up", "real/up/sub", "absolute", "absolute/x"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int result = get(paths[i], &dir);
        assert_true(result == -ELOOP || result == -ENOTDIR);
    }
    assert_is("real/sub", "root/real/sub");
}

static void way_up_is_refused(void **state) {
    (void)state;
    struct os_dir dir;
    make("a");
    static const char *const paths[] = {"..", "../outside", "a/..", "a/../../outside", "/", "/tmp", "a//.."};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_true(get(paths[i], &dir) < 0);
}

#define BOTH_WAYS(f)                                                                                         \
    {#f, f, start_openat2, stop, NULL}, {                                                                    \
#f "_by_the_fallback", f, start_fallback, stop, NULL                                                 \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(root_is_the_empty_path),
        BOTH_WAYS(parent_is_found_with_the_last_component),
        BOTH_WAYS(names_that_only_begin_alike_are_told_apart),
        BOTH_WAYS(longest_path_opens_at_every_level),
        BOTH_WAYS(component_too_long_is_refused),
        BOTH_WAYS(more_directories_than_slots_are_still_right),
        BOTH_WAYS(missing_directory_is_an_error_and_leaves_the_cache_sound),
        BOTH_WAYS(only_what_was_made_and_kept_since_is_new),
        BOTH_WAYS(forgotten_directory_is_looked_up_again),
        BOTH_WAYS(staged_directory_is_found_where_it_is),
        BOTH_WAYS(link_anywhere_in_the_path_is_refused),
        BOTH_WAYS(way_up_is_refused),
    };
    return cmocka_run_group_tests_name("dir_cache", tests, NULL, NULL);
}
