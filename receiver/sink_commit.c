/* sink_commit.c: flush, rename, flush the names, and only then say so.
 *
 * Files of a batch are closed before it is flushed, so that a session needs few descriptors, and several of them at once,
 * which is one system call; the data of more than one is flushed by one syncfs, which costs one journal commit where an
 * fsync for each would cost hundreds. The last file stays open (`kept`): a batch of one is flushed by fsync alone and does
 * not pay for what others wrote to the volume. No flush is repeated after it failed: the second call would
 * return 0 although the data is lost. A file that cannot be flushed fails alone; when the volume or a directory cannot,
 * it is not known what else is lost, so that nothing more is committed.
 */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void sink_settle_one(struct sink *sink, struct sink_commit *c, const struct err *err) {
    sink->settled(sink->ctx, c->file_id, c->size, err);
    free(c->path);
    c->path = NULL; /* settled */
}

/* What a flush has lost is still in memory, and counts as stored: the next session would compare that, find it right, and
 * write nothing. */
static void forget(struct os_dir at, const char *name) {
    struct os_file file;
    if (os_open_read(at, name, &file) != 0)
        return;
    (void)os_drop_cached(file);
    os_close(&file);
}

static void fail(struct sink *sink, struct sink_commit *c, const struct err *err) {
    struct os_dir at;
    const char *name;
    if (!c->named)
        sink_remove_waiting(sink, c);
    else if (dir_cache_parent(&sink->dirs, c->path, &at, &name) == 0)
        forget(at, name);
    sink_settle_one(sink, c, err);
}

/* Where a claim can be had, no other machine has a part of the file system, and closing tells nothing. */
void sink_release_kept(struct sink *sink, unsigned n) {
    struct os_file together[SINK_KEPT_FILES];
    unsigned count = 0;
    for (unsigned i = sink->batch_closed; i < n; i++) {
        struct sink_commit *c = &sink->batch[i];
        if (os_file_is_open(sink->claim) && !c->elsewhere)
            together[count++] = c->kept;
        else
            c->closed = os_close_checked(&c->kept);
        c->kept = OS_FILE_NONE;
    }
    os_close_all(together, count);
    sink->batch_closed = n;
}

int sink_flush_volume(struct sink *sink) {
    if (sink->flush_failed == 0)
        sink->flush_failed = os_volume_sync(sink->root);
    sink->flushes += sink->flush_failed == 0;
    return sink->flush_failed;
}

int sink_flush_dir(struct sink *sink, struct os_dir dir) {
    if (sink->flush_failed == 0)
        sink->flush_failed = os_dir_sync(dir);
    return sink->flush_failed;
}

static int flush_data(struct sink *sink) {
    unsigned open_data = 0;
    if (sink->opt.durable == DURABLE_NONE)
        return 0;
    if (sink->flush_failed != 0)
        return sink->flush_failed;
    for (unsigned i = 0; i < sink->batch_count; i++)
        open_data += !sink->batch[i].synced;
    struct sink_commit *last = &sink->batch[sink->batch_count - 1];
    if (open_data == 0)
        return 0;
    return open_data == 1 && !last->synced && os_file_is_open(last->kept) ? os_sync(last->kept)
                                                                          : sink_flush_volume(sink);
}

/* It has another name than its own, beside that. 0, or -1 and err. */
static int rename_temp(struct sink *sink, const struct sink_commit *c, struct err *err) {
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    if (sink_parent(sink, c->path, &at, &name, err) != 0)
        return -1;
    sink_temp_name(sink, c->path, c->file_id, &temp);
    return sink_replace(sink, at, temp.s, name, c->path, err);
}

static void rename_one(struct sink *sink, struct sink_commit *c) {
    struct err err = {0};
    if (c->closed != 0) {
        (void)os_file_error(&err, c->closed, "%s: cannot write", ESCAPED(c->path));
        fail(sink, c, &err);
    } else if (c->staged) {
        return; /* it has its name already, where nobody was before */
    } else if (!c->named && rename_temp(sink, c, &err) != 0) {
        fail(sink, c, &err);
    } else {
        sink_remove_partial(sink, c->path, c->size);
    }
}

