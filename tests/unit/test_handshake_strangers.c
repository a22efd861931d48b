/* What a listener with a key tells somebody who has none, lets him do, and takes from him. */
#include "handshake_help.h"

/* ---- what a stranger gets to know, and to use --------------------------------------------------------------- */

static struct msg_hello hello_of_a_stranger(enum intent intent) {
    return (struct msg_hello){
        .version = 1,
        .role = ROLE_SENDER,
        .intent = (uint8_t)intent,
        .features = FEATURE_AUTH | FEATURE_RESUME,
        .codecs = 1,
        .chunk_size = CHUNK_SIZE_MIN,
        .window = window_for(ROLE_SENDER, CHUNK_SIZE_MIN),
        .streams = 1,
    };
}

static struct item *item_of_hello(const struct msg_hello *m, bool nonce) {
    static const uint8_t zeros[NONCE_SIZE];
    struct item *item = item_new(MSG_HELLO, HANDSHAKE_BODY_MAX);
    assert_non_null(item);
    struct wr w = item_writer(item);
    msg_hello_encode(&w, m);
    if (nonce)
        tag_encode(&w, TAG_NONCE, zeros, sizeof zeros);
    item_written(item, &w);
    return item;
}

/* What a listener with a key answers to this HELLO, and to an AUTH of zeros when it asks for one. */
static struct item *answer_to(const struct msg_hello *m, bool nonce, struct half *l) {
    half_start(l, ROLE_RECEIVER, false, key);
    greet_alone(l);
    say(l, item_of_hello(m, nonce));
    struct item *item = hear(l);
    assert_non_null(item);
    if (item->frame.type == MSG_CHALLENGE) {
        item_free(item);
        item = item_new(MSG_AUTH, MAC_SIZE);
        memset(item->body, 0, MAC_SIZE);
        item->frame.body_length = MAC_SIZE;
        say(l, item);
        item = must_hear(l, MSG_REJECT);
    }
    half_join(l);
    assert_int_equal(l->err.code, EXIT_REFUSED);
    return item;
}

static void a_stranger_is_told_the_same_whatever_is_wrong(void **state) {
    (void)state;
    struct msg_hello hellos[6];
    for (unsigned i = 0; i < 6; i++)
        hellos[i] = hello_of_a_stranger(INTENT_NEW);
    hellos[1].intent = INTENT_RESUME; /* of a session that does not exist */
    hellos[1].processed = 7;
    hellos[2].intent = INTENT_JOIN; /* which is not supported */
    hellos[2].stream = 1, hellos[2].streams = 2;
    hellos[3].role = ROLE_RECEIVER; /* that of the listener */
    hellos[3].window = window_for(ROLE_RECEIVER, CHUNK_SIZE_MIN);
    hellos[4].features = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct half l = {0};
        struct item *item = answer_to(&hellos[i], i != 5, &l);
        struct msg_text m;
        assert_int_equal(item->frame.type, MSG_REJECT);
        assert_int_equal(msg_text_decode(item_body(item), &m, NULL), 0);
        assert_int_equal(m.code, EXIT_REFUSED);
        assert_int_equal(m.text.n, sizeof told - 1);
        assert_memory_equal(m.text.p, told, sizeof told - 1);
        item_free(item);
    }
}

static int admitted;

static int admit(void *ctx, struct err *err) {
    (void)ctx;
    (void)err;
    admitted++;
    return 0;
}

static void nobody_is_admitted_without_the_key(void **state) {
    (void)state;
    const struct key *const keys[] = {other_key, NULL, key};
    for (unsigned i = 0; i < 3; i++) {
        struct half d = {0}, l = {0};
        admitted = 0;
        half_start(&d, ROLE_SENDER, true, keys[i]);
        int fds[2];
        l = (struct half){
            .timeout_ms = PATIENT_MS,
            .ours = {.role = ROLE_RECEIVER, .chunk_size = CHUNK_SIZE_MIN, .key = key, .admit = admit}};
        sockets_pair(fds);
        l.stream = stream_of(fds[0]);
        l.outer = stream_of(fds[1]);
        assert_int_equal(os_thread_start(&l.thread, "half", shake, &l, NULL), 0);
        relay(&d, &l, NULL);
        half_join(&d);
        half_join(&l);
        assert_int_equal(admitted, i == 2);
    }
}

