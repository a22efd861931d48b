/* Digests of what the receiver has: all blocks, in order, not too far ahead, and none of a file that is over. */
#include "files_help.h"
#include "threads_help.h"

#include "receiver/ahead.h"
#include "receiver/basis.h"
#include "receiver/sink_impl.h"

enum { BLOCK = BASIS_BLOCK_MIN, CREDIT = 1 << 30 };

static struct scratch scratch;
static struct outbox *out;
static struct basis *basis;

static int start(void **state) {
    (void)state;
    struct os_dir root;
    scratch = scratch_new();
    out = outbox_new(CREDIT, CHUNK_SIZE_MIN);
    basis = basis_new(out);
    if (out == NULL || basis == NULL || os_dir_dup(scratch.dir, &root) != 0)
        return -1;
    basis_set_root(basis, root);
    return 0;
}

static int stop(void **state) {
    (void)state;
    basis_free(basis);
    outbox_free(out);
    scratch_free(&scratch);
    return 0;
}

static uint8_t *make(const char *name, size_t n, uint8_t salt) {
    uint8_t *data = malloc(n);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)((i >> 12) * 7 + i + salt);
    put_file(scratch.dir, name, data, n);
    return data;
}

static void make_hole(const char *name, uint64_t n) {
    struct os_file file;
    assert_int_equal(os_open_locked(scratch.dir, name, true, &file), 0);
    assert_int_equal(os_truncate(file, n), 0);
    os_close(&file);
}

static void step_until_idle(void) {
    int more;
    struct err err;
    while ((more = basis_step(basis, &err)) == 1) {
    }
    assert_int_equal(more, 0);
}

/* The next BASIS, or false. */
static bool next(struct msg_basis *ret, struct item **ret_item) {
    if (outbox_get(out, ret_item, 0) != QUEUE_OK)
        return false;
    assert_int_equal((*ret_item)->frame.type, MSG_BASIS);
    assert_int_equal(msg_basis_decode(item_body(*ret_item), ret, NULL), 0);
    return true;
}

/* Takes all that is there; blocks from `first` on are those of `data`. The block after the last one. */
static uint64_t take(uint64_t first, const uint8_t *data, uint64_t size, bool *ret_end) {
    struct msg_basis m;
    struct item *item;
    *ret_end = false;
    while (next(&m, &item)) {
        assert_false(*ret_end);
        assert_int_equal(m.file_id, 7);
        *ret_end = m.count == 0;
        if (m.count > 0)
            assert_int_equal(m.first_block, first);
        for (uint32_t i = 0; i < m.count; i++, first++) {
            uint64_t n = size - first * BLOCK < BLOCK ? size - first * BLOCK : BLOCK;
            struct digest d = digest_of(data + first * BLOCK, (size_t)n);
            assert_memory_equal(m.digests.p + i * sizeof d.b, d.b, sizeof d.b);
        }
        item_free(item);
    }
    return first;
}

/* So many blocks and a part of one. */
static void require_all_blocks(uint64_t blocks) {
    const uint64_t size = blocks * BLOCK + 5;
    bool end;
    uint8_t *data = make("f", size, 1);
    struct basis_job *job = basis_add(basis, 7, "f", &(struct sink_basis){.size = size, .block_size = BLOCK});
    step_until_idle();
    assert_int_equal(take(0, data, size, &end), blocks + 1);
    assert_false(end); /* the last block says so itself */
    basis_drop(basis, job);
    free(data);
}

static void whole_file_is_digested(void **state) {
    (void)state;
    require_all_blocks(3000);
}

static void first_part_is_that_of_the_unfinished_file(void **state) {
    (void)state;
    enum { SIZE = 100 * BLOCK + 5, SPLIT = 40 * BLOCK };
    bool end;
    struct temp_name partial;
    sink_partial_name("f", &partial);
    uint8_t *data = make("f", SIZE, 1), *begun = make(partial.s, SPLIT + 100, 2);
    memcpy(data, begun, SPLIT);
    struct basis_job *job =
        basis_add(basis, 7, "f", &(struct sink_basis){.size = SIZE, .split = SPLIT, .block_size = BLOCK});
    step_until_idle();
    assert_int_equal(take(0, data, SIZE, &end), 101);
    basis_drop(basis, job);
    free(data);
    free(begun);
}

