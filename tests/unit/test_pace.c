/* Messages that come piece by piece, by a clock of the test's own. */
#include "stream_help.h"

#include "os/os.h"
#include "program/stream.h"

#include "sockets_help.h"

enum { BODY = 200 * 1024, TIMEOUT_MS = 60000 };

static int64_t now_ms;
static struct stream *stream;
static int peer;
static uint8_t message[FRAME_HEADER_SIZE + BODY];
static size_t written;

int64_t __wrap_os_now_ms(void);
int64_t __wrap_os_now_ms(void) {
    return now_ms;
}

static int begin(void **state) {
    (void)state;
    static const uint8_t body[BODY];
    const struct frame frame = {.type = MSG_ENTRIES, .body_length = BODY, .order = 1};
    struct conn *conn;
    int fds[2];
    sockets_pair(fds);
    peer = fds[1];
    now_ms = 1000000;
    written = 0;
    frame_encode(&frame, body, message);
    return conn_from_fd(fds[0], "peer", &conn, NULL) == 0 &&
                   stream_new(conn, TIMEOUT_MS, &stream, NULL) == 0 &&
                   stream_open_up(stream, CHUNK_SIZE_MIN, NULL) == 0
               ? 0
               : -1;
}

static int end(void **state) {
    (void)state;
    (void)stream_close(stream, NULL);
    socket_close(peer);
    return 0;
}

/* n more bytes of the message come after so long; what is read then. */
static enum stream_result piece(size_t n, int after_ms, struct err *err) {
    struct item *item = NULL;
    now_ms += after_ms;
    n = n < sizeof message - written ? n : sizeof message - written;
    assert_int_equal(socket_write(peer, message + written, n), n);
    written += n;
    enum stream_result result = stream_recv(stream, NULL, 0, &item, err);
    item_free(item);
    return result;
}

static enum stream_result all_in_pieces(size_t n, int after_ms, struct err *err) {
    enum stream_result result = STREAM_QUIET;
    while (result == STREAM_QUIET && written < sizeof message)
        result = piece(n, after_ms, err);
    return result;
}

static void requires_failure(size_t n, int after_ms) {
    struct err err = {.code = 0};
    assert_int_equal(all_in_pieces(n, after_ms, &err), STREAM_FAILED);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    assert_says(&err, "fewer than 100 bytes a second");
    assert_true(written <= 6 * n); /* the first ones may have come at once */
}

static void small_pieces_that_come_slowly_break_the_stream(void **state) {
    (void)state;
    requires_failure(1000, 30000);
}

static void so_do_larger_ones(void **state) {
    (void)state;
    requires_failure(4096, 58000);
}

static void so_do_those_that_are_nearly_enough(void **state) {
    (void)state;
    requires_failure(5900, 59990);
}

static void what_is_fast_enough_is_taken(void **state) {
    (void)state;
    struct err err = {.code = 0};
    assert_int_equal(all_in_pieces(6200, 59000, &err), STREAM_ITEM);
}

static void so_is_what_comes_in_smaller_pieces(void **state) {
    (void)state;
    struct err err = {.code = 0};
    assert_int_equal(all_in_pieces(300, 2900, &err), STREAM_ITEM);
}

#define PACE_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        PACE_TEST(small_pieces_that_come_slowly_break_the_stream),
        PACE_TEST(so_do_larger_ones),
        PACE_TEST(so_do_those_that_are_nearly_enough),
        PACE_TEST(what_is_fast_enough_is_taken),
        PACE_TEST(so_is_what_comes_in_smaller_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
