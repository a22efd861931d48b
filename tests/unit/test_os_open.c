/* Opening one component at a time, with openat2 and without: nothing follows a link, goes up, or blocks. */
#include "files_help.h"
#include "threads_help.h"

static struct scratch scratch;
static unsigned descriptors;

static int start(bool fallback) {
    os_dir_force_fallback(fallback);
    descriptors = open_descriptors();
    scratch = scratch_new();
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
    scratch_free(&scratch);
    os_dir_force_fallback(false);
    return open_descriptors() == descriptors ? 0 : -1; /* no test may leak one */
}

static void links_are_not_followed(void **state) {
    (void)state;
    struct os_dir dir = OS_DIR_NONE, d = scratch.dir;
    struct os_file file = OS_FILE_NONE;
    put_text(d, "file", "text");
    assert_int_equal(os_mkdir_at(d, "dir", 0700), 0);
    assert_int_equal(os_symlink_at("file", d, "to-file"), 0);
    assert_int_equal(os_symlink_at("dir", d, "to-dir"), 0);
    assert_int_equal(os_symlink_at("/", d, "to-root"), 0);
    assert_int_equal(os_symlink_at(".", d, "to-self"), 0);
    assert_int_equal(os_symlink_at("nothing", d, "to-nothing"), 0);
    assert_int_equal(os_symlink_at("/proc/self/cwd", d, "to-magic"), 0);
    static const char *const links[] = {"to-file", "to-dir", "to-root", "to-self", "to-nothing", "to-magic"};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        assert_true(os_dir_open(d, links[i], &dir) < 0);
        assert_int_equal(os_open_read(d, links[i], &file), -ELOOP);
        assert_int_equal(os_create(d, links[i], 0600, &file), -EEXIST);
    }
    assert_false(exists(d, "nothing"));
    assert_int_equal(dir.fd, -1);
    assert_int_equal(file.fd, -1);
}

static void only_names_of_one_component_are_opened(void **state) {
    (void)state;
    struct os_dir dir = OS_DIR_NONE, d = scratch.dir, sub;
    struct os_file file = OS_FILE_NONE;
    char absolute[300];
    put_text(d, "secret", "text");
    assert_int_equal(os_mkdir_at(d, "sub", 0700), 0);
    assert_int_equal(os_mkdir_at(d, "other", 0700), 0);
    assert_int_equal(os_dir_open(d, "sub", &sub), 0);
    (void)snprintf(absolute, sizeof absolute, "%s/secret", scratch.path);
    const char *const bad[] = {"..",          "../secret",        "../other", "/",      "/tmp",
                               "./../secret", "../../etc/passwd", "",         absolute, "../sub/../secret"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(os_dir_open(sub, bad[i], &dir) < 0);
        assert_true(os_open_read(sub, bad[i], &file) < 0);
        assert_true(os_create(sub, bad[i], 0600, &file) < 0);
    }
    assert_true(os_create(sub, "../new", 0600, &file) < 0);
    assert_true(os_dir_open(d, "sub/..", &dir) < 0);
    assert_true(os_open_read(d, "sub/../secret", &file) < 0);
    assert_false(exists(d, "new"));
    assert_int_equal(dir.fd, -1);
    assert_int_equal(file.fd, -1);
    os_dir_close(&sub);
    assert_int_equal(sub.fd, -1);
    os_dir_close(&sub);
}

static void link_in_the_middle_is_not_followed(void **state) {
    (void)state;
    struct os_dir d = scratch.dir, dir = OS_DIR_NONE;
    struct os_file file = OS_FILE_NONE;
    assert_int_equal(os_mkdir_at(d, "real", 0700), 0);
    put_text(d, "real/file", "text");
    assert_int_equal(os_mkdir_at(d, "real/sub", 0700), 0);
    assert_int_equal(os_symlink_at("real", d, "link"), 0);
    assert_true(os_dir_open(d, "link/sub", &dir) < 0);
    assert_true(os_open_read(d, "link/file", &file) < 0);
    assert_true(os_create(d, "link/new", 0600, &file) < 0);
    assert_false(exists(d, "real/new"));
}

