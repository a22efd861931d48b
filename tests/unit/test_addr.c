/* addr_parse: every form, good and bad, at its boundaries. */
#include "addr_forms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct addr_rules rules_of[] = {
    [DIAL] = {.listening = false, .allow_remote = false},
    [LISTEN] = {.listening = true, .allow_remote = false},
    [REMOTE] = {.listening = false, .allow_remote = true},
    [LISTEN_REMOTE] = {.listening = true, .allow_remote = true},
};

static const struct good goods[] = {
    {DIAL, "tcp://127.0.0.1:1", "127.0.0.1", 1, 0, NULL, NULL},
    {DIAL, "tcp://127.0.0.1:65535", "127.0.0.1", 65535, 0, NULL, NULL},
    {DIAL, "tcp://127.255.255.254:80", "127.255.255.254", 80, 0, NULL, NULL},
    {DIAL, "tcp://127.0.0.1:080", "127.0.0.1", 80, 0, NULL, NULL},
    {DIAL, "tcp://localhost:2761", "localhost", 2761, 0, NULL, NULL},
    {LISTEN, "tcp://localhost:2761", "localhost", 2761, 0, NULL, NULL},
    {DIAL, "tcp://[::1]:2761", "::1", 2761, 0, NULL, NULL},
    {LISTEN, "tcp://[::1]:2761", "::1", 2761, 0, NULL, NULL},
    {DIAL, "tcp://[0:0:0:0:0:0:0:1]:7", "0:0:0:0:0:0:0:1", 7, 0, NULL, NULL},
    {DIAL, "tcp://[::ffff:127.0.0.1]:7", "::ffff:127.0.0.1", 7, 0, NULL, NULL},
    {LISTEN, "tcp://:2761", "127.0.0.1", 2761, 0, NULL, NULL},
    {LISTEN, "tcp://:2761/", "127.0.0.1", 2761, 0, NULL, "tcp://:2761"},
    {LISTEN_REMOTE, "tcp://:2761", "127.0.0.1", 2761, 0, NULL, NULL},
    {LISTEN_REMOTE, "tcp://0.0.0.0:2761", "0.0.0.0", 2761, 0, NULL, NULL},
    {LISTEN_REMOTE, "tcp://[::]:2761", "::", 2761, 0, NULL, NULL},
    {REMOTE, "tcp://192.0.2.7:2761", "192.0.2.7", 2761, 0, NULL, NULL},
    {REMOTE, "tcp://[2001:db8::1]:2761", "2001:db8::1", 2761, 0, NULL, NULL},
    {REMOTE, "tcp://128.0.0.1:2761/a", "128.0.0.1", 2761, 0, "a", "tcp://128.0.0.1:2761"},
    {DIAL, "tcp://127.0.0.1:2761/", "127.0.0.1", 2761, 0, NULL, "tcp://127.0.0.1:2761"},
    {DIAL, "tcp://127.0.0.1:2761/a", "127.0.0.1", 2761, 0, "a", "tcp://127.0.0.1:2761"},
    {DIAL, "tcp://127.0.0.1:2761/a/", "127.0.0.1", 2761, 0, "a", "tcp://127.0.0.1:2761"},
    {DIAL, "tcp://127.0.0.1:2761/a/b c/d:9", "127.0.0.1", 2761, 0, "a/b c/d:9", "tcp://127.0.0.1:2761"},
    {DIAL, "tcp://[::1]:2761/a/b", "::1", 2761, 0, "a/b", "tcp://[::1]:2761"},
    {DIAL, "tcp://localhost:2761/...", "localhost", 2761, 0, "...", "tcp://localhost:2761"},

    {DIAL, "exec:cat", "cat", 0, 0, NULL, NULL},
    {DIAL, "exec:ssh box hvrecv --stdio /srv", "ssh box hvrecv --stdio /srv", 0, 0, NULL, NULL},
    {DIAL, "exec: cat", " cat", 0, 0, NULL, NULL},
    {DIAL, "exec://bin/cat:1/x", "//bin/cat:1/x", 0, 0, NULL, NULL},
};

