/* Events for scripts: whatever is in a name, an event is one line of JSON from which the name comes back. */
#include "json_help.h"

#include "core/path.h"
#include "program/report_impl.h"

/* The line of one event with this path and message. */
static char *line_of(const char *path, const char *message) {
    struct json *j = malloc(sizeof *j);
    struct capture c = capture_start();
    json_begin(j, "test");
    if (path)
        json_path(j, "path", path);
    if (message)
        json_string(j, "message", message);
    json_end(j);
    free(j);
    char *line = capture_end(&c);
    assert_string_equal(assert_event(line), "");
    assert_field_text(line, "type", "test");
    return line;
}

static void assert_path_comes_back(const char *path) {
    char *line = line_of(path, NULL);
    assert_field_text(line, "path", path);
    assert_null(event_field(line, "path_b64"));
    free(line);
}

static void names_with_quotes_and_controls_come_back(void **state) {
    (void)state;
    char all[128];
    for (int i = 1; i < 128; i++)
        all[i - 1] = (char)i;
    all[127] = '\0';
    assert_path_comes_back(all);
    assert_path_comes_back("");
    assert_path_comes_back("\"");
    assert_path_comes_back("\\");
    assert_path_comes_back("a\\\"b\\");
    assert_path_comes_back("dir/\n{\"type\":\"summary\"}\n");
    assert_path_comes_back("\xC3\xA4/\xE2\x82\xAC/\xF0\x9F\x98\x80"); /* ä/€/😀 */
    assert_path_comes_back("\xC2\x80\xC2\x9B"
                           "31m\xC2\x9F\xC2\xA0");
}

static void no_control_reaches_a_terminal(void **state) {
    (void)state;
    char *line = line_of("\x1B[2J\x7F\xC2\x9B"
                         "0c",
                         "\x1B]0;title\x07\xC2\x9D");
    for (const char *s = line; *s && *s != '\n'; s++) {
        assert_true((unsigned char)*s >= 0x20 && *s != 0x7F);
        assert_false((unsigned char)s[0] == 0xC2 && (unsigned char)s[1] < 0xA0);
    }
    free(line);
}

/* Decodes what stands between the quotes; strict about length and padding. */
static size_t decode_base64(const char *s, uint8_t *to) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strcspn(s, "\""), used = 0;
    assert_int_equal(n % 4, 0);
    for (size_t i = 0; i < n; i += 4) {
        uint32_t v = 0;
        unsigned padding = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *d = s[i + k] == '=' ? NULL : strchr(digits, s[i + k]);
            assert_true(d != NULL || (s[i + k] == '=' && i + 4 == n && k >= 2));
            assert_true(d == NULL || padding == 0);
            padding += d == NULL;
            v = v << 6 | (d ? (uint32_t)(d - digits) : 0);
        }
        for (unsigned k = 0; k < 3 - padding; k++)
            to[used++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return used;
}

static void assert_base64_comes_back(const char *path) {
    char *line = line_of(path, NULL);
    const char *raw = event_field(line, "path_b64");
    assert_non_null(raw);
    assert_null(event_field(line, "path"));
    uint8_t *got = malloc(strlen(line));
    assert_int_equal(decode_base64(raw + 1, got), strlen(path));
    assert_memory_equal(got, path, strlen(path));
    free(got);
    free(line);
}

