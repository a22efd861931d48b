#include "core/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_path_refused(const char *path, const char *why) {
    struct err err = {.code = 0};
    assert_int_equal(path_check(path, &err), -1);
    assert_int_equal(err.code, EXIT_PARTIAL);
    assert_non_null(strstr(err.msg, why));
}

static void paths_of_good_components_are_fine(void **state) {
    (void)state;
    static const char *const paths[] = {"", "a", "a/b", "a/b/c", "-/ /\n", ".../..a/b..", "\\\\x\\c$"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct err err = {.code = 0};
        assert_int_equal(path_check(paths[i], &err), 0);
        assert_false(err_is_set(&err));
    }
}

static void path_with_one_bad_component_is_refused(void **state) {
    (void)state;
    static const char *const empty[] = {"/", "/a", "a/", "a//b", "//", "a/b//"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
        assert_path_refused(empty[i], "name is empty");
    static const char *const dots[] = {".", "..", "../a", "a/..", "a/../b", "a/./b", "./a", "a/b/."};
    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++)
        assert_path_refused(dots[i], "name is '.' or '..'");
    assert_path_refused("a/.hvferry.1/b", "reserved");
    assert_path_refused("a/b/.HvFerry.", "reserved");
}

static void refused_path_is_quoted_escaped(void **state) {
    (void)state;
    assert_path_refused("a\n\x1B/..", "a\\012\\033/..: name is");
}

/* `depth` components of `len` bytes each; the caller frees it. */
static char *deep_path(size_t depth, size_t len) {
    char *path = malloc(depth * (len + 1));
    assert_non_null(path);
    memset(path, 'd', depth * (len + 1));
    for (size_t i = 1; i < depth; i++)
        path[i * (len + 1) - 1] = '/';
    path[depth * (len + 1) - 1] = '\0';
    return path;
}

static void path_64_deep_is_fine_and_65_deep_is_refused(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, NAME_BYTES_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct err err = {.code = 0};
        char *deep = deep_path(64, lengths[i]), *deeper = deep_path(65, lengths[i]);
        assert_int_equal(path_check(deep, &err), 0);
        assert_int_equal(path_depth(deep), 64);
        assert_int_equal(path_depth(deeper), 65);
        assert_path_refused(deeper, "deeper than 64 levels");
        free(deep);
        free(deeper);
    }
}

static void longest_path_fits_path_bytes_max_exactly(void **state) {
    (void)state;
    char *longest = deep_path(PATH_DEPTH_MAX, NAME_BYTES_MAX);
    assert_int_equal(strlen(longest) + 1, PATH_BYTES_MAX);
    free(longest);
    char *wide = deep_path(2, NAME_BYTES_MAX + 1);
    assert_path_refused(wide, "longer than 255 bytes");
    free(wide);
}

static void depth_counts_components(void **state) {
    (void)state;
    assert_int_equal(path_depth(""), 0);
    assert_int_equal(path_depth("a"), 1);
    assert_int_equal(path_depth("a/b"), 2);
    assert_int_equal(path_depth("aa/bb/cc"), 3);
}

static void base_splits_off_the_last_component(void **state) {
    (void)state;
    static const struct {
        const char *path, *base;
        size_t parent_len;
    } cases[] = {{"", "", 0}, {"a", "a", 0}, {"a/b", "b", 1}, {"aa/bb/cc", "cc", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t parent_len = 77;
        assert_string_equal(path_base(cases[i].path, &parent_len), cases[i].base);
        assert_int_equal(parent_len, cases[i].parent_len);
    }
}

static void within_means_the_same_or_below_by_whole_components(void **state) {
    (void)state;
    static const struct {
        const char *path, *above;
        bool within;
    } cases[] = {
        {"", "", true},         {"a", "", true},      {"a/b", "", true},    {"a", "a", true},
        {"a/b", "a", true},     {"a/b/c", "a", true}, {"a/b", "a/b", true}, {"a/b/c", "a/b", true},
        {"ab", "a", false},     {"a", "ab", false},   {"a", "a/b", false},  {"", "a", false},
        {"b/a", "a", false},    {"A", "a", false},    {"a.b", "a", false},  {"ab/c", "a", false},
        {"a/bc", "a/b", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (path_is_within(cases[i].path, cases[i].above) != cases[i].within)
            fail_msg("'%s' within '%s' should be %d", cases[i].path, cases[i].above, cases[i].within);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_good_components_are_fine),
        cmocka_unit_test(path_with_one_bad_component_is_refused),
        cmocka_unit_test(refused_path_is_quoted_escaped),
        cmocka_unit_test(path_64_deep_is_fine_and_65_deep_is_refused),
        cmocka_unit_test(longest_path_fits_path_bytes_max_exactly),
        cmocka_unit_test(depth_counts_components),
        cmocka_unit_test(base_splits_off_the_last_component),
        cmocka_unit_test(within_means_the_same_or_below_by_whole_components),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
