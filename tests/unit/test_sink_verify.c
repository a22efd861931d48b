/* --verify: what storage gives back decides. The linker puts a storage that can forget between the sink and the system. */
#include "sink_help.h"

#include "os/os.h"

enum { MIB = 1024 * 1024 };

static const struct sink_options verified = {.umask = 022, .perms = true, .verify = true};

/* The byte of what is read back that comes out wrong; -1: none. */
static int64_t damaged_at;
static int error_instead;
static unsigned times_read_back;

static uint64_t bytes_read_back;

struct damage {
    os_piece_fn *take;
    void *ctx;
    uint64_t end; /* of what was taken */
};

/* In a hole: a byte turns up there. */
static void damage_hole(struct damage *d, uint64_t end) {
    static const uint8_t byte = 0x10;
    if (damaged_at >= (int64_t)d->end && damaged_at < (int64_t)end)
        d->take(d->ctx, &byte, 1, (uint64_t)damaged_at);
}

static bool damage_piece(void *ctx, const void *p, size_t n, uint64_t offset) {
    struct damage *d = ctx;
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, p, n);
    damage_hole(d, offset);
    d->end = offset + n;
    if (damaged_at >= (int64_t)offset && damaged_at < (int64_t)d->end)
        copy[damaged_at - (int64_t)offset] ^= 0x10;
    bytes_read_back += n;
    bool more = d->take(d->ctx, copy, n, offset);
    free(copy);
    return more;
}

int __real_os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size,
                        os_piece_fn *take, void *ctx, const char **ret_how);
int __wrap_os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size,
                        os_piece_fn *take, void *ctx, const char **ret_how);
int __wrap_os_read_back(struct os_dir at, const char *name, struct os_file *file, uint64_t size,
                        os_piece_fn *take, void *ctx, const char **ret_how) {
    struct damage d = {take, ctx, 0};
    times_read_back++;
    int result =
        error_instead ? error_instead : __real_os_read_back(at, name, file, size, damage_piece, &d, ret_how);
    damage_hole(&d, size);
    return result;
}

static int start(void **state) {
    damaged_at = -1;
    error_instead = 0;
    times_read_back = 0;
    bytes_read_back = 0;
    return sink_test_start(state);
}

#define VERIFY_TEST(f) cmocka_unit_test_setup_teardown(f, start, sink_test_stop)

/* Runs of data with holes between and behind them; the err code of its end. */
static int send_sparse(uint64_t id, const char *path, struct err *err) {
    static uint8_t data[3 * MIB];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(sink_file_begin(sink, id, path, 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, data, 5000, 0, NULL), 0);
    assert_int_equal(sink_file_write(sink, data, sizeof data, 1 * MIB, NULL), 0);
    assert_int_equal(sink_file_write(sink, data, 1, 6 * MIB + 1, NULL), 0);
    return sink_file_end(sink, 7 * MIB + 123, &(struct metadata){.mode = 0400, .mtime_sec = 1}, err);
}

static void files_that_storage_gives_back_are_committed(void **state) {
    (void)state;
    open_sink(verified);
    send_file(1, "empty", "");
    send_file(2, "small", "text");
    assert_int_equal(send_sparse(3, "sparse", NULL), 0);
    sink_commit(sink);
    assert_durable(1, 0);
    assert_durable(2, 4);
    assert_durable(3, 7 * MIB + 123);
    assert_text(root, "small", "text");
    assert_int_equal(times_read_back, 3);
    assert_non_null(sink->verify.how);
}

static void damaged_byte_anywhere_fails_that_file_and_the_old_one_stays(void **state) {
    (void)state;
    static const int64_t where[] = {0,           4999,    5000,        MIB - 1,     MIB,
                                    4 * MIB - 1, 4 * MIB, 6 * MIB + 1, 6 * MIB + 2, 7 * MIB + 122};
    open_sink(verified);
    put_text(root, "old", "old");
    for (size_t i = 0; i < sizeof where / sizeof where[0]; i++) {
        struct err err = {0};
        damaged_at = where[i];
        assert_int_equal(send_sparse(i + 1, "old", &err), -1);
        assert_int_equal(err.code, EXIT_VERIFY);
        assert_non_null(strstr(err.msg, "old: storage gives back other bytes than were written"));
        assert_int_equal(settled[i + 1].times, 0);
    }
    damaged_at = -1;
    send_file(100, "next", "goes on");
    sink_commit(sink);
    assert_durable(100, 7);
    assert_text(root, "old", "old");
}

/* Here a file system tells where data is. */
static bool tells_holes(void) {
    struct os_file file;
    uint64_t start, end;
    assert_int_equal(os_create(root, "probe", 0600, &file), 0);
    os_expect_holes(file);
    assert_int_equal(os_pwrite(file, "x", 1, 4 * MIB), 0);
    int result = os_next_data(file, 0, 4 * MIB + 1, &start, &end);
    os_close(&file);
    assert_int_equal(os_unlink_at(root, "probe"), 0);
    return result == 0 && start > 0;
}

