/* test_msg_entry.c: entries of the tree, and link targets. */
#include "wire_help.h"

#include <stdio.h>

enum { HEAD_SIZE = 48 };

static char *deep_path(char *to, unsigned depth) {
    for (unsigned i = 0; i < depth; i++)
        memcpy(to + 2 * (size_t)i, "d/", 2);
    to[depth ? 2 * (size_t)depth - 1 : 0] = '\0';
    return to;
}

static struct entry sample_entry(uint8_t type, const char *path) {
    return (struct entry){.file_id = 9,
                          .type = type,
                          .mode = 0640,
                          .uid = UINT32_MAX,
                          .gid = 100,
                          .mtime_sec = -3,
                          .mtime_nsec = 999999999,
                          .size = type == ENTRY_FILE ? INT64_MAX : 0,
                          .path = path};
}

/* Encode these entries into body_bytes; the length. */
static size_t encode_entries(const struct entry *entries, size_t count) {
    static char last[PATH_BYTES_MAX];
    struct entry_writer ew = {.w = wr_of(body_bytes, sizeof body_bytes), .last = last};
    last[0] = '\0';
    for (size_t i = 0; i < count; i++)
        assert_true(entry_encode(&ew, &entries[i]));
    assert_int_equal(ew.count, count);
    return wr_used(&ew.w);
}

static int try_entries(struct span body, struct err *err) {
    char *path = malloc(PATH_BYTES_MAX);
    struct entry_reader er = {.r = rd_of(body.p, body.n), .path = path};
    struct entry e;
    enum name_fault fault;
    int got;
    while ((got = entry_next(&er, &e, &fault, err)) > 0)
        assert_true(e.path == path && strlen(path) < PATH_BYTES_MAX);
    free(path);
    return got;
}

static int entry_code(const struct entry *e) {
    size_t n = encode_entries(e, 1);
    return code_of(try_entries, body_bytes, n);
}

static void assert_same_entry(const struct entry *a, const struct entry *b) {
    assert_int_equal(a->file_id, b->file_id);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->mtime_sec, b->mtime_sec);
    assert_int_equal(a->mtime_nsec, b->mtime_nsec);
    assert_int_equal(a->size, b->size);
    assert_string_equal(a->path, b->path);
    assert_int_equal(a->tags.n, b->tags.n);
    assert_true(a->tags.n == 0 || memcmp(a->tags.p, b->tags.p, a->tags.n) == 0);
}

static void assert_entries_survive(const struct entry *entries, size_t count) {
    size_t n = encode_entries(entries, count);
    uint8_t *body = exact(body_bytes, n);
    char *path = malloc(PATH_BYTES_MAX);
    struct entry_reader er = {.r = rd_of(body, n), .path = path};
    struct entry e;
    enum name_fault fault;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entry_next(&er, &e, &fault, NULL), 1);
        assert_int_equal(fault, NAME_OK);
        assert_same_entry(&e, &entries[i]);
    }
    assert_int_equal(entry_next(&er, &e, &fault, NULL), 0);
    free(path);
    free(body);
}

static void entries_with_shared_prefixes_survive_a_round_trip(void **state) {
    (void)state;
    static const char *const paths[] = {"a",    "a/b", "a/b/c", "a/b/cc",  "a/b",     "a/b", "ab",
                                        "ab/a", "a",   "b",     "b/a/b/c", "x/a/b/c", "x",   "x/a/b/c/d"};
    enum { COUNT = sizeof paths / sizeof paths[0] };
    struct entry entries[COUNT + 2] = {sample_entry(ENTRY_DIR, "")};
    for (size_t i = 0; i < COUNT; i++)
        entries[i + 1] = sample_entry(ENTRY_FILE, paths[i]);
    entries[COUNT + 1] = sample_entry(ENTRY_DIR_END, "");
    entries[3].tags = (struct span){(const uint8_t *)"\x05\x00\x03\x00"
                                                     "bin",
                                    7};
    assert_entries_survive(entries, COUNT + 2);
}

