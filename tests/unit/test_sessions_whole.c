/* Sessions of a sender and a receiver with nothing in their way, and with more to send than credit allows at once. */
#include "session_pair.h"

#include "program/options.h"

enum {
    COMBINATIONS = 8,
    MANY_FILES = 600, /* more than a batch, and than what is acknowledged at once */
    MUCH_BYTES = 20 * 1024 * 1024, /* more than twice the window */
};

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

/* All four kinds of ends, and either of them dialling. */
static struct pair_options combination(unsigned i) {
    return (struct pair_options){
        .sender_serial = i & 1,
        .receiver_serial = i & 2,
        .receiver_dials = i & 4,
        .codec = i & 1 ? CODEC_ZLIB : CODEC_AUTO,
    };
}

static void require_good(const struct pair_options *opt, struct pair_result *r) {
    const char *problem = stage_run(&set, opt, r);
    if (problem == NULL && (r->sender.code != 0 || r->receiver.code != 0))
        problem = "an end failed";
    pair_require(problem, opt, r);
}

static void trees_are_equal_after_a_session(void **state) {
    (void)state;
    for (unsigned i = 0; i < COMBINATIONS; i++) {
        struct pair_options opt = combination(i);
        struct pair_result r;
        require_good(&opt, &r);
        assert_int_equal(r.sender.committed, 6); /* all files but the one that is the same */
        assert_int_equal(r.receiver.committed, 6);
        assert_int_equal(r.sender.skipped, 1);
        assert_int_equal(r.receiver.skipped, 1);
        assert_int_equal(r.sender.resent + r.receiver.resent, 0);
        assert_int_equal(r.sender.raw, r.receiver.raw);
    }
}

static void trees_are_equal_however_they_are_flushed(void **state) {
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct pair_options opt = combination(i);
        struct pair_result r;
        opt.durable = DURABLE_FILE;
        require_good(&opt, &r);
        opt.durable = DURABLE_NONE;
        require_good(&opt, &r);
    }
}

static void second_session_sends_nothing(void **state) {
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct pair_options opt = combination(i);
        struct pair_result r;
        require_good(&opt, &r);
        struct tree before = tree_look(set.dest);
        pair_run(&opt, set.source, set.dest, &r);
        struct tree after = tree_look(set.dest);
        assert_int_equal(r.sender.code, 0);
        assert_int_equal(r.receiver.code, 0);
        assert_int_equal(r.sender.committed, 0);
        assert_int_equal(r.sender.skipped, 7);
        assert_int_equal(r.sender.raw, 0);
        assert_true(tree_same(&before, &after));
        tree_free(&before);
        tree_free(&after);
    }
}

/* One after the other, with little enough that all of it is at hand still. */
static void later_sessions_take_what_the_first_has_read(void **state) {
    (void)state;
    for (unsigned i = 0; i < COMBINATIONS; i++) {
        struct pair_options opt = combination(i);
        opt.share = share_new(3, PAIR_CHUNK);
        assert_non_null(opt.share);
        struct share_counts first = {0}, c = {0};
        for (unsigned k = 0; k < 3; k++) {
            struct pair_result r;
            require_good(&opt, &r);
            assert_int_equal(r.sender.committed, 6);
            assert_int_equal(r.sender.resent + r.receiver.resent, 0);
            c = share_counts(opt.share);
            if (k == 0)
                first = c;
        }
        assert_true(first.chunks_read > 0 && first.files_read > 0);
        assert_int_equal(first.chunks_taken + first.files_taken, 0);
        assert_int_equal(c.chunks_read, first.chunks_read);
        assert_int_equal(c.chunks_taken, 2 * first.chunks_read);
        assert_int_equal(c.files_read, first.files_read);
        assert_int_equal(c.files_taken, 2 * first.files_read);
        if (opt.codec == CODEC_ZLIB) /* else it depends on the stream whether anything is packed */
            assert_int_equal(c.packed, first.packed);
        share_free(opt.share);
    }
}

static void the_other_tests_see_every_message_of_a_session(void **state) {
    (void)state;
    static const uint8_t expected[] = {MSG_HELLO,      MSG_START, MSG_ENTRIES, MSG_LIST_END,
                                       MSG_FILE_BEGIN, MSG_CHUNK, MSG_HOLE,    MSG_FILE_END,
                                       MSG_BUNDLE,     MSG_SYNC,  MSG_FINISH,  MSG_BYE};
    struct pair_options opt = combination(0);
    struct pair_result r;
    require_good(&opt, &r);
    const struct passed *forth = &r.passed[TO_RECEIVER];
    assert_in_range(forth->count, 20, 60);
    assert_in_range(r.passed[TO_SENDER].count, 4, 20);
    for (size_t i = 0; i < sizeof expected; i++) {
        bool seen = expected[i] == MSG_HOLE && !tree_tells_holes(set.source);
        for (unsigned k = 0; k < forth->count; k++)
            seen |= forth->frames[k].type == expected[i];
        assert_true(seen);
    }
}

/* ---- more than fits the window ------------------------------------------------------------------------------ */

/* Of combinations, where not all can be had in time: the first and the fourth differ in everything. */
static unsigned step(void) {
    return pair_stride() > 10 ? 3 : 1;
}

static struct os_dir make_empty(const char *name) {
    struct os_dir dir;
    remove_tree(set.scratch.dir, name);
    make_dir(set.scratch.dir, name, 0755);
    assert_int_equal(os_dir_open(set.scratch.dir, name, &dir), 0);
    return dir;
}

