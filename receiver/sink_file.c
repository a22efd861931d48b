/* sink_file.c: the file that is being written, up to its place in the batch. */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int out_of_space(const char *path, uint64_t need, uint64_t have, struct err *err) {
    return err_set(err, EXIT_NO_SPACE, "%s: needs %s bytes, but only %s are free", ESCAPED(path),
                   SIZE_TEXT(need, true), SIZE_TEXT(have, true));
}

static bool is_in_batch(const struct sink *sink, uint64_t file_id) {
    for (unsigned i = 0; i < sink->batch_count; i++)
        if (sink->batch[i].file_id == file_id)
            return true;
    return false;
}

/* True when the file that is to be created will be as `sink->made`, but for its mode: it comes after its neighbour. */
static bool is_foretold(const struct sink *sink, const char *path) {
    return sink->batch_count > 0 && path_are_neighbours(sink->batch[sink->batch_count - 1].path, path);
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

int sink_file_begin(struct sink *sink, uint64_t file_id, const char *path, uint64_t data_size,
                    const struct metadata *meta, struct err *err) {
    struct os_dir at;
    const char *name;
    uint64_t free_bytes = 0;
    uint32_t mode = first_mode(sink, path, meta);
    struct temp_name temp;
    if (sink_parent(sink, path, &at, &name, err) != 0)
        return -1;
    if (data_size > CHUNK_SIZE_DEFAULT && os_volume_free(at, &free_bytes) == 0 && free_bytes < data_size)
        return out_of_space(path, data_size, free_bytes, err);
    sink_temp_name(sink, file_id, &temp);
    int result = os_create(at, temp.s, mode, &sink->file);
    if (result == -EEXIST && is_in_batch(sink, file_id)) /* what waits to be renamed must stay as it is */
        return err_set(err, EXIT_STREAM, "%s: came again before it was committed", ESCAPED(path));
    if (result == -EEXIST) { /* an earlier attempt at the same file of this session */
        (void)os_unlink_at(at, temp.s);
        result = os_create(at, temp.s, mode, &sink->file);
    }
    if (result != 0)
        return os_file_error(err, result, "%s: cannot create", ESCAPED(path));
    /* Created in the same way in the same directory, it is the same as the one before, whatever umask, lists of access
     * rights or the file system make of the mode. */
    sink->as_before = is_foretold(sink, path) && sink->made_with == mode;
    sink->made_with = mode;
    sink->path = strdup(path);
    sink->file_id = file_id;
    sink->end_of_data = 0;
    if (sink->path == NULL) {
        os_close(&sink->file);
        (void)os_unlink_at(at, temp.s);
        return err_set(err, EXIT_MEMORY, "%s: out of memory", ESCAPED(path));
    }
    return 0;
}

static void remove_temp(struct sink *sink, const char *path, uint64_t file_id) {
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    sink_temp_name(sink, file_id, &temp);
    if (dir_cache_parent(&sink->dirs, path, &at, &name) == 0)
        (void)os_unlink_at(at, temp.s);
}

void sink_file_drop(struct sink *sink) {
    if (sink->path == NULL)
        return;
    os_close(&sink->file);
    remove_temp(sink, sink->path, sink->file_id);
    free(sink->path);
    sink->path = NULL;
}

int sink_file_write(struct sink *sink, const void *p, size_t n, uint64_t offset, struct err *err) {
    if (offset > sink->end_of_data)
        os_expect_holes(sink->file);
    int result = os_pwrite(sink->file, p, n, offset);
    if (result != 0) {
        (void)os_file_error(err, result, "%s: cannot write", ESCAPED(sink->path));
        sink_file_drop(sink);
        return -1;
    }
    if (offset + n > sink->end_of_data)
        sink->end_of_data = offset + n;
    return 0;
}

static void batch_add(struct sink *sink, uint64_t size, bool synced, bool elsewhere) {
    if (sink->batch_count > 0)
        sink_release_kept(&sink->batch[sink->batch_count - 1]);
    sink->batch[sink->batch_count++] = (struct sink_commit){
        .file_id = sink->file_id,
        .size = size,
        .path = sink->path,
        .kept = sink->file,
        .synced = synced,
    };
    sink->batch_bytes += size;
    sink->batch_elsewhere = sink->batch_elsewhere || elsewhere;
    sink->path = NULL;
    sink->file = OS_FILE_NONE;
}

/* Everything that is to be true of the file before it is renamed, but for the flush of a small one. *ret_st is what
 * it is then. */
static int make_ready(struct sink *sink, uint64_t size, const struct metadata *meta, struct os_stat *ret_st,
                      struct err *err) {
    struct os_dir at;
    const char *name;
    struct os_stat old = {.kind = OS_NONE};
    if (sink_parent(sink, sink->path, &at, &name, err) != 0)
        return -1;
    if (!sink->opt.perms && !dir_cache_has_new_parent(&sink->dirs, sink->path) &&
        os_stat_at(at, name, &old) != 0)
        old.kind = OS_NONE;
    if (sink->end_of_data < size)
        os_expect_holes(sink->file);
    int result = sink->end_of_data == size ? 0 : os_truncate(sink->file, size);
    if (result == 0 && !sink->as_before)
        result = os_fstat(sink->file, &sink->made);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot set the size", ESCAPED(sink->path));
    *ret_st = sink->made;
    if (sink->as_before)
        ret_st->mtime_nsec = UINT32_MAX; /* not known, and no time at all */
    return sink_set_metadata(sink, sink->file, ret_st, meta, &old, sink->path, err);
}

int sink_file_end(struct sink *sink, uint64_t size, const struct metadata *meta, struct err *err) {
    struct os_stat st;
    if (make_ready(sink, size, meta, &st, err) != 0) {
        sink_file_drop(sink);
        return -1;
    }
    /* A large file is flushed by itself, and so is one that the flush of the root's volume does not reach. */
    bool elsewhere = !sink_volume_reaches(sink, &st);
    bool alone = size > CHUNK_SIZE_DEFAULT || sink->opt.durable == DURABLE_FILE || elsewhere;
    int result = alone && sink->opt.durable != DURABLE_NONE ? os_sync(sink->file) : 0;
    if (result != 0) {
        (void)os_file_error(err, result, "%s: cannot flush", ESCAPED(sink->path));
        sink_file_drop(sink);
        return -1;
    }
    batch_add(sink, size, alone, elsewhere);
    if (sink->opt.durable == DURABLE_FILE || sink->batch_count == SINK_BATCH_FILES ||
        sink->batch_bytes >= SINK_BATCH_BYTES)
        sink_commit(sink);
    return 0;
}

void sink_close(struct sink *sink) {
    if (sink == NULL)
        return;
    sink_file_drop(sink);
    for (unsigned i = 0; i < sink->batch_count; i++) {
        os_close(&sink->batch[i].kept);
        remove_temp(sink, sink->batch[i].path, sink->batch[i].file_id);
        free(sink->batch[i].path);
    }
    dir_cache_free(&sink->dirs);
    os_dir_close(&sink->root);
    free(sink);
}