static void what_cannot_be_read_ends_the_digests(void **state) {
    (void)state;
    enum { SIZE = 600 * BLOCK };
    bool end;
    uint8_t *data = make("f", SIZE, 1);
    struct sink_basis longer = {.size = 2 * SIZE, .block_size = BLOCK};
    struct basis_job *job = basis_add(basis, 7, "f", &longer), *missing;
    step_until_idle();
    assert_true(take(0, data, 2 * SIZE, &end) <= 600);
    assert_true(end);
    basis_drop(basis, job);
    missing = basis_add(basis, 7, "missing", &longer);
    step_until_idle();
    assert_int_equal(take(0, data, SIZE, &end), 0);
    assert_true(end);
    basis_drop(basis, missing);
    free(data);
}

static void digests_do_not_run_ahead(void **state) {
    (void)state;
    const uint64_t size = UINT64_C(2) * BASIS_AHEAD_MAX * BLOCK;
    struct msg_basis m;
    struct item *item;
    uint64_t asked = 0;
    make_hole("f", size);
    struct basis_job *job = basis_add(basis, 7, "f", &(struct sink_basis){.size = size, .block_size = BLOCK});
    for (uint64_t came = 0; asked < 2 * BASIS_AHEAD_MAX; came = asked) {
        basis_move(basis, job, came * BLOCK);
        step_until_idle();
        while (next(&m, &item)) {
            assert_int_equal(m.first_block, asked);
            asked += m.count;
            item_free(item);
        }
        assert_in_range(asked - came, 1, BASIS_AHEAD_MAX);
    }
    basis_drop(basis, job);
}

static void dropped_file_is_asked_about_no_more(void **state) {
    (void)state;
    enum { SIZE = 3000 * BLOCK };
    struct msg_basis m;
    struct item *item;
    struct err err;
    uint8_t *data = make("f", SIZE, 1);
    struct basis_job *job = basis_add(basis, 7, "f", &(struct sink_basis){.size = SIZE, .block_size = BLOCK});
    assert_int_equal(basis_step(basis, &err), 1);
    assert_true(next(&m, &item));
    item_free(item);
    basis_drop(basis, job);
    assert_int_equal(basis_step(basis, &err), 0);
    assert_false(next(&m, &item));
    basis_drop(basis, NULL);
    free(data);
}

static void sender_that_does_not_wait_is_asked_less(void **state) {
    (void)state;
    enum { SIZE = 20000 * BLOCK };
    struct msg_basis m;
    struct item *item;
    uint64_t asked = 0;
    bool end = false;
    make_hole("f", SIZE);
    struct basis_job *job = basis_add(basis, 7, "f", &(struct sink_basis){.size = SIZE, .block_size = BLOCK});
    for (uint64_t came = 0; came <= SIZE; came += 5000 * (uint64_t)BLOCK) {
        struct err err;
        basis_move(basis, job, came);
        (void)basis_step(basis, &err);
        while (next(&m, &item)) {
            asked += m.count;
            end = end || m.count == 0;
            item_free(item);
        }
    }
    assert_true(end); /* nobody waits for the rest */
    assert_true(asked < 20000);
    basis_drop(basis, job);
}

/* ---- several threads ---------------------------------------------------------------------------------------- */

enum { HELPERS = 3 };

static int start_helped(void **state) {
    int result = start(state);
    if (result == 0)
        basis_allow_helpers(basis, HELPERS);
    return result;
}

static void several_threads_digest_as_one(void **state) {
    (void)state;
    require_all_blocks(13000);
}

static void what_one_of_them_cannot_read_ends_the_digests(void **state) {
    (void)state;
    enum { SIZE = 3000 * BLOCK };
    bool end;
    uint8_t *data = make("f", SIZE, 1);
    struct sink_basis longer = {.size = 5 * SIZE, .block_size = BLOCK};
    struct basis_job *job = basis_add(basis, 7, "f", &longer);
    step_until_idle();
    assert_in_range(take(0, data, 5 * SIZE, &end), 2900, 3000); /* all but the piece with the end */
    assert_true(end);
    basis_drop(basis, job);
    free(data);
}

static void *step_to_the_end(void *arg) {
    struct err err;
    _Atomic unsigned *started = arg;
    atomic_store(started, 1);
    while (basis_wait(basis))
        (void)basis_step(basis, &err);
    return NULL;
}

