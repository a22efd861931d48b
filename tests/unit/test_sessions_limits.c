/* What a receiver does with messages that its state allows, but that break a limit or do not fit what came before. */
#include "session_rig.h"

static struct recv_rig rig;

static int fresh(void **state) {
    (void)state;
    recv_rig_new(&rig, NULL);
    recv_rig_reach(&rig, RECV_TRANSFER); /* file 1, "one", is wanted */
    return 0;
}

static int done(void **state) {
    (void)state;
    recv_rig_free(&rig);
    return 0;
}

static void require_broken(struct item *item, const char *part) {
    struct err err;
    struct tree before = tree_look(rig.scratch.dir);
    assert_int_equal(recv_rig_take(&rig, item, &err), EXIT_STREAM);
    if (strstr(err.msg, part) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, part);
    struct tree after = tree_look(rig.scratch.dir);
    assert_true(tree_same(&before, &after));
    tree_free(&before);
    tree_free(&after);
}

/* The last message was answered by FILE_ERROR with that code, for that file. */
static void require_file_error(uint64_t id, int code) {
    struct msg_file_text m;
    struct err err;
    const struct item *answer = answer_of(&rig.answers, MSG_FILE_ERROR);
    assert_non_null(answer);
    assert_int_equal(msg_file_text_decode(item_body(answer), &m, &err), 0);
    assert_int_equal(m.file_id, id);
    assert_int_equal(m.text.code, code);
}

/* The last message was answered by that verdict, for that file. */
static void require_verdict(uint64_t id, unsigned verdict) {
    const struct item *answer = answer_of(&rig.answers, MSG_VERDICTS);
    assert_non_null(answer);
    struct rd r = rd_of(answer->body, answer->frame.body_length);
    struct run_of_ids run;
    assert_int_equal(run_next(&r, MSG_VERDICTS, &run, NULL), 1);
    assert_int_equal(run.first_id, id);
    assert_int_equal(run.verdict, verdict);
}

/* File `id` arrives whole, and is committed: the session goes on. */
static void require_goes_on(uint64_t id, const char *path) {
    const struct listed file = {.id = id, .type = ENTRY_FILE, .path = path, .size = 100};
    recv_rig_good(&rig, say_entries(&file, 1));
    recv_rig_good(&rig, say_begin(id, 100));
    recv_rig_good(&rig, say_chunk(rig.pool, id, 0, 100));
    recv_rig_good(&rig, say_end(id, 100, 1, 100));
    recv_rig_good(&rig, say_empty(MSG_SYNC));
    assert_non_null(answer_of(&rig.answers, MSG_DURABLE));
    assert_int_equal(stat_of(rig.scratch.dir, path).size, 100);
}

/* ---- ids ------------------------------------------------------------------------------------------------- */

static void file_id_is_used_once(void **state) {
    (void)state;
    const struct listed again = {.id = 1, .type = ENTRY_FILE, .path = "two", .size = 9};
    require_broken(say_entries(&again, 1), "was used before");
}

static void file_ids_grow(void **state) {
    (void)state;
    const struct listed later = {.id = 7, .type = ENTRY_FILE, .path = "seven", .size = 9};
    const struct listed earlier = {.id = 6, .type = ENTRY_FILE, .path = "six", .size = 9};
    recv_rig_good(&rig, say_entries(&later, 1));
    require_broken(say_entries(&earlier, 1), "was used before");
}

/* The ends of directories come in order, each once, and after the files before them. */
static void ends_of_directories_are_held(void **state) {
    (void)state;
    const struct listed dir = {.id = 2, .type = ENTRY_DIR, .path = "d"};
    const struct listed end = {.id = 3, .type = ENTRY_DIR_END, .path = "d"};
    recv_rig_good(&rig, say_entries(&dir, 1));
    require_broken(say_entries(&end, 1), "before file 1 was settled");
    recv_rig_good(&rig, say_text(MSG_FILE_FAIL, 1));
    require_broken(say_entries(&end, 1),
                   "was used before"); /* the rig goes on where a session would have ended */
    const struct listed next = {.id = 4, .type = ENTRY_DIR_END, .path = "d"};
    recv_rig_good(&rig, say_entries(&next, 1));
    require_broken(say_entries(&next, 1), "was used before");
}

static void ids_run_ahead_of_unsettled_ones_by_a_limit(void **state) {
    (void)state;
    const struct listed last = {.id = UNSETTLED_MAX, .type = ENTRY_FILE, .path = "last", .size = 9};
    const struct listed beyond = {.id = UNSETTLED_MAX + 1, .type = ENTRY_FILE, .path = "beyond", .size = 9};
    recv_rig_good(&rig, say_entries(&last, 1));
    require_broken(say_entries(&beyond, 1), "too far ahead");
}

