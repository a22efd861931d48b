/* Blocks that are put into a file before they are asked for: nothing that was asked for is ever written over, and nothing of
 * them shows where it does not belong. */
#include "sink_help.h"

#include "threads_help.h"

enum { BLOCK = BASIS_BLOCK_MIN, BLOCKS = 16, FILE_SIZE = BLOCKS * BLOCK, ID = 7 };

static struct ahead *ahead;
static uint8_t old[FILE_SIZE];
static struct digest digests[BLOCKS];

static void make_old(void) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        memset(old + (size_t)i * BLOCK, (int)(i + 1), BLOCK);
        digests[i] = digest_of(old + (size_t)i * BLOCK, BLOCK);
    }
    put_file(root, "f", old, FILE_SIZE);
}

static void put_blocks(unsigned first, unsigned count) {
    size_t at = (size_t)first * BLOCK;
    ahead_put(ahead, ID, at, old + at, (size_t)count * BLOCK, digests + first);
}

/* ---- alone ------------------------------------------------------------------------------------------------- */

static int start_alone(void **state) {
    int result = sink_test_start(state);
    make_old();
    ahead = ahead_new();
    return ahead ? result : -1;
}

static int stop_alone(void **state) {
    ahead_free(ahead);
    return sink_test_stop(state);
}

static struct os_file new_file(void) {
    struct os_file file;
    assert_int_equal(os_create(root, "new", 0600, &file), 0);
    ahead_open(ahead, ID, file, BLOCK);
    return file;
}

static bool is_here(unsigned block) {
    struct digest digest;
    bool here = ahead_take(ahead, (uint64_t)block * BLOCK, &digest);
    if (here)
        assert_true(digest_equal(&digest, &digests[block]));
    return here;
}

static void what_was_put_is_there_with_its_digests(void **state) {
    (void)state;
    struct os_file file = new_file();
    uint8_t content[FILE_SIZE];
    put_blocks(0, 2);
    put_blocks(4, 1);
    assert_int_equal(ahead_claim(ahead, FILE_SIZE), 5 * BLOCK);
    for (unsigned i = 0; i < BLOCKS; i++)
        assert_int_equal(is_here(i), i < 2 || i == 4);
    assert_int_equal(ahead_close(ahead), 5 * BLOCK);
    os_close(&file); /* Windows lets nobody else open it meanwhile */
    assert_int_equal(get_file(root, "new", content, sizeof content), 5 * BLOCK);
    assert_memory_equal(content, old, 2 * BLOCK);
    assert_memory_equal(content + 4 * BLOCK, old + 4 * BLOCK, BLOCK);
}

static void what_is_claimed_is_not_written(void **state) {
    (void)state;
    struct os_file file = new_file();
    assert_int_equal(ahead_claim(ahead, 3 * BLOCK + 1), 0);
    put_blocks(0, 4);
    put_blocks(3, 1); /* a part of it is claimed */
    assert_int_equal(stat_of(root, "new").size, 0);
    put_blocks(4, 1);
    assert_false(is_here(3));
    assert_true(is_here(4));
    (void)ahead_close(ahead);
    os_close(&file);
}

static void other_files_and_closed_ones_get_nothing(void **state) {
    (void)state;
    struct os_file file = new_file();
    ahead_put(ahead, ID + 1, 0, old, BLOCK, digests);
    assert_int_equal(ahead_close(ahead), 0);
    put_blocks(0, 1);
    assert_false(is_here(0));
    assert_int_equal(stat_of(root, "new").size, 0);
    ahead_open(ahead, ID, file, BLOCK);
    put_blocks(0, 1);
    (void)ahead_close(ahead);
    ahead_open(ahead, ID, file, BLOCK); /* another attempt: what was put then is of no use now */
    assert_false(is_here(0));
    (void)ahead_close(ahead);
    os_close(&file);
}

static void zeros_are_left_out(void **state) {
    (void)state;
    static const uint8_t zeros[2 * BLOCK];
    struct os_file file = new_file();
    ahead_put(ahead, ID, 0, zeros, sizeof zeros, digests);
    assert_int_equal(ahead_close(ahead), 0);
    assert_int_equal(stat_of(root, "new").size, 0);
    os_close(&file);
}

static void where_nothing_is_taken_it_stops(void **state) {
    (void)state;
    struct os_file file = new_file();
    unsigned turns = 0;
    for (uint64_t before = 0, end = 1; end > before && turns < 10000; turns++) {
        before = end;
        uint64_t at = (uint64_t)turns * FILE_SIZE;
        ahead_put(ahead, ID, at, old, FILE_SIZE, digests);
        end = ahead_claim(ahead, at + FILE_SIZE);
    }
    assert_in_range(turns, 2, 1000);
    (void)ahead_close(ahead);
    os_close(&file);
}

/* ---- in a sink ------------------------------------------------------------------------------------------------ */

static unsigned reused;

static void on_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    (void)ctx;
    assert_int_equal(n, BLOCK);
    assert_true(digest_equal(digest, &digests[offset / BLOCK]));
    reused++;
}

static void begin_file(uint64_t size) {
    const struct sink_options opt = {.umask = 022, .partial_min = BLOCK, .ahead = ahead};
    const struct msg_file_begin m = {.file_id = ID, .size = size, .data_size = size};
    open_sink(opt);
    struct sink_basis basis = sink_find_basis(sink, "f", size);
    assert_int_equal(basis.size, size < FILE_SIZE ? size : FILE_SIZE);
    assert_int_equal(basis.split, 0);
    assert_int_equal(sink_file_begin_large(sink, ID, "f", &m, &basis, NULL), 0);
}

