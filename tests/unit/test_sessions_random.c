/* Random faults, and ends that are stopped at random moments. The seed is printed; HVFERRY_TEST_SEED sets it. */
#include "session_pair.h"

#include "threads_help.h"

enum { RANDOM_FAULTS = 3, PLANS = 300, STOPS = 200, STOP_WITHIN_US = 20000 };

static struct stage_set set;
static uint32_t seed, dice;

static int start(void **state) {
    (void)state;
    const char *given = getenv("HVFERRY_TEST_SEED");
    seed = given ? (uint32_t)strtoul(given, NULL, 0) : (uint32_t)os_now_ns();
    print_message("# HVFERRY_TEST_SEED=%u\n", seed);
    stage_set_up(&set);
    return 0;
}

static int stop(void **state) {
    (void)state;
    stage_set_free(&set);
    return 0;
}

/* Each test has its own sequence, so that it can be repeated alone. */
static int throw_again(void **state) {
    (void)state;
    dice = 2 * seed + 1;
    return 0;
}

static struct plan random_plan(void) {
    static const enum fault_kind kinds[] = {
        FAULT_DROP,       FAULT_DUPLICATE,   FAULT_SWAP,      FAULT_CUT_BEFORE,
        FAULT_CUT_INSIDE, FAULT_FLIP_HEADER, FAULT_FLIP_BODY, FAULT_FLIP_DATA,
        FAULT_FLIP_DATA,  FAULT_FLIP_DATA,   FAULT_STALL,     FAULT_FLIP_PREAMBLE, /* the last */
    };
    struct plan plan = {.count = 1 + scatter(&dice) % RANDOM_FAULTS};
    for (unsigned i = 0; i < plan.count; i++) {
        enum direction direction = scatter(&dice) % 3 == 0 ? TO_SENDER : TO_RECEIVER;
        unsigned frames = direction == TO_RECEIVER ? 30 : 9;
        /* No frame twice, and the preamble once: two faults could undo each other. */
        plan.faults[i] = (struct fault){
            .kind = kinds[scatter(&dice) % (sizeof kinds / sizeof kinds[0] - (i > 0))],
            .direction = direction,
            .index = scatter(&dice) % (frames / RANDOM_FAULTS) * RANDOM_FAULTS + i,
            .bit = scatter(&dice),
        };
    }
    return plan;
}

static struct pair_options random_options(void) {
    uint32_t bits = scatter(&dice) >> 8;
    return (struct pair_options){
        .codec = bits & 1 ? CODEC_ZLIB : CODEC_NONE,
        .sender_serial = bits & 2,
        .receiver_serial = bits & 4,
        .receiver_dials = bits & 8,
    };
}

static void random_faults_never_pass_unnoticed(void **state) {
    (void)state;
    unsigned healed = 0, failed = 0, few = PLANS / ((pair_stride() + 3) / 4);
    for (unsigned i = 0; i < PLANS && (i < few || healed == 0 || failed == 0); i++) {
        struct plan plan = random_plan();
        struct pair_options opt = random_options();
        struct pair_result r;
        opt.plan = &plan;
        opt.timeout_ms = HASTY_MS;
        pair_require(stage_run_fault(&set, &opt, &r), &opt, &r);
        healed += r.sender.code == 0 && r.sender.resent > 0;
        failed += r.sender.code != 0;
    }
    assert_true(healed > 0);
    assert_true(failed > 0);
}

static void stop_at_random_moments(bool the_sender) {
    unsigned stopped = 0;
    for (unsigned i = 0; i < STOPS; i += (pair_stride() + 3) / 4) {
        struct pair_options opt = random_options();
        struct pair_result r;
        unsigned after = 1 + scatter(&dice) % STOP_WITHIN_US;
        opt.stop_sender_us = the_sender ? after : 0;
        opt.stop_receiver_us = the_sender ? 0 : after;
        const char *problem = stage_run(&set, &opt, &r);
        const struct side *side = the_sender ? &r.sender : &r.receiver;
        if (problem == NULL && side->code != 0 && side->code != EXIT_SIGNAL)
            problem = "the end that was stopped gives another reason";
        pair_require(problem, &opt, &r);
        stopped += side->code == EXIT_SIGNAL;
    }
    assert_true(stopped > 0);
}

static void stopped_sender_winds_down(void **state) {
    (void)state;
    stop_at_random_moments(true);
}

static void stopped_receiver_winds_down(void **state) {
    (void)state;
    stop_at_random_moments(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(random_faults_never_pass_unnoticed, throw_again),
        cmocka_unit_test_setup(stopped_sender_winds_down, throw_again),
        cmocka_unit_test_setup(stopped_receiver_winds_down, throw_again),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
