/* Two ends that must prove that they have the key, and somebody between them who passes on, changes, keeps, repeats or
 * swaps what they say. */
#include "handshake_help.h"

/* ---- who has the key ---------------------------------------------------------------------------------------- */

static void ends_with_the_same_key_agree(void **state) {
    (void)state;
    for (int role = ROLE_SENDER; role <= ROLE_RECEIVER; role++) {
        struct half d = {0}, l = {0};
        meet(&d, key, &l, key, (enum role)role, NULL);
        assert_int_equal(d.result, 0);
        assert_int_equal(l.result, 0);
        assert_int_equal(d.agreed.features, FEATURE_CHECK | FEATURE_RESUME | FEATURE_AUTH);
        assert_int_equal(l.agreed.features, d.agreed.features);
        assert_memory_equal(d.agreed.session_id, l.agreed.session_id, SESSION_ID_SIZE);
        assert_ptr_equal(d.agreed.key, key);
        assert_ptr_equal(l.agreed.key, key);
        assert_string_equal(l.agreed.agent, "hvferry " HVFERRY_VERSION);
    }
}

static void ends_without_keys_agree_without(void **state) {
    (void)state;
    struct half d = {0}, l = {0};
    meet(&d, NULL, &l, NULL, ROLE_SENDER, NULL);
    assert_int_equal(d.result, 0);
    assert_int_equal(l.result, 0);
    assert_int_equal(d.agreed.features & FEATURE_AUTH, 0);
    assert_null(l.agreed.key);
}

static void other_and_missing_keys_are_refused_at_both_ends(void **state) {
    (void)state;
    const struct key *const pairs[][2] = {{key, other_key}, {NULL, key}};
    for (unsigned i = 0; i < 4; i++) {
        struct half d = {0}, l = {0};
        meet(&d, pairs[i / 2][0], &l, pairs[i / 2][1], i % 2 ? ROLE_RECEIVER : ROLE_SENDER, NULL);
        assert_int_equal(d.result, -1);
        assert_int_equal(l.result, -1);
        assert_int_equal(d.err.code, EXIT_REFUSED);
        assert_int_equal(l.err.code, EXIT_REFUSED);
        assert_says(&d.err, told);
        assert_says(&l.err, i / 2 ? "it has no key" : "it has another key");
    }
}

/* The listener has no reason to refuse; what the dialler tells it is read by the session. */
static void dialler_with_a_key_refuses_a_listener_without(void **state) {
    (void)state;
    struct half d = {0}, l = {0};
    half_start(&d, ROLE_SENDER, true, key);
    half_start(&l, ROLE_RECEIVER, false, NULL);
    relay(&d, &l, NULL);
    struct item *item = must_hear(&d, MSG_ABORT);
    struct err err = {0};
    (void)stream_refusal(item, "sender", &err);
    item_free(item);
    assert_int_equal(err.code, EXIT_REFUSED);
    assert_says(&err, told);
    half_join(&d);
    half_join(&l);
    assert_int_equal(d.err.code, EXIT_REFUSED);
    assert_says(&d.err, "it has no key");
}

/* ---- changed on the way -------------------------------------------------------------------------------------- */

static bool flip(struct meddler *m, struct item *item) {
    if (m->bit / 8 >= item->frame.body_length)
        return false;
    item->body[m->bit / 8] ^= (uint8_t)(1u << m->bit % 8);
    return true;
}

static void no_bit_can_be_changed_on_the_way(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        size_t bytes, step; /* of the body; bits between two tries */
    } rows[] = {{MSG_HELLO, 56 + 4 + 13 + 36, 3},
                {MSG_CHALLENGE, 32, 7},
                {MSG_AUTH, 32, 7},
                {MSG_WELCOME, 56 + 4 + 13 + 36, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t bit = 0; bit < 8 * rows[i].bytes; bit += rows[i].step) {
            struct meddler m = {flip, rows[i].type, bit};
            struct half d = {0}, l = {0};
            meet(&d, key, &l, key, bit & 1 ? ROLE_SENDER : ROLE_RECEIVER, &m);
            assert_int_equal(d.result, -1);
            /* The listener welcomed the dialler before that was changed. */
            assert_int_equal(l.result, rows[i].type == MSG_WELCOME ? 0 : -1);
        }
}

static bool drop_features(struct meddler *m, struct item *item) {
    put_le64(item->body + 4, le64(item->body + 4) & ~(UINT64_C(1) << m->bit));
    return true;
}

