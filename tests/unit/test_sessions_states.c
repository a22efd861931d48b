/* The tables of both ends: every message in every state where it is not allowed. */
#include "session_rig.h"

/* A test reads a set of types as a string of their numbers. */
static bool is_in(const char *types, uint8_t type) {
    return strchr(types, (char)type) != NULL;
}

static void require_not_allowed(const struct err *err, uint8_t type, const char *state) {
    char expected[128];
    (void)snprintf(expected, sizeof expected, "%s is not allowed in state %s", msg_type_name(type), state);
    assert_int_equal(err->code, EXIT_STREAM);
    assert_string_equal(err->msg, expected);
}

static const struct {
    const char *name;
    const char allowed[16];
} recv_states[RECV_STATES] = {
    [RECV_AWAIT_START] = {"AWAIT_START", {MSG_START}},
    [RECV_TRANSFER] = {"TRANSFER",
                       {MSG_ENTRIES, MSG_LIST_END, MSG_FILE_BEGIN, MSG_CHUNK, MSG_HOLE, MSG_REUSE, MSG_BUNDLE,
                        MSG_FILE_END, MSG_FILE_FAIL, MSG_FILE_SAME, MSG_VOID, MSG_SYNC, MSG_FINISH,
                        MSG_UNLISTED}},
    [RECV_FINISHED] = {"FINISHED", {MSG_BYE}},
    [RECV_DONE] = {"DONE", ""},
};

static void receiver_refuses_what_its_state_does_not_allow(void **state) {
    (void)state;
    for (unsigned st = 0; st < RECV_STATES; st++) {
        struct recv_rig rig;
        struct err err;
        recv_rig_new(&rig, NULL);
        recv_rig_reach(&rig, (enum recv_state)st);
        tree_make_old(rig.scratch.dir);
        struct tree before = tree_look(rig.scratch.dir);
        for (uint8_t type = 1; type < MSG_TYPE_LIMIT; type++) {
            if (is_in(recv_states[st].allowed, type))
                continue;
            assert_int_equal(recv_rig_take(&rig, say_any(type, rig.pool), &err), EXIT_STREAM);
            require_not_allowed(&err, type, recv_states[st].name);
            assert_int_equal(rig.answers.count, 0);
            assert_int_equal(rig.session->state, st);
        }
        struct tree after = tree_look(rig.scratch.dir);
        assert_true(tree_same(&before, &after));
        tree_free(&before);
        tree_free(&after);
        recv_rig_free(&rig);
    }
}

static void receiver_knows_a_place_for_every_message_of_a_sender(void **state) {
    (void)state;
    for (uint8_t type = MSG_START; type <= MSG_BYE; type++) {
        bool somewhere = type == MSG_DELETE; /* of a feature that is not offered */
        for (unsigned st = 0; st < RECV_STATES; st++)
            somewhere |= is_in(recv_states[st].allowed, type);
        assert_true(somewhere);
    }
}

static const struct {
    const char *name;
    const char allowed[16];
} send_states[SEND_STATES] = {
    [SEND_AWAIT_REQUEST] = {"AWAIT_REQUEST", {MSG_REQUEST}},
    [SEND_TRANSFER] = {"TRANSFER",
                       {MSG_VERDICTS, MSG_DURABLE, MSG_REFUSED, MSG_FILE_ERROR, MSG_BASIS, MSG_FINISH_ACK}},
    [SEND_DONE] = {"DONE", ""},
};

static bool is_unordered(uint8_t type) {
    return type == MSG_ACK || type == MSG_HEARTBEAT || type == MSG_ABORT;
}

static void sender_refuses_what_its_state_does_not_allow(void **state) {
    (void)state;
    for (unsigned st = 0; st < SEND_STATES; st++) {
        struct send_rig rig;
        struct err err;
        send_rig_new(&rig, OS_DIR_NONE, (enum send_state)st);
        for (uint8_t type = 1; type < MSG_TYPE_LIMIT; type++) {
            if (is_in(send_states[st].allowed, type) || is_unordered(type))
                continue;
            assert_int_equal(send_rig_take(&rig, say_any(type, rig.pool), &err), EXIT_STREAM);
            require_not_allowed(&err, type, send_states[st].name);
            assert_int_equal(rig.answers.count, 0);
            assert_int_equal(rig.session.state, st);
        }
        send_rig_free(&rig);
    }
}

static void unknown_optional_message_is_passed_over_in_every_state(void **state) {
    (void)state;
    enum { UNKNOWN = 60 };
    for (unsigned st = 0; st < RECV_STATES; st++) {
        struct recv_rig rig;
        recv_rig_new(&rig, NULL);
        recv_rig_reach(&rig, (enum recv_state)st);
        struct item *item = say_any(UNKNOWN, rig.pool);
        item->frame.flags = FRAME_OPTIONAL;
        recv_rig_good(&rig, item);
        assert_int_equal(rig.session->state, st);
        assert_int_equal(rig.in.processed, rig.order);
        recv_rig_free(&rig);
    }
    for (unsigned st = 0; st < SEND_STATES; st++) {
        struct send_rig rig;
        send_rig_new(&rig, OS_DIR_NONE, (enum send_state)st);
        struct item *item = say_any(UNKNOWN, rig.pool);
        item->frame.flags = FRAME_OPTIONAL;
        send_rig_good(&rig, item);
        assert_int_equal(rig.session.state, st);
        send_rig_free(&rig);
    }
}

static void optional_does_not_excuse_a_known_message(void **state) {
    (void)state;
    struct recv_rig rig;
    struct err err;
    recv_rig_new(&rig, NULL);
    struct item *item = say_any(MSG_FINISH, rig.pool);
    item->frame.flags = FRAME_OPTIONAL;
    assert_int_equal(recv_rig_take(&rig, item, &err), EXIT_STREAM);
    require_not_allowed(&err, MSG_FINISH, "AWAIT_START");
    recv_rig_free(&rig);
}

static void states_follow_a_session_to_its_end(void **state) {
    (void)state;
    for (unsigned st = 0; st < RECV_STATES; st++) {
        struct recv_rig rig;
        recv_rig_new(&rig, NULL);
        recv_rig_reach(&rig, (enum recv_state)st);
        assert_true((answer_of(&rig.answers, MSG_FINISH_ACK) != NULL) == (st == RECV_FINISHED));
        recv_rig_free(&rig);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receiver_refuses_what_its_state_does_not_allow),
        cmocka_unit_test(receiver_knows_a_place_for_every_message_of_a_sender),
        cmocka_unit_test(sender_refuses_what_its_state_does_not_allow),
        cmocka_unit_test(unknown_optional_message_is_passed_over_in_every_state),
        cmocka_unit_test(optional_does_not_excuse_a_known_message),
        cmocka_unit_test(states_follow_a_session_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