static const struct bad bads[] = {
    {DIAL, "", EXIT_USAGE, "not an address"},
    {DIAL, "/tmp/file", EXIT_USAGE, "not an address"},
    {DIAL, "unix", EXIT_USAGE, "not an address"},
    {DIAL, ":", EXIT_USAGE, "not an address"},
    {DIAL, "UNIX:/x", EXIT_USAGE, "not an address"},
    {DIAL, " unix:/x", EXIT_USAGE, "not an address"},
    {DIAL, "http://127.0.0.1:80", EXIT_USAGE, "not an address"},
    {DIAL, "vsockmux:/x:1", EXIT_USAGE, "not an address"},
    {DIAL, "stdio:", EXIT_USAGE, "not an address"},
    {DIAL, "\033[31m", EXIT_USAGE, "\\033[31m"},

    {DIAL, "tcp:", EXIT_USAGE, "'//' is missing"},
    {DIAL, "tcp:127.0.0.1:1", EXIT_USAGE, "'//' is missing"},
    {DIAL, "tcp:/127.0.0.1:1", EXIT_USAGE, "'//' is missing"},
    {DIAL, "tcp://", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "tcp:///a", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "tcp://127.0.0.1", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "tcp://127.0.0.1/a:1", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "tcp://127.0.0.1:", EXIT_USAGE, "the port is missing"},
    {DIAL, "tcp://127.0.0.1:/a", EXIT_USAGE, "the port is missing"},
    {DIAL, "tcp://127.0.0.1:0", EXIT_USAGE, "1 to 65535"},
    {LISTEN, "tcp://127.0.0.1:0", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:65536", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:-1", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:+1", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1: 1", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:1 ", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:0x50", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:http", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:18446744073709551617", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://127.0.0.1:99999999999999999999999999", EXIT_USAGE, "1 to 65535"},
    {DIAL, "tcp://:2761", EXIT_USAGE, "before ':PORT' is missing"},
    {DIAL, "tcp://[]:2761", EXIT_USAGE, "before ':PORT' is missing"},
    {LISTEN, "tcp://[]:2761", EXIT_USAGE, "before ':PORT' is missing"},
    {DIAL, "tcp://::1:2761", EXIT_USAGE, "brackets"},
    {DIAL, "tcp://[127.0.0.1]:2761", EXIT_USAGE, "brackets"},
    {DIAL, "tcp://[::1:2761", EXIT_USAGE, "brackets"},
    {DIAL, "tcp://[::1]", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "tcp://[::1]2761", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "tcp://example.org:80", EXIT_USAGE, "neither a numeric address"},
    {REMOTE, "tcp://example.org:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://LOCALHOST:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://127.1:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://2130706433:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://256.0.0.1:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://[::1%lo]:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://user@127.0.0.1:80", EXIT_USAGE, "neither a numeric address"},
    {DIAL, "tcp://" C50 C50 C50 C50 C50 "123456:80", EXIT_USAGE, "too long"},
    {DIAL, "tcp://126.255.255.255:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://128.0.0.0:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://0.0.0.0:80", EXIT_USAGE, "--allow-remote"},
    {LISTEN, "tcp://0.0.0.0:80", EXIT_USAGE, "--allow-remote"},
    {LISTEN, "tcp://[::]:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://192.0.2.7:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://[2001:db8::1]:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://[::2]:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://[::127.0.0.1]:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://[::ffff:192.0.2.7]:80", EXIT_USAGE, "--allow-remote"},
    {DIAL, "tcp://127.0.0.1:80//", EXIT_USAGE, "'//'"},
    {DIAL, "tcp://127.0.0.1:80//a", EXIT_USAGE, "'//'"},
    {DIAL, "tcp://127.0.0.1:80/a//b", EXIT_USAGE, "empty"},
    {DIAL, "tcp://127.0.0.1:80/a//", EXIT_USAGE, "empty"},
    {DIAL, "tcp://127.0.0.1:80/..", EXIT_USAGE, "'..'"},
    {DIAL, "tcp://127.0.0.1:80/a/../b", EXIT_USAGE, "'..'"},
    {DIAL, "tcp://127.0.0.1:80/.", EXIT_USAGE, "'.'"},
    {DIAL, "tcp://127.0.0.1:80/.hvferry.x", EXIT_USAGE, "reserved"},
    {DIAL, "tcp://127.0.0.1:80/" C50 C50 C50 C50 C50 "123456", EXIT_USAGE, "255"},
    {LISTEN, "tcp://127.0.0.1:80/a", EXIT_USAGE, "no sub-directory"},

    {DIAL, "exec:", EXIT_USAGE, "command is missing"},
    {DIAL, "exec: \t", EXIT_USAGE, "command is missing"},
    {LISTEN, "exec:cat", EXIT_USAGE, "cannot be listened on"},

    {DIAL, "hyperv:x", EXIT_USAGE, "'//' is missing"},
};

static const char *place_of(const struct addr *addr) {
    if (addr->command)
        return addr->command;
    return addr->path[0] ? addr->path : addr->host;
}

static void expect_good(const struct good *row) {
    struct addr addr;
    struct err err = {.code = 0};
    if (addr_parse(row->text, &rules_of[row->rule], &addr, &err))
        fail_msg("%s is refused: %s", row->text, err.msg);
    assert_string_equal(place_of(&addr), row->place);
    assert_string_equal(addr.text, row->shown ? row->shown : row->text);
    assert_int_equal(addr.port, row->port);
    assert_int_equal(addr.cid, row->cid);
    assert_non_null(addr.transport);
    if (row->into)
        assert_string_equal(addr.into, row->into);
    else
        assert_null(addr.into);
    addr_free(&addr);
}

static void expect_bad(const struct bad *row) {
    struct addr addr, before;
    struct err err = {.code = 0};
    memset(&addr, 0x5A, sizeof addr);
    memcpy(&before, &addr, sizeof addr);
    if (addr_parse(row->text, &rules_of[row->rule], &addr, &err) != -1)
        fail_msg("%s is accepted", row->text);
    assert_memory_equal(&addr, &before, sizeof addr);
    if (err.code != row->code || strstr(err.msg, row->says) == NULL)
        fail_msg("%s: code %d, message '%s' without '%s'", row->text, err.code, err.msg, row->says);
}

static void good_addresses_are_taken_apart(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++)
        expect_good(&goods[i]);
    for (size_t i = 0; i < sizeof own_goods / sizeof own_goods[0]; i++)
        expect_good(&own_goods[i]);
}