static void the_deepest_and_longest_paths_survive_a_round_trip(void **state) {
    (void)state;
    static char deep[PATH_BYTES_MAX], sibling[PATH_BYTES_MAX];
    memset(deep, 'n', sizeof deep);
    for (size_t i = NAME_BYTES_MAX; i < sizeof deep; i += NAME_BYTES_MAX + 1)
        deep[i] = '/';
    deep[sizeof deep - 1] = '\0';
    memcpy(sibling, deep, sizeof deep);
    sibling[sizeof deep - 2] = 'm';
    const struct entry entries[] = {sample_entry(ENTRY_FILE, deep), sample_entry(ENTRY_FILE, sibling),
                                    sample_entry(ENTRY_FILE, deep)};
    assert_int_equal(path_depth(deep), PATH_DEPTH_MAX);
    assert_entries_survive(entries, 3);
    assert_int_equal(encode_entries(entries, 3), 3 * HEAD_SIZE + 66 * (NAME_BYTES_MAX + 1));
}

static void an_entry_of_every_shorter_length_is_refused(void **state) {
    (void)state;
    struct entry entries[] = {sample_entry(ENTRY_DIR, "a/b"), sample_entry(ENTRY_SYMLINK, "a/c")};
    entries[1].tags = (struct span){(const uint8_t *)"\x01\x80\x02\x00xy", 6};
    size_t first = encode_entries(entries, 1);
    size_t n = encode_entries(entries, 2);
    uint8_t *body = exact(body_bytes, n);
    assert_prefixes_refused(try_entries, body, n, first);
    assert_longer_refused(try_entries, body, n);
    assert_reserved(try_entries, body, n, 11, 1);
    free(body);
}

static void entry_fields_are_held_to_their_limits(void **state) {
    (void)state;
    struct entry e = sample_entry(ENTRY_FILE, "a");
    assert_int_equal(entry_code(&e), 0);
    e.size = (uint64_t)INT64_MAX + 1;
    assert_int_equal(entry_code(&e), EXIT_STREAM);
    e = sample_entry(ENTRY_FILE, "a");
    e.mode = 07777;
    assert_int_equal(entry_code(&e), 0);
    e.mode = 010000;
    assert_int_equal(entry_code(&e), EXIT_STREAM);
    e = sample_entry(ENTRY_FILE, "a");
    e.mtime_nsec = 1000000000;
    assert_int_equal(entry_code(&e), EXIT_STREAM);
    e = sample_entry(ENTRY_FILE, "a");
    e.file_id = 0;
    assert_int_equal(entry_code(&e), EXIT_STREAM);
    e.file_id = UINT64_MAX;
    assert_int_equal(entry_code(&e), 0);
}

static void only_directories_are_the_root_and_only_files_have_a_size(void **state) {
    (void)state;
    for (unsigned type = 0; type <= 12; type++) {
        bool known = type >= ENTRY_FILE && type <= ENTRY_BLOCK_DEVICE;
        struct entry e = sample_entry((uint8_t)type, "a");
        assert_int_equal(entry_code(&e), known ? 0 : EXIT_STREAM);
        e.size = 1;
        assert_int_equal(entry_code(&e), type == ENTRY_FILE ? 0 : EXIT_STREAM);
        e = sample_entry((uint8_t)type, "");
        bool directory = type == ENTRY_DIR || type == ENTRY_DIR_END;
        assert_int_equal(entry_code(&e), directory ? 0 : EXIT_STREAM);
    }
}

/* One entry by hand: shared and added as given, these bytes as components. */
static size_t add_raw(size_t at, uint8_t shared, uint8_t added, const void *components, size_t n) {
    memset(body_bytes + at, 0, HEAD_SIZE);
    body_bytes[at] = 1;
    body_bytes[at + 8] = ENTRY_DIR;
    body_bytes[at + 9] = shared;
    body_bytes[at + 10] = added;
    memcpy(body_bytes + at + HEAD_SIZE, components, n);
    return at + HEAD_SIZE + n;
}

static void shared_components_must_be_there(void **state) {
    (void)state;
    size_t n = add_raw(0, 1, 0, "", 0);
    assert_int_equal(code_of(try_entries, body_bytes, n), EXIT_STREAM);
    size_t first = add_raw(0, 0, 2,
                           "\x01"
                           "a\x01"
                           "b",
                           4);
    n = add_raw(first, 2, 0, "", 0);
    assert_int_equal(code_of(try_entries, body_bytes, n), 0);
    n = add_raw(first, 3, 0, "", 0);
    assert_int_equal(code_of(try_entries, body_bytes, n), EXIT_STREAM);
}

