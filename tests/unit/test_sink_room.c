/* Room that a file takes beside its data. The linker puts a file system between the sink and the system that may have no
 * holes. */
#include "sink_help.h"

enum { PAGE = 4096, HOLLOW = 1 << 20, QUOTA = 100 * 1024 };

static struct limits limits;
static struct usage_table *table;
static const struct metadata meta = {.mode = 0644};
static const uint8_t page[PAGE] = {1};

static bool no_holes;
static atomic_bool cancelled;
static unsigned writes_until_cancelled; /* 0: never */

int __real_os_zero_range(struct os_file file, uint64_t offset, uint64_t n);
int __wrap_os_zero_range(struct os_file file, uint64_t offset, uint64_t n);
int __wrap_os_zero_range(struct os_file file, uint64_t offset, uint64_t n) {
    return no_holes ? -ENOTSUP : __real_os_zero_range(file, offset, n);
}

int __real_os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset);
int __wrap_os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset);
int __wrap_os_pwrite(struct os_file file, const void *from, size_t n, uint64_t offset) {
    if (writes_until_cancelled > 0 && --writes_until_cancelled == 0)
        atomic_store(&cancelled, true);
    return __real_os_pwrite(file, from, n, offset);
}

static int start(void **state) {
    limits = (struct limits){.quota = QUOTA};
    table = usage_table_new(&limits);
    no_holes = false;
    atomic_store(&cancelled, false);
    writes_until_cancelled = 0;
    return table ? sink_test_start(state) : -1;
}

static int stop(void **state) {
    int result = sink_test_stop(state);
    usage_table_free(table);
    return result;
}

static struct usage *user(void) {
    struct usage *u = usage_of(table, &(struct peer_id){.kind = PEER_UNIX, .uid = 1}, NULL);
    assert_non_null(u);
    return u;
}

/* A page at the beginning, and one at the end of what is a hole. */
static int write_around(struct err *err) {
    put_hollow("f", HOLLOW);
    open_sink((struct sink_options){.usage = user(), .inplace = true, .cancelled = &cancelled});
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, page, PAGE, 0, NULL), 0);
    return sink_file_write(sink, page, PAGE, HOLLOW - PAGE, err);
}

static void zeros_in_place_of_a_hole_are_not_for_nothing(void **state) {
    (void)state;
    struct err err = {0};
    no_holes = true;
    assert_int_equal(write_around(&err), -1);
    assert_int_equal(err.code, EXIT_NO_SPACE);
    assert_non_null(strstr(err.msg, "--quota"));
    assert_true(user()->bytes + user()->holes <= QUOTA);
}

static void zeros_that_may_be_written_are(void **state) {
    (void)state;
    static uint8_t got[HOLLOW];
    struct os_file file;
    limits.quota = 2 * HOLLOW;
    no_holes = true;
    assert_int_equal(write_around(NULL), 0);
    assert_int_equal(sink_file_end(sink, HOLLOW, &meta, NULL), 0);
    sink_commit(sink);
    assert_durable(1, HOLLOW);
    assert_int_equal(os_open_read(root, "f", &file), 0);
    assert_int_equal(os_pread(file, got, HOLLOW, 0), HOLLOW);
    os_close(&file);
    for (size_t i = 0; i < HOLLOW; i++)
        assert_int_equal(got[i], i == 0 || i == HOLLOW - PAGE);
}

static void they_end_when_they_are_cancelled(void **state) {
    (void)state;
    struct err err = {0};
    limits.quota = 0;
    no_holes = true;
    writes_until_cancelled = 2;
    assert_int_equal(write_around(&err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    assert_true(os_file_is_open(sink->file)); /* what is there stays */
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        ROOM_TEST(zeros_in_place_of_a_hole_are_not_for_nothing),
        ROOM_TEST(zeros_that_may_be_written_are),
        ROOM_TEST(they_end_when_they_are_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
