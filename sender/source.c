/* source.c: small files, and the choice between small and large. */
#include "sender/source_impl.h"

#include "core/path.h"
#include "core/text.h"
#include "flow/link.h"

#include <errno.h>
#include <string.h>

void source_init(struct source *s, const struct source_root *roots, uint32_t chunk_size, struct pool *pool,
                 struct report *report, source_emit *emit, void *ctx) {
    *s = (struct source){
        .roots = roots,
        .dirs_root = -1,
        .began_sec = os_wall_ns() / 1000000000,
        .chunk_size = chunk_size,
        .pool = pool,
        .report = report,
        .emit = emit,
        .ctx = ctx,
    };
}

static void close_read(struct source *s) {
    os_close_all(s->read, s->read_count);
    s->read_count = 0;
}

void source_close_later(struct source *s, struct os_file file) {
    s->read[s->read_count++] = file;
    if (s->read_count == SOURCE_READ_FILES)
        close_read(s);
}

void source_free(struct source *s) {
    share_forget_bundle(s->share);
    close_read(s);
    content_room_free(&s->content);
    item_free(s->bundle);
    stream_digest_free(s->digest);
    if (s->dirs_root >= 0)
        dir_cache_free(&s->dirs);
}

struct buf *source_buffer(struct source *s, struct err *err) {
    struct buf *buf = pool_get(s->pool);
    if (buf == NULL)
        (void)pool_error(s->pool, err);
    return buf;
}

int source_put(struct source *s, struct item *item, struct err *err) {
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    return s->emit(s->ctx, item, err);
}

bool same_file(const struct os_stat *a, const struct os_stat *b) {
    return a->kind == b->kind && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec && a->ctime_sec == b->ctime_sec &&
           a->ctime_nsec == b->ctime_nsec;
}

/* File systems stamp with a clock that ticks, every 10 ms at most, and some keep whole seconds (FAT: every second one): a
 * second change within a tick leaves ctime as it is. So a file that changed just now is read only when a further change would
 * show. A clock elsewhere (a network file system) that is far from ours tells nothing. */
enum { TICK_MS = 20, COARSE_TICK_MS = 2000 + TICK_MS, COARSE_TICK_S = 3 };

static void await_tick(const struct source *s, const struct os_stat *st) {
    if (st->ctime_sec < s->began_sec - COARSE_TICK_S)
        return; /* without asking for the time */
    int64_t now_ns = os_wall_ns(), now_sec = now_ns / 1000000000;
    if (st->ctime_sec < now_sec - COARSE_TICK_S || st->ctime_sec > now_sec + 1)
        return;
    int64_t tick_ms = st->ctime_nsec == 0 ? COARSE_TICK_MS : TICK_MS;
    int64_t age_ms = (now_ns - (st->ctime_sec * 1000000000 + st->ctime_nsec)) / 1000000;
    if (age_ms > -tick_ms && age_ms < tick_ms)
        os_sleep_ms((int)(tick_ms - age_ms));
}

/* A write is stamped once, when it begins: of one that began before `st` was taken, and goes on while the file is read,
 * nothing would show. What is read after it is over is whole, and a write that begins later is stamped anew, as the tick has
 * passed. None is waited for that began so long before the session: whoever is stuck in one holds up no session for ever. */
enum { WRITE_S = 600 };

void source_await_rest(const struct source *s, struct os_file file, const struct os_stat *st) {
    if (st->ctime_sec < s->began_sec - WRITE_S)
        return;
    await_tick(s, st);
    os_await_write(file);
}

static void use_root(struct source *s, int root) {
    if (s->dirs_root == root)
        return;
    if (s->dirs_root >= 0)
        dir_cache_free(&s->dirs);
    dir_cache_init(&s->dirs, s->roots[root].base);
    s->dirs_root = root;
}

int source_open(struct source *s, const struct pending *p, struct os_file *ret, struct os_stat *ret_found) {
    struct os_dir at;
    const char *name;
    use_root(s, p->root);
    int result = dir_cache_parent(&s->dirs, p->path, &at, &name);
    if (result == 0)
        result = os_open_read(at, name, ret);
    if (result == 0 && ret_found)
        result = os_fstat(*ret, ret_found);
    if (result == 0 && ret_found && ret_found->kind != OS_FILE)
        result = -ENOTSUP;
    return result;
}

/* It is not there any more, or something else is in its place. */
static bool is_vanished(int result) {
    return result == -ENOENT || result == -ELOOP || result == -ENOTDIR || result == -ENXIO ||
           result == -ENOTSUP;
}

