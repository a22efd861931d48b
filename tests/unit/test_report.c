/* The report: the worst code wins, counters end up in the summary, progress only goes forward. */
#include "json_help.h"

#include "core/log.h"
#include "program/report.h"

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

static void summary_holds_the_counters(void **state) {
    (void)state;
    struct report r;
    report_init(&r, &(struct report_style){.role = "sender", .json = true, .progress_fd = -1});
    struct capture c = capture_start();
    report_start(&r, "unix:/x.sock");
    count(&r.files_committed, 3);
    count(&r.bytes_committed, 1ULL << 40);
    count(&r.chunks_resent, 2);
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

static int quiet(void **state) {
    (void)state;
    log_setup("test", LOG_ERROR);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lack_of_space_is_worse_than_all_other_failures),
        cmocka_unit_test(failures_are_events_and_leave_the_worst_code),
        cmocka_unit_test(summary_holds_the_counters),
        cmocka_unit_test(progress_goes_forward_and_ends_with_the_totals),
    };
    return cmocka_run_group_tests_name("report", tests, quiet, NULL);
}