static void reuse(unsigned first, unsigned count) {
    struct err err;
    reused = 0;
    assert_int_equal(
        sink_file_reuse(sink, (uint64_t)first * BLOCK, (uint64_t)count * BLOCK, on_block, NULL, &err), 0);
    assert_int_equal(reused, count);
}

static void end_file(uint64_t size) {
    assert_int_equal(sink_file_end(sink, size, &(struct metadata){.mode = 0644}, NULL), 0);
    sink_commit(sink);
    assert_durable(ID, size);
    sink_close(sink);
    sink = NULL;
}

static void blocks_come_from_either_place_in_their_order(void **state) {
    (void)state;
    uint8_t content[FILE_SIZE + 1];
    begin_file(FILE_SIZE);
    put_blocks(2, 3);
    put_blocks(9, 1);
    reuse(0, BLOCKS);
    put_blocks(0, 1); /* too late */
    end_file(FILE_SIZE);
    assert_int_equal(get_file(root, "f", content, sizeof content), FILE_SIZE);
    assert_memory_equal(content, old, FILE_SIZE);
}

static void what_is_sent_takes_the_place_of_what_was_put(void **state) {
    (void)state;
    enum { PUT = 12, END = 14 * BLOCK };
    uint8_t content[FILE_SIZE + 1], sent[BLOCK];
    memset(sent, 0xee, sizeof sent);
    begin_file(FILE_SIZE);
    put_blocks(0, PUT);
    reuse(0, 2);
    assert_int_equal(sink_file_write(sink, sent, sizeof sent, 2 * BLOCK, NULL), 0);
    put_blocks(2, 1);
    reuse(5, 1); /* 3 and 4 are a hole, and so is what follows */
    end_file(END);
    assert_int_equal(get_file(root, "f", content, sizeof content), END);
    assert_memory_equal(content, old, 2 * BLOCK);
    assert_memory_equal(content + 2 * BLOCK, sent, BLOCK);
    assert_memory_equal(content + 5 * BLOCK, old + 5 * BLOCK, BLOCK);
    for (unsigned i = 3 * BLOCK; i < END; i++)
        if (i / BLOCK != 5)
            assert_int_equal(content[i], 0);
}

static void shorter_file_has_nothing_behind_its_end(void **state) {
    (void)state;
    uint8_t content[FILE_SIZE + 1];
    begin_file(FILE_SIZE);
    put_blocks(0, BLOCKS);
    reuse(0, 3);
    end_file(3 * BLOCK);
    assert_int_equal(get_file(root, "f", content, sizeof content), 3 * BLOCK);
    assert_memory_equal(content, old, 3 * BLOCK);
}

static void interrupted_file_keeps_what_was_asked_for(void **state) {
    (void)state;
    struct temp_name partial;
    begin_file(FILE_SIZE);
    put_blocks(0, BLOCKS);
    reuse(0, 3);
    sink_close(sink);
    sink = NULL;
    sink_partial_name("f", &partial);
    assert_int_equal(stat_of(root, partial.s).size, 3 * BLOCK);
    remove_file(root, partial.s);
}

/* ---- two threads ------------------------------------------------------------------------------------------------ */

static void *put_all(void *arg) {
    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++)
        put_blocks(i, 1);
    return NULL;
}

static void sink_and_basis_do_not_get_in_each_others_way(void **state) {
    (void)state;
    uint8_t content[FILE_SIZE + 1], sent[BLOCK];
    memset(sent, 0xee, sizeof sent);
    for (unsigned turn = 0; turn < 200; turn++) {
        memset(settled, 0, sizeof settled);
        put_file(root, "f", old, FILE_SIZE);
        begin_file(FILE_SIZE);
        struct waiters other;
        waiters_start(&other, 1, put_all, NULL);
        for (unsigned i = 0; i < BLOCKS; i += 2) {
            assert_int_equal(sink_file_write(sink, sent, sizeof sent, (uint64_t)i * BLOCK, NULL), 0);
            reuse(i + 1, 1);
        }
        end_file(FILE_SIZE);
        waiters_join(&other);
        assert_int_equal(get_file(root, "f", content, sizeof content), FILE_SIZE);
        for (unsigned i = 0; i < BLOCKS; i++)
            assert_memory_equal(content + (size_t)i * BLOCK, i % 2 ? old + (size_t)i * BLOCK : sent, BLOCK);
    }
}

#define ALONE(name) cmocka_unit_test_setup_teardown(name, start_alone, stop_alone)

int main(void) {
    const struct CMUnitTest tests[] = {
        ALONE(what_was_put_is_there_with_its_digests),
        ALONE(what_is_claimed_is_not_written),
        ALONE(other_files_and_closed_ones_get_nothing),
        ALONE(zeros_are_left_out),
        ALONE(where_nothing_is_taken_it_stops),
        ALONE(blocks_come_from_either_place_in_their_order),
        ALONE(what_is_sent_takes_the_place_of_what_was_put),
        ALONE(shorter_file_has_nothing_behind_its_end),
        ALONE(interrupted_file_keeps_what_was_asked_for),
        ALONE(sink_and_basis_do_not_get_in_each_others_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
