/* What the sink does where only POSIX calls lead: limits, full and other volumes, owners, rights, names that are exchanged
 * while it works. */
#include "sink_help.h"
#include "threads_help.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static const struct sink_options plain = {.umask = 022};
static const struct sink_options archive = {.perms = true, .times = true, .umask = 022};

static void end_file(uint64_t id, const char *path, uint32_t mode) {
    struct metadata meta = {.mode = mode};
    assert_int_equal(sink_file_begin(sink, id, path, 0, &meta, NULL), 0);
    assert_int_equal(sink_file_end(sink, 0, &meta, NULL), 0);
}

static int end_dir(const char *path, uint32_t mode) {
    struct entry e = {.file_id = 77, .type = ENTRY_DIR_END, .path = path, .mode = mode, .mtime_sec = 1000};
    return sink_end_dir(sink, &e, NULL);
}

/* ---- what others do between two calls ----------------------------------------------------------------- */

static void (*before_open)(void), (*before_flush)(void); /* once; the linker leads the calls here */

static void let_in(void (**who)(void)) {
    void (*act)(void) = *who;
    *who = NULL;
    if (act)
        act();
}

int __real_os_open_read(struct os_dir at, const char *name, struct os_file *ret);
int __wrap_os_open_read(struct os_dir at, const char *name, struct os_file *ret);
int __wrap_os_open_read(struct os_dir at, const char *name, struct os_file *ret) {
    let_in(&before_open);
    return __real_os_open_read(at, name, ret);
}

int __real_os_volume_sync(struct os_dir dir);
int __wrap_os_volume_sync(struct os_dir dir);
int __wrap_os_volume_sync(struct os_dir dir) {
    let_in(&before_flush);
    return __real_os_volume_sync(dir);
}

int __real_os_sync(struct os_file file);
int __wrap_os_sync(struct os_file file);
int __wrap_os_sync(struct os_file file) {
    let_in(&before_flush);
    return __real_os_sync(file);
}

static int owner_failure; /* 0: none */

int __real_os_set_owner(struct os_file file, uint32_t uid, uint32_t gid);
int __wrap_os_set_owner(struct os_file file, uint32_t uid, uint32_t gid);
int __wrap_os_set_owner(struct os_file file, uint32_t uid, uint32_t gid) {
    return owner_failure ? owner_failure : __real_os_set_owner(file, uid, gid);
}

static void replace_it(void) {
    put_text(root, "other", "new!");
    set_mode(root, "other", 0600);
    set_time(root, "other", 7, 5);
    assert_int_equal(os_rename_at(root, "other", "f"), 0);
}

/* Until that shows in its time: the clock of a file system has ticks. */
static void write_to_it(void) {
    struct os_stat was = stat_of(root, "f"), now;
    do {
        put_text(root, "f", "longer");
        now = stat_of(root, "f");
    } while (now.mtime_sec == was.mtime_sec && now.mtime_nsec == was.mtime_nsec);
}

/* Between the look at it and the open, another session has given the name to its own file. */
static void what_was_replaced_since_it_was_looked_at_is_left_alone(void **state) {
    (void)state;
    const struct entry e = {
        .file_id = 1, .type = ENTRY_FILE, .path = "f", .mode = 0640, .size = 4, .mtime_sec = 1000};
    open_sink(archive);
    put_text(root, "f", "text");
    set_time(root, "f", 1000, 0);
    before_open = replace_it;
    assert_int_equal(sink_has(sink, &e, true), SINK_LACKS);
    assert_null(before_open);
    struct os_stat st = stat_of(root, "f");
    assert_text(root, "f", "new!");
    assert_mtime(&st, 7, 5);
    assert_mode(root, "f", 0600);
}

