/* Unfinished files: which stay, who may go on with them, and which are removed. */
#include "sink_help.h"

#include "os/os.h"

enum { LARGE = 64 * 1024, BLOCK = BASIS_BLOCK_MIN };

static const struct sink_options keeping = {.umask = 022, .partial_min = BLOCK};
static const struct sink_basis nothing = {0};

static void begin_large(uint64_t id, const char *path, const struct sink_basis *basis) {
    const struct msg_file_begin m = {.file_id = id, .size = LARGE, .data_size = LARGE};
    assert_int_equal(sink_file_begin_large(sink, id, path, &m, basis, NULL), 0);
}

static void write_blocks(unsigned first, unsigned count, uint8_t value) {
    uint8_t block[BLOCK];
    memset(block, value, sizeof block);
    for (unsigned i = first; i < first + count; i++)
        assert_int_equal(sink_file_write(sink, block, sizeof block, (uint64_t)i * BLOCK, NULL), 0);
}

static struct temp_name partial_of(const char *name) {
    struct temp_name partial;
    sink_partial_name(name, &partial);
    return partial;
}

static void close_sink(void) {
    sink_close(sink);
    sink = NULL;
}

static void end_large(void) {
    assert_int_equal(sink_file_end(sink, LARGE, &(struct metadata){.mode = 0644}, NULL), 0);
    sink_commit(sink);
}

static unsigned reused;

static void on_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    (void)ctx;
    uint8_t block[BLOCK];
    memset(block, 1, sizeof block);
    struct digest ours = digest_of(block, n);
    assert_int_equal(offset % BLOCK, 0);
    assert_true(digest_equal(&ours, digest));
    reused++;
}

/* The same file again: its first blocks are there, the others come. */
static void go_on_from(const struct sink_basis *basis, unsigned blocks) {
    reused = 0;
    begin_large(2, "f", basis);
    assert_int_equal(sink_file_reuse(sink, 0, blocks * BLOCK, on_block, NULL, NULL), 0);
    assert_int_equal(reused, blocks);
    write_blocks(blocks, LARGE / BLOCK - blocks, 2);
    end_large();
    assert_durable(2, LARGE);
}

static void large_file_is_kept_and_gone_on_with(void **state) {
    (void)state;
    open_sink(keeping);
    begin_large(1, "f", &nothing);
    write_blocks(0, 8, 1);
    close_sink();
    assert_true(exists(root, partial_of("f").s));
    open_sink(keeping);
    struct sink_basis basis = sink_find_basis(sink, "f", LARGE);
    assert_int_equal(basis.size, 8 * BLOCK);
    assert_int_equal(basis.split, 8 * BLOCK);
    go_on_from(&basis, 8);
    assert_int_equal(temps_in(root), 0);
}

static void what_was_there_does_not_show_where_nothing_is_written(void **state) {
    (void)state;
    open_sink(keeping);
    begin_large(1, "f", &nothing);
    write_blocks(0, 16, 7);
    close_sink();
    open_sink(keeping);
    begin_large(2, "f", &nothing);
    write_blocks(4, 1, 1);
    end_large();
    uint8_t content[LARGE];
    assert_int_equal(get_file(root, "f", content, sizeof content), LARGE);
    for (size_t i = 0; i < sizeof content; i++)
        assert_int_equal(content[i], i / BLOCK == 4);
}

static void rest_comes_from_the_old_file(void **state) {
    (void)state;
    static uint8_t old[LARGE];
    memset(old, 1, sizeof old);
    put_file(root, "f", old, sizeof old);
    open_sink(keeping);
    begin_large(1, "f", &nothing);
    write_blocks(0, 3, 1);
    close_sink();
    open_sink(keeping);
    struct sink_basis basis = sink_find_basis(sink, "f", LARGE);
    assert_int_equal(basis.size, LARGE);
    assert_int_equal(basis.split, 3 * BLOCK);
    go_on_from(&basis, LARGE / BLOCK);
}

static void basis_that_became_shorter_is_an_error_of_its_own(void **state) {
    (void)state;
    struct err err;
    static uint8_t old[LARGE];
    put_file(root, "f", old, sizeof old);
    open_sink(keeping);
    struct sink_basis basis = sink_find_basis(sink, "f", LARGE);
    put_file(root, "f", old, 10);
    begin_large(1, "f", &basis);
    assert_int_equal(sink_file_reuse(sink, 0, LARGE, on_block, NULL, &err), -1);
    assert_int_equal(err.code, EXIT_VERIFY);
    sink_file_drop(sink);
    assert_int_equal(temps_in(root), 0);
}

