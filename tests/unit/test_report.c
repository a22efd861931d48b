/* The report: the worst code wins, counters end up in the summary, progress only goes forward. */
#include "json_help.h"

#include "core/log.h"
#include "program/report_impl.h"

#include <inttypes.h>

static void lack_of_space_is_worse_than_all_other_failures(void **state) {
    (void)state;
    static const int order[] = {EXIT_OK, EXIT_VANISHED, EXIT_PARTIAL, EXIT_VERIFY, EXIT_NO_SPACE};
    for (size_t a = 0; a < 5; a++)
        for (size_t b = 0; b < 5; b++)
            assert_int_equal(report_worse(order[a], order[b]), order[a > b ? a : b]);
    assert_int_equal(report_worse(EXIT_OK, EXIT_FILE_IO),
                     EXIT_PARTIAL); /* one file's trouble, whatever it is */
    assert_int_equal(report_worse(EXIT_FILE_IO, EXIT_VANISHED), EXIT_PARTIAL);
    assert_int_equal(report_worse(EXIT_MEMORY, EXIT_VERIFY), EXIT_VERIFY);
}

static void failures_are_events_and_leave_the_worst_code(void **state) {
    (void)state;
    struct report r;
    report_init(&r, &(struct report_style){.role = "receiver", .json = true, .progress_fd = -1});
    struct capture c = capture_start();
    report_failure(&r, "a\xFF", &(struct err){.code = EXIT_VANISHED, .msg = "first"});
    report_failure(&r, "b", &(struct err){.code = EXIT_FILE_IO, .msg = "second"});
    report_failure(&r, "c", &(struct err){.code = EXIT_VANISHED, .msg = "third"});
    report_warning(&r, "d", "careful");
    char *lines = capture_end(&c);
    assert_int_equal(atomic_load(&r.worst), EXIT_PARTIAL);
    const char *second = assert_event(lines), *third = assert_event(second), *warning = assert_event(third);
    assert_string_equal(assert_event(warning), "");
    assert_non_null(event_field(lines, "path_b64"));
    assert_field_text(second, "path", "b");
    assert_field_number(second, "code", EXIT_FILE_IO);
    assert_field_text(warning, "type", "warning");
    assert_field_text(warning, "message", "careful");
    free(lines);
    report_free(&r);
}

static unsigned lines_in(const char *text) {
    unsigned n = 0;
    for (; *text; text = assert_event(text))
        n++;
    return n;
}

/* Who listens tells the first ones and how many more there were; who asked for the session gets all of them. */
static void a_peer_makes_only_so_many_lines(void **state) {
    (void)state;
    enum { MORE = 7 };
    for (int bounded = 0; bounded < 2; bounded++) {
        struct report r;
        report_init(&r, &(struct report_style){
                            .role = "receiver", .json = true, .bounded = bounded, .progress_fd = -1});
        struct capture c = capture_start();
        report_failure(&r, "a", &(struct err){.code = EXIT_FILE_IO, .msg = "first"});
        for (unsigned i = 0; i < TOLD_MAX - 1; i++)
            report_warning(&r, "a", "careful");
        report_warning(&r, "b", "careful");
        for (unsigned i = 0; i < MORE - 1; i++)
            report_failure(&r, "b", &(struct err){.code = EXIT_NO_SPACE, .msg = "last"});
        assert_int_equal(atomic_load(&r.worst), EXIT_NO_SPACE);
        report_end(&r, EXIT_NO_SPACE, NULL, NULL);
        char *lines = capture_end(&c);
        assert_int_equal(lines_in(lines), bounded ? TOLD_MAX + 2 : TOLD_MAX + MORE + 1); /* and the summary */
        assert_int_equal(strstr(lines, "\"b\"") == NULL, bounded);
        assert_int_equal(strstr(lines, "\"message\":\"7 more failures and warnings are not shown\"") != NULL,
                         bounded);
        free(lines);
        report_free(&r);
    }
}