/* While it is flushed, which may take long, somebody writes to it, or replaces it. */
static void what_was_changed_while_it_was_flushed_does_not_get_its_time(void **state) {
    (void)state;
    static void (*const acts[])(void) = {write_to_it, replace_it};
    struct file_state was;
    struct digest digest;
    struct err err;
    open_sink(archive);
    for (size_t i = 0; i < 4;
         i++) { /* one that gets another time, and one that has the right one since it was written */
        struct metadata meta = {.mode = 0644, .mtime_sec = 1000};
        put_text(root, "f", "text");
        set_mode(root, "f", 0644);
        put_text(root, "f", "text"); /* the last change */
        struct os_stat before = stat_of(root, "f");
        if (i >= 2) {
            meta.mtime_sec = before.mtime_sec;
            meta.mtime_nsec = before.mtime_nsec;
        }
        assert_int_equal(sink_digest(sink, "f", 4096, &was, &digest, NULL), 0);
        before_flush = acts[i % 2];
        err.code = EXIT_OK;
        assert_int_equal(sink_touch(sink, "f", &was, &meta, &err), -1);
        assert_null(before_flush);
        assert_int_equal(err.code, EXIT_PARTIAL);
        struct os_stat after = stat_of(root, "f");
        assert_false(after.mtime_sec == meta.mtime_sec && after.mtime_nsec == meta.mtime_nsec);
    }
}

/* ---- volumes that are full, others, or fail ----------------------------------------------------------- */

static void failed_write_drops_the_file_and_the_next_one_succeeds(void **state) {
    (void)state;
    struct err err;
    struct rlimit before, small = {.rlim_cur = 4096};
    open_sink(plain);
    put_text(root, "f", "old");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int written = sink_file_write(sink, "x", 1, 4096, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(written, -1);
    assert_int_equal(err.code, EXIT_FILE_IO);
    assert_int_equal(err.sys, EFBIG);
    assert_non_null(strstr(err.msg, "f: "));
    assert_int_equal(temps_in(root), 0);
    assert_text(root, "f", "old");
    send_file(2, "f", "new");
    sink_commit(sink);
    assert_int_equal(settled[1].times, 0);
    assert_durable(2, 3);
    assert_text(root, "f", "new");
}

static void full_disk_keeps_the_old_file_and_the_sink_goes_on(void **state) {
    (void)state;
    struct err err;
    struct os_dir plain_root = root;
    static uint8_t block[64 * 1024];
    char path[300];
    (void)snprintf(path, sizeof path, "%s/root", scratch.path);
    if (mount("tmpfs", path, "tmpfs", 0, "size=256k") != 0) {
        print_message("skipped: cannot mount a small tmpfs: %s\n", strerror(errno));
        skip();
    }
    assert_int_equal(os_dir_open(scratch.dir, "root", &root), 0);
    open_sink(plain);
    put_text(root, "f", "old");
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    int result = 0;
    for (uint64_t i = 0; i < 16 && result == 0; i++)
        result = sink_file_write(sink, block, sizeof block, i * sizeof block, &err);
    unsigned temps = temps_in(root);
    send_file(2, "g", "there is room again");
    sink_commit(sink);
    sink_close(sink);
    sink = NULL;
    assert_text(root, "f", "old");
    assert_text(root, "g", "there is room again");
    os_dir_close(&root);
    root = plain_root;
    assert_int_equal(umount(path), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.code, EXIT_NO_SPACE);
    assert_int_equal(temps, 0);
    assert_int_equal(settled[1].times, 0);
    assert_durable(2, 19);
}

static void what_lies_on_another_volume_is_flushed_on_its_own(void **state) {
    (void)state;
    char path[300];
    make_dir(root, "m", 0755);
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

/* ---- owners and rights -------------------------------------------------------------------------------- */

static void owner_and_group_are_set_by_a_privileged_receiver(void **state) {
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root gives files to others\n");
        skip();
    }
    struct os_stat st;
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
    st = stat_of(root, "f");
    assert_int_equal(st.uid, 12345);
    assert_int_equal(st.gid, 23456);
    assert_int_equal(st.mode, 0640);
    st = stat_of(root, "d");
    assert_int_equal(st.uid, 12345);
    assert_int_equal(st.gid, 7);
    st = stat_of(root, "l");
    assert_int_equal(st.uid, 8);
    assert_int_equal(st.gid, 9);
    struct entry same = {.file_id = 4, .type = ENTRY_FILE, .mode = 0640, .uid = 1, .gid = 23456, .path = "f"};
    assert_true(sink_has(sink, &same, true)); /* only the owner differs: it is set, nothing is sent */
    st = stat_of(root, "f");
    assert_int_equal(st.uid, 1);
}

static uint32_t mode_of_the_temp(void) {
    struct temp_name temp;
    sink_temp_name(sink, sink->path, sink->file_id, &temp);
    return stat_of(root, temp.s).mode;
}

static void nobody_else_can_open_what_will_change_hands(void **state) {
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root gives files to others\n");
        skip();
    }
    struct metadata ours = {.mode = 0644, .uid = geteuid(), .gid = getegid()}, theirs = ours;
    theirs.gid = 23456;
    open_sink((struct sink_options){.perms = true, .owner = true, .group = true});
    end_file(1, "first", 0644);
    assert_int_equal(sink_file_begin(sink, 2, "ours", 0, &ours, NULL), 0);
    assert_int_equal(mode_of_the_temp(), 0644); /* nothing will change */
    assert_int_equal(sink_file_end(sink, 0, &ours, NULL), 0);
    assert_int_equal(sink_file_begin(sink, 3, "theirs", 0, &theirs, NULL), 0);
    assert_int_equal(mode_of_the_temp(), 0600);
    assert_int_equal(sink_file_end(sink, 0, &theirs, NULL), 0);
    sink_commit(sink);
    assert_int_equal(stat_of(root, "theirs").gid, 23456);
    assert_mode(root, "theirs", 0644);
}