static void names_that_are_not_utf8_come_back_from_base64(void **state) {
    (void)state;
    static const char *const names[] = {
        "\xFF",         "a\xFF",         "ab\xFF", "abc\xFF", "\x80\x81\x82\x83\x84", "\xC0\x80",
        "\xED\xA0\x80", "dir/\xE9t\xE9", "\xC2",   "x\xC2",   "\xF4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_base64_comes_back(names[i]);
    char all[256];
    for (int i = 1; i < 256; i++)
        all[i - 1] = (char)i;
    all[255] = '\0';
    assert_base64_comes_back(all);
}

static char *longest_path(char c) {
    char *path = malloc(PATH_BYTES_MAX);
    memset(path, c, PATH_BYTES_MAX - 1);
    for (size_t i = NAME_BYTES_MAX; i < PATH_BYTES_MAX - 1; i += NAME_BYTES_MAX + 1)
        path[i] = '/';
    path[PATH_BYTES_MAX - 1] = '\0';
    return path;
}

static void longest_names_fit(void **state) {
    (void)state;
    static const char fill[] = {'a', '\x01', '"', '\x7F'};
    for (size_t i = 0; i < sizeof fill; i++) {
        char *path = longest_path(fill[i]);
        assert_path_comes_back(path);
        free(path);
    }
    char *path = longest_path('\xFF');
    assert_base64_comes_back(path);
    free(path);
}

static void longest_name_and_message_fit_together(void **state) {
    (void)state;
    struct err err = {.code = EXIT_NO_SPACE};
    memset(err.msg, '\x02', sizeof err.msg - 1);
    char *path = longest_path('\x01');
    struct capture c = capture_start();
    json_error(path, &err);
    char *line = capture_end(&c);
    assert_string_equal(assert_event(line), "");
    assert_field_text(line, "type", "error");
    assert_field_number(line, "code", EXIT_NO_SPACE);
    assert_field_text(line, "path", path);
    assert_field_text(line, "message", err.msg);
    free(line);
    free(path);
}

static void message_that_was_cut_within_a_character_is_still_utf8(void **state) {
    (void)state;
    char *line = line_of("f", "cannot write \xE2\x82");
    assert_non_null(event_field(line, "message"));
    assert_non_null(strstr(line, "cannot write "));
    free(line);
}

static void only_what_may_pass_by_itself_is_retryable(void **state) {
    (void)state;
    static const struct {
        int code;
        bool again;
    } rows[] = {{EXIT_USAGE, false},    {EXIT_REFUSED, false}, {EXIT_SOCKET, true},  {EXIT_FILE_IO, false},
                {EXIT_STREAM, true},    {EXIT_PARTIAL, false}, {EXIT_TIMEOUT, true}, {EXIT_VANISHED, true},
                {EXIT_NO_SPACE, false}, {EXIT_VERIFY, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {.code = rows[i].code, .msg = "text"};
        struct capture c = capture_start();
        json_error(NULL, &err);
        char *line = capture_end(&c);
        assert_string_equal(assert_event(line), "");
        assert_null(event_field(line, "path"));
        assert_int_equal(event_field(line, "retryable")[0], rows[i].again ? 't' : 'f');
        free(line);
    }
}

static void every_kind_of_value_is_written(void **state) {
    (void)state;
    struct json *j = malloc(sizeof *j);
    struct capture c = capture_start();
    json_begin(j, "all");
    json_number(j, "zero", 0);
    json_number(j, "most", UINT64_MAX);
    json_real(j, "real", 1.5);
    json_open(j, "object");
    json_number(j, "inner", 7);
    json_close(j);
    json_open(j, "nothing");
    json_close(j);
    json_bool(j, "yes", true);
    json_bool(j, "no", false);
    json_end(j);
    free(j);
    char *line = capture_end(&c);
    assert_string_equal(line, "{\"type\":\"all\",\"zero\":0,\"most\":18446744073709551615,\"real\":1.500,"
                              "\"object\":{\"inner\":7},\"nothing\":{},\"yes\":true,\"no\":false}\n");
    assert_string_equal(assert_event(line), "");
    free(line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_quotes_and_controls_come_back),
        cmocka_unit_test(no_control_reaches_a_terminal),
        cmocka_unit_test(names_that_are_not_utf8_come_back_from_base64),
        cmocka_unit_test(longest_names_fit),
        cmocka_unit_test(longest_name_and_message_fit_together),
        cmocka_unit_test(message_that_was_cut_within_a_character_is_still_utf8),
        cmocka_unit_test(only_what_may_pass_by_itself_is_retryable),
        cmocka_unit_test(every_kind_of_value_is_written),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
