/* addr_parse: every form, good and bad, at its boundaries. */
#include "core/err.h"
#include "transport/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum rule { DIAL, LISTEN, REMOTE, LISTEN_REMOTE };

static const struct addr_rules rules_of[] = {
    [DIAL] = {.listening = false, .allow_remote = false},
    [LISTEN] = {.listening = true, .allow_remote = false},
    [REMOTE] = {.listening = false, .allow_remote = true},
    [LISTEN_REMOTE] = {.listening = true, .allow_remote = true},
};

#define C50 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"
#define P107 "/" C50 C50 "123456" /* the longest that sun_path holds */
#define P102 "/" C50 C50 "1" /* leaves room for "_2761" */

static const struct good {
    enum rule rule;
    const char *text;
    const char *place; /* path, host or command */
    uint32_t port, cid;
    const char *into;
    const char *shown; /* addr.text; NULL: as written */
} goods[] = {
    {DIAL, "unix:/run/x.sock", "/run/x.sock", 0, 0, NULL, NULL},
    {LISTEN, "unix:/run/x.sock", "/run/x.sock", 0, 0, NULL, NULL},
    {DIAL, "unix:x", "x", 0, 0, NULL, NULL},
    {DIAL, "unix:./a/b", "./a/b", 0, 0, NULL, NULL},
    {DIAL, "unix:/a:b:1", "/a:b:1", 0, 0, NULL, NULL},
    {DIAL, "unix:/with space", "/with space", 0, 0, NULL, NULL},
    {DIAL, "unix:" P107, P107, 0, 0, NULL, NULL},
    {LISTEN, "unix:" P107, P107, 0, 0, NULL, NULL},

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

    {DIAL, "vsock://host:2761", "host", 2761, 2, NULL, NULL},
    {DIAL, "vsock://local:2761", "local", 2761, 1, NULL, NULL},
    {DIAL, "vsock://0:2761", "0", 2761, 0, NULL, NULL},
    {DIAL, "vsock://2:2761", "2", 2761, 2, NULL, NULL},
    {DIAL, "vsock://3:1", "3", 1, 3, NULL, NULL},
    {DIAL, "vsock://4294967294:4294967294", "4294967294", 4294967294u, 4294967294u, NULL, NULL},
    {DIAL, "vsock://3:2147483648", "3", 2147483648u, 3, NULL, NULL},
    {LISTEN, "vsock://:2761", "", 2761, UINT32_MAX, NULL, NULL},
    {LISTEN, "vsock://any:2761", "any", 2761, UINT32_MAX, NULL, NULL},
    {LISTEN, "vsock://4294967295:2761", "4294967295", 2761, UINT32_MAX, NULL, NULL},
    {LISTEN, "vsock://local:2761", "local", 2761, 1, NULL, NULL},
    {LISTEN, "vsock://host:2761", "host", 2761, 2, NULL, NULL},
    {DIAL, "vsock://host:2761/backup/today", "host", 2761, 2, "backup/today", "vsock://host:2761"},
    {DIAL, "vsock://3:2761/", "3", 2761, 3, NULL, "vsock://3:2761"},

    {DIAL, "vsock-mux:/run/vm.vsock:2761", "/run/vm.vsock", 2761, 0, NULL, NULL},
    {LISTEN, "vsock-mux:/run/vm.vsock:2761", "/run/vm.vsock", 2761, 0, NULL, NULL},
    {DIAL, "vsock-mux:/run/a:b:2761", "/run/a:b", 2761, 0, NULL, NULL},
    {DIAL, "vsock-mux:vm.vsock:1", "vm.vsock", 1, 0, NULL, NULL},
    {DIAL, "vsock-mux:/v:4294967294", "/v", 4294967294u, 0, NULL, NULL},
    {DIAL, "vsock-mux:" P107 ":2761", P107, 2761, 0, NULL, NULL},
    {LISTEN, "vsock-mux:" P102 ":2761", P102, 2761, 0, NULL, NULL},

    {DIAL, "exec:cat", "cat", 0, 0, NULL, NULL},
    {DIAL, "exec:ssh box hvrecv --stdio /srv", "ssh box hvrecv --stdio /srv", 0, 0, NULL, NULL},
    {DIAL, "exec: cat", " cat", 0, 0, NULL, NULL},
    {DIAL, "exec://bin/cat:1/x", "//bin/cat:1/x", 0, 0, NULL, NULL},
};