/* For the superuser modes refuse nothing, so these run as somebody else. */
static void become_nobody(void) {
    enum { NOBODY = 65534 };
    if (geteuid() != 0)
        return;
    assert_int_equal(chmod(scratch.path, 0755), 0);
    assert_int_equal(fchown(root.fd, NOBODY, NOBODY), 0);
    assert_int_equal(seteuid(NOBODY), 0);
}

static void become_oneself(void) {
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void read_only_directory_takes_files_again(void **state) {
    (void)state;
    become_nobody();
    open_sink(archive);
    int results[6];
    for (unsigned turn = 0; turn < 2; turn++) {
        results[turn] = sink_make_dir(sink, "d", 0555, NULL);
        results[2 + turn] = sink_file_begin(sink, turn + 1, "d/f", 0, NULL, NULL);
        if (results[2 + turn] == 0)
            (void)sink_file_end(sink, 0, &(struct metadata){.mode = 0444, .mtime_sec = 0, .mtime_nsec = 0},
                                NULL);
        sink_commit(sink);
        results[4 + turn] = end_dir("d", 0555);
    }
    become_oneself();
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(results[i], 0);
    assert_durable(1, 0);
    assert_durable(2, 0);
    assert_mode(root, "d", 0555);
    assert_mode(root, "d/f", 0444);
}

/* One that it is no member of, and one that its user namespace does not know. */
static void group_that_an_ordinary_user_cannot_give_is_left(void **state) {
    (void)state;
    static const int failures[] = {-EPERM, -EINVAL, -EIO};
    const struct metadata theirs = {.mode = 0640, .gid = 23456};
    int results[3];
    struct err err;
    become_nobody();
    open_sink((struct sink_options){.owner = true, .group = true, .perms = true});
    for (unsigned i = 0; i < 3; i++) {
        char name[] = {(char)('a' + i), '\0'};
        owner_failure = failures[i];
        results[i] = sink_file_begin(sink, i + 1, name, 0, NULL, NULL);
        if (results[i] == 0)
            results[i] = sink_file_end(sink, 0, &theirs, NULL);
    }
    owner_failure = 0;
    sink_commit(sink);
    become_oneself();
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], 0);
    assert_int_equal(results[2], -1);
    assert_durable(1, 0);
    assert_durable(2, 0);
    for (size_t i = 0; i < 3; i++) { /* the superuser is told */
        (void)sink_owner_error(&err, failures[i], "f");
        assert_int_equal(strstr(err.msg, "-rlpt instead of -a") != NULL, i < 2);
    }
}