/* Nor by coming again and again. */
static void peers_make_only_so_many_lines_in_all(void **state) {
    (void)state;
    struct capture c = capture_start();
    int64_t start = os_now_ms();
    for (unsigned i = 0; i < TOLD_AT_ONCE / TOLD_MAX + 3; i++) {
        struct report r;
        report_init(&r, &(struct report_style){.json = true, .bounded = true, .progress_fd = -1});
        for (unsigned k = 0; k < TOLD_MAX; k++)
            report_warning(&r, "b", "careful");
        report_free(&r);
    }
    int64_t most = TOLD_AT_ONCE + (os_now_ms() - start) / TOLD_EVERY_MS + 1;
    char *lines = capture_end(&c);
    assert_in_range(lines_in(lines), TOLD_AT_ONCE - TOLD_MAX, most);
    free(lines);
}

static unsigned lines_logged;

static void count_line(void) {
    lines_logged++;
}

/* How many refusals the lines tell: one each, and those that are only counted. */
static unsigned refusals_in(char *text) {
    static const char refused[] = "test: refused";
    unsigned n = 0, untold;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strcmp(line, refused) == 0)
            n++;
        else if (sscanf(line, "test: %u lines about other sessions are not shown", &untold) == 1)
            n += untold;
    return n;
}

/* Lines about sessions likewise; the next one that is shown comes with how many were not. */
static void sessions_make_only_so_many_lines(void **state) {
    (void)state;
    enum { MORE = 50 };
    unsigned refusals = TOLD_AT_ONCE + MORE;
    lines_logged = 0;
    log_set_hook(count_line);
    struct capture c = capture_start_of(stderr);
    int64_t start = os_now_ms();
    for (unsigned i = 0; i < refusals; i++)
        report_line(true, LOG_ERROR, "refused");
    int64_t most = TOLD_AT_ONCE + 2 * ((os_now_ms() - start) / TOLD_EVERY_MS + 1);
    assert_in_range(lines_logged, TOLD_AT_ONCE - 1, most); /* one is from another test */
    report_line(true, LOG_WARNING, "not wanted, and so not counted");
    unsigned before = lines_logged;
    report_line(false, LOG_ERROR, "asked for");
    assert_int_equal(lines_logged, before + 1);
    for (before = lines_logged; lines_logged == before; refusals++) {
        os_sleep_ms(TOLD_EVERY_MS / 10);
        report_line(true, LOG_ERROR, "refused");
    }
    char *lines = capture_end(&c);
    log_set_hook(NULL);
    assert_int_equal(refusals_in(lines), refusals);
    free(lines);
}

static void summary_holds_the_counters(void **state) {
    (void)state;
    struct report r;
    report_init(&r, &(struct report_style){.role = "sender", .json = true, .progress_fd = -1});
    struct capture c = capture_start();
    report_start(&r, "unix:/x.sock");
    count(&r.files_committed, 3);
    count(&r.bytes_committed, 1ULL << 40);
    count(&r.chunks_resent, 2);
    count(&r.bytes_shared, 5);
    count(&r.codec_chunks[1], 9);
    report_end(&r, EXIT_PARTIAL, NULL, NULL);
    char *lines = capture_end(&c), *last = lines;
    assert_field_text(lines, "type", "start");
    assert_field_text(lines, "role", "sender");
    assert_field_text(lines, "peer", "unix:/x.sock");
    for (const char *next; *(next = assert_event(last)) != '\0';)
        last += next - last;
    assert_field_text(last, "type", "summary");
    assert_field_number(last, "code", EXIT_PARTIAL);
    assert_field_number(last, "files", 3);
    assert_field_number(last, "bytes_written", 1ULL << 40);
    assert_field_number(last, "chunks_resent", 2);
    assert_field_number(last, "bytes_shared", 5);
    assert_non_null(strstr(last, "\"zlib\":9"));
    free(lines);
    report_free(&r);
}