int source_read_again(const struct source_root *roots, const struct pending *p, uint64_t offset, uint32_t n,
                      uint8_t *data, struct err *why) {
    struct dir_cache dirs;
    struct os_dir at;
    const char *name;
    struct os_stat now;
    struct os_file file = OS_FILE_NONE;
    dir_cache_init(&dirs, roots[p->root].base);
    int result = dir_cache_parent(&dirs, p->path, &at, &name);
    if (result == 0)
        result = os_open_read(at, name, &file);
    if (result == 0)
        result = os_fstat(file, &now);
    if (result == 0 && now.kind != OS_FILE)
        result = -ENOTSUP;
    ptrdiff_t got = result == 0 ? os_pread(file, data, n, offset) : result;
    os_close(&file);
    dir_cache_free(&dirs);
    if (got == (ptrdiff_t)n)
        return 0;
    if (got >= 0 || is_vanished((int)got))
        return err_set(why, EXIT_VANISHED, got < 0 ? "it vanished" : "it is shorter now");
    return err_sys(why, EXIT_PARTIAL, -(int)got, "cannot read it");
}

/* ---- giving up ------------------------------------------------------------------------------------------ */

enum attempt source_give_up(struct source *s, struct pending *p, int code, int result, const char *what,
                            struct err *err) {
    struct err why = {0};
    if (result != 0)
        (void)err_sys(&why, code, -result, "%s", what);
    else
        (void)err_set(&why, code, "%s", what);
    struct item *item =
        item_of_file_text(MSG_FILE_FAIL, p->file_id, code, why.msg); /* who hears it knows the path */
    (void)err_wrap(&why, "%s", ESCAPED(p->path));
    report_failure(s->report, p->path, &why);
    count(&s->report->bytes_done, p->st.size);
    return source_put(s, item, err) == 0 ? ATTEMPT_DONE : ATTEMPT_FATAL;
}

enum attempt source_failed(struct source *s, struct pending *p, int result, const char *what,
                           struct err *err) {
    if (result == -ENOENT)
        return source_give_up(s, p, EXIT_VANISHED, 0, "vanished before it could be read", err);
    if (is_vanished(result))
        return source_give_up(s, p, EXIT_VANISHED, 0, "is not a regular file any more", err);
    return source_give_up(s, p, EXIT_PARTIAL, result, what, err);
}

/* ---- bundles -------------------------------------------------------------------------------------------- */

int source_flush(struct source *s, struct err *err) {
    struct item *item = s->bundle;
    close_read(s);
    if (item == NULL)
        return 0;
    s->bundle = NULL;
    if (s->bundle_files == 0) { /* what it was made for could not be read */
        share_forget_bundle(s->share);
        item_free(item);
        return 0;
    }
    struct share_chunk shared;
    if (share_end_bundle(s->share, item->data, item->raw_length, &shared))
        item_digested(item, &shared.digest, shared.id);
    item->frame.body_length = BUNDLE_HEAD_SIZE + s->bundle_files * BUNDLE_MEMBER_SIZE;
    return source_put(s, item, err);
}

int source_sync(struct source *s, struct err *err) {
    if (source_flush(s, err) != 0)
        return -1;
    return source_put(s, item_new(MSG_SYNC, 0), err);
}

/* Sessions that share come to the same bundles only when they begin them at the same files, and where one of them had
 * to send an early one (source_flush) they do not. So such bundles end where the list passes certain numbers, unless that
 * would make them too small to be worth a message each. */
enum { BUNDLE_WORTHWHILE = 32 };

static bool is_meeting_point(const struct source *s, const struct pending *p) {
    return s->share && s->bundle_files >= BUNDLE_WORTHWHILE &&
           p->file_id / BUNDLE_FILES != s->bundle_last / BUNDLE_FILES;
}

