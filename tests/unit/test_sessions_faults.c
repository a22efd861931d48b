/* Every frame of a session, in both directions, is lost, doubled, moved, cut and damaged: one fault a session. */
#include "session_pair.h"

static struct stage_set set;
static unsigned frames[DIRECTIONS]; /* of an unharmed session; timing adds or removes an ACK */

static int start(void **state) {
    (void)state;
    struct pair_result r;
    struct pair_options opt = {.codec = CODEC_ZLIB};
    stage_set_up(&set);
    pair_require(stage_run(&set, &opt, &r), &opt, &r);
    for (unsigned d = 0; d < DIRECTIONS; d++)
        frames[d] = r.passed[d].count;
    return 0;
}

static int stop(void **state) {
    (void)state;
    stage_set_free(&set);
    return 0;
}

/* One fault at the frame, with each of the `combinations` of ends. */
static unsigned at_frame(const struct fault *fault, unsigned combinations, int timeout_ms) {
    struct plan plan = {.faults = {*fault}, .count = 1};
    unsigned hits = 0;
    for (unsigned i = 0; i < combinations; i++) {
        struct pair_options opt = {
            .codec = CODEC_ZLIB,
            .sender_serial = i & 1,
            .receiver_serial = i & 2,
            .timeout_ms = timeout_ms,
            .plan = &plan,
        };
        struct pair_result r;
        pair_require(stage_run_fault(&set, &opt, &r), &opt, &r);
        hits += r.passed[fault->direction].hits;
    }
    return hits;
}

/* The fault at every `step`th frame, and behind the last: with threads at both ends, and at some frames with the
 * other combinations too. */
static void at_every_frame(enum fault_kind kind, unsigned step, int timeout_ms) {
    enum { MOST = 3 }; /* with more, no frame with data may be among them */
    unsigned stride = step * (pair_stride() < 2 * MOST ? (pair_stride() + 1) / 2 : MOST), hits = 0;
    for (unsigned d = 0; d < DIRECTIONS; d++)
        for (unsigned i = 0; i <= frames[d]; i += stride) {
            struct fault fault = {
                .kind = kind, .direction = (enum direction)d, .index = i, .bit = 7919 * (i + 1)};
            hits += at_frame(&fault, i / step % 9 == 4 * d ? 4 : 1, timeout_ms);
        }
    assert_true(hits > 0);
}

#define AT_EVERY_FRAME(name, kind, step, timeout_ms)                                                         \
    static void name(void **state) {                                                                         \
        (void)state;                                                                                         \
        at_every_frame(kind, step, timeout_ms);                                                              \
    }

AT_EVERY_FRAME(lost_frame_ends_both_ends, FAULT_DROP, 1, HASTY_MS)
AT_EVERY_FRAME(doubled_frame_ends_both_ends, FAULT_DUPLICATE, 1, HASTY_MS)
AT_EVERY_FRAME(frames_in_another_order_end_both_ends, FAULT_SWAP, 1, HASTY_MS)
AT_EVERY_FRAME(stream_cut_between_frames_ends_both_ends, FAULT_CUT_BEFORE, 1, PATIENT_MS)
AT_EVERY_FRAME(stream_cut_inside_a_frame_ends_both_ends, FAULT_CUT_INSIDE, 1, PATIENT_MS)
AT_EVERY_FRAME(damaged_header_ends_both_ends, FAULT_FLIP_HEADER, 1, PATIENT_MS)
AT_EVERY_FRAME(damaged_body_ends_both_ends, FAULT_FLIP_BODY, 1, PATIENT_MS)
AT_EVERY_FRAME(damaged_data_is_sent_again, FAULT_FLIP_DATA, 1, PATIENT_MS)
AT_EVERY_FRAME(silence_ends_both_ends, FAULT_STALL, 5, HASTY_MS)

static void damaged_preamble_ends_both_ends(void **state) {
    (void)state;
    unsigned step = pair_stride() > 1 ? 13 : 3;
    for (unsigned bit = 0; bit < 2 * PREAMBLE_SIZE * 8; bit += step) {
        struct plan plan = {
            .faults = {{.kind = FAULT_FLIP_PREAMBLE,
                        .direction = bit % 2 ? TO_SENDER : TO_RECEIVER,
                        .bit = bit / 2}},
            .count = 1,
        };
        struct pair_options opt = {.plan = &plan, .receiver_dials = bit & 2};
        struct pair_result r;
        const char *problem = stage_run_fault(&set, &opt, &r);
        if (problem == NULL && (r.sender.code == 0 || r.receiver.code == 0))
            problem = "an end did not notice";
        pair_require(problem, &opt, &r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_frame_ends_both_ends),
        cmocka_unit_test(doubled_frame_ends_both_ends),
        cmocka_unit_test(frames_in_another_order_end_both_ends),
        cmocka_unit_test(stream_cut_between_frames_ends_both_ends),
        cmocka_unit_test(stream_cut_inside_a_frame_ends_both_ends),
        cmocka_unit_test(damaged_header_ends_both_ends),
        cmocka_unit_test(damaged_body_ends_both_ends),
        cmocka_unit_test(damaged_data_is_sent_again),
        cmocka_unit_test(silence_ends_both_ends),
        cmocka_unit_test(damaged_preamble_ends_both_ends),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