/* The slots of the ids are free: only the span tells. */
static void an_id_too_far_ahead_is_noticed_at_once(void **state) {
    (void)state;
    static const unsigned steps[] = {UNSETTLED_MAX + 1, UNSETTLED_MAX + 2, 3 * UNSETTLED_MAX};
    static const enum entry_type types[] = {ENTRY_FILE, ENTRY_DIR};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
            const struct listed distant = {
                .id = steps[i], .type = types[k], .path = "far", .size = k ? 0 : 9};
            require_broken(say_entries(&distant, 1), "too far ahead");
        }
    /* Once file 1 is settled, they are near. */
    recv_rig_good(&rig, say_begin(1, 0));
    recv_rig_good(&rig, say_text(MSG_FILE_FAIL, 1));
    const struct listed close_by = {.id = 3 * UNSETTLED_MAX, .type = ENTRY_FILE, .path = "near", .size = 9};
    recv_rig_good(&rig, say_entries(&close_by, 1));
}

static void paths_of_unsettled_files_have_a_limit(void **state) {
    (void)state;
    enum { DEEP = 60, NAME = 250 };
    char path[DEEP * (NAME + 1) + 16];
    size_t n = 0, bytes = sizeof "one" - 1 + 64;
    for (unsigned i = 0; i < DEEP; i++, path[n++] = '/')
        for (unsigned k = 0; k < NAME; k++)
            path[n++] = 'd';
    uint64_t id = 2;
    for (bool more = true; more; id++) {
        struct err err;
        (void)snprintf(path + n, sizeof path - n, "%08u", (unsigned)id);
        const struct listed file = {.id = id, .type = ENTRY_FILE, .path = path, .size = 9};
        more = bytes + strlen(path) + 64 <= UNSETTLED_BYTES_MAX;
        bytes += strlen(path) + 64;
        assert_int_equal(recv_rig_take(&rig, say_entries(&file, 1), &err), more ? 0 : EXIT_STREAM);
    }
    assert_true(id > 100);
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static void file_that_was_never_listed_is_not_begun(void **state) {
    (void)state;
    const uint64_t id = 2;
    require_broken(say_begin(2, 9), "was never listed");
    require_broken(say_text(MSG_FILE_FAIL, 2), "was never listed");
    require_broken(say_bundle(rig.pool, &id, 1, 9), "was not asked for");
    require_broken(say_same(2), "was not compared");
    require_broken(say_same(1), "was not compared"); /* it is wanted, and no digest was told */
}

static void contents_belong_to_the_open_file(void **state) {
    (void)state;
    require_broken(say_chunk(rig.pool, 1, 0, 9), "is not open");
    require_broken(say_hole(1, 0, 9), "is not open");
    require_broken(say_end(1, 9, 0, 0), "is not open");
    recv_rig_good(&rig, say_begin(1, 9));
    require_broken(say_chunk(rig.pool, 2, 0, 9), "is not open");
    require_broken(say_hole(2, 0, 9), "is not open");
    require_broken(say_end(2, 9, 0, 0), "is not open");
}

static void one_file_is_open_at_a_time(void **state) {
    (void)state;
    const uint64_t id = 2;
    const struct listed two = {.id = id, .type = ENTRY_FILE, .path = "two", .size = 9};
    recv_rig_good(&rig, say_entries(&two, 1));
    recv_rig_good(&rig, say_begin(1, 9));
    require_broken(say_begin(2, 9), "is still open");
    require_broken(say_bundle(rig.pool, &id, 1, 9), "is still open");
}

static void offsets_do_not_go_back(void **state) {
    (void)state;
    recv_rig_good(&rig, say_begin(1, 1000));
    recv_rig_good(&rig, say_chunk(rig.pool, 1, 100, 100));
    require_broken(say_chunk(rig.pool, 1, 199, 10), "is before what came");
    require_broken(say_chunk(rig.pool, 1, 0, 10), "is before what came");
    require_broken(say_hole(1, 150, 100), "is before what came");
    require_broken(say_end(1, 199, 1, 100), "is before what came");
    recv_rig_good(&rig, say_hole(1, 200, 100));
    require_broken(say_chunk(rig.pool, 1, 299, 10), "is before what came");
}

static void file_that_waits_for_its_commit_does_not_come_again(void **state) {
    (void)state;
    const uint64_t id = 1;
    recv_rig_good(&rig, say_bundle(rig.pool, &id, 1, 9));
    require_broken(say_begin(1, 5), "came already");
    require_broken(say_bundle(rig.pool, &id, 1, 8), "came already");
    require_broken(say_text(MSG_FILE_FAIL, 1), "came already");
    recv_rig_good(&rig, say_empty(MSG_SYNC));
    assert_int_equal(stat_of(rig.scratch.dir, "one").size, 9);
}

static void new_id_does_not_follow_the_end_of_the_list(void **state) {
    (void)state;
    const struct listed late = {.id = 9, .type = ENTRY_FILE, .path = "late", .size = 9};
    recv_rig_good(&rig, say_empty(MSG_LIST_END));
    require_broken(say_entries(&late, 1), "after LIST_END");
    require_broken(say_empty(MSG_LIST_END), "it came before");
}

static void wrong_file_digest_fails_the_file_alone(void **state) {
    (void)state;
    put_text(rig.scratch.dir, "one", "old");
    recv_rig_good(&rig, say_begin(1, 100));
    recv_rig_good(&rig, say_chunk(rig.pool, 1, 0, 100));
    recv_rig_good(&rig, say_end(1, 100, 1, 99));
    require_file_error(1, EXIT_VERIFY);
    assert_text(rig.scratch.dir, "one", "old");
    require_goes_on(2, "two");
}

static void lacks_a_chunk(uint64_t file_id) {
    recv_rig_good(&rig, say_begin(file_id, 200));
    recv_rig_good(&rig, say_chunk(rig.pool, file_id, 0, 100));
    struct item *void_item = say_empty(MSG_VOID);
    void_item->frame.flags = FRAME_RESENT;
    recv_rig_good(&rig, void_item);
    recv_rig_good(&rig, say_end(file_id, 200, 2, 100));
}

static void missing_chunk_has_the_file_sent_again_once(void **state) {
    (void)state;
    lacks_a_chunk(1);
    require_verdict(1, VERDICT_WANT);
    assert_false(exists(rig.scratch.dir, "one"));
    lacks_a_chunk(1);
    require_file_error(1, EXIT_VANISHED); /* its source changed, or the chunk would have come again */
    assert_false(exists(rig.scratch.dir, "one"));
    require_goes_on(2, "two");
}

static void file_that_starts_over_lacks_nothing(void **state) {
    (void)state;
    recv_rig_good(&rig, say_begin(1, 200));
    struct item *void_item = say_empty(MSG_VOID);
    void_item->frame.flags = FRAME_RESENT;
    recv_rig_good(&rig, void_item);
    recv_rig_good(&rig, say_begin(1, 100));
    recv_rig_good(&rig, say_chunk(rig.pool, 1, 0, 100));
    recv_rig_good(&rig, say_end(1, 100, 1, 99));
    require_file_error(1, EXIT_VERIFY);
}

static void void_stands_in_for_a_refused_frame_only(void **state) {
    (void)state;
    require_broken(say_empty(MSG_VOID), "stands in for no refused frame");
}

static void file_that_the_sender_gives_up_is_gone(void **state) {
    (void)state;
    recv_rig_good(&rig, say_begin(1, 200));
    recv_rig_good(&rig, say_chunk(rig.pool, 1, 0, 100));
    recv_rig_good(&rig, say_text(MSG_FILE_FAIL, 1));
    require_verdict(1, VERDICT_GONE);
    assert_false(exists(rig.scratch.dir, "one"));
    require_goes_on(2, "two");
}

/* ---- totals ------------------------------------------------------------------------------------------------ */

static void totals_must_agree(void **state) {
    (void)state;
    const uint64_t id = 1;
    const struct msg_totals right = {.entries = 1, .committed = 1, .bytes = 9};
    const struct msg_totals wrong[] = {
        {.entries = 1, .committed = 1, .bytes = 8}, {.entries = 1, .skipped = 1, .bytes = 9},
        {.entries = 1, .made = 1, .bytes = 9},      {.entries = 1, .failed = 1},
        {.entries = 2, .committed = 2, .bytes = 9}, {.entries = 0},
    };
    recv_rig_good(&rig, say_bundle(rig.pool, &id, 1, 9));
    recv_rig_good(&rig, say_empty(MSG_SYNC));
    require_broken(say_totals(MSG_FINISH, &right), "before LIST_END");
    recv_rig_good(&rig, say_empty(MSG_LIST_END));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        require_broken(say_totals(MSG_FINISH, &wrong[i]), "the totals differ");
    recv_rig_good(&rig, say_totals(MSG_FINISH, &right));
    assert_non_null(answer_of(&rig.answers, MSG_FINISH_ACK));
}

static void finish_before_all_is_settled_is_refused(void **state) {
    (void)state;
    const struct msg_totals claimed = {.entries = 1, .committed = 1, .bytes = 9};
    recv_rig_good(&rig, say_empty(MSG_LIST_END));
    require_broken(say_totals(MSG_FINISH, &claimed), "the totals differ");
}

/* ---- names --------------------------------------------------------------------------------------------------- */

static void bad_names_fail_their_entries_alone(void **state) {
    (void)state;
    static const char *const bad[] = {
        "..", ".", "../up", "a/../b", "a/./b", RESERVED_PREFIX "x", ".HVFERRY.y", "d/" RESERVED_PREFIX "x",
    };
    uint64_t id = 2;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++, id++) {
        static const enum entry_type types[] = {ENTRY_FILE, ENTRY_DIR, ENTRY_SYMLINK};
        const struct listed entry = {
            .id = id, .type = types[i % 3], .path = bad[i], .size = i % 3 == 0 ? 9 : 0};
        struct tree before = tree_look(rig.scratch.dir);
        recv_rig_good(&rig, say_entries(&entry, 1));
        require_file_error(id, EXIT_PARTIAL);
        struct tree after = tree_look(rig.scratch.dir);
        assert_true(tree_same(&before, &after));
        tree_free(&before);
        tree_free(&after);
    }
    require_goes_on(id, "good");
}

