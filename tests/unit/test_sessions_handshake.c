/* How sessions begin: what two ends agree on, and what they refuse. */
#include "session_peer.h"

#include "sockets_help.h"

static struct stage_set set;

static int start(void **state) {
    (void)state;
    stage_set_up(&set);
    return 0;
}

static int stop(void **state) {
    (void)state;
    stage_set_free(&set);
    return 0;
}

/* ---- two ends that agree ------------------------------------------------------------------------------------ */

struct half {
    struct handshake ours;
    struct stream *stream;
    struct agreement agreed;
    int result;
    struct err err;
    struct os_thread thread;
};

static void *shake(void *arg) {
    struct half *h = arg;
    h->result = handshake(h->stream, &h->ours, PATIENT_MS, &h->agreed, &h->err);
    return NULL;
}

/* Both handshakes, back to back. */
static void meet(struct half *dialler, struct half *listener) {
    int fds[2];
    struct half *halves[] = {dialler, listener};
    sockets_pair(fds);
    for (unsigned i = 0; i < 2; i++) {
        struct conn *conn;
        halves[i]->ours.dialler = i == 0;
        assert_int_equal(conn_from_fd(fds[i], "peer", &conn, NULL), 0);
        assert_int_equal(stream_new(conn, PATIENT_MS, &halves[i]->stream, NULL), 0);
        assert_int_equal(os_thread_start(&halves[i]->thread, "half", shake, halves[i], NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        os_thread_join(&halves[i]->thread);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(stream_close(halves[i]->stream, NULL), 0);
}

static struct half half_of(enum role role, uint32_t chunk_size, uint64_t features) {
    return (struct half){.ours = {.role = role, .chunk_size = chunk_size, .features = features}};
}

static void require_agreed(struct half *a, struct half *b) {
    assert_int_equal(a->result, 0);
    assert_int_equal(b->result, 0);
    assert_memory_equal(a->agreed.session_id, b->agreed.session_id, SESSION_ID_SIZE);
    assert_int_equal(a->agreed.codecs, b->agreed.codecs);
    assert_int_equal(a->agreed.chunk_size, b->agreed.chunk_size);
    assert_int_equal(a->agreed.features, b->agreed.features);
    assert_int_equal(a->agreed.our_window, b->agreed.their_window);
    assert_int_equal(b->agreed.our_window, a->agreed.their_window);
    assert_string_equal(a->agreed.agent, b->agreed.agent);
}

static void smaller_chunk_size_is_chosen(void **state) {
    (void)state;
    static const uint32_t sizes[] = {CHUNK_SIZE_MIN, 100000, CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX};
    for (unsigned i = 0; i < 4 * 4 * 2; i++) {
        uint32_t one = sizes[i % 4], two = sizes[i / 4 % 4];
        struct half a = half_of(i < 16 ? ROLE_SENDER : ROLE_RECEIVER, one, 0);
        struct half b = half_of(i < 16 ? ROLE_RECEIVER : ROLE_SENDER, two, 0);
        meet(&a, &b);
        require_agreed(&a, &b);
        assert_int_equal(a.agreed.chunk_size, one < two ? one : two);
    }
}

static void common_features_are_chosen(void **state) {
    (void)state;
    struct half a = half_of(ROLE_SENDER, PAIR_CHUNK, FEATURE_CHECK | FEATURE_DELTA);
    struct half b = half_of(ROLE_RECEIVER, PAIR_CHUNK, FEATURE_CHECK | FEATURE_DELETE);
    meet(&a, &b);
    require_agreed(&a, &b);
    assert_int_equal(a.agreed.features, FEATURE_CHECK);
    b.ours.features = UINT64_C(1) << 40;
    meet(&b, &a);
    require_agreed(&a, &b);
    assert_int_equal(a.agreed.features, 0);
}

static void windows_are_those_of_the_roles(void **state) {
    (void)state;
    struct half a = half_of(ROLE_SENDER, PAIR_CHUNK, 0);
    struct half b = half_of(ROLE_RECEIVER, CHUNK_SIZE_MAX, 0);
    meet(&a, &b);
    require_agreed(&a, &b);
    assert_int_equal(a.agreed.our_window, window_for(ROLE_SENDER, PAIR_CHUNK));
    assert_int_equal(b.agreed.our_window, window_for(ROLE_RECEIVER, CHUNK_SIZE_MAX));
    assert_true(b.agreed.our_window >= 2 * (FRAME_COST + (uint64_t)BODY_MAX) + 2 * (uint64_t)CHUNK_SIZE_MAX);
}

static void every_session_has_its_own_id(void **state) {
    (void)state;
    struct half a = half_of(ROLE_SENDER, PAIR_CHUNK, 0), b = half_of(ROLE_RECEIVER, PAIR_CHUNK, 0);
    struct half c = a, d = b;
    meet(&a, &b);
    meet(&c, &d);
    require_agreed(&a, &b);
    require_agreed(&c, &d);
    assert_true(memcmp(a.agreed.session_id, c.agreed.session_id, SESSION_ID_SIZE) != 0);
}

static void equal_roles_are_refused_at_both_ends(void **state) {
    (void)state;
    for (int role = ROLE_SENDER; role <= ROLE_RECEIVER; role++) {
        struct half a = half_of((enum role)role, PAIR_CHUNK, 0), b = half_of((enum role)role, PAIR_CHUNK, 0);
        meet(&a, &b);
        assert_int_equal(a.result, -1);
        assert_int_equal(b.result, -1);
        assert_int_equal(a.err.code, EXIT_REFUSED);
        assert_int_equal(b.err.code, EXIT_REFUSED);
        assert_non_null(strstr(b.err.msg, "both ends want to be"));
    }
}

/* ---- sessions over what was agreed ---------------------------------------------------------------------------- */

static void sessions_run_with_the_smaller_chunk_size(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {
        {CHUNK_SIZE_MIN, CHUNK_SIZE_MAX}, {CHUNK_SIZE_MAX, CHUNK_SIZE_MIN}, {100000, 70000}};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        struct pair_options opt = {.codec = CODEC_ZLIB,
                                   .receiver_dials = i % 2,
                                   .sender_chunk = sizes[i / 2][0],
                                   .receiver_chunk = sizes[i / 2][1]};
        struct pair_result r;
        pair_require(stage_run_fault(&set, &opt, &r), &opt, &r);
        for (unsigned k = 0; k < r.passed[TO_RECEIVER].count; k++)
            assert_true(r.passed[TO_RECEIVER].frames[k].data_length <= 70000);
    }
}

static void pull_brings_only_what_was_asked_for(void **state) {
    (void)state;
    static const char *const selects[] = {"a/b", "middle"};
    struct pair_options opt = {
        .codec = CODEC_ZLIB, .receiver_dials = true, .selects = selects, .select_count = 2};
    struct pair_result r;
    pair_require(stage_run(&set, &opt, &r), &opt, &r);
    assert_int_equal(r.sender.code, 0);
    assert_int_equal(r.receiver.code, 0);
    assert_int_equal(r.receiver.committed, 2);
    assert_int_equal(r.receiver.skipped, 0);
    assert_true(exists(set.dest, "a/b/three"));
    assert_true(exists(set.dest, "middle"));
    assert_false(exists(set.dest, "sparse"));
}

static void comparison_by_content_sends_what_differs(void **state) {
    (void)state;
    for (unsigned combination = 0; combination < 4; combination++) {
        struct pair_options opt = {
            .codec = CODEC_ZLIB,
            .sender_serial = combination & 1,
            .receiver_serial = combination & 2,
            .flags = OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES | OPT_CHECKSUM,
        };
        struct pair_result r;
        stage_set_reset(&set);
        pair_require(stage_run_fault(&set, &opt, &r), &opt, &r);
        assert_int_equal(r.sender.skipped, 1);
        assert_int_equal(r.receiver.skipped, 1);
    }
}

/* ---- a peer that says other things ------------------------------------------------------------------------------ */

static void say_preamble(struct peer *p, uint16_t min, uint16_t max) {
    uint8_t bytes[PREAMBLE_SIZE];
    struct preamble preamble = {.version_min = min, .version_max = max};
    struct err err;
    preamble_encode(&preamble, bytes);
    assert_int_equal(stream_send_raw(p->stream, bytes, sizeof bytes, &err), 0);
}

static void hear_preamble(struct peer *p) {
    uint8_t bytes[PREAMBLE_SIZE];
    size_t got;
    struct err err;
    assert_int_equal(stream_recv_raw(p->stream, bytes, sizeof bytes, os_now_ms() + PATIENT_MS, &got, &err),
                     0);
}

static struct msg_hello usual_hello(void) {
    return (struct msg_hello){
        .version = 1,
        .role = ROLE_SENDER,
        .intent = INTENT_NEW,
        .codecs = 1,
        .chunk_size = PAIR_CHUNK,
        .window = window_for(ROLE_SENDER, PAIR_CHUNK),
        .streams = 1,
    };
}

static struct item *hello_item(uint8_t type, const struct msg_hello *m) {
    struct item *item = item_new(type, 1024);
    assert_non_null(item);
    struct wr w = item_writer(item);
    msg_hello_encode(&w, m);
    item_written(item, &w);
    return item;
}

/* What a listening receiver does with this HELLO: the code it ends with once the peer is gone. The answer is of the
 * type `expected`. */
static int code_after_hello(const struct msg_hello *m, uint8_t expected) {
    struct pair_options opt = {0};
    struct peer peer;
    struct side side;
    struct real_end *e = real_end_start(ROLE_RECEIVER, &opt, set.dest, false, &peer);
    say_preamble(&peer, 1, 1);
    hear_preamble(&peer);
    assert_true(peer_say(&peer, hello_item(MSG_HELLO, m)));
    assert_true(peer_hear(&peer, expected, NULL));
    real_end_join(e, &peer, &side);
    assert_true(side.message[0] != '\0');
    return side.code;
}

static void other_versions_are_a_protocol_mismatch(void **state) {
    (void)state;
    for (int role = ROLE_SENDER; role <= ROLE_RECEIVER; role++) {
        struct pair_options opt = {0};
        struct peer peer;
        struct side side;
        struct os_dir dir = role == ROLE_SENDER ? set.source : set.dest;
        struct real_end *e = real_end_start((enum role)role, &opt, dir, false, &peer);
        hear_preamble(&peer);
        say_preamble(&peer, 2, 3);
        real_end_join(e, &peer, &side);
        assert_int_equal(side.code, EXIT_PROTOCOL);
    }
}

static void newer_peer_that_speaks_this_version_too_is_welcome(void **state) {
    (void)state;
    struct pair_options opt = {0};
    struct msg_hello hello = usual_hello();
    struct peer peer;
    struct side side;
    struct real_end *e = real_end_start(ROLE_RECEIVER, &opt, set.dest, false, &peer);
    say_preamble(&peer, 1, 9);
    hear_preamble(&peer);
    assert_true(peer_say(&peer, hello_item(MSG_HELLO, &hello)));
    assert_true(peer_hear(&peer, MSG_WELCOME, NULL));
    real_end_join(e, &peer, &side);
    assert_int_equal(side.code, EXIT_STREAM); /* the test hung up */
}

static void unknown_optional_tag_is_passed_over(void **state) {
    (void)state;
    uint8_t tags[64];
    struct wr w = wr_of(tags, sizeof tags);
    struct msg_hello hello = usual_hello();
    tag_encode(&w, 0x0777, "later", 5);
    hello.tags = (struct span){.p = tags, .n = wr_used(&w)};
    assert_int_equal(code_after_hello(&hello, MSG_WELCOME), EXIT_STREAM); /* the test hung up */
}

static void unknown_critical_tag_is_refused(void **state) {
    (void)state;
    uint8_t tags[64];
    struct wr w = wr_of(tags, sizeof tags);
    struct msg_hello hello = usual_hello();
    tag_encode(&w, TAG_CRITICAL | 0x0777, "later", 5);
    hello.tags = (struct span){.p = tags, .n = wr_used(&w)};
    assert_int_equal(code_after_hello(&hello, MSG_REJECT), EXIT_UNSUPPORTED);
}

static void joining_and_resuming_are_refused(void **state) {
    (void)state;
    struct msg_hello hello = usual_hello();
    hello.intent = INTENT_RESUME;
    assert_int_equal(code_after_hello(&hello, MSG_REJECT), EXIT_UNSUPPORTED);
    hello.intent = INTENT_JOIN;
    hello.stream = 1;
    hello.streams = 2;
    assert_int_equal(code_after_hello(&hello, MSG_REJECT), EXIT_UNSUPPORTED);
}

static void hello_of_the_wrong_role_is_refused(void **state) {
    (void)state;
    struct msg_hello hello = usual_hello();
    hello.role = ROLE_RECEIVER;
    hello.window = window_for(ROLE_RECEIVER, PAIR_CHUNK);
    assert_int_equal(code_after_hello(&hello, MSG_REJECT), EXIT_REFUSED);
}

static void hello_with_another_version_than_agreed_is_refused(void **state) {
    (void)state;
    struct msg_hello hello = usual_hello();
    hello.version = 2;
    assert_int_equal(code_after_hello(&hello, MSG_REJECT), EXIT_STREAM);
}

static void other_messages_are_no_hello(void **state) {
    (void)state;
    static const uint8_t types[] = {MSG_WELCOME, MSG_AUTH, MSG_START, MSG_ACK, MSG_HEARTBEAT};
    for (size_t i = 0; i < sizeof types; i++) {
        struct pair_options opt = {0};
        struct msg_hello hello = usual_hello();
        struct peer peer;
        struct side side;
        struct real_end *e = real_end_start(ROLE_RECEIVER, &opt, set.dest, false, &peer);
        say_preamble(&peer, 1, 1);
        hear_preamble(&peer);
        assert_true(peer_say(&peer, types[i] == MSG_WELCOME ? hello_item(MSG_WELCOME, &hello)
                                                            : say_any(types[i], peer.pool)));
        assert_true(peer_hear(&peer, MSG_REJECT, NULL));
        real_end_join(e, &peer, &side);
        assert_int_equal(side.code, EXIT_STREAM);
    }
}

static void welcome_with_more_than_was_offered_is_refused(void **state) {
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct pair_options opt = {0};
        struct peer peer;
        struct side side;
        struct item *item = NULL;
        struct msg_hello hello;
        struct real_end *e = real_end_start(ROLE_SENDER, &opt, set.source, false, &peer);
        say_preamble(&peer, 1, 1);
        hear_preamble(&peer);
        assert_true(peer_hear(&peer, MSG_HELLO, &item));
        assert_int_equal(msg_hello_decode(item_body(item), &hello, NULL), 0);
        hello.role = ROLE_RECEIVER;
        hello.window = window_for(ROLE_RECEIVER, CHUNK_SIZE_MAX);
        hello.tags = (struct span){.p = NULL};
        hello.chunk_size += i == 0;
        hello.codecs |= i == 1 ? UINT32_C(1) << 30 : 0;
        hello.features |= i == 2 ? FEATURE_DELETE : 0;
        hello.session_id[0] ^= i == 3;
        assert_true(peer_say(&peer, hello_item(MSG_WELCOME, &hello)));
        assert_true(peer_hear(&peer, MSG_ABORT, NULL));
        item_free(item);
        real_end_join(e, &peer, &side);
        assert_int_equal(side.code, EXIT_STREAM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smaller_chunk_size_is_chosen),
        cmocka_unit_test(common_features_are_chosen),
        cmocka_unit_test(windows_are_those_of_the_roles),
        cmocka_unit_test(every_session_has_its_own_id),
        cmocka_unit_test(equal_roles_are_refused_at_both_ends),
        cmocka_unit_test(sessions_run_with_the_smaller_chunk_size),
        cmocka_unit_test(pull_brings_only_what_was_asked_for),
        cmocka_unit_test(comparison_by_content_sends_what_differs),
        cmocka_unit_test(other_versions_are_a_protocol_mismatch),
        cmocka_unit_test(newer_peer_that_speaks_this_version_too_is_welcome),
        cmocka_unit_test(unknown_optional_tag_is_passed_over),
        cmocka_unit_test(unknown_critical_tag_is_refused),
        cmocka_unit_test(joining_and_resuming_are_refused),
        cmocka_unit_test(hello_of_the_wrong_role_is_refused),
        cmocka_unit_test(hello_with_another_version_than_agreed_is_refused),
        cmocka_unit_test(other_messages_are_no_hello),
        cmocka_unit_test(welcome_with_more_than_was_offered_is_refused),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