static void no_feature_can_be_taken_away_on_the_way(void **state) {
    (void)state;
    static const unsigned bits[] = {1, 2, 6}; /* RESUME, AUTH, CHECK */
    for (unsigned i = 0; i < 6; i++) {
        struct meddler m = {drop_features, i % 2 ? MSG_WELCOME : MSG_HELLO, bits[i / 2]};
        struct half d = {0}, l = {0};
        meet(&d, key, &l, key, ROLE_SENDER, &m);
        assert_int_equal(d.err.code, EXIT_REFUSED);
        assert_int_equal(l.err.code, i % 2 ? 0 : EXIT_REFUSED);
    }
}

/* Both speak only version 1; the dialler is told otherwise, or the listener. */
static void no_version_can_be_changed_on_the_way(void **state) {
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct half d = {0}, l = {0};
        uint8_t bytes[PREAMBLE_SIZE], theirs[PREAMBLE_SIZE];
        size_t got;
        half_start(&d, ROLE_SENDER, true, key);
        half_start(&l, ROLE_RECEIVER, false, key);
        preamble_encode(&(struct preamble){1, 2}, bytes);
        struct half *lied_to = i ? &d : &l, *other = i ? &l : &d;
        assert_int_equal(
            stream_recv_raw(lied_to->outer, theirs, sizeof theirs, os_now_ms() + PATIENT_MS, &got, NULL), 0);
        assert_int_equal(stream_send_raw(other->outer, theirs, sizeof theirs, NULL), 0);
        assert_int_equal(
            stream_recv_raw(other->outer, theirs, sizeof theirs, os_now_ms() + PATIENT_MS, &got, NULL), 0);
        assert_int_equal(stream_send_raw(lied_to->outer, bytes, sizeof bytes, NULL), 0);
        say(&l, must_hear(&d, MSG_HELLO));
        say(&d, must_hear(&l, MSG_CHALLENGE));
        say(&l, must_hear(&d, MSG_AUTH));
        say(&d, must_hear(&l, MSG_REJECT));
        half_join(&d);
        half_join(&l);
        assert_int_equal(d.err.code, EXIT_REFUSED);
        assert_int_equal(l.err.code, EXIT_REFUSED);
    }
}

static bool cut_body(struct meddler *m, struct item *item) {
    if (m->bit >= item->frame.body_length)
        return false;
    item->frame.body_length = (uint32_t)m->bit;
    return true;
}

static void nothing_that_is_cut_short_is_taken(void **state) {
    (void)state;
    static const uint8_t types[] = {MSG_HELLO, MSG_CHALLENGE, MSG_AUTH, MSG_WELCOME};
    for (size_t i = 0; i < sizeof types; i++)
        for (size_t length = 0; length < 120; length++) {
            struct meddler m = {cut_body, types[i], length};
            struct half d = {0}, l = {0};
            meet(&d, key, &l, key, ROLE_SENDER, &m);
            assert_int_equal(d.result, -1);
            assert_int_equal(l.result, types[i] == MSG_WELCOME ? 0 : -1);
        }
}

/* ---- played back --------------------------------------------------------------------------------------------- */

static struct item *copy_of(const struct item *item) {
    struct item *copy = item_new(item->frame.type, item->frame.body_length);
    assert_non_null(copy);
    memcpy(copy->body, item->body, item->frame.body_length);
    copy->frame.body_length = item->frame.body_length;
    return copy;
}

/* A good handshake, of which the copies are kept: HELLO, CHALLENGE, AUTH, WELCOME. */
static void record(struct item *kept[4]) {
    static const uint8_t types[] = {MSG_HELLO, MSG_CHALLENGE, MSG_AUTH, MSG_WELCOME};
    struct half ends[2] = {{.timeout_ms = 0}};
    half_start(&ends[0], ROLE_SENDER, true, key);
    half_start(&ends[1], ROLE_RECEIVER, false, key);
    pass_preamble(&ends[0], &ends[1]);
    pass_preamble(&ends[1], &ends[0]);
    for (unsigned i = 0; i < 4; i++) {
        struct item *item = must_hear(&ends[i % 2], types[i]);
        kept[i] = copy_of(item);
        say(&ends[1 - i % 2], item);
    }
    half_join(&ends[0]);
    half_join(&ends[1]);
    assert_int_equal(ends[0].result, 0);
    assert_int_equal(ends[1].result, 0);
}

static void a_dialler_that_is_played_back_is_refused(void **state) {
    (void)state;
    struct item *kept[4];
    struct half l = {0};
    record(kept);
    half_start(&l, ROLE_RECEIVER, false, key);
    greet_alone(&l);
    say(&l, kept[0]);
    item_free(must_hear(&l, MSG_CHALLENGE));
    say(&l, kept[2]);
    item_free(must_hear(&l, MSG_REJECT));
    half_join(&l);
    assert_int_equal(l.err.code, EXIT_REFUSED);
    item_free(kept[1]);
    item_free(kept[3]);
}

