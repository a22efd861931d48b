/* Batches: every file that ended is settled exactly once, at the latest when its batch is full. */
#include "sink_help.h"
#include "threads_help.h"

#include <sys/mount.h>
#include <sys/syscall.h>

enum { MANY = SINK_BATCH_FILES + 76 };

static void send_many(unsigned n, unsigned dirs) {
    char path[32];
    for (unsigned i = 0; i < dirs; i++) {
        (void)snprintf(path, sizeof path, "d%u", i);
        assert_int_equal(sink_make_dir(sink, path, 0755, NULL), 0);
    }
    for (unsigned i = 1; i <= n; i++) {
        (void)snprintf(path, sizeof path, "d%u/f%u", i % dirs, i);
        send_file(i, path, i % 3 ? "content" : "");
    }
}

static unsigned settled_count(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < IDS; i++)
        n += settled[i].times;
    return n;
}

static void assert_all_durable(unsigned n) {
    char path[32];
    for (unsigned i = 1; i <= n; i++)
        assert_durable(i, i % 3 ? 7 : 0);
    assert_int_equal(settled_count(), n);
    (void)snprintf(path, sizeof path, "d0");
    assert_true(exists(root, path));
    assert_int_equal(temps_below(root.fd, "."), 0);
}

static void full_batch_commits_itself(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_NONE});
    send_many(SINK_BATCH_FILES - 1, 1);
    assert_int_equal(settled_count(), 0);
    send_file(SINK_BATCH_FILES, "last", "content");
    assert_int_equal(settled_count(), SINK_BATCH_FILES);
    assert_false(sink_has_batch(sink));
}

static void batch_of_many_bytes_commits_itself(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_NONE});
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(settled_count(), 0);
        char name[] = {'f', (char)('0' + id), '\0'};
        assert_int_equal(sink_file_begin(sink, id, name, 0, NULL, NULL), 0);
        assert_int_equal(sink_file_end(sink, SINK_BATCH_BYTES / 2,
                                       &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0},
                                       NULL),
                         0);
    }
    assert_durable(1, SINK_BATCH_BYTES / 2);
    assert_durable(2, SINK_BATCH_BYTES / 2);
}

static void many_files_settle_once_when_durable(enum durable durable) {
    open_sink((struct sink_options){.durable = durable, .times = true});
    send_many(MANY, SINK_SYNC_DIRS + 2);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_all_durable(MANY);
    assert_int_equal(sink_finish(sink, NULL), 0);
    assert_all_durable(MANY);
}

static void more_files_than_a_batch_settle_once_without_flushing(void **state) {
    (void)state;
    many_files_settle_once_when_durable(DURABLE_NONE);
}

static void more_files_than_a_batch_settle_once_with_flushing(void **state) {
    (void)state;
    many_files_settle_once_when_durable(DURABLE_BATCH);
}

static void file_by_file_each_is_durable_at_its_end(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_FILE});
    assert_int_equal(sink_make_dir(sink, "d", 0755, NULL), 0);
    for (uint64_t id = 1; id <= 5; id++) {
        char path[] = {'d', '/', (char)('0' + id), '\0'};
        send_file(id, path, "text");
        assert_durable(id, 4);
        assert_text(root, path, "text");
        assert_false(sink_has_batch(sink));
    }
    assert_int_equal(sink_finish(sink, NULL), 0);
}

static void large_and_small_files_share_a_batch(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) { /* the last of a batch is flushed in its own way */
        uint64_t base = order ? 10 : 0;
        open_sink((struct sink_options){.durable = DURABLE_BATCH});
        for (uint64_t i = 1; i <= 3; i++) {
            bool large = (i % 2 == 0) == (order == 0);
            uint64_t size = large ? CHUNK_SIZE_DEFAULT + 1 : 1;
            char name[] = {(char)('a' + order), (char)('0' + i), '\0'};
            assert_int_equal(sink_file_begin(sink, base + i, name, size, NULL, NULL), 0);
            assert_int_equal(sink_file_write(sink, "x", 1, 0, NULL), 0);
            assert_int_equal(sink_file_end(sink, size,
                                           &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0},
                                           NULL),
                             0);
        }
        sink_commit(sink);
        for (uint64_t i = 1; i <= 3; i++)
            assert_durable(base + i, (i % 2 == 0) == (order == 0) ? CHUNK_SIZE_DEFAULT + 1 : 1);
        sink_close(sink);
        sink = NULL;
    }
}