static const struct bad {
    enum rule rule;
    const char *text;
    int code;
    const char *says; /* part of the message */
} bads[] = {
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

    {DIAL, "unix:", EXIT_USAGE, "missing"},
    {LISTEN, "unix:", EXIT_USAGE, "missing"},
    {DIAL, "unix://run/x", EXIT_USAGE, "'//'"},
    {DIAL, "unix:///run/x", EXIT_USAGE, "'//'"},
    {DIAL, "unix:/run/", EXIT_USAGE, "not a directory"},
    {DIAL, "unix:/", EXIT_USAGE, "not a directory"},
    {DIAL, "unix:" P107 "x", EXIT_USAGE, "108 bytes"},
    {LISTEN, "unix:" P107 "x", EXIT_USAGE, "shorter"},
    {DIAL, "unix:/" C50 C50 C50 C50 C50 C50 C50 C50 C50 C50 C50 C50, EXIT_USAGE, "601 bytes"},

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

    {DIAL, "vsock:", EXIT_USAGE, "'//' is missing"},
    {DIAL, "vsock:host:1", EXIT_USAGE, "'//' is missing"},
    {DIAL, "vsock://", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock://host", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock://host:", EXIT_USAGE, "the port is missing"},
    {DIAL, "vsock://host:0", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock://host:4294967295", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock://host:4294967296", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock://:2761", EXIT_USAGE, "before ':PORT' is missing"},
    {DIAL, "vsock://any:2761", EXIT_USAGE, "not connected to"},
    {DIAL, "vsock://4294967295:2761", EXIT_USAGE, "not connected to"},
    {DIAL, "vsock://4294967296:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://-1:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://HOST:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://guest:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://0x2:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://[3]:2761", EXIT_USAGE, "brackets"},
    {DIAL, "vsock://3:4:2761", EXIT_USAGE, "brackets"},
    {DIAL, "vsock://host:2761/../x", EXIT_USAGE, "'..'"},
    {LISTEN, "vsock://:2761/x", EXIT_USAGE, "no sub-directory"},

    {DIAL, "vsock-mux:", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock-mux:/run/vm", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock-mux:/run/a:1/vm", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock-mux:/run/vm:", EXIT_USAGE, "the port is missing"},
    {DIAL, "vsock-mux:/run/vm:0", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock-mux:/run/vm:4294967295", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock-mux:/run/vm:1x", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock-mux::1", EXIT_USAGE, "path of the socket is missing"},
    {DIAL, "vsock-mux://run/vm:1", EXIT_USAGE, "'//'"},
    {DIAL, "vsock-mux:/run/:1", EXIT_USAGE, "not a directory"},
    {DIAL, "vsock-mux:" P107 "x:1", EXIT_USAGE, "108 bytes"},
    {LISTEN, "vsock-mux:" P107 ":2761", EXIT_USAGE, "112 bytes"},
    {LISTEN, "vsock-mux:" P102 "x:2761", EXIT_USAGE, "108 bytes"},

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
}

static void bad_addresses_are_refused_with_the_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        expect_bad(&bads[i]);
}

static void usage_errors_show_an_example_that_parses(void **state) {
    (void)state;
    static const char *const broken[] = {"unix:", "tcp://", "vsock://", "vsock-mux:", "exec:"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct addr addr;
        struct err err = {.code = 0};
        assert_int_equal(addr_parse(broken[i], &rules_of[DIAL], &addr, &err), -1);
        char *example = strstr(err.msg, "(example: ");
        assert_non_null(example);
        example += strlen("(example: ");
        example[strcspn(example, ")")] = '\0';
        assert_int_equal(addr_parse(example, &rules_of[DIAL], &addr, NULL), 0);
        addr_free(&addr);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_taken_apart),
        cmocka_unit_test(bad_addresses_are_refused_with_the_reason),
        cmocka_unit_test(usage_errors_show_an_example_that_parses),
        cmocka_unit_test(a_sub_directory_may_be_64_deep_and_no_deeper),
        cmocka_unit_test(a_long_command_is_kept_whole_and_shown_cut),
        cmocka_unit_test(freeing_twice_is_harmless),
        cmocka_unit_test(addresses_are_told_from_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
