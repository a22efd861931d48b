/* A large file goes to storage while it arrives. The linker puts a storage that can lose it between the sink and the
 * system. */
#include "sink_help.h"

enum { MIB = 1024 * 1024, STEP = SINK_WRITE_OUT_BYTES, PIECE = 256 * 1024, BYTES = 5 * MIB + PIECE };

static const struct sink_options batch = {.umask = 022, .durable = DURABLE_BATCH};
static const struct sink_basis nothing = {0};
static const struct metadata meta = {.mode = 0644};

static uint64_t written_out; /* all before was handed to the system */
static unsigned calls;
static unsigned syncs;
static int error_instead;

int __wrap_os_write_out_soon(struct os_file file, uint64_t offset, uint64_t n);
int __wrap_os_write_out_soon(struct os_file file, uint64_t offset, uint64_t n) {
    struct os_stat st;
    assert_int_equal(os_fstat(file, &st), 0);
    assert_int_equal(offset, written_out);
    assert_true(n >= STEP);
    written_out = offset + n;
    assert_true(written_out <= st.size); /* what is not written yet is not asked for */
    calls++;
    return error_instead;
}

int __real_os_sync(struct os_file file);
int __wrap_os_sync(struct os_file file);
int __wrap_os_sync(struct os_file file) {
    syncs++;
    return __real_os_sync(file);
}

static int start(void **state) {
    written_out = 0;
    calls = syncs = 0;
    error_instead = 0;
    return sink_test_start(state);
}

#define WRITE_OUT_TEST(f) cmocka_unit_test_setup_teardown(f, start, sink_test_stop)

static void begin_large(uint64_t id, const char *path, uint64_t size, const struct sink_basis *basis) {
    const struct msg_file_begin m = {.file_id = id, .size = size, .data_size = size};
    assert_int_equal(sink_file_begin_large(sink, id, path, &m, basis, NULL), 0);
}

static void write_range(uint64_t from, uint64_t end) {
    static const uint8_t piece[PIECE] = {1};
    for (uint64_t at = from; at < end; at += PIECE)
        assert_int_equal(
            sink_file_write(sink, piece, end - at < PIECE ? (size_t)(end - at) : PIECE, at, NULL), 0);
}

static void send_large(const struct sink_options *opt, uint64_t size) {
    open_sink(*opt);
    begin_large(1, "f", size, &nothing);
    write_range(0, size);
    assert_int_equal(sink_file_end(sink, size, &meta, NULL), 0);
    sink_commit(sink);
    assert_durable(1, size);
}

/* ---- what is written out ----------------------------------------------------------------------------------- */

static void all_but_the_end_of_a_large_file_goes_before_the_flush(void **state) {
    (void)state;
    send_large(&batch, BYTES);
    assert_int_equal(calls, BYTES / STEP);
    assert_true(BYTES - written_out < STEP);
    assert_int_equal(syncs, 1); /* proves what the other does not */
}

static void files_that_follow_begin_anew(void **state) {
    (void)state;
    send_large(&batch, BYTES);
    written_out = 0;
    begin_large(2, "g", BYTES, &nothing);
    write_range(0, BYTES);
    assert_int_equal(calls, 2 * (BYTES / STEP));
    sink_file_drop(sink);
}

static void what_is_flushed_with_its_batch_is_left_to_that(void **state) {
    (void)state;
    send_large(&batch, MIB);
    assert_int_equal(calls, 0);
}

static void nothing_goes_early_where_nothing_is_flushed(void **state) {
    (void)state;
    send_large(&(struct sink_options){.umask = 022, .durable = DURABLE_NONE}, BYTES);
    assert_int_equal(calls, 0);
    assert_int_equal(syncs, 0);
}

static void a_chunk_that_comes_again_is_left_to_the_flush(void **state) {
    (void)state;
    open_sink(batch);
    begin_large(1, "f", BYTES, &nothing);
    write_range(PIECE, BYTES);
    unsigned before = calls;
    write_range(0, PIECE);
    assert_int_equal(calls, before);
    assert_int_equal(sink_file_end(sink, BYTES, &meta, NULL), 0);
    assert_int_equal(syncs, 1);
}

static void in_place_it_goes_early_too(void **state) {
    (void)state;
    static const uint8_t old[2 * MIB];
    put_file(root, "f", old, sizeof old);
    send_large(&(struct sink_options){.umask = 022, .durable = DURABLE_FILE, .inplace = true}, BYTES);
    assert_int_equal(calls, BYTES / STEP);
}

static void on_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    (void)ctx, (void)offset, (void)n, (void)digest;
}

static void what_is_used_again_goes_early_too(void **state) {
    (void)state;
    static const uint8_t old[3 * MIB];
    put_file(root, "f", old, sizeof old);
    open_sink(batch);
    struct sink_basis basis = sink_find_basis(sink, "f", BYTES);
    begin_large(1, "f", BYTES, &basis);
    assert_int_equal(sink_file_reuse(sink, 0, sizeof old, on_block, NULL, NULL), 0);
    assert_int_equal(written_out, sizeof old);
    write_range(sizeof old, BYTES);
    assert_int_equal(sink_file_end(sink, BYTES, &meta, NULL), 0);
    assert_true(BYTES - written_out < STEP);
}

/* ---- what storage loses ------------------------------------------------------------------------------------ */

/* The file fails, though a flush would say nothing: it is not asked. */
static void assert_lost(uint64_t size) {
    struct err err;
    error_instead = 0; /* one is enough */
    assert_int_equal(sink_file_end(sink, size, &meta, &err), -1);
    assert_int_equal(err.sys, EIO);
    assert_non_null(strstr(err.msg, "f: cannot flush"));
    assert_int_equal(syncs, 0);
    assert_int_equal(temps_in(root), 0);
    assert_text(root, "f", "old");
}

/* A large file is begun over an old one, and its first MiB does not get to storage. */
static void lose_the_first_mib(void) {
    put_text(root, "f", "old");
    open_sink(batch);
    begin_large(1, "f", BYTES, &nothing);
    error_instead = -EIO;
    write_range(0, MIB);
}

static void what_is_lost_early_fails_the_file(void **state) {
    (void)state;
    lose_the_first_mib();
    error_instead = 0;
    write_range(MIB, BYTES);
    assert_lost(BYTES);
    written_out = 0;
    send_file(2, "f", "new"); /* of the next one nothing is lost */
    sink_commit(sink);
    assert_text(root, "f", "new");
}

static void a_file_that_turns_out_small_fails_as_well(void **state) {
    (void)state;
    lose_the_first_mib();
    assert_lost(MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WRITE_OUT_TEST(all_but_the_end_of_a_large_file_goes_before_the_flush),
        WRITE_OUT_TEST(files_that_follow_begin_anew),
        WRITE_OUT_TEST(what_is_flushed_with_its_batch_is_left_to_that),
        WRITE_OUT_TEST(nothing_goes_early_where_nothing_is_flushed),
        WRITE_OUT_TEST(a_chunk_that_comes_again_is_left_to_the_flush),
        WRITE_OUT_TEST(in_place_it_goes_early_too),
        WRITE_OUT_TEST(what_is_used_again_goes_early_too),
        WRITE_OUT_TEST(what_is_lost_early_fails_the_file),
        WRITE_OUT_TEST(a_file_that_turns_out_small_fails_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
