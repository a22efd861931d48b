/* Attributes and times of creation of Windows: what the sender says, or else what the replaced file had. */
#include "sink_help.h"

enum {
    OLD_TIME = 500,
    NEW_TIME = 1000,
    CREATED = 250
}; /* Wine gives a file its time of writing for that of creation */

static unsigned times_set;
static struct win_attr last_set;

int __wrap_os_set_win_attr(struct os_file file, const struct win_attr *win);
int __wrap_os_set_win_attr(struct os_file file, const struct win_attr *win) {
    (void)file;
    times_set++;
    last_set = *win;
    return 0;
}

static int start(void **state) {
    int result = sink_test_start(state);
    struct os_file file;
    put_text(root, "f", "old");
    bool made = os_open_read(root, "f", &file) == 0 && os_set_mtime(file, OLD_TIME, 0) == 0;
    os_close(&file);
    times_set = 0;
    return made ? result : -1;
}

static void send(const char *path, const struct win_attr *win, struct sink_options opt) {
    struct metadata meta = {.mode = 0644, .mtime_sec = NEW_TIME, .win = *win};
    open_sink(opt);
    assert_int_equal(sink_file_begin(sink, 1, path, 0, &meta, NULL), 0);
    assert_int_equal(sink_file_write(sink, "new", 3, 0, NULL), 0);
    assert_int_equal(sink_file_end(sink, 3, &meta, NULL), 0);
    sink_commit(sink);
    assert_durable(1, 3);
}

static const struct win_attr nothing_said, hidden = {true, WIN_ATTR_HIDDEN, CREATED, 300};

static void a_replaced_file_keeps_its_time_of_creation(void **state) {
    (void)state;
    send("f", &nothing_said, (struct sink_options){.perms = true, .times = true});
    assert_int_equal(times_set, 1);
    assert_int_equal(last_set.created_sec, OLD_TIME);
    assert_text(root, "f", "new");
}

static void a_new_file_has_its_own(void **state) {
    (void)state;
    send("g", &nothing_said, (struct sink_options){.perms = true, .times = true});
    assert_int_equal(times_set, 0);
}

static void what_the_sender_says_is_set_as_far_as_it_is_preserved(void **state) {
    (void)state;
    static const struct { bool perms, times; } turns[] = {{true, true}, {true, false}, {false, true}};
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        assert_int_equal(i > 0 ? start(state) : 0, 0);
        send("f", &hidden, (struct sink_options){.perms = turns[i].perms, .times = turns[i].times});
        assert_int_equal(times_set, 1);
        assert_int_equal(last_set.bits & WIN_ATTR_HIDDEN, turns[i].perms ? WIN_ATTR_HIDDEN : 0);
        assert_int_equal(last_set.created_sec, turns[i].times ? CREATED : OLD_TIME);
        if (i + 1 < sizeof turns / sizeof turns[0])
            assert_int_equal(sink_test_stop(state), 0);
    }
}

static void a_file_that_has_its_attributes_is_left_alone(void **state) {
    (void)state;
    struct os_stat st;
    assert_int_equal(os_stat_at(root, "f", &st), 0);
    struct entry e = {
        .type = ENTRY_FILE, .path = "f", .size = 3, .mode = 0644, .mtime_sec = OLD_TIME, .win = st.win};
    open_sink((struct sink_options){.perms = true, .times = true});
    assert_true(sink_has(sink, &e, true));
    assert_int_equal(times_set, 0);
    e.win.bits ^= WIN_ATTR_SYSTEM;
    assert_true(sink_has(sink, &e, true));
    assert_int_equal(times_set, 1);
    assert_int_equal(last_set.bits, e.win.bits);
}

static void directories_have_attributes_too(void **state) {
    (void)state;
    struct entry e = {.type = ENTRY_DIR_END, .path = "d", .mode = 0755, .mtime_sec = NEW_TIME, .win = hidden};
    open_sink((struct sink_options){.perms = true, .times = true});
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    assert_int_equal(sink_end_dir(sink, &e, NULL), 0);
    assert_int_equal(times_set, 1);
    assert_int_equal(last_set.bits, WIN_ATTR_HIDDEN);
    assert_int_equal(last_set.created_sec, CREATED);
}

#define ATTR_TEST(f) cmocka_unit_test_setup_teardown(f, start, sink_test_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        ATTR_TEST(a_replaced_file_keeps_its_time_of_creation),
        ATTR_TEST(a_new_file_has_its_own),
        ATTR_TEST(what_the_sender_says_is_set_as_far_as_it_is_preserved),
        ATTR_TEST(a_file_that_has_its_attributes_is_left_alone),
        ATTR_TEST(directories_have_attributes_too),
    };
    return cmocka_run_group_tests_name("sink_win_attr", tests, NULL, NULL);
}