static void pull_refuses_what_it_did_not_ask_for(void **state) {
    (void)state;
    static const char *const select = "wanted/dir";
    static const struct listed on_the_way = {.id = 1, .type = ENTRY_DIR, .path = "wanted"};
    static const struct listed inside = {.id = 2, .type = ENTRY_DIR, .path = "wanted/dir"};
    static const struct listed below = {.id = 3, .type = ENTRY_FILE, .path = "wanted/dir/file", .size = 9};
    static const struct listed beside[] = {
        {.id = 4, .type = ENTRY_FILE, .path = "wanted/other", .size = 9},
        {.id = 4, .type = ENTRY_FILE, .path = "wanted", .size = 9},
        {.id = 4, .type = ENTRY_SYMLINK, .path = "wanted"},
        {.id = 4, .type = ENTRY_DIR, .path = "wanted/dirt"},
        {.id = 4, .type = ENTRY_FILE, .path = ".bashrc", .size = 9},
    };
    recv_rig_free(&rig);
    recv_rig_new(&rig, &select);
    recv_rig_good(&rig, say_start(OPT_RECURSIVE | OPT_LINKS));
    recv_rig_good(&rig, say_entries(&on_the_way, 1));
    recv_rig_good(&rig, say_entries(&inside, 1));
    recv_rig_good(&rig, say_entries(&below, 1));
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        require_broken(say_entries(&beside[i], 1), "was not asked for");
}

