/* The command line: every word means one thing, and what is not known is refused with the reason. */
#include "stdout_help.h"

#include "codec/codec.h"
#include "program/backoff.h"
#include "program/options.h"
#include "program/redial.h"
#include "program/serve.h"

#include <getopt.h>
#include <stdbool.h>

enum { WORDS_MAX = 16, S = PROGRAM_HVSEND, R = PROGRAM_HVRECV, BOTH = S | R };

struct line {
    char text[256];
    char *argv[WORDS_MAX + 1];
    int argc;
    struct options o;
    struct err err;
    enum parsed result;
};

/* Words are separated by one space; `l` owns them. */
static struct line *parse(struct line *l, enum program program, const char *words) {
    memset(l, 0, sizeof *l);
    (void)snprintf(l->text, sizeof l->text, "program%s%s", *words ? " " : "", words);
    for (char *save = NULL, *w = strtok_r(l->text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        assert_true(l->argc < WORDS_MAX);
        l->argv[l->argc++] = w;
    }
    optind = 0; /* getopt starts anew */
    struct capture c = capture_start();
    l->result = options_parse(program, l->argc, l->argv, &l->o, &l->err);
    char *printed = capture_end(&c);
    assert_int_equal(l->result == PARSED_DONE, printed[0] != '\0');
    free(printed);
    assert_int_equal(l->result == PARSED_ERROR, l->err.code != 0);
    return l;
}

static struct line *run(struct line *l, enum program program, const char *words) {
    parse(l, program, words);
    if (l->result != PARSED_RUN)
        fail_msg("'%s': %s", words, l->err.msg);
    return l;
}

static void nothing_given_means_the_defaults(void **state) {
    (void)state;
    struct line l;
    run(&l, PROGRAM_HVSEND, "");
    const struct options *o = &l.o;
    assert_false(o->recursive || o->links || o->perms || o->times || o->ignore_times || o->checksum);
    assert_false(o->use_stdio || o->once || o->allow_remote || o->mkpath || o->serial);
    assert_false(o->stats || o->human || o->json || o->progress || o->durable_given);
    assert_true(o->listen == NULL && o->connect == NULL && o->into == NULL);
    assert_int_equal(o->chunk_size, 1 << 20);
    assert_int_equal(o->codec, CODEC_AUTO);
    assert_int_equal(o->level, 0);
    assert_int_equal(o->durable, DURABLE_BATCH);
    assert_int_equal(o->timeout_ms, 60000);
    assert_int_equal(o->connect_timeout_ms, 10000);
    assert_int_equal(o->progress_fd, -1);
    assert_int_equal(o->verbose + o->quiet, 0);
    assert_int_equal(o->arg_count, 0);
}

#define ARCHIVE (OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES | OPT_OWNER | OPT_GROUP)

static void letters_and_words_set_the_same_flags(void **state) {
    (void)state;
    static const struct {
        const char *words;
        uint64_t flags;
    } rows[] = {
        {"", 0},
        {"-r", OPT_RECURSIVE},
        {"--recursive", OPT_RECURSIVE},
        {"-l", OPT_LINKS},
        {"--links", OPT_LINKS},
        {"-p", OPT_PERMS},
        {"--perms", OPT_PERMS},
        {"-t", OPT_TIMES},
        {"--times", OPT_TIMES},
        {"-o", OPT_OWNER},
        {"--owner", OPT_OWNER},
        {"-g", OPT_GROUP},
        {"--group", OPT_GROUP},
        {"-I", OPT_IGNORE_TIMES},
        {"--ignore-times", OPT_IGNORE_TIMES},
        {"--verify", OPT_VERIFY},
        {"-c", OPT_CHECKSUM},
        {"--checksum", OPT_CHECKSUM},
        {"-a", ARCHIVE},
        {"--archive", ARCHIVE},
        {"-rlptIc", OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES | OPT_IGNORE_TIMES | OPT_CHECKSUM},
        {"a -r b -t", OPT_RECURSIVE | OPT_TIMES},
        {"-- -r", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct line l;
        assert_int_equal(options_flags(&run(&l, PROGRAM_HVSEND, rows[i].words)->o), rows[i].flags);
        assert_int_equal(options_flags(&run(&l, PROGRAM_HVRECV, rows[i].words)->o), rows[i].flags);
    }
}

static void what_is_no_option_is_left_in_order(void **state) {
    (void)state;
    struct line l;
    run(&l, PROGRAM_HVSEND, "src1 -a src2 --stats dest");
    assert_int_equal(l.o.arg_count, 3);
    assert_string_equal(l.o.args[0], "src1");
    assert_string_equal(l.o.args[1], "src2");
    assert_string_equal(l.o.args[2], "dest");
    run(&l, PROGRAM_HVSEND, "-a -- -x --json");
    assert_int_equal(l.o.arg_count, 2);
    assert_string_equal(l.o.args[0], "-x");
    assert_false(l.o.json);
    run(&l, PROGRAM_HVRECV, "-");
    assert_int_equal(l.o.arg_count, 1);
}

static void addresses_and_places_are_kept(void **state) {
    (void)state;
    struct line l;
    run(&l, PROGRAM_HVRECV, "--listen unix:/a.sock --once --mkpath --allow-remote dir");
    assert_string_equal(l.o.listen, "unix:/a.sock");
    assert_true(l.o.once && l.o.mkpath && l.o.allow_remote && !l.o.use_stdio);
    assert_string_equal(l.o.args[0], "dir");
    run(&l, PROGRAM_HVRECV, "--connect=vsock://2:5000 --stdio");
    assert_string_equal(l.o.connect, "vsock://2:5000");
    assert_true(l.o.use_stdio);
    run(&l, PROGRAM_HVSEND, "--into a/b --listen=tcp://[::1]:7");
    assert_string_equal(l.o.into, "a/b");
    assert_string_equal(l.o.listen, "tcp://[::1]:7");
}

static void further_targets_add_up_to_a_bound(void **state) {
    (void)state;
    struct line l;
    struct options o;
    struct err err = {0};
    char *argv[2 * TARGETS_MAX + 4] = {"program"};
    assert_int_equal(run(&l, PROGRAM_HVSEND, "src")->o.to_count, 0);
    run(&l, PROGRAM_HVSEND, "--to unix:/a src --to=unix:/b dest");
    assert_int_equal(l.o.to_count, 2);
    assert_string_equal(l.o.to[0], "unix:/a");
    assert_string_equal(l.o.to[1], "unix:/b");
    assert_int_equal(l.o.arg_count, 2);
    for (int i = 1; i <= 2 * (TARGETS_MAX + 1); i++)
        argv[i] = i % 2 ? "--to" : "unix:/a";
    optind = 0;
    assert_int_equal(options_parse(PROGRAM_HVSEND, 2 * TARGETS_MAX + 1, argv, &o, &err), PARSED_RUN);
    assert_int_equal(o.to_count, TARGETS_MAX);
    optind = 0;
    assert_int_equal(options_parse(PROGRAM_HVSEND, 2 * TARGETS_MAX + 3, argv, &o, &err), PARSED_ERROR);
    assert_int_equal(err.code, EXIT_USAGE);
    assert_non_null(strstr(err.msg, "at most 64"));
}

static void what_is_shown_can_be_chosen(void **state) {
    (void)state;
    struct line l;
    assert_int_not_equal(dup2(STDERR_FILENO, 7), -1); /* on Windows it gives 0 */
    run(&l, PROGRAM_HVRECV, "-vvqh --stats --json --progress-fd 7");
    assert_int_equal(close(7), 0);
    assert_int_equal(l.o.verbose, 2);
    assert_int_equal(l.o.quiet, 1);
    assert_true(l.o.human && l.o.stats && l.o.json && !l.o.progress);
    assert_int_equal(l.o.progress_fd, 7);
    static const char *const ways[] = {"-P", "--progress", "--info=progress2", "--info progress2"};
    for (size_t i = 0; i < 4; i++)
        assert_true(run(&l, PROGRAM_HVSEND, ways[i])->o.progress);
}

static void numbers_are_taken_within_their_bounds(void **state) {
    (void)state;
    struct line l;
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--chunk-size 64K")->o.chunk_size, CHUNK_SIZE_MIN);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--chunk-size=16M")->o.chunk_size, CHUNK_SIZE_MAX);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--chunk-size 69632")->o.chunk_size, 69632);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--timeout 0")->o.timeout_ms, -1);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--timeout 86400")->o.timeout_ms, 86400000);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--contimeout 1")->o.connect_timeout_ms, 1000);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--retry-delay 2")->o.retry_delay_ms, 2000);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--retry-delay 0.5")->o.retry_delay_ms, 500);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--retry-delay .25")->o.retry_delay_ms, 250);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--retry-delay 9999.999")->o.retry_delay_ms, 9999999);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--retry-delay 0")->o.retry_delay_ms, 0);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--zl 22")->o.level, 22);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--compress-level=1")->o.level, 1);
    assert_int_equal(dup2(STDERR_FILENO, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--progress-fd 0")->o.progress_fd, 0);
    assert_true(run(&l, PROGRAM_HVSEND, "--serial")->o.serial);
}

static void how_often_to_connect_again_is_a_number_or_for_ever(void **state) {
    (void)state;
    struct line l;
    assert_false(run(&l, PROGRAM_HVSEND, "")->o.retries_given);
    assert_int_equal(l.o.retry_delay_ms, BACKOFF_FIRST_MS);
    assert_true(run(&l, PROGRAM_HVSEND, "--retry 0")->o.retries_given);
    assert_int_equal(l.o.retries, 0);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--streams 4")->o.streams, 4);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--streams=16 --streams=auto")->o.streams, 0);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--retry=1000000")->o.retries, 1000000);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--retry forever")->o.retries, RETRY_FOREVER);
}