static void a_listener_that_is_played_back_is_refused(void **state) {
    (void)state;
    struct item *kept[4];
    struct half d = {0};
    record(kept);
    half_start(&d, ROLE_SENDER, true, key);
    greet_alone(&d);
    struct item *hello = must_hear(&d, MSG_HELLO);
    /* The session id is in the clear, and so of no use to whom it should stop. */
    memcpy(kept[3]->body + 12, hello->body + 12, SESSION_ID_SIZE);
    say(&d, kept[1]);
    item_free(must_hear(&d, MSG_AUTH));
    say(&d, kept[3]);
    item_free(must_hear(&d, MSG_ABORT));
    half_join(&d);
    assert_int_equal(d.err.code, EXIT_REFUSED);
    item_free(hello);
    item_free(kept[0]);
    item_free(kept[2]);
}

/* Whoever has no key lets the dialler's own proof answer for it. */
static void a_reflected_proof_is_refused(void **state) {
    (void)state;
    struct item *kept[4];
    struct half d = {0};
    record(kept);
    half_start(&d, ROLE_SENDER, true, key);
    greet_alone(&d);
    struct item *hello = must_hear(&d, MSG_HELLO);
    memcpy(kept[3]->body + 12, hello->body + 12, SESSION_ID_SIZE);
    memcpy(kept[1]->body, hello->body + hello->frame.body_length - NONCE_SIZE,
           NONCE_SIZE); /* its own nonce */
    say(&d, kept[1]);
    struct item *auth = must_hear(&d, MSG_AUTH);
    memcpy(kept[3]->body + kept[3]->frame.body_length - MAC_SIZE, auth->body, MAC_SIZE);
    say(&d, kept[3]);
    item_free(must_hear(&d, MSG_ABORT));
    half_join(&d);
    assert_int_equal(d.err.code, EXIT_REFUSED);
    item_free(auth);
    item_free(hello);
    item_free(kept[0]);
    item_free(kept[2]);
}

static void swapped_proofs_of_two_streams_are_refused(void **state) {
    (void)state;
    for (unsigned swapped = 0; swapped < 2; swapped++) { /* 0: AUTH, 1: WELCOME */
        struct half d[2] = {{.timeout_ms = 0}}, l[2] = {{.timeout_ms = 0}};
        struct item *auth[2], *welcome[2];
        for (unsigned i = 0; i < 2; i++) {
            half_start(&d[i], ROLE_SENDER, true, key);
            half_start(&l[i], ROLE_RECEIVER, false, key);
            pass_preamble(&d[i], &l[i]);
            pass_preamble(&l[i], &d[i]);
            say(&l[i], must_hear(&d[i], MSG_HELLO));
            say(&d[i], must_hear(&l[i], MSG_CHALLENGE));
            auth[i] = must_hear(&d[i], MSG_AUTH);
        }
        for (unsigned i = 0; i < 2; i++)
            say(&l[i ^ !swapped], auth[i]);
        for (unsigned i = 0; i < 2; i++)
            welcome[i] = must_hear(&l[i], swapped ? MSG_WELCOME : MSG_REJECT);
        for (unsigned i = 0; i < 2; i++)
            say(&d[i ^ swapped], welcome[i]);
        for (unsigned i = 0; i < 2; i++) {
            half_join(&d[i]);
            half_join(&l[i]);
            assert_int_equal(d[i].err.code, EXIT_REFUSED);
            assert_int_equal(l[i].err.code, swapped ? 0 : EXIT_REFUSED);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_with_the_same_key_agree),
        cmocka_unit_test(ends_without_keys_agree_without),
        cmocka_unit_test(other_and_missing_keys_are_refused_at_both_ends),
        cmocka_unit_test(dialler_with_a_key_refuses_a_listener_without),
        cmocka_unit_test(no_bit_can_be_changed_on_the_way),
        cmocka_unit_test(no_feature_can_be_taken_away_on_the_way),
        cmocka_unit_test(no_version_can_be_changed_on_the_way),
        cmocka_unit_test(nothing_that_is_cut_short_is_taken),
        cmocka_unit_test(a_dialler_that_is_played_back_is_refused),
        cmocka_unit_test(a_listener_that_is_played_back_is_refused),
        cmocka_unit_test(a_reflected_proof_is_refused),
        cmocka_unit_test(swapped_proofs_of_two_streams_are_refused),
    };
    return cmocka_run_group_tests_name("handshake_auth", tests, keys_make, keys_free);
}