static void an_entry_deeper_than_64_is_refused(void **state) {
    (void)state;
    uint8_t components[2 * 65];
    for (size_t i = 0; i < 65; i++) {
        components[2 * i] = 1;
        components[2 * i + 1] = 'd';
    }
    size_t n = add_raw(0, 0, 65, components, 130);
    assert_int_equal(code_of(try_entries, body_bytes, n), EXIT_STREAM);
    size_t first = add_raw(0, 0, 64, components, 128);
    assert_int_equal(code_of(try_entries, body_bytes, first), 0);
    n = add_raw(first, 64, 1, components, 2);
    assert_int_equal(code_of(try_entries, body_bytes, n), EXIT_STREAM);
    n = add_raw(first, 1, 255, components, 130);
    assert_int_equal(code_of(try_entries, body_bytes, n), EXIT_STREAM);
}

static void a_body_without_entries_is_refused(void **state) {
    (void)state;
    assert_int_equal(code_of(try_entries, "", 0), EXIT_STREAM);
}

static void a_bad_name_is_a_fault_of_the_entry_and_not_of_the_frame(void **state) {
    (void)state;
    static const struct {
        const char *component;
        size_t n;
        enum name_fault fault;
        const char *shown;
    } cases[] = {
        {"\x00", 1, NAME_EMPTY, "?"},
        {"\x01.", 2, NAME_DOT, "."},
        {"\x02..", 3, NAME_DOT, ".."},
        {"\x05"
         "/etc/",
         6, NAME_SEPARATOR, "?etc?"},
        {"\x03"
         "a\0b",
         4, NAME_NUL, "a?b"},
        {"\x0a.hvFERRY.1", 11, NAME_RESERVED, ".hvFERRY.1"},
        {"\x02/\0", 3, NAME_SEPARATOR, "??"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[PATH_BYTES_MAX];
        size_t n = add_raw(0, 0, 1, cases[i].component, cases[i].n);
        n = add_raw(n, 0, 1, "\x04good", 5);
        struct entry_reader er = {.r = rd_of(body_bytes, n), .path = path};
        struct entry e;
        enum name_fault fault = NAME_OK;
        assert_int_equal(entry_next(&er, &e, &fault, NULL), 1);
        assert_int_equal(fault, cases[i].fault);
        assert_string_equal(e.path, cases[i].shown);
        assert_int_equal(entry_next(&er, &e, &fault, NULL), 1);
        assert_int_equal(fault, NAME_OK);
        assert_string_equal(e.path, "good");
    }
}

static void entries_that_share_a_bad_component_have_its_fault(void **state) {
    (void)state;
    static const struct {
        uint8_t shared;
        const char *component;
        enum name_fault fault;
        const char *shown;
    } steps[] = {
        {1, "c", NAME_OK, "a/c"},          {1, "..", NAME_DOT, "a/.."},  {2, "x", NAME_DOT, "a/../x"},
        {3, "y", NAME_DOT, "a/../x/y"},    {2, "z", NAME_DOT, "a/../z"}, {1, "/", NAME_SEPARATOR, "a/?"},
        {2, ".", NAME_SEPARATOR, "a/?/."}, {1, "d", NAME_OK, "a/d"},     {2, "e", NAME_OK, "a/d/e"},
        {0, "..", NAME_DOT, ".."},         {1, "..", NAME_DOT, "../.."}, {0, "f", NAME_OK, "f"},
    };
    enum { COUNT = sizeof steps / sizeof steps[0] };
    char path[PATH_BYTES_MAX];
    size_t n = add_raw(0, 0, 2,
                       "\x01"
                       "a\x01"
                       "b",
                       4);
    for (size_t i = 0; i < COUNT; i++) {
        char component[8];
        int length = snprintf(component, sizeof component, "%c%s", (char)strlen(steps[i].component),
                              steps[i].component);
        n = add_raw(n, steps[i].shared, 1, component, (size_t)length);
    }
    struct entry_reader er = {.r = rd_of(body_bytes, n), .path = path};
    struct entry e;
    enum name_fault fault;
    assert_int_equal(entry_next(&er, &e, &fault, NULL), 1);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(entry_next(&er, &e, &fault, NULL), 1);
        assert_int_equal(fault, steps[i].fault);
        assert_string_equal(e.path, steps[i].shown);
    }
}