static void peers_to_serve_add_up(void **state) {
    (void)state;
    struct line l;
    assert_int_equal(run(&l, PROGRAM_HVRECV, "")->o.allow.count, 0);
    run(&l, PROGRAM_HVRECV, "--allow-peer 3 --allow-peer=uid:1000 --allow-peer host");
    assert_int_equal(l.o.allow.count, 3);
    assert_int_equal(l.o.allow.peers[0].cid, 3);
    assert_int_equal(l.o.allow.peers[1].uid, 1000);
    assert_int_equal(l.o.allow.peers[2].cid, 2);
}

static void a_key_is_named_by_its_file(void **state) {
    (void)state;
    struct line l;
    assert_null(run(&l, PROGRAM_HVSEND, "")->o.key_file);
    for (int program = S; program <= R; program++)
        assert_string_equal(run(&l, (enum program)program, "--key-file=a --key-file b")->o.key_file, "b");
    assert_string_equal(run(&l, PROGRAM_HVRECV, "--generate-key a")->o.generate_key, "a");
}

static void what_one_peer_may_use_is_bounded_by_number(void **state) {
    (void)state;
    struct line l;
    run(&l, PROGRAM_HVRECV, "");
    assert_int_equal(l.o.max_sessions, PEER_SESSIONS_DEFAULT);
    assert_true(l.o.quota == 0 && l.o.min_free == 0 && l.o.max_files == 0);
    run(&l, PROGRAM_HVRECV, "--quota 1.5G --min-free=64K --max-files 7 --max-sessions 16");
    assert_int_equal(l.o.quota, 3ULL << 29);
    assert_int_equal(l.o.min_free, 65536);
    assert_int_equal(l.o.max_files, 7);
    assert_int_equal(l.o.max_sessions, SESSIONS_MAX);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--max-sessions=1")->o.max_sessions, 1);
}