/* True when the directory that is the first n bytes of `path` lies above `last`, too. */
static bool is_above(const char *path, size_t n, const char *last) {
    return last && (n == 0 || (strncmp(path, last, n) == 0 && last[n] == '/'));
}

/* Flush the directory of `path` and those above it, up to what lies above `last`. A session that died may have made them, and
 * nobody can tell whether their names are durable. */
static int flush_upwards(struct sink *sink, const char *path, const char *last, unsigned *left) {
    struct os_dir dir;
    size_t n = strlen(path);
    do {
        n = path_parent_length(path, n);
        if (is_above(path, n, last))
            return 0;
        if ((*left)-- == 0)
            return -E2BIG;
        int result = dir_cache_get(&sink->dirs, path, n, &dir);
        if (result == 0)
            result = sink_flush_dir(sink, dir);
        if (result != 0)
            return result;
    } while (n > 0);
    return 0;
}

/* Flush the directories of what was renamed. Neighbours of the batch mostly share theirs; more than SINK_SYNC_DIRS in all
 * give -E2BIG when `few`. */
static int flush_parents(struct sink *sink, bool few) {
    const char *last = NULL;
    unsigned left = few ? SINK_SYNC_DIRS : UINT_MAX;
    for (unsigned i = 0; i < sink->batch_count; i++) {
        const struct sink_commit *c = &sink->batch[i];
        if (c->path == NULL || (last && path_are_neighbours(last, c->path)))
            continue;
        int result = flush_upwards(sink, c->path, last, &left);
        if (result != 0)
            return result;
        last = c->path;
    }
    return 0;
}

static int flush_names(struct sink *sink) {
    if (sink->opt.durable == DURABLE_NONE)
        return 0;
    /* The flush of the volume does not reach what lies on another one. */
    int result = sink->batch_elsewhere ? flush_parents(sink, false) : 0;
    if (!sink->syncs_volume)
        return result; /* all of the batch is elsewhere, and so was every name that changed */
    if (result == 0 && !sink->names_changed && !sink->batch_elsewhere) {
        result = flush_parents(sink, true);
        if (result != -E2BIG)
            return result;
    }
    if (result == 0 || result == -E2BIG)
        result = sink_flush_volume(sink);
    sink->names_changed = sink->names_changed && result != 0;
    return result;
}

/* Settle every file that is left: durable, or failed for the same reason. */
static void settle_all(struct sink *sink, int result, const char *what, bool renamed) {
    for (unsigned i = 0; i < sink->batch_count; i++) {
        struct sink_commit *c = &sink->batch[i];
        struct err err = {0};
        if (c->path == NULL)
            continue;
        if (result != 0)
            (void)os_file_error(&err, result, "%s: %s", ESCAPED(c->path), what);
        if (result != 0 && !renamed)
            fail(sink, c, &err);
        else
            sink_settle_one(sink, c, result != 0 ? &err : NULL);
    }
}

void sink_commit(struct sink *sink) {
    if (sink->batch_count == 0)
        return;
    int result = flush_data(sink);
    sink_release_kept(sink, sink->batch_count);
    if (result != 0) {
        settle_all(sink, result, "cannot flush", false);
    } else {
        for (unsigned i = 0; i < sink->batch_count; i++)
            rename_one(sink, &sink->batch[i]);
        sink_name_filled(sink);
        settle_all(sink, flush_names(sink), "cannot flush its directory", true);
    }
    sink->batch_count = sink->batch_closed = 0;
    sink->batch_bytes = 0;
    sink->batch_elsewhere = false;
}

int sink_finish(struct sink *sink, struct err *err) {
    sink_commit(sink);
    if (sink_name_dirs_of(sink, "", err) != 0 || sink_stage_result(sink, err) != 0)
        return -1;
    int result = sink->names_changed && sink->opt.durable != DURABLE_NONE ? sink_flush_volume(sink) : 0;
    sink->names_changed = false;
    return result == 0 ? 0 : os_file_error(err, result, "cannot flush the destination");
}