static void complete_file_stays_when_reading_it_back_is_cancelled(void **state) {
    (void)state;
    struct err err = {0};
    atomic_bool cancelled = false;
    struct sink_options opt = keeping;
    opt.verify = true;
    opt.cancelled = &cancelled;
    open_sink(opt);
    begin_large(1, "f", &nothing);
    write_blocks(0, LARGE / BLOCK, 1);
    atomic_store(&cancelled, true);
    assert_int_equal(sink_file_end(sink, LARGE, &(struct metadata){.mode = 0444}, &err), -1);
    assert_int_equal(err.code, EXIT_SIGNAL);
    close_sink();
    assert_int_equal(settled[1].times, 0);
    assert_int_equal(stat_of(root, partial_of("f").s).size, LARGE);
    atomic_store(&cancelled, false);
    open_sink(opt);
    struct sink_basis basis = sink_find_basis(sink, "f", LARGE);
    go_on_from(&basis, LARGE / BLOCK);
}

static void what_waits_is_committed_before_a_large_file(void **state) {
    (void)state;
    open_sink(keeping);
    put_text(root, "f", "old");
    send_file(1, "small", "text");
    begin_large(2, "f", &nothing);
    write_blocks(0, LARGE / BLOCK, 1);
    assert_int_equal(settled[1].times, 0);
    assert_int_equal(sink_file_end(sink, LARGE, &(struct metadata){.mode = 0644}, NULL), 0);
    assert_durable(1, 4);
    assert_durable(2, LARGE); /* it has no name but the one that others look for, and waits for nothing */
    assert_int_equal(temps_in(root), 0);
}

static void large_file_that_cannot_have_its_name_goes(void **state) {
    (void)state;
    struct err err = {0};
    open_sink(keeping);
    make_dir(root, "f", 0755);
    put_text(root, "f/inside", "in the way");
    begin_large(1, "f", &nothing);
    write_blocks(0, LARGE / BLOCK, 1);
    assert_int_equal(sink_file_end(sink, LARGE, &(struct metadata){.mode = 0644}, &err), -1);
    assert_int_equal(err.code, EXIT_PARTIAL);
    assert_int_equal(temps_in(root), 0);
    assert_text(root, "f/inside", "in the way");
}

static void small_and_dropped_files_do_not_stay(void **state) {
    (void)state;
    open_sink(keeping);
    assert_int_equal(sink_file_begin(sink, 1, "small", 0, NULL, NULL), 0);
    close_sink();
    open_sink(keeping);
    begin_large(2, "f", &nothing);
    write_blocks(0, 8, 1);
    sink_file_drop(sink);
    begin_large(3, "f", &nothing); /* hardly begun */
    close_sink();
    open_sink((struct sink_options){.umask = 022}); /* nothing is to be kept */
    begin_large(4, "f", &nothing);
    write_blocks(0, 8, 1);
    close_sink();
    assert_int_equal(temps_in(root), 0);
}

static void second_session_takes_another_name(void **state) {
    (void)state;
    open_sink(keeping);
    begin_large(1, "f", &nothing);
    write_blocks(0, 16, 1);
    struct sink *first = sink;
    struct sink_options other = keeping;
    struct os_dir own;
    other.name_salt = 0x9999;
    assert_int_equal(os_dir_dup(root, &own), 0);
    assert_int_equal(sink_open(own, &other, on_settled, settled, &sink, NULL), 0);
    begin_large(2, "f", &nothing);
    assert_int_equal(temps_in(root), 2);
    write_blocks(0, 16, 2);
    end_large();
    assert_durable(2, LARGE);
    close_sink();
    sink = first;
    end_large();
    assert_durable(1, LARGE);
    assert_int_equal(temps_in(root), 0);
}