/* There is a bundle with room for p. */
static int make_room(struct source *s, const struct pending *p, struct err *err) {
    if (s->bundle &&
        (s->bundle_files == BUNDLE_FILES || s->bundle->raw_length + p->st.size > s->chunk_size ||
         is_meeting_point(s, p)) &&
        source_flush(s, err) != 0)
        return -1;
    if (s->bundle)
        return 0;
    struct buf *buf = source_buffer(s, err);
    if (buf == NULL)
        return -1;
    s->bundle = item_new(MSG_BUNDLE, BUNDLE_HEAD_SIZE + BUNDLE_FILES * BUNDLE_MEMBER_SIZE);
    if (s->bundle == NULL) {
        buf_release(buf);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    s->bundle->data = buf;
    s->bundle_files = 0;
    share_begin_bundle(s->share, buf);
    return 0;
}

static void add_member(struct source *s, const struct pending *p) {
    struct bundle_member m = {
        .file_id = p->file_id,
        .mtime_sec = p->st.mtime_sec,
        .mtime_nsec = p->st.mtime_nsec,
        .mode = p->st.mode,
        .size = (uint32_t)p->st.size,
    };
    struct wr w =
        wr_of(s->bundle->body + BUNDLE_HEAD_SIZE + s->bundle_files * BUNDLE_MEMBER_SIZE, BUNDLE_MEMBER_SIZE);
    bundle_member_encode(&w, &m);
    s->bundle_files++;
    s->bundle_last = p->file_id;
    s->bundle->raw_length += m.size;
}

/* Three system calls a file: open, read, fstat, and one more when it is new; closing is shared by a row. Of a file that says
 * that it is empty one byte is asked for: files of the kernel say so, whatever they have. The status after reading is compared
 * with that of the listing, so that one before reading is needed only when they differ. 1: `to` has the bytes of p. 0: it is
 * not what was listed, but *ret_now. Negative: *ret_what says what failed. */
static int read_whole(struct source *s, const struct pending *p, uint8_t *to, struct os_stat *ret_now,
                      const char **ret_what) {
    struct os_file file = OS_FILE_NONE;
    *ret_what = "cannot open";
    int result = source_open(s, p, &file, NULL);
    if (result != 0)
        return result;
    *ret_what = "cannot read";
    source_await_rest(s, file, &p->st);
    uint8_t beyond;
    ptrdiff_t got = p->st.size > 0 ? os_pread(file, to, p->st.size, 0) : os_pread(file, &beyond, 1, 0);
    result = os_fstat_now(file, ret_now);
    source_close_later(s, file);
    if (result == 0 && ret_now->kind != OS_FILE)
        result = -ENOTSUP;
    if (got < 0 || result != 0)
        return result != 0 ? result : (int)got;
    return got == (ptrdiff_t)p->st.size && same_file(ret_now, &p->st);
}

/* The bytes of p from another session, or from the file. As read_whole. */
static int obtain(struct source *s, const struct pending *p, uint8_t *to, struct os_stat *ret_now,
                  const char **ret_what) {
    if (atomic_load(&p->damaged)) { /* it may be the memory from which the others take it */
        share_forget_bundle(s->share);
        return read_whole(s, p, to, ret_now, ret_what);
    }
    if (share_take_file(s->share, p, to)) {
        count(&s->report->bytes_shared, p->st.size);
        return 1;
    }
    int result = read_whole(s, p, to, ret_now, ret_what);
    if (result == 1)
        share_put_file(s->share);
    else
        share_drop_file(s->share);
    return result;
}

static enum attempt read_small(struct source *s, struct pending *p, struct err *err) {
    struct os_stat now;
    const char *what;
    if (make_room(s, p, err) != 0)
        return ATTEMPT_FATAL;
    int result = obtain(s, p, s->bundle->data->data + s->bundle->raw_length, &now, &what);
    if (result < 0)
        return source_failed(s, p, result, what, err);
    if (result == 0 && p->st.size == 0 && same_file(&now, &p->st))
        return source_give_up(s, p, EXIT_PARTIAL, 0,
                              "says that it is empty, but is not (as files of /proc do); send a copy of it",
                              err);
    if (result == 0) {
        p->st = now;
        return ATTEMPT_CHANGED;
    }
    add_member(s, p);
    count(&s->report->bytes_raw, p->st.size);
    count(&s->report->bytes_done, p->st.size);
    return ATTEMPT_DONE;
}

static enum attempt read_once(struct source *s, struct pending *p, struct err *err) {
    /* One that was begun as a large file is open at the receiver, and goes on as one, however small it has become. */
    if (p->reading == 0 && p->st.size <= BUNDLE_FILE_MAX && p->st.size <= s->chunk_size)
        return read_small(s, p, err);
    if (source_flush(s, err) != 0)
        return ATTEMPT_FATAL;
    return source_read_large(s, p, err);
}

int source_read(struct source *s, struct pending *p, struct err *err) {
    enum attempt attempt = ATTEMPT_CHANGED;
    if (atomic_load(&p->failed))
        return 0;
    if (p->has_basis && p->reading == 0)
        attempt = source_compare(s, p, err);
    /* The first difference may be from before we opened the file: it does not count as an attempt. */
    for (int i = 0; i <= READ_ATTEMPTS && attempt == ATTEMPT_CHANGED; i++)
        attempt = read_once(s, p, err);
    if (attempt == ATTEMPT_CHANGED)
        attempt =
            source_give_up(s, p, EXIT_VANISHED, 0, "changed while it was being read; send it again", err);
    if (p->delta)
        delta_close(p->delta); /* whatever became of it: digests that still come are of no use */
    return attempt == ATTEMPT_FATAL ? -1 : 0;
}
