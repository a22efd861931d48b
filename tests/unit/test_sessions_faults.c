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

/* The fault at every frame, and once behind the last. */
static void at_every_frame(enum fault_kind kind, int timeout_ms) {
    unsigned stride = (pair_stride() + 2) / 3, step = 0, hits = 0;
    for (unsigned d = 0; d < DIRECTIONS; d++) {
        for (unsigned i = 0; i <= frames[d]; i++) {
            if (step++ % stride != 0)
                continue;
            struct plan plan = {
                .faults = {{.kind = kind, .direction = (enum direction)d, .index = i, .bit = 7919 * step}},
                .count = 1,
            };
            struct pair_options opt = {.codec = CODEC_ZLIB, .timeout_ms = timeout_ms, .plan = &plan};
            struct pair_result r;
            pair_require(stage_run_fault(&set, &opt, &r), &opt, &r);
            hits += r.passed[d].hits;
        }
    }
    assert_true(hits > 0);
}

#define AT_EVERY_FRAME(name, kind, timeout_ms)                                                               \
    static void name(void **state) {                                                                         \
        (void)state;                                                                                         \
        int64_t t0 = os_now_ms();                                                                            \
        at_every_frame(kind, timeout_ms);                                                                    \
        print_message("# %lld ms\n", (long long)(os_now_ms() - t0));                                         \
    }

AT_EVERY_FRAME(lost_frame_ends_both_ends, FAULT_DROP, HASTY_MS)
AT_EVERY_FRAME(doubled_frame_ends_both_ends, FAULT_DUPLICATE, HASTY_MS)
AT_EVERY_FRAME(frames_in_another_order_end_both_ends, FAULT_SWAP, HASTY_MS)
AT_EVERY_FRAME(stream_cut_between_frames_ends_both_ends, FAULT_CUT_BEFORE, PATIENT_MS)
AT_EVERY_FRAME(stream_cut_inside_a_frame_ends_both_ends, FAULT_CUT_INSIDE, PATIENT_MS)
AT_EVERY_FRAME(damaged_header_ends_both_ends, FAULT_FLIP_HEADER, PATIENT_MS)
AT_EVERY_FRAME(damaged_body_ends_both_ends, FAULT_FLIP_BODY, PATIENT_MS)
AT_EVERY_FRAME(damaged_data_is_sent_again, FAULT_FLIP_DATA, PATIENT_MS)

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
    };
    return cmocka_run_group_tests(tests, start, stop);
}