static void bad_addresses_are_refused_with_the_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        expect_bad(&bads[i]);
    for (size_t i = 0; i < sizeof own_bads / sizeof own_bads[0]; i++)
        expect_bad(&own_bads[i]);
}

static void expect_example(const char *broken) {
    struct addr addr;
    struct err err = {.code = 0};
    assert_int_equal(addr_parse(broken, &rules_of[DIAL], &addr, &err), -1);
    char *example = strstr(err.msg, "(example: ");
    assert_non_null(example);
    example += strlen("(example: ");
    example[strcspn(example, ")")] = '\0';
    assert_int_equal(addr_parse(example, &rules_of[DIAL], &addr, NULL), 0);
    addr_free(&addr);
}

static void usage_errors_show_an_example_that_parses(void **state) {
    (void)state;
    expect_example("tcp://");
    expect_example("exec:");
    for (size_t i = 0; i < sizeof own_broken / sizeof own_broken[0]; i++)
        expect_example(own_broken[i]);
}

static void a_sub_directory_may_be_64_deep_and_no_deeper(void **state) {
    (void)state;
    char text[256] = "tcp://127.0.0.1:1";
    struct addr addr;
    for (int i = 0; i < 64; i++)
        strcat(text, "/d");
    assert_int_equal(addr_parse(text, &rules_of[DIAL], &addr, NULL), 0);
    addr_free(&addr);
    strcat(text, "/d");
    struct err err = {.code = 0};
    assert_int_equal(addr_parse(text, &rules_of[DIAL], &addr, &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
}

static void a_long_command_is_kept_whole_and_shown_cut(void **state) {
    (void)state;
    char text[2000] = "exec:";
    memset(text + 5, 'x', sizeof text - 6);
    text[sizeof text - 1] = '\0';
    struct addr addr;
    assert_int_equal(addr_parse(text, &rules_of[DIAL], &addr, NULL), 0);
    assert_string_equal(addr.command, text + 5);
    assert_int_equal(strlen(addr.text), sizeof addr.text - 1);
    addr_free(&addr);
}

static void freeing_twice_is_harmless(void **state) {
    (void)state;
    struct addr addr;
    assert_int_equal(addr_parse("tcp://127.0.0.1:1/a", &rules_of[DIAL], &addr, NULL), 0);
    addr_free(&addr);
    assert_null(addr.into);
    addr_free(&addr);
}

static void addresses_are_told_from_files(void **state) {
    (void)state;
    static const char *const addresses[] = {"unix:x",         "tcp://h:1",    "tcp:oops",      "vsock://1:2",
                                            "vsock-mux:/x:1", "hyperv://a:1", "exec:anything", "unix:"};
    static const char *const files[] = {
        "",          "unix",  "/unix:x", "./tcp://h:1", "vsock-muxer:x", "vsoc:k",
        "host:path", "C:\\x", "Unix:x",  "stdio:",      "exec cat",      "-"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        assert_true(addr_looks_like(addresses[i]));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_false(addr_looks_like(files[i]));
}

static bool same(const char *a, const char *b) {
    struct addr one, other;
    assert_int_equal(addr_parse(a, &rules_of[DIAL], &one, NULL), 0);
    assert_int_equal(addr_parse(b, &rules_of[DIAL], &other, NULL), 0);
    bool result = addr_same(&one, &other);
    assert_int_equal(addr_same(&other, &one), result);
    addr_free(&one);
    addr_free(&other);
    return result;
}

static void places_are_told_apart(void **state) {
    (void)state;
    assert_true(same("tcp://127.0.0.1:1/a", "tcp://127.0.0.1:1/b"));
    assert_false(same("tcp://127.0.0.1:1", "tcp://127.0.0.1:2"));
    assert_false(same("tcp://127.0.0.1:1", "tcp://127.0.0.2:1"));
    assert_true(same("exec:a b", "exec:a b"));
    assert_false(same("exec:a b", "exec:a  b"));
    assert_true(same(own_twins[0], own_twins[1]));
    assert_false(same("exec:a", "tcp://127.0.0.1:1"));
    for (size_t i = 0; i < sizeof own_goods / sizeof own_goods[0]; i++)
        if (own_goods[i].rule == DIAL)
            assert_true(same(own_goods[i].text, own_goods[i].text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_taken_apart),
        cmocka_unit_test(bad_addresses_are_refused_with_the_reason),
        cmocka_unit_test(usage_errors_show_an_example_that_parses),
        cmocka_unit_test(a_sub_directory_may_be_64_deep_and_no_deeper),
        cmocka_unit_test(a_long_command_is_kept_whole_and_shown_cut),
        cmocka_unit_test(freeing_twice_is_harmless),
        cmocka_unit_test(addresses_are_told_from_files),
        cmocka_unit_test(places_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
