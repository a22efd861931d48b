/* sink_file.c: the file that is being written, from its beginning on. */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int check_space(const struct sink *sink, struct os_dir at, const char *path, uint64_t need,
                       struct err *err) {
    uint64_t have = 0;
    if (usage_check_free(sink->opt.usage, at, need, path, err) != 0)
        return -1;
    if (need <= CHUNK_SIZE_DEFAULT || os_volume_free(at, &have) != 0 || have >= need)
        return 0;
    return err_set(err, EXIT_NO_SPACE, "%s: needs %s bytes, but only %s are free", ESCAPED(path),
                   SIZE_TEXT(need, true), SIZE_TEXT(have, true));
}

/* True when the file that is to be created will be as `sink->made`, but for its mode: it comes after its neighbour. */
static bool is_foretold(const struct sink *sink, const char *path) {
    return sink->batch_count > 0 && sink->made_known &&
           path_are_neighbours(sink->batch[sink->batch_count - 1].path, path);
}

/* The mode to create the file with. It is the one that it is to have, where its owner and group will be right from the
 * start and nothing is there whose mode it keeps, which saves setting it; else nobody else can open it yet. */
static uint32_t first_mode(struct sink *sink, const char *path, const struct metadata *meta) {
    uint32_t uid, gid;
    if (meta == NULL || !is_foretold(sink, path) ||
        sink_owner_differs(sink, &sink->made, meta->uid, meta->gid, &uid, &gid))
        return 0600;
    if (sink->opt.perms)
        return meta->mode & 0777;
    return dir_cache_has_new_parent(&sink->dirs, path) ? meta->mode & 0777 & ~sink->opt.umask : 0600;
}

/* own: its name, when it may have that from the start; else NULL. */
static int create(struct sink *sink, struct os_dir at, uint64_t file_id, const char *path, const char *own,
                  uint32_t mode, struct err *err) {
    struct temp_name temp;
    sink->place = SINK_STAGED;
    int result = own ? os_create(at, own, mode, &sink->file) : -EEXIST;
    if (result == -EEXIST) { /* or it came twice */
        sink->place = SINK_TEMP;
        sink_temp_name(sink, path, file_id, &temp);
        result = os_create(at, temp.s, mode, &sink->file);
    }
    if (result == -EEXIST) { /* an earlier attempt at the same file of this session */
        (void)os_unlink_at(at, temp.s);
        result = os_create(at, temp.s, mode, &sink->file);
    }
    /* Created in the same way in the same directory, it is the same as the one before, whatever umask, lists of access
     * rights or the file system make of the mode. */
    sink->as_before = is_foretold(sink, path) && sink->made_with == mode;
    sink->mode = mode;
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot create", ESCAPED(path));
}

/* The unfinished file, if there is one, else a new one under its name. False: another way has to be taken, because a
 * second session is at it or nobody can tell. */
static bool open_partial(struct sink *sink, struct os_dir at, const char *name, uint64_t size) {
    struct temp_name partial;
    struct os_stat st;
    if (!sink_keeps_partial(sink, size) || os_dir_stat(at, &st) != 0 || st.device != sink->volume)
        return false;
    sink_partial_name(name, &partial);
    sink->place = SINK_PARTIAL;
    int result = os_open_locked(at, partial.s, true, &sink->file);
    /* Laid there, or left when it had all but its name: then there is nothing to be written, and it is lent (sink_borrow). */
    bool whole = result == -EPERM && os_stat_at(at, partial.s, &st) == 0 && st.size == size;
    if (result == -EPERM && !whole && os_unlink_at(at, partial.s) == 0)
        result = os_open_locked(at, partial.s, true, &sink->file);
    return result == 0;
}

static void close_file(struct sink *sink) {
    (void)usage_close(&sink->held, &sink->file);
    (void)usage_close(&sink->held_old, &sink->old);
    free(sink->path);
    sink->path = NULL;
}

