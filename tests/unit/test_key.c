/* The key's file: what is taken, and what is refused. */
#include "files_help.h"
#include "hex_help.h"

#include "auth/key.h"

#include <sys/prctl.h>
#include <sys/resource.h>

struct place {
    struct scratch scratch;
    char path[512];
};

static int start(void **state) {
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->scratch = scratch_new();
    (void)snprintf(p->path, sizeof p->path, "%s/key", p->scratch.path);
    *state = p;
    return 0;
}

static int stop(void **state) {
    struct place *p = *state;
    scratch_free(&p->scratch);
    free(p);
    return 0;
}

static void put_key(const struct place *p, const void *bytes, size_t n, mode_t mode) {
    (void)unlink(p->path);
    put_file(p->scratch.dir, "key", bytes, n);
    assert_int_equal(chmod(p->path, mode), 0);
}

static void require_key(const struct place *p, const void *bytes, size_t n) {
    struct key *key = NULL;
    struct err err = {0};
    if (key_load(p->path, &key, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(key_bytes(key).n, n);
    assert_memory_equal(key_bytes(key).p, bytes, n);
    key_free(key);
}

static void require_refusal(const struct place *p, int code, const char *why) {
    struct key *key = NULL;
    struct err err = {0};
    assert_int_equal(key_load(p->path, &key, &err), -1);
    assert_null(key);
    assert_int_equal(err.code, code);
    if (strstr(err.msg, why) == NULL || strstr(err.msg, p->path) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, why);
}

static void the_bytes_of_the_file_are_the_key(void **state) {
    const struct place *p = *state;
    uint8_t bytes[KEY_BYTES_MAX];
    static const size_t sizes[] = {KEY_BYTES_MIN, KEY_BYTES_MIN + 1, 100, KEY_BYTES_MAX};
    memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put_key(p, bytes, sizes[i], 0600);
        require_key(p, bytes, sizes[i]);
    }
    put_key(p, bytes, 64, 0400);
    require_key(p, bytes, 64);
}

static void one_line_end_is_not_part_of_a_key(void **state) {
    const struct place *p = *state;
    static const char digits[] = "0123456789abcdef0123456789abcdef0123\n\r\n";
    put_key(p, digits, 37, 0600);
    require_key(p, digits, 36);
    put_key(p, "0123456789abcdef0123456789abcdef0123\r\n", 38, 0600);
    require_key(p, digits, 36);
    put_key(p, digits, 39, 0600);
    require_key(p, digits, 37);
}

static void a_key_of_the_least_length_may_end_like_a_line(void **state) {
    const struct place *p = *state;
    uint8_t bytes[KEY_BYTES_MIN];
    memset(bytes, '\n', sizeof bytes);
    put_key(p, bytes, sizeof bytes, 0600);
    require_key(p, bytes, sizeof bytes);
}

static void a_key_of_another_length_is_refused(void **state) {
    const struct place *p = *state;
    char bytes[KEY_BYTES_MAX + 1];
    memset(bytes, 'k', sizeof bytes);
    put_key(p, bytes, 0, 0600);
    require_refusal(p, EXIT_USAGE, "it has 0 bytes");
    put_key(p, bytes, KEY_BYTES_MIN - 1, 0600);
    require_refusal(p, EXIT_USAGE, "it has 31 bytes");
    put_key(p, bytes, KEY_BYTES_MAX + 1, 0600);
    require_refusal(p, EXIT_USAGE, "longer than 4096");
}

static void a_key_that_others_may_touch_is_refused(void **state) {
    const struct place *p = *state;
    char bytes[64];
    memset(bytes, 'k', sizeof bytes);
    for (mode_t bit = 1; bit <= 040; bit <<= 1) {
        put_key(p, bytes, sizeof bytes, 0600 | bit);
        require_refusal(p, EXIT_USAGE, "chmod 600");
    }
    put_key(p, bytes, sizeof bytes, 0600);
    require_key(p, bytes, sizeof bytes);
}

static void a_key_of_another_user_is_refused(void **state) {
    const struct place *p = *state;
    char bytes[64];
    if (geteuid() != 0)
        skip(); /* only root gives files away */
    memset(bytes, 'k', sizeof bytes);
    put_key(p, bytes, sizeof bytes, 0600);
    assert_int_equal(chown(p->path, 12345, (gid_t)-1), 0);
    require_refusal(p, EXIT_USAGE, "belongs to uid 12345");
}

static void only_regular_files_hold_keys(void **state) {
    const struct place *p = *state;
    assert_int_equal(mkdir(p->path, 0700), 0);
    require_refusal(p, EXIT_USAGE, "not a regular file");
    assert_int_equal(rmdir(p->path), 0);
    assert_int_equal(mkfifo(p->path, 0600), 0);
    require_refusal(p, EXIT_USAGE, "not a regular file"); /* and nobody waited for who writes */
    assert_int_equal(unlink(p->path), 0);
    require_refusal(p, EXIT_FILE_IO, "No such file");
}

static void a_link_to_a_key_is_followed(void **state) {
    const struct place *p = *state;
    char bytes[64];
    memset(bytes, 'k', sizeof bytes);
    put_file(p->scratch.dir, "real", bytes, sizeof bytes);
    assert_int_equal(symlinkat("real", p->scratch.dir.fd, "key"), 0);
    require_refusal(p, EXIT_USAGE, "chmod 600"); /* the file's mode counts */
    assert_int_equal(fchmodat(p->scratch.dir.fd, "real", 0600, 0), 0);
    require_key(p, bytes, sizeof bytes);
}

static void generated_keys_are_private_and_differ(void **state) {
    const struct place *p = *state;
    uint8_t first[64];
    for (unsigned i = 0; i < 2; i++) {
        struct key *key;
        struct stat st;
        struct err err = {0};
        mode_t before = umask(0);
        assert_int_equal(key_generate(p->path, &err), 0);
        (void)umask(before);
        assert_int_equal(stat(p->path, &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        assert_int_equal(st.st_size, 65);
        assert_int_equal(key_load(p->path, &key, &err), 0);
        const struct span bytes = key_bytes(key);
        assert_int_equal(bytes.n, 64);
        for (size_t k = 0; k < bytes.n; k++)
            assert_non_null(memchr("0123456789abcdef", bytes.p[k], 16));
        if (i == 0)
            memcpy(first, bytes.p, sizeof first);
        else
            assert_memory_not_equal(first, bytes.p, sizeof first);
        key_free(key);
        assert_int_equal(unlink(p->path), 0);
    }
}

static void generating_replaces_nothing(void **state) {
    const struct place *p = *state;
    struct err err = {0};
    put_key(p, "what is there", 13, 0644);
    assert_int_equal(key_generate(p->path, &err), -1);
    assert_int_equal(err.code, EXIT_FILE_IO);
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, 13);
    assert_int_equal(unlink(p->path), 0);
    assert_int_equal(symlinkat("nothing", p->scratch.dir.fd, "key"), 0);
    assert_int_equal(key_generate(p->path, &err), -1);
    assert_int_equal(faccessat(p->scratch.dir.fd, "nothing", F_OK, 0), -1);
}

static void a_process_with_a_key_leaves_no_dump(void **state) {
    const struct place *p = *state;
    struct rlimit limit;
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
    require_refusal(p, EXIT_FILE_IO, "No such file"); /* before it looks at the file */
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_max, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_bytes_of_the_file_are_the_key, start, stop),
        cmocka_unit_test_setup_teardown(one_line_end_is_not_part_of_a_key, start, stop),
        cmocka_unit_test_setup_teardown(a_key_of_the_least_length_may_end_like_a_line, start, stop),
        cmocka_unit_test_setup_teardown(a_key_of_another_length_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_key_that_others_may_touch_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_key_of_another_user_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(only_regular_files_hold_keys, start, stop),
        cmocka_unit_test_setup_teardown(a_link_to_a_key_is_followed, start, stop),
        cmocka_unit_test_setup_teardown(generated_keys_are_private_and_differ, start, stop),
        cmocka_unit_test_setup_teardown(generating_replaces_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_process_with_a_key_leaves_no_dump, start, stop),
    };
    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
