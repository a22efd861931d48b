/* Which names several places have: what the table says, and what a scan of sources that meet does with it. */
#include "files_help.h"

#include "sender/scan.h"
#include "sender/scan_names.h"

#include <stdatomic.h>

/* ---- the table ---------------------------------------------------------------------------------------------- */

static const char *numbered(unsigned i) {
    static char name[300];
    (void)snprintf(name, sizeof name, "%u%.*s", i, (int)(i % 40), "0123456789012345678901234567890123456789");
    return name;
}

static void a_name_of_one_place_is_told_from_one_of_many(void **state) {
    (void)state;
    enum { MOST = 5000, PLACES = 7 };
    struct scan_names_common common;
    scan_names_begin(&common, MOST);
    struct scan_names *names = scan_names_new(&common);
    assert_non_null(names);
    for (unsigned i = 0; i < MOST; i++)
        assert_true(scan_names_add(names, numbered(i), i % PLACES));
    for (unsigned i = 0; i < MOST; i += 3)
        assert_true(
            scan_names_add(names, numbered(i), (i + i % 2) % PLACES)); /* the same, or another place */
    for (unsigned i = 0; i < MOST; i++)
        for (unsigned place = 0; place < PLACES; place++)
            assert_int_equal(scan_names_only(names, numbered(i), place),
                             place == i % PLACES && (i % 3 != 0 || i % 2 == 0));
    assert_false(scan_names_only(names, "x", 0));
    assert_false(scan_names_only(names, "", 0));
    scan_names_free(names);
    assert_int_equal(common.left, MOST);
}

static void tables_share_a_bound(void **state) {
    (void)state;
    struct scan_names_common common;
    scan_names_begin(&common, 3);
    struct scan_names *one = scan_names_new(&common), *two = scan_names_new(&common);
    assert_true(scan_names_add(one, "a", 0) && scan_names_add(one, "b", ROOTS_MAX - 1));
    assert_true(scan_names_add(two, "a", 1) && scan_names_add(two, "a", 2));
    assert_false(scan_names_add(two, "b", 1));
    assert_false(scan_names_add(one, "c", 1));
    assert_true(scan_names_only(one, "a", 0) && scan_names_only(one, "b", ROOTS_MAX - 1));
    scan_names_free(one);
    assert_true(scan_names_add(two, "b", 1) && scan_names_add(two, "c", 1));
    assert_false(scan_names_add(two, "d", 1));
    scan_names_free(two);
    assert_int_equal(common.left, 3);
}

/* ---- a scan ------------------------------------------------------------------------------------------------- */

static unsigned asked; /* how often for a name */

int __real_os_stat_at(struct os_dir dir, const char *name, struct os_stat *ret);
int __wrap_os_stat_at(struct os_dir dir, const char *name, struct os_stat *ret);
int __wrap_os_stat_at(struct os_dir dir, const char *name, struct os_stat *ret) {
    asked++;
    return __real_os_stat_at(dir, name, ret);
}

enum { SOURCES = 30, FILES = 20 };

static struct tree {
    struct scratch scratch;
    struct source_root *roots;
    struct report report;
    struct scan *scan;
} tree;

/* SOURCES directories, each with FILES names in itself and in "sub". Those of `same` are in all of them. */
static void make_tree(unsigned same) {
    static const struct report_style style = {.role = "sender", .progress_fd = -1};
    char path[64], *args[SOURCES], spelled[SOURCES][320];
    struct err err;
    tree.scratch = scratch_new();
    for (unsigned i = 0; i < SOURCES; i++) {
        (void)snprintf(path, sizeof path, "%u", i);
        assert_int_equal(os_mkdir_at(tree.scratch.dir, path, 0700), 0);
        (void)snprintf(path, sizeof path, "%u/sub", i);
        assert_int_equal(mkdirat(tree.scratch.dir.fd, path, 0700), 0);
        for (unsigned k = 0; k < 2 * FILES; k++) {
            unsigned n = k / 2;
            (void)snprintf(path, sizeof path, "%u/%s%u", i, k % 2 ? "sub/" : "", n < same ? n : n + i * 1000);
            put_file(tree.scratch.dir, path, "x", 1);
        }
        (void)snprintf(spelled[i], sizeof spelled[i], "%s/%u/", tree.scratch.path, i);
        args[i] = spelled[i];
    }
    assert_int_equal(roots_open(args, SOURCES, &tree.roots, &err), 0);
    report_init(&tree.report, &style);
    const struct scan_options options = {.recursive = true, .links = true};
    tree.scan = scan_new(tree.roots, SOURCES, &options, &tree.report);
    assert_non_null(tree.scan);
    asked = 0;
}

static int remove_the_tree(void **state) {
    (void)state;
    scan_free(tree.scan);
    report_free(&tree.report);
    roots_close(tree.roots, SOURCES);
    scratch_free(&tree.scratch);
    return 0;
}

/* The files that come; how many of them are called `name`. */
static unsigned count_files(const char *name, unsigned *ret_of_name) {
    struct found found;
    unsigned files = 0;
    *ret_of_name = 0;
    while (scan_next(tree.scan, &found) == 1)
        if (found.type == ENTRY_FILE) {
            files++;
            *ret_of_name += strcmp(found.path, name) == 0;
        }
    return files;
}

static void what_only_one_source_has_is_asked_for_once(void **state) {
    (void)state;
    unsigned once;
    make_tree(0);
    assert_int_equal(count_files("sub/3001", &once), 2 * SOURCES * FILES);
    assert_int_equal(once, 1);
    /* each file, and "sub" of each source as one name that all have */
    assert_in_range(asked, 2 * SOURCES * FILES, 2 * SOURCES * FILES + 4 * SOURCES);
}

static void what_many_sources_have_comes_once(void **state) {
    (void)state;
    unsigned once;
    make_tree(FILES / 2);
    assert_int_equal(count_files("sub/1", &once), 2 * (FILES / 2) * (SOURCES + 1));
    assert_int_equal(once, 1);
}

static void what_comes_while_it_is_listed_comes_once(void **state) {
    (void)state;
    struct found found;
    unsigned once;
    make_tree(0);
    assert_int_equal(scan_next(tree.scan, &found), 1);
    assert_int_equal(found.type, ENTRY_DIR);
    put_file(tree.scratch.dir, "20/late", "x", 1);
    put_file(tree.scratch.dir, "25/late", "x", 1);
    put_file(tree.scratch.dir, "20/25001", "x", 1); /* which 25 has already */
    put_file(tree.scratch.dir, "25/20001", "x", 1);
    assert_int_equal(count_files("late", &once), 2 * SOURCES * FILES + 1);
    assert_int_equal(once, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_one_place_is_told_from_one_of_many),
        cmocka_unit_test(tables_share_a_bound),
        cmocka_unit_test_teardown(what_only_one_source_has_is_asked_for_once, remove_the_tree),
        cmocka_unit_test_teardown(what_many_sources_have_comes_once, remove_the_tree),
        cmocka_unit_test_teardown(what_comes_while_it_is_listed_comes_once, remove_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
