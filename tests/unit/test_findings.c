/* What doctor found out, as lines and as an exit code. */
#include "stdout_help.h"

#include "program/findings.h"

#include <stdbool.h>

static struct findings f;

static int none(void **state) {
    (void)state;
    memset(&f, 0, sizeof f);
    return 0;
}

static void each_finding_is_a_line_and_its_remedy_stands_below(void **state) {
    (void)state;
    found_remedy(&f, "of nothing");
    found_ok(&f, "one", "detail %d", 1);
    found_warning(&f, "two", "detail 2");
    found_remedy(&f, "act %s", "now");
    found_failure(&f, EXIT_SOCKET, "three", "detail 3");
    struct capture c = capture_start();
    findings_print(&f, stdout);
    char *printed = capture_end(&c);
    assert_string_equal(printed, "ok    one: detail 1\n"
                                 "warn  two: detail 2\n"
                                 "      do: act now\n"
                                 "fail  three: detail 3\n");
    free(printed);
}

static void the_first_failure_gives_the_code(void **state) {
    (void)state;
    assert_int_equal(findings_code(&f), EXIT_OK);
    found_ok(&f, "a", "x");
    found_warning(&f, "b", "x");
    assert_int_equal(findings_code(&f), EXIT_OK);
    found_failure(&f, EXIT_CONNECT_TIMEOUT, "c", "x");
    found_failure(&f, EXIT_USAGE, "d", "x");
    assert_int_equal(findings_code(&f), EXIT_CONNECT_TIMEOUT);
}

static void what_does_not_fit_is_dropped(void **state) {
    (void)state;
    for (int i = 0; i < FINDINGS_MAX + 3; i++)
        found_ok(&f, "a", "%d", i);
    assert_int_equal(f.count, FINDINGS_MAX);
    char longest[3 * ERR_MESSAGE_MAX];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    none(NULL);
    found_ok(&f, "a", "%s", longest);
    found_remedy(&f, "%s", longest);
    assert_int_equal(strlen(f.all[0].detail), ERR_MESSAGE_MAX - 1);
    assert_int_equal(strlen(f.all[0].remedy), ERR_MESSAGE_MAX - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_finding_is_a_line_and_its_remedy_stands_below, none),
        cmocka_unit_test_setup(the_first_failure_gives_the_code, none),
        cmocka_unit_test_setup(what_does_not_fit_is_dropped, none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
