/* share_help.h: sessions that share, for the tests of that. They have a source of their own each, and no stream. */
#ifndef SHARE_HELP_H
#define SHARE_HELP_H

#include "files_help.h"
#include "threads_help.h"

#include "sender/source.h"

enum {
    CHUNK = CHUNK_SIZE_MIN,
    CHUNKS = 3,
    BIG = CHUNKS * CHUNK + 1000,
    LENT = 6,
    ENDS = 3,
    ITEMS = 16,
    FILES = 5,
};

/* One session: what its source emitted is kept, until it is let go. */
struct end {
    struct share_user user;
    struct pool *pool;
    struct report report;
    struct source source;
    struct item *items[ITEMS];
    unsigned count;
};

static struct scratch scratch;
static struct source_root root;
static struct share *share;
static struct end ends[ENDS];
static uint8_t content[BIG];

static inline int keep(void *ctx, struct item *item, struct err *err) {
    struct end *e = ctx;
    if (e->count == ITEMS) {
        item_free(item);
        return err_set(err, EXIT_MEMORY, "more items than expected");
    }
    e->items[e->count++] = item;
    return 0;
}

static inline void let_go(struct end *e) {
    while (e->count > 0)
        item_free(e->items[--e->count]);
}

static inline void end_open(struct end *e, struct share *with) {
    static const struct report_style style = {.role = "sender", .progress_fd = -1};
    share_join(&e->user, with);
    e->pool = pool_new_on(share_store(with), LENT);
    assert_non_null(e->pool);
    report_init(&e->report, &style);
    source_init(&e->source, &root, CHUNK, e->pool, &e->report, keep, e);
    e->source.share = &e->user;
    e->count = 0;
}

static inline void end_close(struct end *e) {
    let_go(e);
    source_free(&e->source);
    pool_free(e->pool);
    report_free(&e->report);
}

static inline int start(void **state) {
    (void)state;
    scratch = scratch_new();
    root = (struct source_root){.base = scratch.dir, .name = ""};
    uint32_t x = 1;
    for (size_t i = 0; i < BIG; i++)
        content[i] = (uint8_t)(i % 5 ? i / 64 : scatter(&x));
    share = share_new(ENDS, CHUNK);
    assert_non_null(share);
    for (unsigned i = 0; i < ENDS; i++)
        end_open(&ends[i], share);
    return 0;
}

static inline int stop(void **state) {
    (void)state;
    for (unsigned i = 0; i < ENDS; i++)
        end_close(&ends[i]);
    share_free(share);
    scratch_free(&scratch);
    return 0;
}

/* `path` as a listing finds it now. */
static inline struct pending *list(const char *path, uint64_t id) {
    struct pending *p = calloc(1, sizeof *p + strlen(path) + 1);
    assert_non_null(p);
    atomic_init(&p->users, 1);
    p->file_id = id;
    p->type = ENTRY_FILE;
    assert_int_equal(os_stat_at(scratch.dir, path, &p->st), 0);
    memcpy(p->path, path, strlen(path) + 1);
    return p;
}

static inline void send(struct end *e, struct pending *p) {
    struct err err = {0};
    assert_int_equal(source_read(&e->source, p, &err), 0);
}

static inline void send_path(struct end *e, const char *path, uint64_t id) {
    struct pending *p = list(path, id);
    send(e, p);
    pending_release(p);
}

static inline void flush(struct end *e) {
    struct err err = {0};
    assert_int_equal(source_flush(&e->source, &err), 0);
}

static const struct item *nth(const struct end *e, uint8_t type, unsigned n) {
    for (unsigned i = 0; i < e->count; i++)
        if (e->items[i]->frame.type == type && n-- == 0)
            return e->items[i];
    fail_msg("no such item");
    return NULL;
}

static inline void require_data(const struct item *item, const void *wanted, uint32_t n) {
    assert_int_equal(item->raw_length, n);
    assert_memory_equal(item->data->data, wanted, n);
    struct digest digest = digest_of(wanted, n);
    assert_true(item->digested);
    assert_true(digest_equal(&item->digest, &digest));
}

static inline void require_big(const struct end *e, const uint8_t *wanted) {
    for (unsigned i = 0; i <= CHUNKS; i++)
        require_data(nth(e, MSG_CHUNK, i), wanted + i * CHUNK, i < CHUNKS ? CHUNK : BIG - CHUNKS * CHUNK);
    assert_int_equal(e->items[e->count - 1]->frame.type, MSG_FILE_END);
}

/* Other content of the same length, with the old time of change: only what nobody can set tells. */
static inline void rewrite(const char *path, const void *bytes, size_t n) {
    struct os_stat st = stat_of(scratch.dir, path);
    put_file(scratch.dir, path, bytes, n);
    set_time(scratch.dir, path, st.mtime_sec, st.mtime_nsec);
}

/* A chunk by hand: without a file. */
static inline struct pending *number_file(uint64_t inode) {
    struct pending *p = calloc(1, sizeof *p + 1);
    assert_non_null(p);
    atomic_init(&p->users, 1);
    p->st.inode = inode;
    return p;
}

static inline void make_files(void) {
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%u", i);
        put_file(scratch.dir, name, content + i * 100, 100 + i);
    }
}

/* The files of `mask`, and what their bundle has to hold. */
static inline uint32_t send_files(struct end *e, unsigned mask, uint8_t *wanted) {
    uint32_t n = 0;
    for (unsigned i = 0; i < FILES; i++) {
        char name[16];
        if (!(mask & 1u << i))
            continue;
        (void)snprintf(name, sizeof name, "f%u", i);
        send_path(e, name, 1 + i);
        memcpy(wanted + n, content + i * 100, 100 + i);
        n += 100 + i;
    }
    return n;
}

#endif