/* The root, and one below: it was read-only when the other session ended there, as its source is. */
static void read_only_directory_is_cleaned(void **state) {
    (void)state;
    become_nobody();
    make_dir(root, "d", 0755);
    put_text(root, ".hvferry.00000000000000bb.1.0", "dead");
    put_text(root, "d/.hvferry.00000000000000bb.2.1", "dead");
    set_mode(root, "d", 0555);
    assert_int_equal(fchmod(root.fd, 0555), 0);
    open_sink(archive);
    unsigned before = temps_in(root);
    int results[] = {sink_make_dir(sink, "", 0555, NULL), sink_make_dir(sink, "d", 0555, NULL),
                     end_dir("d", 0555), end_dir("", 0555)};
    unsigned after = temps_in(root);
    become_oneself();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(results[i], 0);
    assert_int_equal(before, 2);
    assert_int_equal(after, 0);
    assert_mode(root, "d", 0555);
}

static void directory_without_rights_fails_with_its_reason(void **state) {
    (void)state;
    struct err err = {.code = 0};
    become_nobody();
    open_sink((struct sink_options){.umask = 022});
    int made = mkdirat(root.fd, "d", 0555);
    int kept = sink_make_dir(sink, "d", 0555, NULL);
    int begun = sink_file_begin(sink, 1, "d/f", 0, NULL, &err);
    become_oneself();
    assert_int_equal(made, 0);
    assert_int_equal(kept, 0);
    assert_mode(root, "d", 0555); /* it would not get its mode back */
    assert_int_equal(begun, -1);
    assert_int_equal(err.sys, EACCES);
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
    make_dir(scratch.dir, "outside", 0777);
    make_dir(root, "d", 0755);
    (void)put_link(root, "s", "../outside");
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
    remove_dir(scratch.dir, "outside"); /* it stayed empty */
}

static void no_file_lands_outside_while_its_directory_is_exchanged_with_a_link(void **state) {
    (void)state;
    no_file_lands_outside_while(false);
}

static void no_file_lands_outside_by_the_fallback_either(void **state) {
    (void)state;
    no_file_lands_outside_while(true);
}

/* ---- what others laid there ------------------------------------------------------------------------------- */

static void need_root(void) {
    if (geteuid() == 0)
        return;
    print_message("skipped: only root can lay what is another user's\n");
    skip();
}

/* Who owns it could read and change what is written into it. */
static void no_other_user_has_the_unfinished_file(void **state) {
    (void)state;
    enum { LARGE = 64 * 1024 };
    static const struct sink_basis nothing = {0};
    const struct msg_file_begin m = {.file_id = 1, .size = LARGE, .data_size = LARGE};
    struct temp_name partial;
    struct os_file laid;
    struct os_stat st;
    need_root();
    sink_partial_name("f", &partial);
    assert_int_equal(os_create(root, partial.s, 0600, &laid), 0);
    assert_int_equal(os_set_owner(laid, 65534, 65534), 0);
    open_sink((struct sink_options){.umask = 022, .partial_min = 4096});
    assert_int_equal(sink_file_begin_large(sink, 1, "f", &m, &nothing, NULL), 0);
    assert_int_equal(sink_file_write(sink, "secret", 6, 0, NULL), 0);
    assert_int_equal(os_fstat(laid, &st), 0);
    os_close(&laid);
    assert_int_equal(st.size, 0);
    assert_int_equal(sink_file_end(sink, 6, &(struct metadata){.mode = 0600}, NULL), 0);
    sink_commit(sink);
    assert_durable(1, 6);
    assert_int_equal(stat_of(root, "f").uid, 0);
    assert_int_equal(temps_in(root), 0);
}