/* Another session is at it, which may wait for its peer: it is read, and what comes is written elsewhere. */
static void what_another_session_has_begun_is_taken_over(void **state) {
    (void)state;
    uint8_t content[LARGE];
    static uint8_t old[LARGE];
    memset(old, 1, sizeof old);
    put_file(root, "f", old, sizeof old - BLOCK);
    open_sink(keeping);
    begin_large(1, "f", &nothing);
    write_blocks(0, 8, 1);
    struct sink *first = sink;
    struct sink_options other = keeping;
    struct os_dir own;
    other.name_salt = 0x9999;
    assert_int_equal(os_dir_dup(root, &own), 0);
    assert_int_equal(sink_open(own, &other, on_settled, settled, &sink, NULL), 0);
    struct sink_basis basis = sink_find_basis(sink, "f", LARGE);
    assert_int_equal(basis.split, 8 * BLOCK);
    go_on_from(&basis, 15);
    close_sink();
    assert_int_equal(get_file(root, "f", content, sizeof content), LARGE);
    for (size_t i = 0; i < sizeof content; i++)
        assert_int_equal(content[i], i / BLOCK < 15 ? 1 : 2);
    sink = first;
    write_blocks(8, 8, 3);
    end_large();
    assert_durable(1, LARGE);
    assert_int_equal(temps_in(root), 0);
}

static void only_what_no_live_session_claims_is_removed(void **state) {
    (void)state;
    struct os_file claim;
    put_text(root, ".hvferry.00000000000000aa.1.0", "live");
    put_text(root, ".hvferry.00000000000000bb.1.0", "dead");
    put_text(root, ".hvferry.00000000000000bb.1", "nobody can tell");
    put_text(root, ".hvferry.00000000000000bb.2.7", "its root is out of reach");
    assert_int_equal(os_claim(root, 0xaa, &claim), 0);
    assert_int_equal(os_is_claimed(root, 0xaa), 1);
    assert_int_equal(os_is_claimed(root, 0xbb), 0);
    open_sink(keeping);
    assert_true(exists(root, ".hvferry.00000000000000aa.1.0"));
    assert_false(exists(root, ".hvferry.00000000000000bb.1.0"));
    close_sink();
    os_close(&claim);
    open_sink(keeping);
    assert_false(exists(root, ".hvferry.00000000000000aa.1.0"));
    assert_true(exists(root, ".hvferry.00000000000000bb.1"));
    assert_true(exists(root, ".hvferry.00000000000000bb.2.7"));
    remove_file(root, ".hvferry.00000000000000bb.1");
    remove_file(root, ".hvferry.00000000000000bb.2.7");
}

static void directories_that_are_listed_are_cleaned_too(void **state) {
    (void)state;
    make_dir(root, "d", 0755);
    put_text(root, "d/.hvferry.00000000000000bb.1.1", "of a session on root");
    put_text(root, "d/.hvferry.00000000000000bb.2.0", "of a session on d");
    open_sink(keeping);
    assert_int_equal(temps_in(root), 2);
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    assert_int_equal(temps_in(root), 0);
}

static void in_place_the_file_is_written_into_by_one_at_a_time(void **state) {
    (void)state;
    struct err err;
    struct os_file other;
    struct sink_options opt = keeping;
    opt.inplace = true;
    put_text(root, "f", "old and longer");
    uint64_t before = stat_of(root, "f").inode;
    open_sink(opt);
    assert_int_equal(os_open_locked(root, "f", false, &other), 0);
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, &err), -1);
    assert_int_equal(err.code, EXIT_PARTIAL);
    os_close(&other);
    send_file(2, "f", "new");
    sink_commit(sink);
    assert_durable(2, 3);
    assert_text(root, "f", "new");
    assert_int_equal(stat_of(root, "f").inode, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SINK_TEST(large_file_is_kept_and_gone_on_with),
        SINK_TEST(what_was_there_does_not_show_where_nothing_is_written),
        SINK_TEST(rest_comes_from_the_old_file),
        SINK_TEST(basis_that_became_shorter_is_an_error_of_its_own),
        SINK_TEST(complete_file_stays_when_reading_it_back_is_cancelled),
        SINK_TEST(what_waits_is_committed_before_a_large_file),
        SINK_TEST(large_file_that_cannot_have_its_name_goes),
        SINK_TEST(small_and_dropped_files_do_not_stay),
        SINK_TEST(second_session_takes_another_name),
        SINK_TEST(what_another_session_has_begun_is_taken_over),
        SINK_TEST(only_what_no_live_session_claims_is_removed),
        SINK_TEST(directories_that_are_listed_are_cleaned_too),
        SINK_TEST(in_place_the_file_is_written_into_by_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