static void progress_goes_forward_and_ends_with_the_totals(void **state) {
    (void)state;
    struct report r;
    FILE *lines = tmpfile();
    assert_non_null(lines);
    report_init(&r, &(struct report_style){.role = "sender", .progress_fd = fileno(lines)});
    report_start(&r, "peer");
    count(&r.bytes_total, 1000);
    count(&r.bytes_done, 5000); /* sent twice: shown is never more than there is */
    report_end(&r, 0, NULL, NULL);
    report_free(&r);
    rewind(lines);
    uint64_t done, total, before = 0;
    unsigned n = 0;
    while (fscanf(lines, "%" SCNu64 "/%" SCNu64 "\n", &done, &total) == 2) {
        assert_true(done >= before && done <= total);
        before = done;
        n++;
    }
    assert_true(n >= 1);
    assert_int_equal(done, 1000);
    assert_int_equal(total, 1000);
    assert_int_equal(fclose(lines), 0);
}

static uint64_t read_ratios(FILE *lines, uint64_t *ret_total) {
    uint64_t done, before = 0;
    rewind(lines);
    while (fscanf(lines, "%" SCNu64 "/%" SCNu64 "\n", &done, ret_total) == 2) {
        assert_true(done >= before && done <= *ret_total);
        before = done;
    }
    return before;
}

/* Two of 10 files are transferred, the session is lost, in the next one three more of them. */
static void a_session_counts_on_where_a_lost_one_ended(void **state) {
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct report_past past = {0};
        FILE *lines = tmpfile();
        assert_non_null(lines);
        struct report_style style = {.role = "sender", .json = true, .progress_fd = fileno(lines)};
        struct capture c = capture_start();
        for (unsigned i = 0; i < 2; i++) {
            struct report r;
            report_init(&r, &style);
            report_go_on(&r, &past);
            report_start(&r, "peer");
            os_sleep_ms(300); /* the display begins */
            count(&r.files_skipped, i ? 7 : 5);
            count(&r.files_committed, i ? 3 : 2);
            count(&r.bytes_raw, 100);
            count(&r.retries, 1);
            count(&r.bytes_total, 1000);
            count(&r.bytes_done, i ? 1000 : 700);
            if (i && whole)
                report_end(&r, 0, NULL, NULL);
            else
                report_lost(&r, &(struct err){.code = EXIT_REFUSED, .msg = "lost"});
            report_free(&r);
        }
        if (!whole)
            report_none(&style, &past, &(struct err){.code = EXIT_SOCKET, .msg = "gone"});
        char *events = capture_end(&c), *summary = strstr(events, "{\"type\":\"summary\"");
        assert_non_null(summary);
        assert_null(strchr(summary, '\n')[1] ? summary : NULL); /* the last of them */
        assert_field_number(summary, "code", whole ? 0 : EXIT_SOCKET);
        assert_field_number(summary, "files", 5);
        assert_field_number(summary, "skipped", 5);
        assert_field_number(summary, "bytes_read", 200);
        assert_field_number(summary, "retries", 3);
        free(events);
        uint64_t total;
        assert_int_equal(read_ratios(lines, &total), 1000);
        assert_int_equal(total, 1000);
        assert_int_equal(fclose(lines), 0);
    }
}

