#include "core/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_code_and_message_and_returns_minus_one(void **state) {
    (void)state;
    struct err err = {.sys = 99};
    assert_int_equal(err_set(&err, EXIT_STREAM, "chunk %d of '%s'", 17, "a/b"), -1);
    assert_int_equal(err.code, EXIT_STREAM);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.msg, "chunk 17 of 'a/b'");
}

static void sys_appends_the_text_of_errno(void **state) {
    (void)state;
    struct err err = {.code = 0};
    assert_int_equal(err_sys(&err, EXIT_FILE_IO, ENOENT, "open '%s'", "x"), -1);
    assert_int_equal(err.code, EXIT_FILE_IO);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.msg, "open 'x': No such file or directory");
}

static void wrap_puts_context_before_and_keeps_code_and_sys(void **state) {
    (void)state;
    struct err err = {.code = 0};
    (void)err_sys(&err, EXIT_NO_SPACE, ENOSPC, "write 'a/b'");
    assert_int_equal(err_wrap(&err, "chunk %u", 17U), -1);
    assert_string_equal(err.msg, "chunk 17: write 'a/b': No space left on device");
    assert_int_equal(err.code, EXIT_NO_SPACE);
    assert_int_equal(err.sys, ENOSPC);
}

static void wraps_pile_up_outermost_first(void **state) {
    (void)state;
    struct err err = {.code = 0};
    (void)err_set(&err, EXIT_STREAM, "inner");
    (void)err_wrap(&err, "middle");
    (void)err_wrap(&err, "outer");
    assert_string_equal(err.msg, "outer: middle: inner");
}

static void set_replaces_what_was_there(void **state) {
    (void)state;
    struct err err = {.code = 0};
    (void)err_sys(&err, EXIT_FILE_IO, EIO, "a long first message");
    (void)err_set(&err, EXIT_VERIFY, "second");
    assert_string_equal(err.msg, "second");
    assert_int_equal(err.code, EXIT_VERIFY);
    assert_int_equal(err.sys, 0);
}

static void null_err_is_accepted_and_still_fails(void **state) {
    (void)state;
    assert_int_equal(err_set(NULL, EXIT_STREAM, "x"), -1);
    assert_int_equal(err_sys(NULL, EXIT_STREAM, EIO, "x"), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
}

static void is_set_follows_the_code(void **state) {
    (void)state;
    struct err err = {.code = 0};
    assert_false(err_is_set(&err));
    (void)err_set(&err, EXIT_USAGE, "x");
    assert_true(err_is_set(&err));
}

/* One err between two runs of guard bytes: a message of any length stays inside. */
struct guarded {
    uint8_t before[64];
    struct err err;
    uint8_t after[64];
};

static void assert_untouched(const uint8_t guard[64]) {
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(guard[i], 0xA5);
}

static void messages_of_any_length_are_cut_inside_the_struct(void **state) {
    (void)state;
    static struct guarded g;
    static char text[2 * ERR_MESSAGE_MAX + 1];
    for (size_t n = 0; n < sizeof text - 1; n++) {
        memset(&g, 0xA5, sizeof g);
        memset(text, 'x', n);
        text[n] = '\0';
        size_t fits = n < ERR_MESSAGE_MAX ? n : ERR_MESSAGE_MAX - 1;
        (void)err_set(&g.err, EXIT_STREAM, "%s", text);
        assert_int_equal(strlen(g.err.msg), fits);
        (void)err_sys(&g.err, EXIT_STREAM, EIO, "%s", text);
        assert_in_range(strlen(g.err.msg), fits, ERR_MESSAGE_MAX - 1);
        (void)err_wrap(&g.err, "%s", text);
        assert_in_range(strlen(g.err.msg), fits, ERR_MESSAGE_MAX - 1);
        assert_memory_equal(g.err.msg, text, fits);
        assert_untouched(g.before);
        assert_untouched(g.after);
    }
}

static void percent_signs_in_arguments_are_not_read_as_a_format(void **state) {
    (void)state;
    struct err err = {.code = 0};
    (void)err_set(&err, EXIT_STREAM, "%s", "%n%s%d");
    (void)err_wrap(&err, "%s", "100%");
    assert_string_equal(err.msg, "100%: %n%s%d");
}

static void a_peer_means_no_code_but_those_that_say_something(void **state) {
    static const int meant[] = {2, 3, 4, 5, 10, 11, 12, 22, 23, 24, 30, 35, 40, 41, 42};
    (void)state;
    unsigned at = 0;
    for (unsigned code = 0; code < 70000; code++) {
        bool known = at < sizeof meant / sizeof meant[0] && code == (unsigned)meant[at];
        at += known;
        assert_int_equal(err_code_of_peer(code), known ? (int)code : EXIT_STREAM);
    }
    assert_int_equal(at, sizeof meant / sizeof meant[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_code_and_message_and_returns_minus_one),
        cmocka_unit_test(sys_appends_the_text_of_errno),
        cmocka_unit_test(wrap_puts_context_before_and_keeps_code_and_sys),
        cmocka_unit_test(wraps_pile_up_outermost_first),
        cmocka_unit_test(set_replaces_what_was_there),
        cmocka_unit_test(null_err_is_accepted_and_still_fails),
        cmocka_unit_test(is_set_follows_the_code),
        cmocka_unit_test(messages_of_any_length_are_cut_inside_the_struct),
        cmocka_unit_test(a_peer_means_no_code_but_those_that_say_something),
        cmocka_unit_test(percent_signs_in_arguments_are_not_read_as_a_format),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
