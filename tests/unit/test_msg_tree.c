/* test_msg_tree.c: START and REQUEST, and paths. */
#include "wire_help.h"

MESSAGE(start)

/* ---- START and REQUEST ---------------------------------------------------------------------------- */

static void start_is_held_to_its_limits(void **state) {
    (void)state;
    struct msg_start m = {.flags = OPT_KNOWN, .durable = DURABLE_NONE};
    size_t n = encode_start(&m);
    uint8_t *body = exact(body_bytes, n);
    assert_int_equal(n, 16);
    assert_prefixes_refused(try_start, body, n, n);
    assert_reserved(try_start, body, n, 9, 7);
    free(body);
    ASSERT_ROOM(start, m);
    ACCEPTS(start, m, durable, DURABLE_BATCH);
    REFUSES(start, m, durable, DURABLE_NONE + 1);
    for (unsigned bit = 0; bit < 64; bit++)
        assert_int_equal(CODE_WITH(start, m, flags, 1ULL << bit), bit < 17 ? 0 : EXIT_UNSUPPORTED);
}

static int code_with_tag(uint16_t tag, const char *path, size_t cut) {
    uint8_t value[512], tags[600];
    struct wr v = wr_of(value, sizeof value), w = wr_of(tags, sizeof tags);
    path_encode(&v, path);
    tag_encode(&w, tag, value, wr_used(&v) - cut);
    struct msg_start m = {.tags = {tags, wr_used(&w)}};
    return through_start(&m);
}

static void paths_in_tags_are_checked(void **state) {
    (void)state;
    static const uint16_t known[] = {TAG_INTO, TAG_SELECT};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(code_with_tag(known[i], "", 0), 0);
        assert_int_equal(code_with_tag(known[i], "a/b", 0), 0);
        assert_int_equal(code_with_tag(known[i], "a/b", 1), EXIT_STREAM);
        assert_int_equal(code_with_tag(known[i], "a/..", 0), EXIT_STREAM);
        assert_int_equal(code_with_tag(known[i], "a/.HVFERRY.x", 0), EXIT_STREAM);
    }
    assert_int_equal(code_with_tag(TAG_SELECT & ~TAG_CRITICAL, "", 0), 0);
    assert_int_equal(code_with_tag(0x82FF, "", 0), EXIT_UNSUPPORTED);
    assert_int_equal(code_with_tag(TAG_NONCE, "", 0), EXIT_UNSUPPORTED);
}

static void select_may_repeat_and_into_may_not(void **state) {
    (void)state;
    uint8_t tags[32];
    struct wr w = wr_of(tags, sizeof tags);
    struct msg_start m = {.tags.p = tags};
    tag_encode(&w, TAG_SELECT, "\0", 1);
    tag_encode(&w, TAG_SELECT, "\0", 1);
    tag_encode(&w, TAG_INTO, "\0", 1);
    ACCEPTS(start, m, tags.n, wr_used(&w));
    REFUSES(start, m, tags.n, wr_used(&w) - 1);
    tag_encode(&w, TAG_INTO, "\0", 1);
    REFUSES(start, m, tags.n, wr_used(&w));
}

/* ---- paths ---------------------------------------------------------------------------------------- */

/* "d/d/d…" */
static char *deep_path(char *to, unsigned depth) {
    for (unsigned i = 0; i < depth; i++)
        memcpy(to + 2 * (size_t)i, "d/", 2);
    to[depth ? 2 * (size_t)depth - 1 : 0] = '\0';
    return to;
}

static void assert_path_survives(const char *path) {
    uint8_t *bytes = malloc(PATH_BYTES_MAX + 1);
    char *back = malloc(PATH_BYTES_MAX);
    struct wr w = wr_of(bytes, PATH_BYTES_MAX + 1);
    path_encode(&w, path);
    assert_false(w.bad);
    for (size_t n = 0; n <= wr_used(&w); n++) {
        uint8_t *body = exact(bytes, n);
        struct rd r = rd_of(body, n);
        strcpy(back, "untouched");
        assert_int_equal(path_decode(&r, back, NULL), n == wr_used(&w) ? 0 : -1);
        assert_string_equal(back, n == wr_used(&w) ? path : "untouched");
        free(body);
    }
    free(back);
    free(bytes);
}

static void paths_survive_a_round_trip_and_no_prefix_does(void **state) {
    (void)state;
    static char path[PATH_BYTES_MAX];
    assert_path_survives("");
    assert_path_survives("a");
    assert_path_survives("a/bc/.d/..e/\xff\xfe");
    assert_path_survives(deep_path(path, PATH_DEPTH_MAX));
    memset(path, 'n', NAME_BYTES_MAX);
    path[NAME_BYTES_MAX] = '\0';
    assert_path_survives(path);
}

static void a_path_deeper_than_64_is_refused(void **state) {
    (void)state;
    static char path[PATH_BYTES_MAX];
    uint8_t bytes[2 * PATH_DEPTH_MAX + 8];
    struct err err = {.code = 0};
    struct wr w = wr_of(bytes, sizeof bytes);
    path_encode(&w, deep_path(path, PATH_DEPTH_MAX + 1));
    assert_true(w.bad);
    memset(bytes, 1, sizeof bytes);
    bytes[0] = PATH_DEPTH_MAX + 1;
    struct rd r = rd_of(bytes, sizeof bytes);
    assert_int_equal(path_decode(&r, path, &err), -1);
    assert_int_equal(err.code, EXIT_STREAM);
}

static void a_path_with_a_bad_component_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"\x01\x00", "\x01\x01.",
                                      "\x02\x01"
                                      "a\x02..",
                                      "\x01\x03"
                                      "a/b",
                                      "\x01\x09.hvFerry."};
    static const size_t sizes[] = {2, 3, 6, 5, 11};
    for (size_t i = 0; i < 5; i++) {
        char path[PATH_BYTES_MAX] = "untouched";
        struct err err = {.code = 0};
        struct rd r = rd_of(bad[i], sizes[i]);
        assert_int_equal(path_decode(&r, path, &err), -1);
        assert_int_equal(err.code, EXIT_STREAM);
        assert_string_equal(path, "untouched");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_is_held_to_its_limits),
        cmocka_unit_test(paths_in_tags_are_checked),
        cmocka_unit_test(select_may_repeat_and_into_may_not),
        cmocka_unit_test(paths_survive_a_round_trip_and_no_prefix_does),
        cmocka_unit_test(a_path_deeper_than_64_is_refused),
        cmocka_unit_test(a_path_with_a_bad_component_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
