/* Who may come back to a session, when its listener knows several. */
#include "door_help.h"

#include "os/os.h"
#include "program/lanes.h"
#include "program/registry.h"

enum { SESSIONS = 2 };

static struct registry *registry;
static struct listener *listener;
static struct line lines[SESSIONS];
static struct key *key;
static struct door door;

static int start(void **state) {
    static const uint8_t bytes[32];
    (void)state;
    key = key_new((struct span){bytes, sizeof bytes});
    registry = registry_new();
    door_make(&door);
    listener = must_listen(door.address, "");
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct line *line = &lines[i];
        *line = (struct line){.role = ROLE_RECEIVER, .resumable = true};
        os_mutex_init(&line->lock);
        os_cond_init(&line->changed);
        line->peer = door_peer();
        line->agreed.version = 1;
        memset(line->agreed.session_id, (int)i, SESSION_ID_SIZE);
        registry_add(registry, line);
    }
    return 0;
}

static int stop(void **state) {
    (void)state;
    for (unsigned i = 0; i < SESSIONS; i++) {
        registry_remove(registry, &lines[i]);
        lanes_close(&lines[i]);
        (void)stream_close(lines[i].offered, NULL);
        line_free(&lines[i]);
    }
    listener_close(listener);
    registry_free(registry);
    key_free(key);
    return 0;
}

static struct comeback comeback_to(unsigned session) {
    struct comeback back = {.version = 1, .role = ROLE_SENDER, .intent = INTENT_RESUME, .processed = 7};
    memset(back.session_id, (int)session, SESSION_ID_SIZE);
    return back;
}

/* This process dials, and comes back to a session: whether that has the stream. */
static bool is_taken(const struct comeback *back) {
    struct conn *dialler = must_dial(door.address, "");
    struct stream *stream;
    assert_int_equal(stream_new(must_accept(listener), PATIENT_MS, &stream, NULL), 0);
    bool taken = registry_offer(registry, back, stream);
    if (!taken)
        (void)stream_close(stream, NULL);
    (void)conn_close(dialler, NULL);
    return taken;
}

static void the_session_of_that_id_gets_the_stream(void **state) {
    (void)state;
    struct comeback back = comeback_to(1);
    assert_true(is_taken(&back));
    assert_null(lines[0].offered);
    assert_non_null(lines[1].offered);
    assert_int_equal(lines[1].back.processed, 7);
    assert_true(atomic_load(&lines[1].broken));
}

/* And the session does not even notice. */
static void require_untouched(const struct line *line) {
    assert_null(line->offered);
    assert_false(atomic_load(&line->broken));
}

static void an_unknown_id_is_nobodys(void **state) {
    (void)state;
    struct comeback back = comeback_to(2);
    assert_false(is_taken(&back));
    require_untouched(&lines[0]);
    require_untouched(&lines[1]);
}

static void another_user_cannot_come_back(void **state) {
    (void)state;
    struct comeback back = comeback_to(1);
    lines[1].peer = door_stranger();
    assert_false(is_taken(&back));
    lines[1].peer = (struct peer_id){.kind = PEER_VSOCK, .cid = 3};
    assert_false(is_taken(&back));
    require_untouched(&lines[1]);
}

static void a_session_with_a_key_is_for_who_proved_it(void **state) {
    (void)state;
    struct comeback back = comeback_to(1);
    lines[1].agreed.key = key;
    assert_false(is_taken(&back));
    require_untouched(&lines[1]);
    back.proven = true;
    assert_true(is_taken(&back));
}

static void a_session_that_began_without_a_key_is_for_nobody_with_one(void **state) {
    (void)state;
    struct comeback back = comeback_to(1);
    back.proven = true;
    assert_false(is_taken(&back));
    require_untouched(&lines[1]);
}