static void failures_in_a_batch_are_told_once_each(void **state) {
    (void)state;
    char path[16];
    open_sink((struct sink_options){.durable = DURABLE_BATCH});
    for (unsigned i = 1; i <= 40; i++) {
        (void)snprintf(path, sizeof path, "t%u", i);
        if (i % 2) {
            assert_int_equal(mkdirat(root.fd, path, 0755), 0);
            (void)snprintf(path, sizeof path, "t%u/x", i);
            put_text(root, path, "kept");
        }
        (void)snprintf(path, sizeof path, "t%u", i);
        send_file(i, path, "new");
    }
    sink_commit(sink);
    for (unsigned i = 1; i <= 40; i++) {
        (void)snprintf(path, sizeof path, i % 2 ? "t%u/x" : "t%u", i);
        if (i % 2)
            assert_failed(i);
        else
            assert_durable(i, 3);
        assert_text(root, path, i % 2 ? "kept" : "new");
    }
    assert_int_equal(settled_count(), 40);
    assert_int_equal(temps_below(root.fd, "."), 0);
}

static void few_descriptors_are_open_whatever_the_batch(void **state) {
    (void)state;
    open_sink((struct sink_options){.durable = DURABLE_BATCH});
    send_many(300, SINK_SYNC_DIRS + 5);
    /* scratch and root of the test; root, its claim, cached directories and the last files of the sink */
    assert_true(open_descriptors() <= descriptors + 2 + 2 + DIR_CACHE_SIZE + SINK_KEPT_FILES);
}

/* ---- the race ----------------------------------------------------------------------------------------- */

struct flipper {
    atomic_bool done;
    atomic_int failure;
};

static void *flip(void *arg) {
    enum { FLIPS = 2000 };
    struct flipper *f = arg;
    for (int i = 0; i < FLIPS; i++)
        if (syscall(SYS_renameat2, root.fd, "d", root.fd, "s", 2 /* RENAME_EXCHANGE */) != 0) {
            atomic_store(&f->failure, errno);
            break;
        }
    atomic_store(&f->done, true);
    return NULL;
}

static void no_file_lands_outside_while(bool fallback) {
    struct flipper f = {false, 0};
    struct waiters w;
    open_sink((struct sink_options){.durable = DURABLE_NONE});
    os_dir_force_fallback(fallback);
    assert_int_equal(mkdirat(scratch.dir.fd, "outside", 0777), 0);
    assert_int_equal(mkdirat(root.fd, "d", 0755), 0);
    assert_int_equal(symlinkat("../outside", root.fd, "s"), 0);
    waiters_start(&w, 1, flip, &f);
    for (bool last = false; !last;) {
        last = atomic_load(&f.done);
        if (sink_file_begin(sink, 1, "d/f", 0, NULL, NULL) == 0 &&
            sink_file_end(sink, 0, &(struct metadata){.mode = 0644, .mtime_sec = 0, .mtime_nsec = 0}, NULL) ==
                0)
            sink_commit(sink);
        dir_cache_forget(&sink->dirs, "");
    }
    waiters_join(&w);
    os_dir_force_fallback(false);
    /* A temporary file whose directory was a link when it was to be removed: it is still below the root. */
    struct temp_name temp;
    char path[100];
    sink_temp_name(sink, "d/f", 1, &temp);
    (void)snprintf(path, sizeof path, "d/%s", temp.s);
    (void)unlinkat(root.fd, path, 0);
    (void)snprintf(path, sizeof path, "s/%s", temp.s);
    (void)unlinkat(root.fd, path, 0);
    int failure = atomic_load(&f.failure);
    if (failure == EINVAL) {
        print_message("skipped: this file system cannot exchange names\n");
        skip();
    }
    assert_int_equal(failure, 0);
    assert_int_equal(unlinkat(scratch.dir.fd, "outside", AT_REMOVEDIR), 0); /* it stayed empty */
}

static void no_file_lands_outside_while_its_directory_is_exchanged_with_a_link(void **state) {
    (void)state;
    no_file_lands_outside_while(false);
}

static void no_file_lands_outside_by_the_fallback_either(void **state) {
    (void)state;
    no_file_lands_outside_while(true);
}

static void what_lies_on_another_volume_is_flushed_on_its_own(void **state) {
    (void)state;
    char path[300];
    assert_int_equal(mkdirat(root.fd, "m", 0755), 0);
    (void)snprintf(path, sizeof path, "%s/root/m", scratch.path);
    if (mount("tmpfs", path, "tmpfs", 0, "size=1m") != 0) {
        print_message("skipped: cannot mount a tmpfs: %s\n", strerror(errno));
        skip();
    }
    open_sink((struct sink_options){.durable = DURABLE_BATCH});
    send_file(1, "here", "content");
    bool here = sink->batch[0].synced || sink->batch_elsewhere;
    send_file(2, "m/there", "content");
    bool there = sink->batch[1].synced && sink->batch_elsewhere;
    int made = sink_make_dir(sink, "m/d", 0755, NULL);
    bool left_to_the_root = sink->names_changed;
    sink_commit(sink);
    sink_close(sink);
    sink = NULL;
    assert_int_equal(umount(path), 0);
    assert_false(here);
    assert_true(there);
    assert_int_equal(made, 0);
    assert_false(left_to_the_root);
    assert_durable(1, 7);
    assert_durable(2, 7);
}

