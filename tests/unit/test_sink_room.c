/* Room that a file takes beside its data. The linker puts a file system between the sink and the system that may have no
 * holes, and that sees how long a file is when it is written. */
#include "sink_help.h"

enum { PAGE = 4096, HOLLOW = 1 << 20, QUOTA = 100 * 1024 };

static struct limits limits;
static struct usage_table *table;
static const struct metadata meta = {.mode = 0644};
static const uint8_t page[PAGE] = {1};

static bool no_holes, all_inside;
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
    struct os_stat st;
    assert_int_equal(os_fstat(file, &st), 0);
    all_inside = all_inside && offset + n <= st.size;
    if (writes_until_cancelled > 0 && --writes_until_cancelled == 0)
        atomic_store(&cancelled, true);
    return __real_os_pwrite(file, from, n, offset);
}

static int start(void **state) {
    limits = (struct limits){.quota = QUOTA};
    table = usage_table_new(&limits);
    no_holes = false;
    all_inside = true;
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

static void ignore_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    (void)ctx, (void)offset, (void)n, (void)digest;
}

/* Else the file system may take more than is written (xfs), which --min-free would count. */
static void where_room_must_stay_a_file_has_its_length_first(void **state) {
    (void)state;
    enum { OLD = 2 * BASIS_BLOCK_MIN, SIZE = OLD + 2 * PAGE };
    const struct msg_file_begin m = {.file_id = 2, .size = SIZE, .data_size = SIZE};
    static const uint8_t old[OLD];
    limits = (struct limits){.min_free = 1};
    put_file(root, "f", old, sizeof old);
    all_inside = true;
    open_sink((struct sink_options){.usage = user()});
    send_file(1, "small", "text");
    const struct sink_basis basis = sink_find_basis(sink, "f", SIZE);
    assert_int_equal(sink_file_begin_large(sink, 2, "f", &m, &basis, NULL), 0);
    assert_int_equal(sink_file_reuse(sink, 0, OLD, ignore_block, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, page, PAGE, OLD + PAGE, NULL), 0);
    assert_true(all_inside);
    struct os_stat st;
    assert_int_equal(os_fstat(sink->file, &st), 0);
    assert_int_equal(st.size, SIZE); /* and no more than what is written */
    assert_int_equal(sink_file_end(sink, SIZE, &meta, NULL), 0);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        ROOM_TEST(zeros_in_place_of_a_hole_are_not_for_nothing),
        ROOM_TEST(zeros_that_may_be_written_are),
        ROOM_TEST(they_end_when_they_are_cancelled),
        ROOM_TEST(where_room_must_stay_a_file_has_its_length_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