/* Whoever has seen an id, and begins a session of the same, takes nothing from the one whose it is. */
static void a_copied_id_takes_no_comeback_away(void **state) {
    (void)state;
    struct comeback back = comeback_to(0);
    memcpy(lines[1].agreed.session_id, lines[0].agreed.session_id, SESSION_ID_SIZE);
    lines[1].peer = door_stranger();
    assert_true(is_taken(&back));
    assert_non_null(lines[0].offered);
    require_untouched(&lines[1]);
}

static void a_session_that_cannot_be_resumed_takes_none_back(void **state) {
    (void)state;
    struct comeback back = comeback_to(1);
    lines[1].resumable = false;
    assert_false(is_taken(&back));
    require_untouched(&lines[1]);
}

static bool joins(unsigned session, uint16_t stream) {
    struct comeback back = comeback_to(session);
    back.intent = INTENT_JOIN;
    back.stream = stream;
    return is_taken(&back);
}

static void a_further_stream_joins_a_session_that_has_room_for_it(void **state) {
    (void)state;
    lines[1].agreed.streams = 3;
    assert_int_equal(lanes_new(&lines[1], NULL), 0);
    assert_false(joins(0, 1)); /* one stream was agreed on */
    assert_false(joins(2, 1)); /* no such session */
    assert_false(joins(1, 3)); /* 0, 1 and 2 there are */
    assert_true(joins(1, 2));
    assert_false(joins(1, 2)); /* each once */
    assert_true(joins(1, 1));
    require_untouched(&lines[1]);
}

static void no_stream_joins_a_session_that_is_broken_or_over(void **state) {
    (void)state;
    lines[1].agreed.streams = 2;
    assert_int_equal(lanes_new(&lines[1], NULL), 0);
    atomic_store(&lines[1].broken, true);
    assert_false(joins(1, 1));
    atomic_store(&lines[1].broken, false);
    lines[1].over = true;
    assert_false(joins(1, 1));
    lines[1].over = false;
    lines[1].peer = door_stranger();
    assert_false(joins(1, 1));
    lines[1].peer = door_peer();
    assert_true(joins(1, 1));
}

static void peers_may_return_unless_the_system_says_otherwise(void **state) {
    (void)state;
    static const struct peer_id ids[] = {
        {.kind = PEER_UNKNOWN},
        {.kind = PEER_TCP},
        {.kind = PEER_VSOCK, .cid = 3},
        {.kind = PEER_VSOCK, .cid = 4},
        {.kind = PEER_UNIX, .uid = 3},
        {.kind = PEER_UNIX, .uid = 4},
        {.kind = PEER_HYPERV, .vm = {{1}}},
        {.kind = PEER_HYPERV, .vm = {{2}}},
    };
    enum { COUNT = sizeof ids / sizeof ids[0] };
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned k = 0; k < COUNT; k++) {
            assert_int_equal(peer_may_be_same(&ids[i], &ids[k]), i == k);
            assert_int_equal(peer_is_same(&ids[i], &ids[k]), i == k && i > 1);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_session_of_that_id_gets_the_stream, start, stop),
        cmocka_unit_test_setup_teardown(an_unknown_id_is_nobodys, start, stop),
        cmocka_unit_test_setup_teardown(another_user_cannot_come_back, start, stop),
        cmocka_unit_test_setup_teardown(a_session_with_a_key_is_for_who_proved_it, start, stop),
        cmocka_unit_test_setup_teardown(a_session_that_began_without_a_key_is_for_nobody_with_one, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_copied_id_takes_no_comeback_away, start, stop),
        cmocka_unit_test_setup_teardown(a_session_that_cannot_be_resumed_takes_none_back, start, stop),
        cmocka_unit_test_setup_teardown(a_further_stream_joins_a_session_that_has_room_for_it, start, stop),
        cmocka_unit_test_setup_teardown(no_stream_joins_a_session_that_is_broken_or_over, start, stop),
        cmocka_unit_test(peers_may_return_unless_the_system_says_otherwise),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