/* One is lost and begun anew, one never begins. */
static void one_display_adds_up_several_reports(void **state) {
    (void)state;
    FILE *lines = tmpfile();
    assert_non_null(lines);
    struct progress p;
    struct progress_place places[3];
    struct report r[2];
    progress_init(&p, &(struct report_style){.progress_fd = fileno(lines)}, places, 3);
    for (unsigned i = 0; i < 2; i++) {
        report_init(&r[i], &(struct report_style){.progress_fd = -1, .shared = &p, .place = i});
        report_start(&r[i], "peer");
        count(&r[i].bytes_total, 1000);
        count(&r[i].bytes_done, 400);
    }
    report_lost(&r[1], &(struct err){.code = EXIT_REFUSED, .msg = "lost"});
    report_free(&r[1]);
    report_init(&r[1], &(struct report_style){.progress_fd = -1, .shared = &p, .place = 1});
    report_start(&r[1], "peer");
    count(&r[1].bytes_total, 1000);
    count(&r[1].bytes_done, 1000);
    assert_false(places[1].last.complete);
    report_end(&r[1], 0, NULL, NULL);
    report_free(&r[1]);
    assert_true(places[1].last.complete);
    report_none(&(struct report_style){.progress_fd = -1, .shared = &p, .place = 2}, &(struct report_past){0},
                &(struct err){.code = EXIT_SOCKET, .msg = "nobody there"});
    assert_true(places[2].last.complete);
    count(&r[0].bytes_done, 100);
    report_end(&r[0], 0, NULL, NULL);
    report_free(&r[0]);
    progress_free(&p);
    uint64_t total;
    assert_int_equal(read_ratios(lines, &total), 1500);
    assert_int_equal(total, 2000);
    assert_int_equal(fclose(lines), 0);
}

/* Nobody knows how much a hole of a peer is. With a person who watches, and to a program; UBSan looks on. */
static void any_number_of_bytes_in_a_moment_can_be_shown(void **state) {
    (void)state;
    for (int json = 0; json < 2; json++) {
        struct report r;
        report_init(&r,
                    &(struct report_style){
                        .role = "sender", .json = json, .progress = !json, .stats = true, .progress_fd = -1});
        struct capture c = capture_start();
        report_start(&r, "peer");
        os_sleep_ms(300); /* the display has begun with nothing */
        count(&r.bytes_total, UINT64_MAX);
        count(&r.bytes_done, UINT64_MAX);
        count(&r.bytes_raw, UINT64_MAX);
        os_sleep_ms(300);
        report_end(&r, 0, NULL, NULL);
        char *lines = capture_end(&c);
        if (json)
            assert_non_null(strstr(lines, "\"bytes\":18446744073709551615,"));
        free(lines);
        report_free(&r);
    }
}

/* What a thread says is about its target. */
static void events_name_the_target_of_their_thread(void **state) {
    (void)state;
    struct capture c = capture_start();
    log_set_target("tcp://\x1b/a");
    json_error(NULL, &(struct err){.code = EXIT_SOCKET, .msg = "one"});
    log_set_target(NULL);
    json_error(NULL, &(struct err){.code = EXIT_SOCKET, .msg = "two"});
    char *lines = capture_end(&c);
    const char *second = assert_event(lines);
    assert_non_null(strstr(lines, "\"target\":\"tcp://\\u001b/a\""));
    assert_null(strstr(second, "target"));
    free(lines);
}

static int quiet(void **state) {
    (void)state;
    log_setup("test", LOG_ERROR);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lack_of_space_is_worse_than_all_other_failures),
        cmocka_unit_test(failures_are_events_and_leave_the_worst_code),
        cmocka_unit_test(a_peer_makes_only_so_many_lines),
        cmocka_unit_test(peers_make_only_so_many_lines_in_all),
        cmocka_unit_test(sessions_make_only_so_many_lines),
        cmocka_unit_test(summary_holds_the_counters),
        cmocka_unit_test(progress_goes_forward_and_ends_with_the_totals),
        cmocka_unit_test(a_session_counts_on_where_a_lost_one_ended),
        cmocka_unit_test(one_display_adds_up_several_reports),
        cmocka_unit_test(any_number_of_bytes_in_a_moment_can_be_shown),
        cmocka_unit_test(events_name_the_target_of_their_thread),
    };
    return cmocka_run_group_tests_name("report", tests, quiet, NULL);
}