static void codecs_and_flushing_are_chosen_by_word(void **state) {
    (void)state;
    struct line l;
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--zc none")->o.codec, CODEC_NONE);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--zc zlib")->o.codec, CODEC_ZLIB);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--compress-choice=zlib --zc=auto")->o.codec, CODEC_AUTO);
    bool zstd = codec_by_id(CODEC_ZSTD) != NULL;
    assert_int_equal(run(&l, PROGRAM_HVSEND, "-z")->o.codec, zstd ? CODEC_ZSTD : CODEC_ZLIB);
    assert_int_equal(parse(&l, PROGRAM_HVSEND, "--zc zstd")->err.code, zstd ? 0 : EXIT_USAGE);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "")->o.delta, DELTA_AUTO);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "--delta on")->o.delta, DELTA_ON);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--delta=off")->o.delta, DELTA_OFF);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "-W --delta=auto")->o.delta, DELTA_AUTO);
    assert_int_equal(run(&l, PROGRAM_HVSEND, "-aW")->o.delta, DELTA_OFF);
    assert_true(options_flags(&run(&l, PROGRAM_HVSEND, "--inplace")->o) & OPT_INPLACE);
    assert_true(run(&l, PROGRAM_HVRECV, "--no-partial")->o.no_partial);
    assert_false(run(&l, PROGRAM_HVRECV, "--no-partial --partial")->o.no_partial);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--durable file")->o.durable, DURABLE_FILE);
    assert_int_equal(run(&l, PROGRAM_HVRECV, "--durable none")->o.durable, DURABLE_NONE);
    run(&l, PROGRAM_HVRECV, "--durable batch");
    assert_true(l.o.durable == DURABLE_BATCH && l.o.durable_given);
}