/* One that others may open, or might, is not written on: they would have what is written. Nor does it stay. */
static void unfinished_file_that_is_not_ours_alone_is_begun_anew(void **state) {
    (void)state;
    enum { LARGE = 64 * 1024 };
    static const uint32_t modes[] = {0666, 0644, 0444, 0200, 0};
    static const struct sink_basis nothing = {0};
    struct msg_file_begin m = {.size = LARGE, .data_size = LARGE};
    struct temp_name partial;
    struct os_file laid = OS_FILE_NONE;
    struct os_stat before, after;
    bool right = true;
    sink_partial_name("f", &partial);
    become_nobody();
    open_sink((struct sink_options){.umask = 022, .partial_min = 4096});
    for (size_t i = 0; i < sizeof modes / sizeof modes[0] && right; i++) {
        m.file_id++;
        right = os_create(root, partial.s, 0600, &laid) == 0 && os_set_mode(laid, modes[i]) == 0 &&
                os_fstat(laid, &before) == 0 &&
                sink_file_begin_large(sink, m.file_id, "f", &m, &nothing, NULL) == 0 &&
                sink_file_write(sink, "new", 3, 0, NULL) == 0 && os_stat_at(root, partial.s, &after) == 0 &&
                after.inode != before.inode && after.mode == 0600 && temps_in(root) == 1;
        sink_file_drop(sink);
        os_close(&laid);
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0] && right; i++) {
        right = os_create(root, partial.s, 0600, &laid) == 0 && os_set_mode(laid, modes[i]) == 0;
        sink_remove_partial(sink, "f", LARGE);
        right = right && temps_in(root) == 0;
        os_close(&laid);
    }
    sink_close(sink);
    sink = NULL;
    become_oneself();
    assert_true(right);
}

static void on_block(void *ctx, uint64_t offset, uint32_t n, const struct digest *digest) {
    (void)offset, (void)digest;
    *(uint32_t *)ctx += n;
}

/* A session had all but renamed it: it is read, and who has it open has nothing of the new one. */
static void whole_file_that_is_not_ours_alone_is_read(void **state) {
    (void)state;
    enum { LARGE = 64 * 1024 };
    const struct msg_file_begin m = {.file_id = 1, .size = LARGE, .data_size = LARGE};
    struct temp_name partial;
    struct os_file laid = OS_FILE_NONE;
    struct os_stat before;
    uint32_t reused = 0;
    sink_partial_name("f", &partial);
    become_nobody();
    open_sink((struct sink_options){.umask = 022, .partial_min = 4096});
    bool right = os_create(root, partial.s, 0600, &laid) == 0 && os_truncate(laid, LARGE) == 0 &&
                 os_set_mode(laid, 0444) == 0 && os_fstat(laid, &before) == 0;
    struct sink_basis basis = sink_find_basis(sink, "f", LARGE);
    right = right && sink_file_begin_large(sink, 1, "f", &m, &basis, NULL) == 0 && temps_in(root) == 2 &&
            sink_file_reuse(sink, 0, LARGE, on_block, &reused, NULL) == 0 &&
            sink_file_end(sink, LARGE, &(struct metadata){.mode = 0600}, NULL) == 0;
    sink_commit(sink);
    os_close(&laid);
    become_oneself();
    assert_true(right);
    assert_int_equal(reused, LARGE);
    assert_durable(1, LARGE);
    assert_int_not_equal(stat_of(root, "f").inode, before.inode);
    assert_int_equal(temps_in(root), 0);
}

