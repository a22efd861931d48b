/* Which of hvsend's words are sources and which are receivers, and that no receiver is named twice. */
#include "sender/targets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ARGS_MAX = 4 };

/* A command line, parsed: the arguments, and those of --to. */
struct words {
    char *args[ARGS_MAX];
    const char *to[ARGS_MAX];
    const char *into;
};

static struct options options_of(struct words *w) {
    struct options o = {.args = w->args, .into = w->into};
    while (o.arg_count < ARGS_MAX && w->args[o.arg_count])
        o.arg_count++;
    for (; o.to_count < ARGS_MAX && w->to[o.to_count]; o.to_count++)
        o.to[o.to_count] = w->to[o.to_count];
    return o;
}

static void require_counts(struct words w, int sources, unsigned receivers) {
    struct options o = options_of(&w);
    struct target *targets;
    unsigned count;
    assert_int_equal(sources_count(&o), sources);
    assert_int_equal(targets_parse(&o, &targets, &count, NULL), 0);
    assert_int_equal(count, receivers);
    targets_free(targets, count);
}

static void last_word_is_dest_unless_to_makes_it_a_source(void **state) {
    (void)state;
    require_counts((struct words){.args = {"a", "tcp://127.0.0.1:1"}}, 1, 1);
    require_counts((struct words){.args = {"a"}, .to = {"tcp://127.0.0.1:1"}}, 1, 1);
    require_counts((struct words){.args = {"a", "b"}, .to = {"tcp://127.0.0.1:1"}}, 2, 1);
    require_counts((struct words){.args = {"a", "tcp://127.0.0.1:2"}, .to = {"tcp://127.0.0.1:1"}}, 1, 2);
    require_counts((struct words){.args = {"tcp://127.0.0.1:2"}, .to = {"tcp://127.0.0.1:1"}}, 0, 2);
    require_counts((struct words){.args = {"a", "./tcp:"}, .to = {"exec:a", "exec:b", "exec:c"}}, 2, 3);
}

static void who_waits_has_sources_only(void **state) {
    (void)state;
    char *args[] = {"a", "tcp://127.0.0.1:1"};
    assert_int_equal(sources_count(&(struct options){.args = args, .arg_count = 2, .listen = "unix:a"}), 2);
    assert_int_equal(sources_count(&(struct options){.args = args, .arg_count = 2, .use_stdio = true}), 2);
}

static void each_receiver_has_its_directory(void **state) {
    (void)state;
    struct words w = {.args = {"a"}, .to = {"tcp://127.0.0.1:1/x/y/", "tcp://127.0.0.1:1", "exec:b"}};
    struct options o = options_of(&w);
    struct target *targets;
    unsigned count;
    assert_int_equal(targets_parse(&o, &targets, &count, NULL), 0);
    assert_string_equal(targets[0].name, "tcp://127.0.0.1:1/x/y/");
    assert_string_equal(targets[0].into, "x/y");
    assert_null(targets[1].into);
    assert_null(targets[2].into);
    targets_free(targets, count);
    w = (struct words){.args = {"a"}, .to = {"tcp://127.0.0.1:1", "exec:b"}, .into = "z/"};
    o = options_of(&w);
    assert_int_equal(targets_parse(&o, &targets, &count, NULL), 0);
    assert_string_equal(targets[0].into, "z");
    assert_string_equal(targets[1].into, "z");
    targets_free(targets, count);
}

static void require_refused(struct words w, const char *says) {
    struct options o = options_of(&w);
    struct err err = {0};
    struct target *targets;
    unsigned count;
    assert_int_equal(targets_parse(&o, &targets, &count, &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
    if (!strstr(err.msg, says))
        fail_msg("'%s' does not say '%s'", err.msg, says);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    require_refused((struct words){.args = {"a"}, .to = {"exec:b", "tcp://127.0.0.1:1", "exec:b"}},
                    "exec:b: this receiver is given twice");
    require_refused((struct words){.args = {"a", "tcp://127.0.0.1:1/x/"}, .to = {"tcp://127.0.0.1:1/x"}},
                    "tcp://127.0.0.1:1/x/: this receiver is given twice");
    require_refused((struct words){.args = {"a"}, .to = {"exec:b", "b"}}, "b: not an address");
    require_refused((struct words){.args = {"a"}, .to = {"exec:b", "tcp://127.0.0.1:1/x"}, .into = "y"},
                    "twice: in tcp://127.0.0.1:1/x and by --into");
    require_refused((struct words){.args = {"a", "tcp://127.0.0.1:1/x"}, .into = "y"},
                    "twice: in DEST and by --into");
    require_refused((struct words){.args = {"a"}, .to = {"exec:b"}, .into = "../y"}, "--into");
}

static void there_is_a_bound(void **state) {
    (void)state;
    char words[TARGETS_MAX][16], *args[] = {"a", "exec:dest"};
    struct options o = {.args = args, .arg_count = 2, .to_count = TARGETS_MAX};
    struct err err = {0};
    struct target *targets;
    unsigned count;
    for (unsigned i = 0; i < TARGETS_MAX; i++) {
        (void)snprintf(words[i], sizeof words[i], "exec:%u", i);
        o.to[i] = words[i];
    }
    assert_int_equal(targets_parse(&o, &targets, &count, &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
    o.to_count--;
    assert_int_equal(targets_parse(&o, &targets, &count, &err), 0);
    assert_int_equal(count, TARGETS_MAX);
    targets_free(targets, count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_word_is_dest_unless_to_makes_it_a_source),
        cmocka_unit_test(who_waits_has_sources_only),
        cmocka_unit_test(each_receiver_has_its_directory),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(there_is_a_bound),
    };
    return cmocka_run_group_tests_name("targets", tests, NULL, NULL);
}