/* How much is in the open file already, and whether the rest fits. */
static int measure_old(struct sink *sink, struct os_dir at, uint64_t data_size, struct err *err) {
    struct os_stat st;
    int result = os_fstat(sink->file, &st);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot look at the unfinished file", ESCAPED(sink->path));
    if (sink->place == SINK_INPLACE &&
        st.mode & ~0777U) { /* nobody runs what is not checked with more rights */
        result = os_set_mode(sink->file, st.mode & 0777);
        if (result != 0)
            return os_file_error(err, result, "%s: cannot take its set-id bits away", ESCAPED(sink->path));
    }
    sink->had = sink->taken = st.size;
    sink->counts = usage_file_of(sink->opt.usage, &st);
    sink->counted = sink->had > 0 && sink->place == SINK_PARTIAL;
    return check_space(sink, at, sink->path, data_size > st.allocated ? data_size - st.allocated : 0, err);
}

static int count_file(struct sink *sink, struct err *err) {
    if (sink->counted || sink->place == SINK_INPLACE)
        return 0;
    int result = usage_take(sink->opt.usage, 0, 1, sink->path, err);
    sink->counted = result == 0;
    return result;
}

/* True when blocks of an old file may be written before it is known that they stay: whatever turns out, they fit. A peer that
 * may have so much only gets nothing that it has not sent, for it could have it looked at and then send something else. */
static bool may_go_ahead(const struct sink *sink, struct os_dir at, uint64_t size) {
    const struct limits *limits = sink->opt.usage ? sink->opt.usage->table->limits : NULL;
    uint64_t have = 0, most = size > sink->basis.size ? size : sink->basis.size;
    return sink->opt.ahead && sink->basis.size > sink->basis.split && sink->place != SINK_INPLACE &&
           sink->verify.digest == NULL && !(limits && (limits->quota || limits->min_free)) &&
           !os_copy_may_share(sink->file) && os_volume_free(at, &have) == 0 && have >= most;
}

/* basis: NULL for a file that is written and ended before anything else happens. */
static int begin(struct sink *sink, uint64_t file_id, const char *path, uint64_t size, uint64_t data_size,
                 uint32_t mode, const struct sink_basis *basis, struct err *err) {
    struct os_dir at;
    const char *name;
    sink->as_before = false;
    if (sink->batch_count > 1 && !path_are_neighbours(sink->batch[sink->batch_count - 1].path, path))
        sink_release_kept(sink, sink->batch_count);
    if (sink_parent(sink, path, &at, &name, err) != 0)
        return -1;
    char *copy = strdup(path);
    if (copy == NULL)
        return err_set(err, EXIT_MEMORY, "%s: out of memory", ESCAPED(path));
    int result = sink_inplace_open(sink, at, name, path, err);
    if (result == 1)
        result = open_partial(sink, at, name, size) ? 0 : 1;
    bool fresh = result == 1;
    bool staged = fresh && basis == NULL && dir_cache_staged(&sink->dirs, path) != NULL;
    if (fresh) /* before it is created: where nothing fits, nothing is left */
        result = check_space(sink, at, path, data_size, err) != 0 ||
                 create(sink, at, file_id, path, staged ? name : NULL, mode, err) != 0;
    if (result != 0) {
        free(copy);
        return -1;
    }
    sink->path = copy;
    sink->file_id = file_id;
    sink->end_of_data = sink->had = sink->filled = sink->taken = 0;
    sink->counted = sink->marked = false;
    sink->counts = (struct usage_file){0};
    sink->written_out = sink_is_large(size) && sink->opt.durable != DURABLE_NONE ? 0 : UINT64_MAX;
    sink->lost = 0;
    sink->basis = basis ? *basis : (struct sink_basis){0};
    sink->lent = 0;
    sink_verify_start(sink);
    if (!fresh)
        result = measure_old(sink, at, data_size, err);
    if (result == 0)
        result = count_file(sink, err);
    if (result == 0)
        result = sink_inplace_mark(sink, err);
    if (result != 0)
        sink_file_drop(sink);
    else if (may_go_ahead(sink, at, size))
        ahead_open(sink->opt.ahead, file_id, sink->file, sink->basis.block_size);
    if (result == 0 && fresh && sink->basis.split > 0)
        sink_borrow(sink);
    return result == 0 ? 0 : -1;
}

