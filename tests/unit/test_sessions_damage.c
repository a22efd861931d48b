/* Damaged data areas: refused, sent again, and given up when it does not end. */
#include "session_pair.h"

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

/* All four combinations of ends. */
static void require(const struct plan *plan, int code, unsigned resent) {
    for (unsigned combination = 0; combination < 4; combination++) {
        struct pair_options opt = {
            .codec = CODEC_ZLIB,
            .sender_serial = combination & 1,
            .receiver_serial = combination & 2,
            .plan = plan,
        };
        struct pair_result r;
        const char *problem = code == 0 ? stage_run_fault(&set, &opt, &r) : stage_run(&set, &opt, &r);
        if (problem == NULL && (r.sender.code != code || r.receiver.code != code))
            problem = "an end has another code";
        if (problem == NULL && (r.sender.resent != resent || r.receiver.resent != resent))
            problem = "another number was sent again";
        pair_require(problem, &opt, &r);
    }
}

static struct plan damage(uint8_t type, unsigned index, unsigned repeat) {
    return (struct plan){
        .faults = {{.kind = FAULT_FLIP_DATA,
                    .direction = TO_RECEIVER,
                    .type = type,
                    .index = index,
                    .bit = 99,
                    .repeat = repeat}},
        .count = 1,
    };
}

static void damaged_chunk_is_sent_again(void **state) {
    (void)state;
    struct plan plan = damage(MSG_CHUNK, 2, 0);
    require(&plan, 0, 1);
}

static void chunk_damaged_three_times_is_healed(void **state) {
    (void)state;
    struct plan plan = damage(MSG_CHUNK, 2, REFUSALS_MAX - 1);
    require(&plan, 0, REFUSALS_MAX);
}

static void chunk_damaged_four_times_ends_the_session(void **state) {
    (void)state;
    struct plan plan = damage(MSG_CHUNK, 2, REFUSALS_MAX);
    require(&plan, EXIT_VERIFY, REFUSALS_MAX);
}

static void several_damaged_chunks_are_sent_again(void **state) {
    (void)state;
    struct plan plan = damage(MSG_CHUNK, 3, 0);
    for (plan.count = 1; plan.count < PLAN_FAULTS; plan.count++) {
        plan.faults[plan.count] = plan.faults[0];
        plan.faults[plan.count].index = 3 + plan.count;
    }
    require(&plan, 0, PLAN_FAULTS);
}

static void files_of_a_damaged_bundle_come_again(void **state) {
    (void)state;
    struct plan plan = damage(MSG_BUNDLE, 0, 0);
    require(&plan, 0, 1);
}

static void bundles_damaged_again_and_again_end_the_session(void **state) {
    (void)state;
    struct plan plan = damage(MSG_BUNDLE, EVERY_FRAME, 0);
    for (unsigned combination = 0; combination < 4; combination++) {
        struct pair_options opt = {
            .codec = CODEC_ZLIB,
            .sender_serial = combination & 1,
            .receiver_serial = combination & 2,
            .plan = &plan,
        };
        struct pair_result r;
        const char *problem = stage_run(&set, &opt, &r);
        if (problem == NULL && (r.sender.code != EXIT_VERIFY || r.receiver.code != EXIT_VERIFY))
            problem = "an end has another code";
        pair_require(problem, &opt, &r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_chunk_is_sent_again),
        cmocka_unit_test(chunk_damaged_three_times_is_healed),
        cmocka_unit_test(chunk_damaged_four_times_ends_the_session),
        cmocka_unit_test(several_damaged_chunks_are_sent_again),
        cmocka_unit_test(files_of_a_damaged_bundle_come_again),
        cmocka_unit_test(bundles_damaged_again_and_again_end_the_session),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
