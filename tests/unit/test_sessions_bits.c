/* One frame of each message type with each bit of its header turned. */
#include "session_pair.h"

enum { HEADER_BITS = FRAME_HEADER_SIZE * 8 };

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

/* Every bit of the first frame of this type; `before` makes the session send one. */
static void turn_each_bit(uint8_t type, enum direction direction, const struct fault *before,
                          bool receiver_dials) {
    /* Without its BYE a receiver waits a second for the sender to hang up: a few bits have to do. */
    unsigned stride = type == MSG_BYE ? 67 : pair_stride();
    for (unsigned bit = 0; bit < HEADER_BITS; bit += stride) {
        struct plan plan = {
            .faults = {{.kind = FAULT_FLIP_HEADER, .direction = direction, .type = type, .bit = bit}},
            .count = 1,
        };
        if (before)
            plan.faults[plan.count++] = *before;
        struct pair_options opt = {
            .codec = CODEC_ZLIB,
            .sender_serial = bit & 1,
            .receiver_serial = bit & 2,
            .receiver_dials = receiver_dials,
            .plan = &plan,
        };
        struct pair_result r;
        const char *problem = stage_run(&set, &opt, &r);
        if (problem == NULL && r.passed[direction].harms == 0)
            problem = "no such message came";
        pair_require(problem, &opt, &r);
    }
}

static void header_bits_matter_to_a_receiver(void **state) {
    (void)state;
    static const uint8_t types[] = {MSG_HELLO,      MSG_START, MSG_ENTRIES, MSG_LIST_END,
                                    MSG_FILE_BEGIN, MSG_CHUNK, MSG_HOLE,    MSG_FILE_END,
                                    MSG_BUNDLE,     MSG_SYNC,  MSG_FINISH,  MSG_BYE};
    for (size_t i = 0; i < sizeof types; i++)
        if (types[i] != MSG_HOLE || tree_tells_holes(set.source))
            turn_each_bit(types[i], TO_RECEIVER, NULL, false);
    turn_each_bit(MSG_WELCOME, TO_RECEIVER, NULL, true);
}

static void header_bits_matter_to_a_sender(void **state) {
    (void)state;
    static const uint8_t types[] = {MSG_WELCOME, MSG_VERDICTS, MSG_DURABLE, MSG_FINISH_ACK};
    for (size_t i = 0; i < sizeof types; i++)
        turn_each_bit(types[i], TO_SENDER, NULL, false);
    turn_each_bit(MSG_HELLO, TO_SENDER, NULL, true);
    turn_each_bit(MSG_REQUEST, TO_SENDER, NULL, true);
}

static void header_bits_matter_when_data_is_sent_again(void **state) {
    (void)state;
    /* The first bundle may hold empty files only, and so no data to damage. */
    struct fault bundle = {.kind = FAULT_FLIP_DATA,
                           .direction = TO_RECEIVER,
                           .type = MSG_BUNDLE,
                           .index = EVERY_FRAME,
                           .bit = 5};
    turn_each_bit(MSG_REFUSED, TO_SENDER, &bundle, false);
    turn_each_bit(MSG_VOID, TO_RECEIVER, &bundle, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_bits_matter_to_a_receiver),
        cmocka_unit_test(header_bits_matter_to_a_sender),
        cmocka_unit_test(header_bits_matter_when_data_is_sent_again),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
