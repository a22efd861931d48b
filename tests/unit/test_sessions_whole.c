/* Sessions of a sender and a receiver with nothing in their way. */
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

static void require_good(const struct pair_options *opt, struct pair_result *r) {
    const char *problem = stage_run(&set, opt, r);
    if (problem == NULL && (r->sender.code != 0 || r->receiver.code != 0))
        problem = "an end failed";
    pair_require(problem, opt, r);
}

static void trees_are_equal_after_a_session(void **state) {
    (void)state;
    for (unsigned combination = 0; combination < 8; combination++) {
        struct pair_result r;
        struct pair_options opt = {
            .sender_serial = combination & 1,
            .receiver_serial = combination & 2,
            .receiver_dials = combination & 4,
            .codec = CODEC_ZLIB,
        };
        require_good(&opt, &r);
        assert_int_equal(r.sender.committed, 6); /* all files but the one that is the same */
        assert_int_equal(r.receiver.committed, 6);
        assert_int_equal(r.sender.skipped, 1);
        assert_int_equal(r.sender.resent + r.receiver.resent, 0);
    }
}

static void reference_frames(void **state) {
    (void)state;
    struct pair_result r;
    struct pair_options opt = {.codec = CODEC_ZLIB};
    for (int i = 0; i < 20; i++) {
        int64_t t0 = os_now_ns();
        require_good(&opt, &r);
        print_message("# %lld us\n", (long long)(os_now_ns() - t0) / 1000);
    }
    for (unsigned d = 0; d < 2; d++)
        for (unsigned i = 0; i < r.passed[d].count; i++)
            print_message("# %u %u %s %u %u\n", d, i, msg_type_name(r.passed[d].frames[i].type),
                          r.passed[d].frames[i].body_length, r.passed[d].frames[i].data_length);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_equal_after_a_session),
        cmocka_unit_test(reference_frames),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
