/* --bwlimit: rates as rsync writes them, and a bucket under a clock that the test turns. */
#include "program/bwlimit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

enum { KIB = 1024 };

/* ---- rates ---------------------------------------------------------------------------------------------- */

static void rates_are_written_as_in_rsync(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t rate;
    } rows[] = {
        {"0", 0},
        {"0K", 0},
        {"1", KIB},
        {"100", 100 * KIB},
        {"1.5", 2 * KIB},
        {".5", KIB},
        {"2.", 2 * KIB},
        {"1.4", KIB},
        {"512B", KIB},
        {"2048b", 2 * KIB},
        {"1k", KIB},
        {"1KiB", KIB},
        {"1kib", KIB},
        {"1024KB", 1000 * KIB},
        {"1m", KIB * KIB},
        {"1.5M", 3 * KIB * KIB / 2},
        {"2MiB", 2 * KIB * KIB},
        {"1.024MB", 1000 * KIB},
        {"1G", (uint64_t)KIB * KIB * KIB},
        {"1T", (uint64_t)KIB * KIB * KIB * KIB},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bwlimit limit = {.rate = 1, .file = OS_FILE_NONE};
        struct err err = {0};
        if (bwlimit_parse(rows[i].text, &limit, &err) != 0 || limit.rate != rows[i].rate ||
            os_file_is_open(limit.file))
            fail_msg("'%s': %llu, '%s'", rows[i].text, (unsigned long long)limit.rate, err.msg);
    }
}

static void what_is_no_rate_is_a_usage_error(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        ".",
                                        "K",
                                        "-1",
                                        "+1",
                                        "1.2.3",
                                        "1x",
                                        "1KK",
                                        "1Ki",
                                        "1 K",
                                        "1e3",
                                        "0x10",
                                        "nan",
                                        "1P",
                                        "511B",
                                        "0.4",
                                        "2T",
                                        "1BB",
                                        "\x1b[2J",
                                        "999999999999999T",
                                        "1234567890123456"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct bwlimit limit = {.rate = 7, .file = OS_FILE_NONE};
        struct err err = {0};
        if (bwlimit_parse(texts[i], &limit, &err) != -1 || err.code != EXIT_USAGE || limit.rate != 7 ||
            !strstr(err.msg, "--bwlimit: ") || strchr(err.msg, 0x1b))
            fail_msg("'%s': %llu, '%s'", texts[i], (unsigned long long)limit.rate, err.msg);
    }
}

static void chunks_are_small_enough_to_leave_eight_times_a_second(void **state) {
    (void)state;
    enum { LEAST = 64 * KIB, MOST = KIB * KIB };
    struct bwlimit limit = {.rate = 0, .file = OS_FILE_NONE};
    assert_int_equal(bwlimit_chunk_size(&limit, LEAST, MOST), MOST);
    limit.rate = 1;
    assert_int_equal(bwlimit_chunk_size(&limit, LEAST, MOST), LEAST);
    limit.rate = 8 * 100 * KIB + 8 * 4095;
    assert_int_equal(bwlimit_chunk_size(&limit, LEAST, MOST), 100 * KIB);
    limit.rate = UINT64_MAX;
    assert_int_equal(bwlimit_chunk_size(&limit, LEAST, MOST), MOST);
}

/* ---- the bucket ------------------------------------------------------------------------------------------- */

static void bytes_are_paid_for_at_the_rate(void **state) {
    (void)state;
    struct bucket b = {.rate = 1000, .free_ns = 10 * S};
    bucket_spend(&b, 500, 10 * S);
    assert_int_equal(b.free_ns, 10 * S + S / 2);
    bucket_spend(&b, 1, 10 * S);
    assert_int_equal(b.free_ns, 10 * S + S / 2 + MS);
}

static void who_waits_for_the_bucket_keeps_the_rate_exactly(void **state) {
    (void)state;
    struct bucket b = {.rate = 3000, .free_ns = S};
    int64_t now = S;
    for (int i = 0; i < 3000; i++) {
        bucket_spend(&b, 1 + (uint64_t)i % 2 * 8, now); /* 5 on average */
        now = b.free_ns;
    }
    assert_in_range(now, 6 * S - MS, 6 * S); /* each rounds down by less than a ns */
}

static void time_that_was_not_used_is_made_up_for_by_a_tenth_of_a_second_only(void **state) {
    (void)state;
    struct bucket b = {.rate = 1000, .free_ns = 0};
    bucket_spend(&b, 300, 100 * S);
    assert_int_equal(b.free_ns, 100 * S + 200 * MS);
}

static void without_a_rate_nothing_has_to_wait(void **state) {
    (void)state;
    struct bucket b = {.rate = 0, .free_ns = 0};
    bucket_spend(&b, UINT32_MAX, 5 * S);
    assert_true(b.free_ns < 5 * S);
}

static void largest_write_at_the_lowest_rate_does_not_overflow(void **state) {
    (void)state;
    struct bucket b = {.rate = KIB, .free_ns = S};
    bucket_spend(&b, UINT64_C(1) << 33, S);
    assert_int_equal(b.free_ns, S + (INT64_C(1) << 23) * S);
}