static void an_entry_that_does_not_fit_is_not_written(void **state) {
    (void)state;
    char last[PATH_BYTES_MAX] = "";
    uint8_t room[2 * HEAD_SIZE + 4];
    const struct entry a = sample_entry(ENTRY_DIR, "a"), ab = sample_entry(ENTRY_DIR, "a/b");
    struct entry_writer ew = {.w = wr_of(room, sizeof room - 1), .last = last};
    assert_true(entry_encode(&ew, &a));
    assert_false(entry_encode(&ew, &ab));
    assert_false(ew.w.bad);
    assert_int_equal(ew.count, 1);
    assert_int_equal(wr_used(&ew.w), HEAD_SIZE + 2);
    assert_string_equal(last, "a");
    ew.w.end++;
    assert_true(entry_encode(&ew, &ab));
    assert_int_equal(wr_left(&ew.w), 0);
}

static void a_path_deeper_than_64_is_not_written(void **state) {
    (void)state;
    char last[PATH_BYTES_MAX] = "", path[256];
    const struct entry e = sample_entry(ENTRY_DIR, deep_path(path, PATH_DEPTH_MAX + 1));
    struct entry_writer ew = {.w = wr_of(body_bytes, sizeof body_bytes), .last = last};
    assert_false(entry_encode(&ew, &e));
    assert_int_equal(wr_used(&ew.w), 0);
}

static void malformed_tags_of_an_entry_are_refused(void **state) {
    (void)state;
    struct entry e = sample_entry(ENTRY_FILE, "a");
    e.tags = (struct span){(const uint8_t *)"\x05\x00\x02\x00xy", 6};
    assert_int_equal(entry_code(&e), 0);
    for (e.tags.n = 1; e.tags.n < 6; e.tags.n++)
        assert_int_equal(entry_code(&e), EXIT_STREAM);
}

static int target_code(uint8_t type, const void *tags, size_t n, struct span *target) {
    struct entry e = sample_entry(type, "a");
    struct err err = {.code = 0};
    e.tags = (struct span){tags, n};
    int result = entry_link_target(&e, target, &err);
    assert_int_equal(result, err.code ? -1 : 0);
    return err.code;
}

static void a_link_has_one_target_of_1_to_4095_bytes(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, LINK_TARGET_MAX, LINK_TARGET_MAX + 1};
    char text[LINK_TARGET_MAX + 1];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < 4; i++) {
        uint8_t tags[LINK_TARGET_MAX + 16];
        struct wr w = wr_of(tags, sizeof tags);
        struct span target = {.p = NULL, .n = 77};
        tag_encode(&w, TAG_LINK_TARGET, text, lengths[i]);
        bool good = i == 1 || i == 2;
        assert_int_equal(target_code(ENTRY_SYMLINK, tags, wr_used(&w), &target), good ? 0 : EXIT_PARTIAL);
        assert_int_equal(target.n, good ? lengths[i] : 77);
    }
}

static void missing_double_and_nul_targets_are_refused(void **state) {
    (void)state;
    struct span target;
    assert_int_equal(target_code(ENTRY_SYMLINK, "", 0, &target), EXIT_PARTIAL);
    assert_int_equal(target_code(ENTRY_SYMLINK,
                                 "\x01\x80\x01\x00"
                                 "a\x01\x80\x01\x00"
                                 "b",
                                 10, &target),
                     EXIT_PARTIAL);
    assert_int_equal(target_code(ENTRY_SYMLINK,
                                 "\x01\x80\x03\x00"
                                 "a\0b",
                                 7, &target),
                     EXIT_PARTIAL);
    assert_int_equal(target_code(ENTRY_SYMLINK,
                                 "\x01\x80\x03\x00"
                                 "a",
                                 5, &target),
                     EXIT_PARTIAL);
    assert_int_equal(target_code(ENTRY_SYMLINK, "\x05\x00\x01\x00z\x01\x80\x03\x00../", 12, &target), 0);
    assert_int_equal(target.n, 3);
    assert_memory_equal(target.p, "../", 3);
}

static void an_unknown_critical_tag_fails_an_entry_of_any_type(void **state) {
    (void)state;
    struct span target = {.n = 77};
    assert_int_equal(target_code(ENTRY_FILE, "\xff\x80\x00\x00", 4, &target), EXIT_PARTIAL);
    assert_int_equal(target_code(ENTRY_FILE, "\xff\x00\x00\x00", 4, &target), 0);
    assert_int_equal(target.n, 0);
    assert_int_equal(target_code(ENTRY_HARD_LINK, "\x02\x80\x01\x00\x00", 5, &target), 0);
}

enum { NSEC_LAST = 999999999 };