/* A session that is about to rename it has set its mode. */
static void unfinished_file_of_a_live_session_stays_whatever_its_mode(void **state) {
    (void)state;
    struct temp_name partial;
    struct os_file held = OS_FILE_NONE, other = OS_FILE_NONE;
    sink_partial_name("f", &partial);
    become_nobody();
    bool right = os_open_locked(root, partial.s, true, &held) == 0 && os_set_mode(held, 0444) == 0 &&
                 os_open_locked(root, partial.s, true, &other) == -EBUSY;
    os_close(&held);
    right = right && os_open_locked(root, partial.s, true, &other) == -EPERM;
    (void)os_unlink_at(root, partial.s);
    become_oneself();
    assert_true(right);
}

/* A second name of a file that lies outside. */
static void lay_second_name(void) {
    put_text(scratch.dir, "secret", "old");
    set_mode(scratch.dir, "secret", 0600);
    set_time(scratch.dir, "secret", 1000, 5);
    put_hard_link(scratch.dir, "secret", "root/f");
}

static void require_secret_as_before_and_remove_it(void) {
    struct os_stat st = stat_of(scratch.dir, "secret");
    assert_text(scratch.dir, "secret", "old");
    assert_int_equal(st.mode, 0600);
    assert_int_equal(st.mtime_sec, 1000);
    remove_file(scratch.dir, "secret");
}

static void in_place_nothing_changes_that_has_another_name(void **state) {
    (void)state;
    struct sink_options opt = archive;
    opt.inplace = true;
    lay_second_name();
    open_sink(opt);
    assert_false(sink_find_basis(sink, "f", 3).inplace);
    send_file(1, "f", "new");
    sink_commit(sink);
    assert_durable(1, 3);
    assert_text(root, "f", "new");
    require_secret_as_before_and_remove_it();
}

static void metadata_of_what_has_another_name_stay(void **state) {
    (void)state;
    struct entry e = {.file_id = 1, .type = ENTRY_FILE, .path = "f", .mode = 0666, .size = 3};
    struct metadata meta = {.mode = 0666, .mtime_sec = 7};
    e.mtime_sec = 1000;
    e.mtime_nsec = 5;
    lay_second_name();
    open_sink(archive);
    assert_false(sink_has(sink, &e, true));
    assert_false(sink_has(sink, &e, false));
    assert_int_equal(touch("f", &meta, NULL), -1);
    e.mode = 0600;
    assert_true(sink_has(sink, &e, true));
    require_secret_as_before_and_remove_it();
}

/* A link that has another name outside is made anew, unless it has all that the entry says. */
static void owner_and_time_of_a_link_that_has_another_name_stay(void **state) {
    (void)state;
    struct entry e = {.file_id = 1, .type = ENTRY_SYMLINK, .path = "l", .mode = 0777, .mtime_sec = 7};
    e.uid = e.gid = geteuid() == 0 ? 65534 : getegid();
    struct sink_options opt = archive;
    opt.owner = opt.group = true;
    assert_true(put_link(scratch.dir, "secret", "target"));
    put_hard_link(scratch.dir, "secret", "root/l");
    struct os_stat before = stat_of(scratch.dir, "secret");
    open_sink(opt);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(sink_make_link(sink, &e, (struct span){(const uint8_t *)"target", 6}, NULL), 0);
        struct os_stat after = stat_of(scratch.dir, "secret"), st = stat_of(root, "l");
        assert_int_equal(after.inode, before.inode);
        assert_int_equal(after.uid, before.uid);
        assert_int_equal(after.gid, before.gid);
        assert_mtime(&after, before.mtime_sec, before.mtime_nsec);
        assert_int_not_equal(st.inode, before.inode);
        assert_int_equal(st.gid, e.gid);
        assert_mtime(&st, 7, 0);
        assert_int_equal(temps_in(root), 0);
    }
    remove_file(root, "l");
    put_hard_link(scratch.dir, "secret", "root/l");
    e.uid = before.uid;
    e.gid = before.gid;
    e.mtime_sec = before.mtime_sec;
    e.mtime_nsec = before.mtime_nsec;
    assert_int_equal(sink_make_link(sink, &e, (struct span){(const uint8_t *)"target", 6}, NULL), 0);
    assert_int_equal(stat_of(root, "l").inode, before.inode);
    remove_file(scratch.dir, "secret");
}