static void who_drops_a_file_does_not_find_them_at_it(void **state) {
    (void)state;
    enum { SIZE = 6000 * BLOCK, TIMES = 20 };
    _Atomic unsigned started = 0;
    uint8_t *data = make("f", SIZE, 1);
    struct waiters w;
    waiters_start(&w, 1, step_to_the_end, (void *)&started);
    for (int i = 0; i < TIMES; i++) {
        bool end;
        struct basis_job *job =
            basis_add(basis, 7, "f", &(struct sink_basis){.size = SIZE, .block_size = BLOCK});
        os_sleep_ms(i % 5);
        basis_drop(basis, job);
        assert_true(take(0, data, SIZE, &end) <= 6000);
    }
    basis_close(basis);
    waiters_join(&w);
    assert_int_equal(started, 1);
    free(data);
}

static void what_several_digest_they_write_too(void **state) {
    (void)state;
    enum { SIZE = 9000 * BLOCK };
    bool end;
    struct os_file file;
    uint8_t *data = make("f", SIZE, 1), *copy = malloc(SIZE + 1);
    assert_non_null(copy);
    assert_int_equal(os_create(scratch.dir, "new", 0600, &file), 0);
    ahead_open(basis_ahead(basis), 7, file, BLOCK);
    struct basis_job *job = basis_add(basis, 7, "f", &(struct sink_basis){.size = SIZE, .block_size = BLOCK});
    step_until_idle();
    assert_int_equal(take(0, data, SIZE, &end), 9000);
    basis_drop(basis, job);
    assert_true(ahead_has(basis_ahead(basis), 7));
    uint64_t put = ahead_close(basis_ahead(basis));
    assert_false(ahead_has(basis_ahead(basis), 7));
    os_close(&file);
    assert_int_equal(get_file(scratch.dir, "new", copy, SIZE + 1), put);
    assert_int_equal(put, SIZE);
    assert_memory_equal(copy, data, put);
    free(data);
    free(copy);
}

/* ---- a sender that takes nothing ---------------------------------------------------------------------------- */

enum { MUCH = 1 << 20 }; /* bytes of digests: twice what may be ahead of what was sent */

/* File after file is asked about and given up, until no more digests come. How many bytes of them are there. */
static uint64_t give_up_many(uint64_t blocks) {
    const struct sink_basis of = {.size = blocks * BLOCK, .block_size = BLOCK};
    uint64_t before = UINT64_MAX;
    make_hole("f", of.size);
    while (outbox_bytes(out) != before) {
        before = outbox_bytes(out);
        struct basis_job *job = basis_add(basis, 7, "f", &of);
        step_until_idle();
        basis_drop(basis, job);
        assert_true(outbox_bytes(out) < 2 * MUCH);
    }
    return before;
}

static void *wait_for_work(void *arg) {
    bool *ret = arg;
    *ret = basis_wait(basis);
    return NULL;
}

static void digests_that_nobody_takes_are_bounded(void **state) {
    (void)state;
    struct msg_basis m;
    struct item *item;
    for (unsigned way = 0; way < 2; way++) {
        struct waiters w;
        bool result = way > 0;
        assert_true(give_up_many(4096) >= MUCH);
        struct basis_job *job =
            basis_add(basis, 7, "f", &(struct sink_basis){.size = BLOCK, .block_size = BLOCK});
        waiters_start(&w, 1, wait_for_work, &result);
        if (way == 0)
            while (next(&m, &item)) /* it has room again */
                item_free(item);
        else
            outbox_cancel(out);
        waiters_join(&w);
        assert_int_equal(result, way == 0);
        basis_drop(basis, job);
    }
}

#define BASIS(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define HELPED(name)                                                                                         \
    { #name " (helped)", name, start_helped, stop, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        BASIS(whole_file_is_digested),
        BASIS(first_part_is_that_of_the_unfinished_file),
        BASIS(what_cannot_be_read_ends_the_digests),
        BASIS(digests_do_not_run_ahead),
        BASIS(dropped_file_is_asked_about_no_more),
        BASIS(sender_that_does_not_wait_is_asked_less),
        BASIS(digests_that_nobody_takes_are_bounded),
        HELPED(digests_do_not_run_ahead),
        HELPED(sender_that_does_not_wait_is_asked_less),
        HELPED(several_threads_digest_as_one),
        HELPED(what_one_of_them_cannot_read_ends_the_digests),
        HELPED(who_drops_a_file_does_not_find_them_at_it),
        HELPED(what_several_digest_they_write_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
