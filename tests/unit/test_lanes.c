/* Further streams of a session that breaks and goes on. */
#include "door_help.h"

#include "os/os.h"
#include "program/lanes.h"
#include "program/registry.h"

enum { CHUNK = 65536, CREDIT = 1 << 20, UNUSED_MS = 50 };

static struct door door;
static struct registry *registry;
static struct listener *listener;
static struct way way;
static struct report report;
static struct line line;
static struct run run;
static struct conn
    *dialled[3]; /* the peer's ends: of the first stream, of the next first one, of a further one */
static bool joined, early; /* early: the further stream was used before the session went on */
static struct os_mutex lock;
static struct os_cond changed;
static bool used; /* lock; the lane has its stream */

/* The peer dials, and asks for what is in `back`, or begins; the stream at this end. */
static struct stream *accept_stream(unsigned i) {
    struct stream *stream;
    dialled[i] = must_dial(door.address, "");
    assert_int_equal(stream_new(must_accept(listener), PATIENT_MS, &stream, NULL), 0);
    return stream;
}

static bool is_taken(unsigned i, enum intent intent, uint16_t index) {
    struct comeback back = {.version = 1, .role = ROLE_SENDER, .intent = (uint8_t)intent, .stream = index};
    struct stream *stream = accept_stream(i);
    bool taken = registry_offer(registry, &back, stream);
    if (!taken)
        (void)stream_close(stream, NULL);
    return taken;
}

static bool lane_comes_to_use(int within_ms) {
    int64_t deadline = os_now_ms() + within_ms;
    os_lock(&lock);
    while (!used && os_cond_wait_until(&changed, &lock, deadline))
        ;
    bool result = used;
    os_unlock(&lock);
    return result;
}

/* Between WELCOME and the first message after it. */
static int prepare(void *ctx, struct ticketed *chain, struct err *err) {
    (void)ctx;
    (void)chain;
    (void)err;
    joined = is_taken(2, INTENT_JOIN, 1);
    early = lane_comes_to_use(UNUSED_MS);
    return 0;
}

static enum queue_result settle(void *ctx, int64_t deadline_ms, uint64_t *ret_processed) {
    (void)ctx;
    (void)deadline_ms;
    *ret_processed = 0;
    return QUEUE_OK;
}

static uint64_t progress(void *ctx) {
    (void)ctx;
    return 0;
}

static int start(void **state) {
    static const struct report_style style;
    (void)state;
    registry = registry_new();
    door_make(&door);
    listener = must_listen(door.address, "");
    report_init(&report, &style);
    run_init(&run);
    os_mutex_init(&lock);
    os_cond_init(&changed);
    joined = early = used = false;
    way = (struct way){.registry = registry, .grace_ms = PATIENT_MS};
    line = (struct line){.way = &way, .role = ROLE_RECEIVER, .timeout_ms = PATIENT_MS, .resumable = true};
    line.hooks = (struct line_hooks){settle, prepare, progress, NULL};
    line.back_by_ms = INT64_MAX;
    os_mutex_init(&line.lock);
    os_cond_init(&line.changed);
    line.peer = door_peer();
    line.agreed = (struct agreement){.version = 1, .chunk_size = CHUNK, .streams = 2};
    line.out = outbox_new(CREDIT, CHUNK);
    line.flight = flight_new();
    line.report = &report;
    line.stream = accept_stream(0);
    assert_int_equal(lanes_new(&line, NULL), 0);
    registry_add(registry, &line);
    return 0;
}

static int stop(void **state) {
    struct err err = {0};
    (void)state;
    line_cancel(&line);
    assert_int_equal(run_join(&run, &err), 0);
    registry_remove(registry, &line);
    lanes_close(&line);
    (void)stream_close(line.offered, NULL);
    (void)stream_close(line.stream, NULL);
    for (unsigned i = 0; i < sizeof dialled / sizeof dialled[0]; i++) {
        (void)conn_close(dialled[i], NULL);
        dialled[i] = NULL;
    }
    outbox_free(line.out);
    flight_free(line.flight);
    line_free(&line);
    os_cond_free(&changed);
    os_mutex_free(&lock);
    run_free(&run);
    report_free(&report);
    listener_close(listener);
    registry_free(registry);
    return 0;
}

static int use_lane(void *arg, struct err *err) {
    struct lane *lane = arg;
    struct stream *stream = lane_await(lane);
    os_lock(&lock);
    used = stream != NULL;
    os_cond_broadcast(&changed);
    os_unlock(&lock);
    while (stream) {
        struct item *item = NULL;
        (void)stream_recv(stream, NULL, PATIENT_MS, &item, err); /* until line_cancel */
        item_free(item);
        int result = lane_lost(lane, stream->broke, err);
        assert_int_equal(result, 0);
        stream = lane_await(lane);
    }
    return 0;
}

/* The peer takes the session for whole from WELCOME on. One that is refused then is not asked for again. */
static void a_stream_joins_as_soon_as_the_session_was_welcomed_back(void **state) {
    struct err err = {0};
    (void)state;
    assert_int_equal(lanes_start(&line, &run, use_lane, NULL, &err), 0);
    assert_true(is_taken(1, INTENT_RESUME, 0));
    assert_int_equal(line_recover(&line, STREAM_EOF, &err), 0);
    assert_true(joined);
    assert_false(early);
    assert_true(lane_comes_to_use(PATIENT_MS));
    assert_false(atomic_load(&line.broken));
}

/* What it asks for before belongs to streams that it still takes for whole, and has to give up. */
static void no_stream_joins_before_the_session_was_welcomed_back(void **state) {
    (void)state;
    assert_true(is_taken(1, INTENT_RESUME, 0));
    assert_false(is_taken(2, INTENT_JOIN, 1));
}

static void no_stream_joins_when_welcome_cannot_be_sent(void **state) {
    struct err err = {0};
    (void)state;
    way.grace_ms = 1;
    assert_true(is_taken(1, INTENT_RESUME, 0));
    conn_wake(line.offered->conn);
    assert_int_equal(line_recover(&line, STREAM_EOF, &err), -1);
    assert_false(is_taken(2, INTENT_JOIN, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stream_joins_as_soon_as_the_session_was_welcomed_back, start, stop),
        cmocka_unit_test_setup_teardown(no_stream_joins_before_the_session_was_welcomed_back, start, stop),
        cmocka_unit_test_setup_teardown(no_stream_joins_when_welcome_cannot_be_sent, start, stop),
    };
    return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