static int attr_code(const void *tags, size_t n, struct win_attr *ret) {
    struct entry e = sample_entry(ENTRY_FILE, "a");
    struct err err = {.code = 0};
    e.tags = (struct span){tags, n};
    int result = entry_win_attr(&e, &err);
    assert_int_equal(result, err.code ? -1 : 0);
    *ret = e.win;
    return err.code;
}

static void attributes_of_windows_survive_a_round_trip(void **state) {
    (void)state;
    const struct win_attr in = {true, WIN_ATTR_HIDDEN | WIN_ATTR_ARCHIVE, -11644473600, NSEC_LAST};
    struct win_attr out;
    uint8_t tags[32];
    struct wr w = wr_of(tags, sizeof tags);
    win_attr_encode(&w, &(struct win_attr){.known = false});
    assert_int_equal(wr_used(&w), 0);
    win_attr_encode(&w, &in);
    assert_int_equal(wr_used(&w), 20);
    assert_int_equal(attr_code(tags, 20, &out), 0);
    assert_true(out.known);
    assert_int_equal(out.bits, in.bits);
    assert_int_equal(out.created_sec, in.created_sec);
    assert_int_equal(out.created_nsec, in.created_nsec);
    assert_int_equal(attr_code("\x05\x00\x00\x00", 4, &out), 0);
    assert_false(out.known);
}

static void attributes_that_no_copy_keeps_are_passed_over(void **state) {
    (void)state;
    struct win_attr out;
    uint8_t tags[32];
    struct wr w = wr_of(tags, sizeof tags);
    win_attr_encode(&w, &(struct win_attr){.known = true, .bits = UINT32_MAX});
    assert_int_equal(attr_code(tags, wr_used(&w), &out), 0);
    assert_int_equal(out.bits, 0x26);
}

static void attributes_of_another_length_twice_or_out_of_range_are_refused(void **state) {
    (void)state;
    const struct win_attr good = {.known = true, .created_nsec = NSEC_LAST},
                          bad = {true, 0, 0, NSEC_LAST + 1};
    struct win_attr out;
    uint8_t tags[64], value[17] = {0};
    for (size_t n = 0; n <= sizeof value; n++) {
        struct wr w = wr_of(tags, sizeof tags);
        tag_encode(&w, TAG_WINDOWS, value, n);
        assert_int_equal(attr_code(tags, wr_used(&w), &out), n == 16 ? 0 : EXIT_PARTIAL);
    }
    struct wr w = wr_of(tags, sizeof tags);
    win_attr_encode(&w, &bad);
    assert_int_equal(attr_code(tags, wr_used(&w), &out), EXIT_PARTIAL);
    w = wr_of(tags, sizeof tags);
    win_attr_encode(&w, &good);
    win_attr_encode(&w, &good);
    assert_int_equal(attr_code(tags, wr_used(&w), &out), EXIT_PARTIAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_with_shared_prefixes_survive_a_round_trip),
        cmocka_unit_test(the_deepest_and_longest_paths_survive_a_round_trip),
        cmocka_unit_test(an_entry_of_every_shorter_length_is_refused),
        cmocka_unit_test(entry_fields_are_held_to_their_limits),
        cmocka_unit_test(only_directories_are_the_root_and_only_files_have_a_size),
        cmocka_unit_test(shared_components_must_be_there),
        cmocka_unit_test(an_entry_deeper_than_64_is_refused),
        cmocka_unit_test(a_body_without_entries_is_refused),
        cmocka_unit_test(a_bad_name_is_a_fault_of_the_entry_and_not_of_the_frame),
        cmocka_unit_test(entries_that_share_a_bad_component_have_its_fault),
        cmocka_unit_test(an_entry_that_does_not_fit_is_not_written),
        cmocka_unit_test(a_path_deeper_than_64_is_not_written),
        cmocka_unit_test(malformed_tags_of_an_entry_are_refused),
        cmocka_unit_test(a_link_has_one_target_of_1_to_4095_bytes),
        cmocka_unit_test(missing_double_and_nul_targets_are_refused),
        cmocka_unit_test(an_unknown_critical_tag_fails_an_entry_of_any_type),
        cmocka_unit_test(attributes_of_windows_survive_a_round_trip),
        cmocka_unit_test(attributes_that_no_copy_keeps_are_passed_over),
        cmocka_unit_test(attributes_of_another_length_twice_or_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