static void debt_is_paid_at_the_new_rate(void **state) {
    (void)state;
    struct bucket b = {.rate = 1000, .free_ns = S};
    bucket_spend(&b, 10000, S); /* ten seconds */
    bucket_set_rate(&b, 10000, 3 * S);
    assert_int_equal(b.free_ns, 3 * S + 800 * MS); /* eight were left */
    bucket_set_rate(&b, 1000, 3 * S + 400 * MS);
    assert_int_equal(b.free_ns, 3 * S + 400 * MS + 4 * S);
    bucket_set_rate(&b, 0, 4 * S);
    assert_int_equal(b.free_ns, 4 * S);
}

/* ---- a file ------------------------------------------------------------------------------------------------ */

static char path[64];

static void put_text(const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static int name_file(void **state) {
    (void)state;
    (void)snprintf(path, sizeof path, "test_bwlimit-%p.tmp", (void *)path);
    return 0;
}

static int remove_file(void **state) {
    (void)state;
    (void)remove(path);
    return 0;
}

static void pace_of_file(struct pace *p) {
    char word[80];
    struct bwlimit limit = {.file = OS_FILE_NONE};
    (void)snprintf(word, sizeof word, "@%s", path);
    assert_int_equal(bwlimit_parse(word, &limit, NULL), 0);
    pace_init(p, &limit, S);
}

static void end_pace(struct pace *p) {
    bwlimit_close(&p->limit);
    pace_free(p);
}

static void rate_of_a_file_is_read_again_each_second(void **state) {
    (void)state;
    put_text("10\n");
    struct pace p;
    pace_of_file(&p);
    assert_true(pace_limits(&p));
    assert_int_equal(pace_now(&p).rate, 10 * KIB);
    put_text("2M \r\nnot read\n");
    assert_false(pace_look(&p, 2 * S - 1));
    assert_int_equal(pace_now(&p).rate, 10 * KIB);
    assert_true(pace_look(&p, 2 * S));
    assert_int_equal(pace_now(&p).rate, 2 * KIB * KIB);
    put_text("0");
    assert_false(pace_look(&p, 3 * S - 1));
    assert_true(pace_look(&p, 3 * S));
    assert_int_equal(pace_now(&p).rate, 0);
    assert_true(pace_limits(&p)); /* it may come back */
    assert_false(pace_look(&p, 9 * S)); /* as before */
    end_pace(&p);
}

static void file_that_is_gone_or_holds_no_rate_changes_nothing(void **state) {
    (void)state;
    put_text("10");
    struct pace p;
    pace_of_file(&p);
    put_text("ten");
    assert_false(pace_look(&p, 2 * S));
    put_text("");
    assert_false(pace_look(&p, 3 * S));
    assert_int_equal(remove(path), 0);
    assert_false(pace_look(&p, 4 * S));
    assert_int_equal(pace_now(&p).rate, 10 * KIB);
    end_pace(&p);
}

/* Each waits until what both have sent is paid for. */
static void sessions_with_one_pace_keep_the_rate_together(void **state) {
    (void)state;
    const struct bwlimit limit = {.rate = 1000, .file = OS_FILE_NONE};
    struct pace p;
    int64_t now[2] = {10 * S, 10 * S};
    pace_init(&p, &limit, 10 * S);
    for (int i = 0; i < 100; i++)
        now[i % 2] = pace_spend(&p, i % 2 ? 300 : 700, now[i % 2]);
    assert_int_equal(now[1], 60 * S); /* 50,000 bytes */
    assert_int_equal(pace_now(&p).free_ns, 60 * S);
    pace_free(&p);
}

static void file_that_cannot_be_read_at_the_start_is_a_usage_error(void **state) {
    (void)state;
    struct bwlimit limit = {.file = OS_FILE_NONE};
    struct err err = {0};
    assert_int_equal(bwlimit_parse("@does/not/exist", &limit, &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
    assert_non_null(strstr(err.msg, "does/not/exist"));
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, name_file, remove_file)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_written_as_in_rsync),
        cmocka_unit_test(what_is_no_rate_is_a_usage_error),
        cmocka_unit_test(chunks_are_small_enough_to_leave_eight_times_a_second),
        cmocka_unit_test(bytes_are_paid_for_at_the_rate),
        cmocka_unit_test(who_waits_for_the_bucket_keeps_the_rate_exactly),
        cmocka_unit_test(time_that_was_not_used_is_made_up_for_by_a_tenth_of_a_second_only),
        cmocka_unit_test(without_a_rate_nothing_has_to_wait),
        cmocka_unit_test(sessions_with_one_pace_keep_the_rate_together),
        cmocka_unit_test(largest_write_at_the_lowest_rate_does_not_overflow),
        cmocka_unit_test(debt_is_paid_at_the_new_rate),
        FILE_TEST(rate_of_a_file_is_read_again_each_second),
        FILE_TEST(file_that_is_gone_or_holds_no_rate_changes_nothing),
        cmocka_unit_test(file_that_cannot_be_read_at_the_start_is_a_usage_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