int sink_file_begin(struct sink *sink, uint64_t file_id, const char *path, uint64_t data_size,
                    const struct metadata *meta, struct err *err) {
    return begin(sink, file_id, path, 0, data_size, first_mode(sink, path, meta), NULL, err);
}

int sink_file_begin_large(struct sink *sink, uint64_t file_id, const char *path,
                          const struct msg_file_begin *m, const struct sink_basis *basis, struct err *err) {
    if (sink_keeps_partial(sink, m->size) && sink_name_dirs_of(sink, path, err) != 0)
        return -1; /* what is kept must be found again */
    return begin(sink, file_id, path, m->size, m->data_size, 0600, basis, err);
}

/* False: it is still there. */
static bool remove_unfinished(struct sink *sink, const char *path, uint64_t file_id, enum sink_place place,
                              struct usage_file *counts) {
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    const char *now = sink_name_for_now(sink, path, file_id, place, &temp);
    bool gone =
        dir_cache_parent(&sink->dirs, path, &at, &name) == 0 && sink_remove_counted(sink, at, now, counts);
    if (place == SINK_STAGED && !gone)
        sink_stage_spoil(sink, path);
    return gone;
}

void sink_remove_waiting(struct sink *sink, const struct sink_commit *c) {
    struct usage_file counts = {.bytes = c->size};
    if (remove_unfinished(sink, c->path, c->file_id, c->staged ? SINK_STAGED : SINK_TEMP, &counts))
        usage_give_name(sink->opt.usage);
}

/* That which is open. */
static bool remove_open(struct sink *sink) {
    return remove_unfinished(sink, sink->path, sink->file_id, sink->place, &sink->counts);
}

void sink_settle(struct sink *sink) {
    struct os_stat st;
    if (sink->opt.usage && os_fstat(sink->file, &st) == 0)
        usage_settle(sink->opt.usage, &sink->counts, st.size, st.allocated);
}

void sink_file_drop(struct sink *sink) {
    if (!os_file_is_open(sink->file))
        return;
    sink->made_known = false; /* it is of a file that is in no batch */
    bool gone = true;
    sink_stop_ahead(sink);
    if (sink->path && sink->place == SINK_PARTIAL)
        gone = remove_open(sink); /* while it is locked */
    if (sink->path && sink->place == SINK_INPLACE)
        sink_inplace_drop(sink);
    (void)usage_close(&sink->held, &sink->file); /* on Windows nobody can remove it before */
    if (sink->path && (sink->place == SINK_TEMP || sink->place == SINK_STAGED))
        gone = remove_open(sink);
    if (sink->counted && gone)
        usage_give_name(sink->opt.usage);
    close_file(sink);
}

void sink_file_leave(struct sink *sink) {
    uint64_t useful = sink->end_of_data > sink->had ? sink->end_of_data : sink->had;
    if (!os_file_is_open(sink->file))
        return;
    sink_stop_ahead(sink);
    bool kept = sink->path && sink->place == SINK_PARTIAL && useful > sink->opt.partial_min;
    if (kept && sink->filled > useful) /* what was put ahead has gaps */
        kept = os_truncate(sink->file, useful) == 0;
    if (!kept) {
        sink_file_drop(sink);
        return;
    }
    sink_settle(sink);
    close_file(sink);
}

/* What may have been a hole costs room now, as whatever is written does. */
static int write_zeros(struct sink *sink, uint64_t from, uint64_t end, struct err *err) {
    static const uint8_t zeros[64 * 1024];
    int result = 0;
    for (uint64_t at = from; at < end && result == 0; at += sizeof zeros) {
        size_t part = end - at < sizeof zeros ? (size_t)(end - at) : sizeof zeros;
        if (sink_take_room(sink, part, at + part, err) != 0)
            return -1;
        result = sink_is_cancelled(sink) ? -EINTR : os_pwrite(sink->file, zeros, part, at);
        usage_room_used(sink->opt.usage, part);
    }
    return result == 0 ? 0 : sink_long_error(sink, result, sink->path, "cannot write", err);
}