/* One byte in front of 6 TiB, one behind, and a hole after it. */
static void holes_cost_nothing(void **state) {
    (void)state;
    const uint64_t beyond = 6ull << 40;
    struct err err = {0};
    open_sink(verified);
    if (!tells_holes()) {
        print_message("no hole can be seen here\n");
        skip();
    }
    assert_int_equal(sink_file_begin(sink, 1, "sparse", 0, NULL, NULL), 0);
    assert_int_equal(sink_file_write(sink, "a", 1, 0, NULL), 0);
    if (sink_file_write(sink, "b", 1, beyond, &err) != 0) {
        print_message("no file can be so large here: %s\n", err.msg);
        skip();
    }
    assert_int_equal(sink_file_end(sink, beyond + (1ull << 40), &(struct metadata){.mode = 0400}, NULL), 0);
    sink_commit(sink);
    assert_durable(1, beyond + (1ull << 40));
    assert_true(bytes_read_back <= 8 * MIB);
}

/* Pieces that end anywhere, zeros that are written, and holes: what is read back comes in other pieces. */
static void how_content_is_cut_and_where_its_zeros_are_does_not_matter(void **state) {
    (void)state;
    enum { BYTES = 700 * 1000, FILES = 40 };
    static uint8_t data[BYTES];
    uint64_t seed = 1;
    open_sink(verified);
    for (uint64_t id = 1; id <= FILES; id++) {
        assert_int_equal(sink_file_begin(sink, id, "file", 0, NULL, NULL), 0);
        for (size_t at = 0, n; at < BYTES; at += n) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            n = (size_t)(seed >> 33) % (id % 2 ? 200000 : 9000) + 1;
            n = n < BYTES - at ? n : BYTES - at;
            memset(data + at, seed >> 60 < 8 ? 0 : (int)(seed >> 56), n);
            if (seed >> 60 >= 4) /* zeros: half of them are written */
                assert_int_equal(sink_file_write(sink, data + at, n, at, NULL), 0);
        }
        assert_int_equal(sink_file_end(sink, BYTES, &(struct metadata){.mode = 0400}, NULL), 0);
        sink_commit(sink);
        assert_durable(id, BYTES);
    }
}

static void file_that_cannot_be_read_back_has_failed(void **state) {
    (void)state;
    struct err err = {0};
    open_sink(verified);
    put_text(root, "old", "old");
    error_instead = -EIO;
    assert_int_equal(send_sparse(1, "old", &err), -1);
    assert_non_null(strstr(err.msg, "old: cannot read it back"));
    assert_text(root, "old", "old");
}

static void nothing_is_read_back_unless_that_is_asked_for(void **state) {
    (void)state;
    open_sink((struct sink_options){.umask = 022});
    damaged_at = 0;
    send_file(1, "file", "text");
    sink_commit(sink);
    assert_durable(1, 4);
    assert_int_equal(times_read_back, 0);
}

static void what_is_verified_is_flushed_even_if_flushing_was_not_asked_for(void **state) {
    (void)state;
    open_sink((struct sink_options){.verify = true, .durable = DURABLE_NONE});
    assert_int_equal(sink->opt.durable, DURABLE_BATCH);
}

struct collected {
    uint8_t *bytes;
    size_t n;
};

static bool collect(void *ctx, const void *p, size_t n, uint64_t offset) {
    struct collected *c = ctx;
    assert_int_equal(offset, c->n);
    memcpy(c->bytes + offset, p, n);
    c->n += n;
    return true;
}

static void all_bytes_are_read_back_whatever_the_size(void **state) {
    (void)state;
    static uint8_t data[2 * MIB + 4097], got[sizeof data];
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 2 * MIB, sizeof data};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i ^ i >> 9);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct os_file file;
        struct collected c = {.bytes = got};
        const char *how = NULL;
        assert_int_equal(os_create(root, "file", 0600, &file), 0);
        assert_int_equal(os_pwrite(file, data, sizes[i], 0), 0);
        assert_int_equal(os_sync(file), 0);
        assert_int_equal(__real_os_read_back(root, "file", &file, sizes[i], collect, &c, &how), 0);
        assert_int_equal(c.n, sizes[i]);
        assert_memory_equal(got, data, sizes[i]);
        assert_non_null(how);
        c.n = 0; /* a file that became shorter */
        if (sizes[i] + 1 < sizeof data)
            assert_int_equal(__real_os_read_back(root, "file", &file, sizes[i] + 1, collect, &c, &how), -EIO);
        os_close(&file);
        assert_int_equal(os_unlink_at(root, "file"), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        VERIFY_TEST(files_that_storage_gives_back_are_committed),
        VERIFY_TEST(damaged_byte_anywhere_fails_that_file_and_the_old_one_stays),
        VERIFY_TEST(holes_cost_nothing),
        VERIFY_TEST(how_content_is_cut_and_where_its_zeros_are_does_not_matter),
        VERIFY_TEST(file_that_cannot_be_read_back_has_failed),
        VERIFY_TEST(nothing_is_read_back_unless_that_is_asked_for),
        VERIFY_TEST(what_is_verified_is_flushed_even_if_flushing_was_not_asked_for),
        VERIFY_TEST(all_bytes_are_read_back_whatever_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