/* It sends as much as it can, and what the listener takes is bounded. */
static void no_more_than_4_KiB_of_a_stranger_is_read(void **state) {
    (void)state;
    static uint8_t flood[1 << 20];
    for (unsigned i = 0; i < 3; i++) {
        struct half l = {0};
        struct msg_hello m = hello_of_a_stranger(INTENT_NEW);
        half_start(&l, ROLE_RECEIVER, false, key);
        greet_alone(&l);
        uint64_t allowed = PREAMBLE_SIZE + FRAME_HEADER_SIZE;
        if (i == 1) { /* a well-formed message of the largest size, then the flood in the place of AUTH */
            struct item *item = item_of_hello(&m, true);
            struct wr w = item_writer(item);
            w.at += item->frame.body_length;
            while (wr_left(&w) > 0) {
                size_t n = wr_left(&w) - 4 < 1000 ? wr_left(&w) - 4 : 1000;
                tag_encode(&w, 0x0777, flood, n == 1000 && wr_left(&w) - 1004 < 4 ? 990 : n);
            }
            item_written(item, &w);
            assert_int_equal(item->frame.body_length, HANDSHAKE_BODY_MAX);
            say(&l, item);
            allowed = PREAMBLE_SIZE + 4096 + FRAME_HEADER_SIZE;
        } else if (i == 2) { /* the header of a message that is too large */
            struct frame f = {.type = MSG_HELLO, .body_length = HANDSHAKE_BODY_MAX + 1};
            uint8_t header[FRAME_HEADER_SIZE];
            frame_encode(&f, flood, header);
            assert_int_equal(stream_send_raw(l.outer, header, sizeof header, NULL), 0);
        }
        struct span part = {flood, sizeof flood};
        struct err ignored;
        (void)conn_write(l.outer->conn, &part, 1, PATIENT_MS, &ignored); /* it does not take it all */
        half_join(&l);
        assert_int_equal(l.result, -1);
        assert_int_equal(l.err.code, EXIT_STREAM);
        if (l.bytes_in > allowed)
            fail_msg("%u: it took %u bytes", i, (unsigned)l.bytes_in);
    }
}

/* It takes nothing that is said, which costs the listener a moment, whatever its timeout is. */
static void who_does_not_listen_gets_no_last_word(void **state) {
    (void)state;
    static const uint8_t much[1 << 20];
    const struct span part = {much, sizeof much};
    struct err why = {0}, full = {0};
    int fds[2];
    sockets_pair(fds);
    struct stream *s = stream_of(fds[0]), *outer = stream_of(fds[1]);
    while (conn_write(s->conn, &part, 1, TINY_MS, &full) == 0)
        ;
    assert_int_equal(full.code, EXIT_TIMEOUT);
    (void)err_set(&why, EXIT_REFUSED, "no");
    int64_t began = os_now_ms();
    handshake_reject(s, &why);
    assert_in_range(os_now_ms() - began, 0, PATIENT_MS / 2);
    (void)stream_close(s, NULL);
    (void)stream_close(outer, NULL);
}

/* Each byte comes well within any timeout, but all of them never do. */
static void the_deadline_covers_the_proofs(void **state) {
    enum { DEADLINE_MS = 1000 };
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct half l = {.timeout_ms = DEADLINE_MS};
        struct msg_hello m = hello_of_a_stranger(INTENT_NEW);
        half_start(&l, ROLE_RECEIVER, false, key);
        greet_alone(&l);
        say(&l, item_of_hello(&m, true));
        item_free(hear(&l)); /* CHALLENGE, on a machine that is fast enough */
        uint8_t header[FRAME_HEADER_SIZE], mac[MAC_SIZE] = {0};
        struct err ignored;
        frame_encode(&(struct frame){.type = MSG_AUTH, .body_length = MAC_SIZE, .seq = 1}, mac, header);
        for (unsigned k = 0; i == 1 && k < FRAME_HEADER_SIZE; k++) { /* the body never comes */
            (void)stream_send_raw(l.outer, header + k, 1, &ignored);
            os_sleep_ms(1);
        }
        item_free(hear(&l));
        half_join(&l);
        assert_int_equal(l.err.code, EXIT_TIMEOUT);
    }
}

/* ---- what cannot be said ------------------------------------------------------------------------------------ */

/* The peer was quicker with its greeting than ours failed, so that the handshake went on to a message that failed too. */
static void the_first_failure_is_the_one_that_is_told(void **state) {
    (void)state;
    struct half d = {.timeout_ms = PATIENT_MS};
    uint8_t bytes[PREAMBLE_SIZE];
    int fds[2];
    sockets_pair(fds);
    socket_end_writing(fds[0]);
    preamble_encode(&(struct preamble){1, 1}, bytes);
    assert_int_equal(socket_write(fds[1], bytes, sizeof bytes), sizeof bytes);
    d.ours = (struct handshake){.role = ROLE_SENDER, .dialler = true, .chunk_size = CHUNK_SIZE_MIN};
    d.stream = stream_of(fds[0]);
    d.outer = stream_of(fds[1]);
    assert_int_equal(os_thread_start(&d.thread, "half", shake, &d, NULL), 0);
    os_thread_join(&d.thread);
    (void)stream_close(d.outer, NULL);
    assert_int_equal(d.err.code, EXIT_SOCKET);
    assert_non_null(strstr(d.err.msg, "greeting the peer: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_failure_is_the_one_that_is_told),
        cmocka_unit_test(a_stranger_is_told_the_same_whatever_is_wrong),
        cmocka_unit_test(nobody_is_admitted_without_the_key),
        cmocka_unit_test(no_more_than_4_KiB_of_a_stranger_is_read),
        cmocka_unit_test(who_does_not_listen_gets_no_last_word),
        cmocka_unit_test(the_deadline_covers_the_proofs),
    };
    return cmocka_run_group_tests_name("handshake_strangers", tests, keys_make, keys_free);
}