int sink_leave_hole(struct sink *sink, uint64_t offset, struct err *err) {
    uint64_t from = sink->end_of_data, filled = sink_filled_to(sink), end = offset < filled ? offset : filled;
    if (offset <= from)
        return 0;
    os_expect_holes(sink->file);
    int result = end > from ? os_zero_range(sink->file, from, end - from) : 0;
    if (result == -ENOTSUP)
        return write_zeros(sink, from, end, err);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot leave a hole", ESCAPED(sink->path));
}

/* What xfs takes behind the end of a file that grows, up to gigabytes, is not free for --min-free, and nobody has asked for
 * it. Behind a file that has its length before it is written it takes nothing. */
int sink_lengthen(struct sink *sink, uint64_t end) {
    uint64_t filled = sink_filled_to(sink), length = filled > sink->end_of_data ? filled : sink->end_of_data;
    return end > length && usage_is_free_limited(sink->opt.usage) ? os_truncate(sink->file, end) : 0;
}

int sink_take_up_to(struct sink *sink, uint64_t n, uint64_t end, struct err *err) {
    uint64_t longer = end > sink->taken ? end - sink->taken : 0;
    uint64_t within = n > longer ? n - longer : 0;
    if (usage_take_bytes(sink->opt.usage, &sink->counts, longer, within, sink->path, err) != 0)
        return -1;
    sink->taken += longer;
    return 0;
}

int sink_take_room(struct sink *sink, uint64_t n, uint64_t end, struct err *err) {
    struct os_dir at;
    const char *name;
    if (sink->opt.usage == NULL)
        return 0;
    if (sink_take_up_to(sink, n, end, err) != 0 || sink_parent(sink, sink->path, &at, &name, err) != 0)
        return -1;
    return usage_take_room(sink->opt.usage, at, n, sink->path, err);
}

void sink_write_out(struct sink *sink, uint64_t end) {
    uint64_t from = sink->written_out;
    if (end < from || end - from < SINK_WRITE_OUT_BYTES)
        return;
    sink->written_out = end;
    int result = os_write_out_soon(sink->file, from, end - from);
    if (sink->lost == 0)
        sink->lost = result;
}

static int write_at(struct sink *sink, const void *p, size_t n, uint64_t offset, struct err *err) {
    if (sink_leave_hole(sink, offset, err) != 0)
        return -1;
    int result = sink_lengthen(sink, offset + n);
    if (result == 0)
        result = os_pwrite(sink->file, p, n, offset);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot write", ESCAPED(sink->path));
}

int sink_file_write(struct sink *sink, const void *p, size_t n, uint64_t offset, struct err *err) {
    int result = sink_take_room(sink, n, offset + n, err);
    if (result == 0) {
        sink_claim(sink, offset + n);
        result = write_at(sink, p, n, offset, err);
        usage_room_used(sink->opt.usage, n);
    }
    if (result != 0) {
        if (err == NULL || err->code != EXIT_SIGNAL) /* the next session goes on with what was cancelled */
            sink_file_drop(sink);
        return -1;
    }
    sink_write_out(sink, offset + n);
    sink_verify_add(sink, p, n, offset);
    if (offset + n > sink->end_of_data)
        sink->end_of_data = offset + n;
    return 0;
}

void sink_close(struct sink *sink) {
    if (sink == NULL)
        return;
    sink_file_leave(sink);
    sink_release_kept(sink, sink->batch_count);
    for (unsigned i = 0; i < sink->batch_count; i++) {
        if (!sink->batch[i].named)
            sink_remove_waiting(sink, &sink->batch[i]);
        free(sink->batch[i].path);
    }
    sink->batch_count = 0;
    sink_unstage(sink);
    sink_verify_close(sink);
    dir_cache_free(&sink->dirs);
    os_unclaim(sink->root, &sink->claim);
    os_dir_close(&sink->root);
    os_page_free(sink->block);
    content_room_free(&sink->content);
    free(sink);
}