static void owner_and_group_are_set_by_a_privileged_receiver(void **state) {
    (void)state;
    struct stat st;
    if (geteuid() != 0) {
        print_message("skipped: only root gives files to others\n");
        skip();
    }
    struct metadata theirs = {.mode = 0640, .uid = 12345, .gid = 23456}; /* of 1970 */
    open_sink((struct sink_options){.owner = true, .group = true, .perms = true, .times = true});
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_end(sink, 0, &theirs, NULL), 0);
    sink_commit(sink);
    struct entry dir = {
        .file_id = 2, .type = ENTRY_DIR_END, .mode = 0750, .uid = 12345, .gid = 7, .path = "d"};
    assert_int_equal(sink_make_dir(sink, "d", 0750, NULL), 0);
    assert_int_equal(sink_end_dir(sink, &dir, NULL), 0);
    struct entry link = {.file_id = 3, .type = ENTRY_SYMLINK, .uid = 8, .gid = 9, .path = "l"};
    assert_int_equal(sink_make_link(sink, &link, (struct span){(const uint8_t *)"f", 1}, NULL), 0);
    assert_int_equal(fstatat(root.fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 23456);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(fstatat(root.fd, "d", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 7);
    assert_int_equal(fstatat(root.fd, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 8);
    assert_int_equal(st.st_gid, 9);
    struct entry same = {.file_id = 4, .type = ENTRY_FILE, .mode = 0640, .uid = 1, .gid = 23456, .path = "f"};
    assert_true(sink_has(sink, &same, true)); /* only the owner differs: it is set, nothing is sent */
    assert_int_equal(fstatat(root.fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 1);
}

/* A flush that failed and is tried again succeeds, although what it was to write is lost. */
static void after_a_flush_of_the_volume_failed_nothing_is_committed_any_more(void **state) {
    (void)state;
    struct err err = {.code = 0};
    open_sink((struct sink_options){.durable = DURABLE_BATCH});
    int good = dup(sink->root.fd), path_only = openat(sink->root.fd, ".", O_PATH | O_CLOEXEC);
    assert_true(good >= 0 && path_only >= 0);
    send_file(1, "a", "first");
    send_file(2, "b", "first");
    assert_int_equal(dup2(path_only, sink->root.fd), sink->root.fd); /* syncfs refuses it */
    sink_commit(sink);
    assert_int_equal(dup2(good, sink->root.fd), sink->root.fd);
    assert_failed(1);
    assert_failed(2);
    send_file(3, "c", "second");
    send_file(4, "d", "second");
    sink_commit(sink);
    assert_failed(3);
    assert_failed(4);
    assert_false(exists(root, "c"));
    assert_int_equal(sink_make_dir(sink, "dir", 0755, NULL), 0);
    assert_int_equal(sink_finish(sink, &err), -1);
    assert_int_equal(err.code, EXIT_FILE_IO);
    (void)close(good);
    (void)close(path_only);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SINK_TEST(full_batch_commits_itself),
        SINK_TEST(batch_of_many_bytes_commits_itself),
        SINK_TEST(more_files_than_a_batch_settle_once_without_flushing),
        SINK_TEST(more_files_than_a_batch_settle_once_with_flushing),
        SINK_TEST(file_by_file_each_is_durable_at_its_end),
        SINK_TEST(large_and_small_files_share_a_batch),
        SINK_TEST(failures_in_a_batch_are_told_once_each),
        SINK_TEST(few_descriptors_are_open_whatever_the_batch),
        SINK_TEST(after_a_flush_of_the_volume_failed_nothing_is_committed_any_more),
        SINK_TEST(what_lies_on_another_volume_is_flushed_on_its_own),
        SINK_TEST(owner_and_group_are_set_by_a_privileged_receiver),
        SINK_TEST(no_file_lands_outside_while_its_directory_is_exchanged_with_a_link),
        SINK_TEST(no_file_lands_outside_by_the_fallback_either),
    };
    return cmocka_run_group_tests_name("sink_commit", tests, NULL, NULL);
}