static void unsupported_options_are_refused(void **state) {
    (void)state;
    struct err err;
    recv_rig_free(&rig);
    recv_rig_new(&rig, NULL);
    static const uint64_t flags[] = {OPT_DELETE, OPT_DEVICES, OPT_HARD_LINKS, OPT_KNOWN + 1};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        assert_int_equal(recv_rig_take(&rig, say_start(flags[i]), &err), EXIT_UNSUPPORTED);
    assert_int_equal(rig.session->state, RECV_AWAIT_START);
}

#define LIMIT(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void) {
    const struct CMUnitTest tests[] = {
        LIMIT(file_id_is_used_once),
        LIMIT(file_ids_grow),
        LIMIT(ends_of_directories_are_held),
        LIMIT(ids_run_ahead_of_unsettled_ones_by_a_limit),
        LIMIT(an_id_too_far_ahead_is_noticed_at_once),
        LIMIT(paths_of_unsettled_files_have_a_limit),
        LIMIT(file_that_was_never_listed_is_not_begun),
        LIMIT(contents_belong_to_the_open_file),
        LIMIT(one_file_is_open_at_a_time),
        LIMIT(offsets_do_not_go_back),
        LIMIT(file_that_waits_for_its_commit_does_not_come_again),
        LIMIT(new_id_does_not_follow_the_end_of_the_list),
        LIMIT(wrong_file_digest_fails_the_file_alone),
        LIMIT(missing_chunk_has_the_file_sent_again_once),
        LIMIT(file_that_starts_over_lacks_nothing),
        LIMIT(void_stands_in_for_a_refused_frame_only),
        LIMIT(file_that_the_sender_gives_up_is_gone),
        LIMIT(totals_must_agree),
        LIMIT(finish_before_all_is_settled_is_refused),
        LIMIT(bad_names_fail_their_entries_alone),
        LIMIT(pull_refuses_what_it_did_not_ask_for),
        LIMIT(unsupported_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