static void help_and_version_are_answered_at_once(void **state) {
    (void)state;
    static const char *const words[] = {"--help", "--version", "-a --help --bad", "--version src"};
    for (size_t i = 0; i < 4; i++) {
        struct line l;
        assert_int_equal(parse(&l, PROGRAM_HVSEND, words[i])->result, PARSED_DONE);
        assert_int_equal(parse(&l, PROGRAM_HVRECV, words[i])->result, PARSED_DONE);
    }
}

static void what_is_wrong_is_refused_as_usage(void **state) {
    (void)state;
    static const struct {
        int programs;
        const char *words;
        const char *says; /* is in the message */
    } rows[] = {
        {BOTH, "-k", "-k is not known"},
        {BOTH, "-ak", "-k is not known"},
        {BOTH, "--nonsense", "--nonsense is not known"},
        {BOTH, "--nonsense=1", "--nonsense"},
        {BOTH, "--listen", "needs an argument"},
        {BOTH, "--chunk-size", "needs an argument"},
        {BOTH, "--stats=yes", "--stats=yes takes no argument"},
        {BOTH, "--archive=yes", "--archive=yes takes no argument"},
        {BOTH, "--chunk-size 63K", "chunk-size"},
        {BOTH, "--chunk-size 65537", "chunk-size"},
        {BOTH, "--chunk-size 16777217", "chunk-size"},
        {BOTH, "--chunk-size 17M", "chunk-size"},
        {BOTH, "--chunk-size 99999999999999999999", ""},
        {BOTH, "--chunk-size -1", ""},
        {BOTH, "--chunk-size big", "big"},
        {BOTH, "--timeout -1", ""},
        {BOTH, "--timeout 86401", ""},
        {BOTH, "--timeout 1s", "1s"},
        {BOTH, "--contimeout 0", ""},
        {BOTH, "--key-file", "needs an argument"},
        {S, "--generate-key a", "is not known"},
        {BOTH, "--allow-peer any", "--allow-peer: 'any' names no peer"},
        {BOTH, "--max-sessions 0", "--max-sessions: '0'"},
        {BOTH, "--max-sessions 17", "from 1 to 16"},
        {R, "--quota 0", "--quota: give at least 1"},
        {R, "--quota x", "--quota: 'x' is not a size"},
        {R, "--min-free -1", "--min-free: '-1'"},
        {R, "--max-files 0", "--max-files: '0'"},
        {R, "--max-files 1K", "--max-files: '1K'"},
        {S, "--quota 1G", "--quota"},
        {BOTH, "--streams 0", "--streams: '0'"},
        {BOTH, "--streams 17", "--streams: '17' is neither a number from 1 to 16 nor auto"},
        {BOTH, "--streams many", "--streams: 'many'"},
        {BOTH, "--retry -1", "--retry: '-1'"},
        {BOTH, "--retry 1000001", "nor forever"},
        {BOTH, "--retry never", "nor forever"},
        {BOTH, "--retry-delay 1s", "--retry-delay: '1s'"},
        {BOTH, "--retry-delay 0.0001", "number of seconds"},
        {BOTH, "--retry-delay 10000", "number of seconds"},
        {BOTH, "--retry-delay 1.", "number of seconds"},
        {BOTH, "--retry-delay .", "number of seconds"},
        {BOTH, "--retry-delay -1", "number of seconds"},
        {BOTH, "--progress-fd -1", ""},
        {BOTH, "--progress-fd x", "x"},
        {BOTH, "--progress-fd 1000000", "descriptor 1000000 is not open"},
        {BOTH, "--info=all", "progress2"},
        {BOTH, "--durable sometimes", "sometimes"},
        {BOTH, "--delta=maybe", "auto, on, off"},
        {BOTH, "--durable=", "batch"},
        {S, "--zc lzma", "lzma"},
        {S, "--zc=", "codec"},
        {S, "--zl 0", ""},
        {S, "--zl 23", ""},
        {S, "--connect unix:/a", "--connect"},
        {S, "--mkpath", "--mkpath"},
        {R, "--into a", "--into"},
        {R, "--to unix:/a", "--to"},
        {R, "-z", "-z"},
        {R, "--zc none", "--zc"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int program = S; program <= R; program++) {
            struct line l;
            if (!(rows[i].programs & program))
                continue;
            parse(&l, (enum program)program, rows[i].words);
            if (l.result != PARSED_ERROR || l.err.code != EXIT_USAGE || !strstr(l.err.msg, rows[i].says))
                fail_msg("'%s': %d, code %d, '%s'", rows[i].words, l.result, l.err.code, l.err.msg);
        }
}

static void options_that_come_later_say_so(void **state) {
    (void)state;
    static const char *const words[] = {"-D",       "-H",           "-A",          "-X",
                                        "-S",       "-u",           "-n",          "-an",
                                        "--delete", "--dry-run",    "--exclude=x", "--log-file=a",
                                        "--force",  "--max-delete", "--chmod=u+w", "--hard-links"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (int program = S; program <= R; program++) {
            struct line l;
            parse(&l, (enum program)program, words[i]);
            if (l.err.code != EXIT_USAGE || !strstr(l.err.msg, "is not supported yet"))
                fail_msg("'%s': code %d, '%s'", words[i], l.err.code, l.err.msg);
        }
}

static void unknown_option_is_shown_without_its_controls(void **state) {
    (void)state;
    static const char *const words[] = {"--\x1B[2J", "-\x1B", "-\xC2\x9B", "-\xFF", "-\n"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct line l;
        assert_int_equal(parse(&l, PROGRAM_HVSEND, words[i])->err.code, EXIT_USAGE);
        for (const char *s = l.err.msg; *s; s++)
            assert_true(*s >= 0x20 && *s < 0x7F);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_means_the_defaults),
        cmocka_unit_test(letters_and_words_set_the_same_flags),
        cmocka_unit_test(what_is_no_option_is_left_in_order),
        cmocka_unit_test(addresses_and_places_are_kept),
        cmocka_unit_test(further_targets_add_up_to_a_bound),
        cmocka_unit_test(what_is_shown_can_be_chosen),
        cmocka_unit_test(numbers_are_taken_within_their_bounds),
        cmocka_unit_test(how_often_to_connect_again_is_a_number_or_for_ever),
        cmocka_unit_test(peers_to_serve_add_up),
        cmocka_unit_test(a_key_is_named_by_its_file),
        cmocka_unit_test(what_one_peer_may_use_is_bounded_by_number),
        cmocka_unit_test(codecs_and_flushing_are_chosen_by_word),
        cmocka_unit_test(help_and_version_are_answered_at_once),
        cmocka_unit_test(what_is_wrong_is_refused_as_usage),
        cmocka_unit_test(options_that_come_later_say_so),
        cmocka_unit_test(unknown_option_is_shown_without_its_controls),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
