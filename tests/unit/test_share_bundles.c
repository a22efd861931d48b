/* Small files that sessions share, and the bundles that they travel in. */
#include "share_help.h"

static void small_file_is_read_once_and_its_bundle_digested_once(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    for (unsigned i = 0; i < ENDS; i++) {
        uint32_t n = send_files(&ends[i], 31, wanted);
        flush(&ends[i]);
        assert_int_equal(ends[i].count, 1);
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    }
    struct share_counts c = share_counts(share);
    assert_int_equal(c.files_read, FILES);
    assert_int_equal(c.files_taken, (ENDS - 1) * FILES);
    assert_int_equal(c.bundles_digested, 1);
    assert_int_equal(c.bundles_taken, ENDS - 1);
    assert_ptr_equal(nth(&ends[0], MSG_BUNDLE, 0)->data->data, nth(&ends[1], MSG_BUNDLE, 0)->data->data);
}

static void file_can_be_taken_from_a_bundle_that_is_being_filled(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    for (unsigned i = 0; i < FILES; i++) /* each of them reads what the other one lacks yet */
        (void)send_files(&ends[i % 2], 1u << i, wanted);
    assert_int_equal(share_counts(share).files_read, FILES);
    for (unsigned e = 0; e < 2; e++) {
        uint32_t n = send_files(&ends[2], 31, wanted);
        flush(&ends[2]);
        require_data(nth(&ends[2], MSG_BUNDLE, e), wanted, n);
    }
    assert_int_equal(share_counts(share).files_read, FILES);
    assert_int_equal(share_counts(share).files_taken, 2 * FILES);
}

/* Both have read a part of it. The bundle that is given up for the equal one of the other is not missed. */
static void equal_bundles_become_one(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    for (unsigned i = 0; i < FILES; i++) {
        (void)send_files(&ends[i % 2], 1u << i, wanted);
        (void)send_files(&ends[1 - i % 2], 1u << i, wanted);
    }
    flush(&ends[0]);
    flush(&ends[1]);
    uint32_t n = send_files(&ends[2], 31, wanted);
    flush(&ends[2]);
    for (unsigned i = 0; i < ENDS; i++)
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    struct share_counts c = share_counts(share);
    assert_int_equal(c.files_read, FILES);
    assert_int_equal(c.files_taken, 2 * FILES);
    assert_int_equal(c.bundles_digested, 1);
    assert_int_equal(c.bundles_taken, 2);
}

static void bundle_of_other_files_is_another(void **state) {
    (void)state;
    uint8_t wanted[1000];
    static const unsigned masks[ENDS] = {31, 30, 23};
    make_files();
    for (unsigned i = 0; i < ENDS; i++) {
        uint32_t n = send_files(&ends[i], masks[i], wanted);
        flush(&ends[i]);
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    }
    struct share_counts c = share_counts(share);
    assert_int_equal(c.files_read, FILES);
    assert_int_equal(c.bundles_digested, ENDS);
    assert_int_equal(c.bundles_taken, 0);
}

static void changed_small_file_is_read_again(void **state) {
    (void)state;
    put_text(scratch.dir, "f", "before");
    send_path(&ends[0], "f", 1);
    rewrite("f", "behind", 6);
    send_path(&ends[1], "f", 1);
    flush(&ends[0]);
    flush(&ends[1]);
    require_data(nth(&ends[0], MSG_BUNDLE, 0), "before", 6);
    require_data(nth(&ends[1], MSG_BUNDLE, 0), "behind", 6);
}

/* It vanishes after the listing: who comes later must not wait for a claim that has failed. */
static void file_that_cannot_be_read_is_left_out(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    struct pending *p = list("f0", 1);
    remove_file(scratch.dir, "f0");
    for (unsigned i = 0; i < 2; i++) {
        send(&ends[i], p);
        assert_int_equal(nth(&ends[i], MSG_FILE_FAIL, 0)->file_id, 0);
        uint32_t n = send_files(&ends[i], 30, wanted);
        flush(&ends[i]);
        require_data(nth(&ends[i], MSG_BUNDLE, 0), wanted, n);
    }
    assert_int_equal(share_counts(share).files_taken, FILES - 1);
    assert_int_equal(share_counts(share).bundles_taken, 1);
    pending_release(p);
}

static void damaged_file_is_read_from_storage(void **state) {
    (void)state;
    uint8_t wanted[1000];
    make_files();
    (void)send_files(&ends[0], 31, wanted);
    flush(&ends[0]);
    struct pending *p = list("f0", 1);
    atomic_store(&p->damaged, true);
    nth(&ends[0], MSG_BUNDLE, 0)->data->data[0] ^= 1; /* as a bad cell of memory would */
    send(&ends[1], p);
    flush(&ends[1]);
    const struct item *item = nth(&ends[1], MSG_BUNDLE, 0);
    assert_int_equal(item->raw_length, 100);
    assert_memory_equal(item->data->data, content, 100);
    pending_release(p);
}

/* An early flush shifts what is bundled together; beyond the next meeting point it is the same again. */
static void bundles_are_the_same_again_after_an_early_one(void **state) {
    (void)state;
    enum { GROUP = BUNDLE_FILES, FIRST = GROUP - 40, LAST = GROUP + 60, EARLY = GROUP - 35 };
    put_text(scratch.dir, "f", "x");
    for (unsigned e = 0; e < 2; e++) {
        for (uint64_t id = FIRST; id < LAST; id++) {
            send_path(&ends[e], "f", id);
            if (e == 1 && id == EARLY)
                flush(&ends[e]);
        }
        flush(&ends[e]);
    }
    static const uint32_t lengths[2][3] = {{40, 60}, {6, 34, 60}};
    for (unsigned e = 0; e < 2; e++) {
        assert_int_equal(ends[e].count, 2 + e);
        for (unsigned i = 0; i < 2 + e; i++)
            assert_int_equal(ends[e].items[i]->raw_length, lengths[e][i]);
    }
    assert_int_equal(share_counts(share).bundles_taken, 1);
}

int main(void) {
#define SHARE_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        SHARE_TEST(small_file_is_read_once_and_its_bundle_digested_once),
        SHARE_TEST(file_can_be_taken_from_a_bundle_that_is_being_filled),
        SHARE_TEST(equal_bundles_become_one),
        SHARE_TEST(bundle_of_other_files_is_another),
        SHARE_TEST(changed_small_file_is_read_again),
        SHARE_TEST(file_that_cannot_be_read_is_left_out),
        SHARE_TEST(damaged_file_is_read_from_storage),
        SHARE_TEST(bundles_are_the_same_again_after_an_early_one),
    };
    return cmocka_run_group_tests_name("share_bundles", tests, NULL, NULL);
}