static void what_is_written_in_place_runs_with_no_more_rights(void **state) {
    (void)state;
    struct sink_options opt = {.umask = 022, .inplace = true};
    put_text(root, "f", "old");
    set_mode(root, "f", 04755);
    open_sink(opt);
    assert_int_equal(sink_file_begin(sink, 1, "f", 0, NULL, NULL), 0);
    assert_int_equal(stat_of(root, "f").mode, 0755);
    sink_file_drop(sink);
}

/* A file that came to stand where a link was just made. */
static void only_links_get_the_owner_and_time_of_one(void **state) {
    (void)state;
    put_text(root, "f", "text");
    set_time(root, "f", 1000, 5);
    assert_int_equal(os_set_mtime_at(root, "f", 7, 0), -ELOOP);
    assert_int_equal(os_set_owner_at(root, "f", OS_KEEP_ID, getegid()), -ELOOP);
    assert_int_equal(os_set_mtime_at(scratch.dir, "root/f", 7, 0), -EXDEV);
    assert_int_equal(stat_of(root, "f").mtime_sec, 1000);
    assert_true(put_link(root, "link", "f"));
    assert_int_equal(os_set_mtime_at(root, "link", 7, 0), 0);
    assert_int_equal(os_set_owner_at(root, "link", OS_KEEP_ID, getegid()), 0);
    assert_int_equal(stat_of(root, "link").mtime_sec, 7);
    assert_int_equal(stat_of(root, "f").mtime_sec, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SINK_TEST(what_was_replaced_since_it_was_looked_at_is_left_alone),
        SINK_TEST(what_was_changed_while_it_was_flushed_does_not_get_its_time),
        SINK_TEST(failed_write_drops_the_file_and_the_next_one_succeeds),
        SINK_TEST(full_disk_keeps_the_old_file_and_the_sink_goes_on),
        SINK_TEST(what_lies_on_another_volume_is_flushed_on_its_own),
        SINK_TEST(after_a_flush_of_the_volume_failed_nothing_is_committed_any_more),
        SINK_TEST(owner_and_group_are_set_by_a_privileged_receiver),
        SINK_TEST(nobody_else_can_open_what_will_change_hands),
        SINK_TEST(read_only_directory_takes_files_again),
        SINK_TEST(group_that_an_ordinary_user_cannot_give_is_left),
        SINK_TEST(read_only_directory_is_cleaned),
        SINK_TEST(directory_without_rights_fails_with_its_reason),
        SINK_TEST(no_file_lands_outside_while_its_directory_is_exchanged_with_a_link),
        SINK_TEST(no_file_lands_outside_by_the_fallback_either),
        SINK_TEST(no_other_user_has_the_unfinished_file),
        SINK_TEST(unfinished_file_that_is_not_ours_alone_is_begun_anew),
        SINK_TEST(whole_file_that_is_not_ours_alone_is_read),
        SINK_TEST(unfinished_file_of_a_live_session_stays_whatever_its_mode),
        SINK_TEST(in_place_nothing_changes_that_has_another_name),
        SINK_TEST(metadata_of_what_has_another_name_stay),
        SINK_TEST(owner_and_time_of_a_link_that_has_another_name_stay),
        SINK_TEST(what_is_written_in_place_runs_with_no_more_rights),
        SINK_TEST(only_links_get_the_owner_and_time_of_one),
    };
    return cmocka_run_group_tests_name("sink_posix", tests, NULL, NULL);
}