static void what_is_no_directory_is_not_opened_as_one(void **state) {
    (void)state;
    struct os_dir dir = OS_DIR_NONE;
    put_text(scratch.dir, "file", "text");
    assert_int_equal(mkfifoat(scratch.dir.fd, "fifo", 0600), 0);
    assert_int_equal(os_dir_open(scratch.dir, "file", &dir), -ENOTDIR);
    assert_int_equal(os_dir_open(scratch.dir, "fifo", &dir), -ENOTDIR);
    assert_int_equal(os_dir_open(scratch.dir, "missing", &dir), -ENOENT);
}

static void fifo_without_a_writer_does_not_block(void **state) {
    (void)state;
    struct os_file file;
    struct os_stat st;
    assert_int_equal(mkfifoat(scratch.dir.fd, "fifo", 0600), 0);
    assert_int_equal(os_open_read(scratch.dir, "fifo", &file), 0);
    assert_int_equal(os_fstat(file, &st), 0);
    assert_int_equal(st.kind, OS_FIFO);
    os_close(&file);
    assert_int_equal(file.fd, -1);
}

static void create_is_exclusive_and_private(void **state) {
    (void)state;
    struct os_file file, none = OS_FILE_NONE;
    struct os_stat st;
    mode_t mask = umask(0);
    assert_int_equal(os_create(scratch.dir, "new", 0600, &file), 0);
    (void)umask(mask);
    assert_int_equal(os_fstat(file, &st), 0);
    assert_int_equal(st.mode, 0600);
    assert_int_equal(st.size, 0);
    assert_int_equal(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(os_create(scratch.dir, "new", 0600, &none), -EEXIST);
    assert_int_equal(os_mkdir_at(scratch.dir, "dir", 0700), 0);
    assert_int_equal(os_create(scratch.dir, "dir", 0600, &none), -EEXIST);
    os_close(&file);
}

struct race {
    atomic_uint won, lost;
};

static void *create_it(void *arg) {
    struct race *race = arg;
    struct os_file file = OS_FILE_NONE;
    int result = os_create(scratch.dir, "contested", 0600, &file);
    atomic_fetch_add(&race->won, result == 0);
    atomic_fetch_add(&race->lost, result == -EEXIST);
    os_close(&file);
    return NULL;
}

static void one_of_many_creators_wins(void **state) {
    (void)state;
    for (int turn = 0; turn < 20; turn++) {
        struct race race = {0, 0};
        struct waiters w;
        waiters_start(&w, WAITERS, create_it, &race);
        waiters_join(&w);
        assert_int_equal(atomic_load(&race.won), 1);
        assert_int_equal(atomic_load(&race.lost), WAITERS - 1);
        assert_int_equal(os_unlink_at(scratch.dir, "contested"), 0);
    }
}

#define BOTH_WAYS(f)                                                                                         \
    {#f, f, start_openat2, stop, NULL}, {                                                                    \
#f "_by_the_fallback", f, start_fallback, stop, NULL                                                 \
    }

/* Storage that failed is told to each of them: flags of the description show that they share none. */
static void a_double_is_an_open_directory_of_its_own(void **state) {
    (void)state;
    struct os_dir twin;
    assert_int_equal(os_dir_dup(scratch.dir, &twin), 0);
    int before = fcntl(scratch.dir.fd, F_GETFL);
    assert_int_equal(fcntl(twin.fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(scratch.dir.fd, F_GETFL), before);
    assert_int_equal(fcntl(twin.fd, F_GETFD), FD_CLOEXEC);
    os_dir_close(&twin);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(links_are_not_followed),
        BOTH_WAYS(only_names_of_one_component_are_opened),
        BOTH_WAYS(link_in_the_middle_is_not_followed),
        BOTH_WAYS(what_is_no_directory_is_not_opened_as_one),
        BOTH_WAYS(fifo_without_a_writer_does_not_block),
        BOTH_WAYS(create_is_exclusive_and_private),
        BOTH_WAYS(one_of_many_creators_wins),
        BOTH_WAYS(a_double_is_an_open_directory_of_its_own),
    };
    return cmocka_run_group_tests_name("os_open", tests, NULL, NULL);
}
