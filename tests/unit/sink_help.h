/* sink_help.h: a sink on a directory of its own, and who was told what about which file. */
#ifndef SINK_HELP_H
#define SINK_HELP_H

#include "files_help.h"

#include "receiver/sink_impl.h"

enum { IDS = 2 * SINK_BATCH_FILES, NO_UMASK = 0 };

static struct scratch scratch; /* root/ is the sink's root, what lies beside it is outside */
static struct os_dir root; /* the test's own handle */
static struct sink *sink;
static unsigned descriptors;
static struct settled {
    unsigned times;
    uint64_t size;
    struct err err; /* code 0: durable */
} settled[IDS];

static inline void on_settled(void *ctx, uint64_t file_id, uint64_t size, const struct err *err) {
    assert_ptr_equal(ctx, settled);
    assert_in_range(file_id, 1, IDS - 1);
    settled[file_id].times++;
    settled[file_id].size = size;
    settled[file_id].err = err ? *err : (struct err){.code = 0};
    if (err)
        assert_int_not_equal(err->code, 0);
}

static inline void open_sink(struct sink_options opt) {
    struct os_dir own;
    opt.name_salt = 0x1234;
    assert_int_equal(os_dir_dup(root, &own), 0);
    assert_int_equal(sink_open(own, &opt, on_settled, settled, &sink, NULL), 0);
}

/* sink_touch for the file as it is now. */
static inline int touch(const char *path, const struct metadata *meta, struct err *err) {
    struct os_stat st = {.kind = OS_NONE};
    (void)os_stat_at(root, path, &st);
    const struct file_state now = {st.device,    st.inode,      st.size,       st.ctime_sec,
                                   st.mtime_sec, st.ctime_nsec, st.mtime_nsec, 0};
    return sink_touch(sink, path, &now, meta, err);
}

static inline int sink_test_start(void **state) {
    (void)state;
    memset(settled, 0, sizeof settled);
    descriptors = open_descriptors();
    scratch = scratch_new();
    sink = NULL;
    bool made = os_mkdir_at(scratch.dir, "root", 0755) == 0 && os_dir_open(scratch.dir, "root", &root) == 0;
    return made ? 0 : -1;
}

/* After each test: closed, the sink has left no temporary name and no descriptor. */
static inline int sink_test_stop(void **state) {
    (void)state;
    sink_close(sink);
    unsigned temps = temps_in(scratch.dir);
    os_dir_close(&root);
    scratch_free(&scratch);
    return temps == 0 && open_descriptors() == descriptors ? 0 : -1;
}

/* A whole small file, up to its place in the batch. */
static inline void send_file(uint64_t id, const char *path, const char *text) {
    assert_int_equal(sink_file_begin(sink, id, path, 0, NULL, NULL), 0);
    if (text[0])
        assert_int_equal(sink_file_write(sink, text, strlen(text), 0, NULL), 0);
    assert_int_equal(sink_file_end(sink, strlen(text),
                                   &(struct metadata){.mode = 0644, .mtime_sec = 1000, .mtime_nsec = 5},
                                   NULL),
                     0);
}

/* A file that is one hole. */
static inline void put_hollow(const char *name, uint64_t size) {
    struct os_file file;
    struct os_stat st;
    assert_int_equal(os_create(root, name, 0600, &file), 0);
    os_expect_holes(file);
    assert_int_equal(os_truncate(file, size), 0);
    assert_int_equal(os_fstat(file, &st), 0);
    os_close(&file);
    if (st.allocated > 0)
        skip(); /* no holes here */
}

static inline void assert_durable(uint64_t id, uint64_t size) {
    assert_int_equal(settled[id].times, 1);
    assert_int_equal(settled[id].size, size);
    assert_int_equal(settled[id].err.code, 0);
}

static inline void assert_failed(uint64_t id) {
    assert_int_equal(settled[id].times, 1);
    assert_int_not_equal(settled[id].err.code, 0);
}

#define SINK_TEST(f) cmocka_unit_test_setup_teardown(f, sink_test_start, sink_test_stop)

#endif