static struct os_dir make_much(void) {
    struct os_dir source = make_empty("much");
    uint8_t *bytes = malloc(MUCH_BYTES);
    assert_non_null(bytes);
    for (uint32_t i = 0; i < MUCH_BYTES; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    put_file(source, "much", bytes, MUCH_BYTES);
    for (unsigned i = 0; i < MANY_FILES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "file %u", i);
        put_file(source, name, bytes + i, i % 50);
    }
    free(bytes);
    return source;
}

/* The trees are equal, and credit was granted on the way. */
static void require_much(const struct pair_options *opt, struct os_dir source, const struct tree *wanted) {
    struct pair_result r;
    struct os_dir dest = make_empty("much dest");
    pair_run(opt, source, dest, &r);
    struct tree now = tree_look(dest);
    const char *problem = r.leak ? r.leak : tree_lacks(&now, wanted);
    bool acknowledged = false;
    for (unsigned i = 0; i < r.passed[TO_SENDER].count && i < RECORD_FRAMES; i++)
        acknowledged |= r.passed[TO_SENDER].frames[i].type == MSG_ACK;
    if (problem == NULL && (r.sender.code != 0 || r.receiver.code != 0))
        problem = "an end failed";
    if (problem == NULL && !acknowledged)
        problem = "nothing was acknowledged";
    pair_require(problem, opt, &r);
    tree_free(&now);
    os_dir_close(&dest);
}

static void more_than_the_window_arrives(void **state) {
    (void)state;
    struct os_dir source = make_much();
    struct tree wanted = tree_look(source);
    for (unsigned i = 0; i < 4; i += step()) {
        struct pair_options opt = combination(i);
        require_much(&opt, source, &wanted);
    }
    tree_free(&wanted);
    os_dir_close(&source);
}

static void damage_in_a_full_window_is_healed(void **state) {
    (void)state;
    struct os_dir source = make_much();
    struct tree wanted = tree_look(source);
    for (unsigned i = 0; i < 4; i += step()) {
        struct plan plan = {.count = PLAN_FAULTS};
        for (unsigned k = 0; k < PLAN_FAULTS; k++)
            plan.faults[k] = (struct fault){.kind = FAULT_FLIP_DATA,
                                            .direction = TO_RECEIVER,
                                            .type = MSG_CHUNK,
                                            .index = 60 * k,
                                            .bit = 12345,
                                            .repeat = k % REFUSALS_MAX};
        struct pair_options opt = combination(i);
        opt.plan = &plan;
        require_much(&opt, source, &wanted);
    }
    tree_free(&wanted);
    os_dir_close(&source);
}

static void damaged_ack_ends_both_ends(void **state) {
    (void)state;
    struct os_dir source = make_much();
    static const enum fault_kind kinds[] = {FAULT_DROP, FAULT_DUPLICATE, FAULT_FLIP_HEADER, FAULT_FLIP_BODY};
    for (unsigned i = 0; i < 4; i += step()) {
        struct plan plan = {
            .faults = {{.kind = kinds[i], .direction = TO_SENDER, .type = MSG_ACK, .bit = 170}}, .count = 1};
        struct pair_options opt = combination(i);
        struct pair_result r;
        struct os_dir dest = make_empty("much dest");
        opt.plan = &plan;
        pair_run(&opt, source, dest, &r);
        const char *problem = r.leak;
        if (problem == NULL && r.passed[TO_SENDER].harms == 0)
            problem = "no ACK came";
        if (problem == NULL && (r.sender.code == 0 || r.receiver.code == 0))
            problem = "an end did not notice";
        pair_require(problem, &opt, &r);
        os_dir_close(&dest);
    }
    os_dir_close(&source);
}

/* Nothing reaches the receiver any more: the sender's stages wait for credit, buffers and room in queues. */
static void ends_stopped_in_a_full_pipeline_wind_down(void **state) {
    (void)state;
    enum { STOP_US = 200 * 1000, LATEST_US = 256 * STOP_US };
    struct os_dir source = make_much();
    struct plan plan = {
        .faults = {{.kind = FAULT_STALL, .direction = TO_RECEIVER, .type = MSG_CHUNK, .index = 3}},
        .count = 1};
    for (unsigned i = 0; i < 8; i += step()) {
        struct pair_options opt = combination(i & 3);
        struct pair_result r;
        struct os_dir dest = make_empty("much dest");
        opt.plan = &plan;
        /* On a slow machine the stop may come before the stall: then later. */
        for (unsigned us = STOP_US; us <= LATEST_US; us *= 2) {
            opt.stop_sender_us = i & 4 ? 0 : us;
            opt.stop_receiver_us = i & 4 ? us : 0;
            pair_run(&opt, source, dest, &r);
            if (r.passed[TO_RECEIVER].harms > 0)
                break;
        }
        const char *problem = r.leak;
        if (problem == NULL && r.passed[TO_RECEIVER].harms == 0)
            problem = "it was over before";
        if (problem == NULL && (i & 4 ? &r.receiver : &r.sender)->code != EXIT_SIGNAL)
            problem = "the end that was stopped gives another reason";
        if (problem == NULL && (r.sender.code == 0 || r.receiver.code == 0))
            problem = "an end did not notice";
        pair_require(problem, &opt, &r);
        os_dir_close(&dest);
    }
    os_dir_close(&source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_equal_after_a_session),
        cmocka_unit_test(trees_are_equal_however_they_are_flushed),
        cmocka_unit_test(second_session_sends_nothing),
        cmocka_unit_test(later_sessions_take_what_the_first_has_read),
        cmocka_unit_test(the_other_tests_see_every_message_of_a_session),
        cmocka_unit_test(more_than_the_window_arrives),
        cmocka_unit_test(damage_in_a_full_window_is_healed),
        cmocka_unit_test(damaged_ack_ends_both_ends),
        cmocka_unit_test(ends_stopped_in_a_full_pipeline_wind_down),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
