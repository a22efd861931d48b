/* sink_end.c: the file that is complete, up to its place in the batch. */
#include "receiver/sink_impl.h"

#include "core/text.h"

static void batch_add(struct sink *sink, uint64_t size, bool synced, bool elsewhere) {
    bool named = sink->place == SINK_INPLACE || sink->place == SINK_PARTIAL;
    if (sink->batch_count - sink->batch_closed == SINK_KEPT_FILES || elsewhere || named)
        sink_release_kept(sink, sink->batch_count);
    sink->batch[sink->batch_count++] = (struct sink_commit){
        .file_id = sink->file_id,
        .size = size,
        .path = sink->path,
        .named = named,
        .staged = sink->place == SINK_STAGED,
        .kept = sink->file,
        .synced = synced,
        .elsewhere = elsewhere,
    };
    if (named) { /* all is done, and others may have it */
        struct sink_commit *c = &sink->batch[sink->batch_count - 1];
        c->closed = usage_close(&sink->held, &c->kept);
        sink->batch_closed = sink->batch_count;
    }
    sink_stage_fill(sink, sink->path);
    sink->batch_bytes += size;
    sink->batch_elsewhere = sink->batch_elsewhere || elsewhere;
    sink->path = NULL;
    sink->file = OS_FILE_NONE;
    (void)usage_close(&sink->held_old, &sink->old);
}

/* A flush may not find what was lost before it. */
static int flush_file(const struct sink *sink) {
    return sink->lost != 0 ? sink->lost : os_sync(sink->file);
}

/* --inplace: another session may have put another file there, or a link. 0, or -1 and err. */
static int check_is_named(const struct sink *sink, struct os_dir at, const char *name, struct err *err) {
    struct os_stat st, named;
    if (sink->place != SINK_INPLACE)
        return 0;
    int result = os_fstat(sink->file, &st);
    if (result == 0)
        result = os_stat_at(at, name, &named);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot see whether it is still there", ESCAPED(sink->path));
    if (st.device == named.device && st.inode == named.inode)
        return 0;
    return err_set(err, EXIT_PARTIAL,
                   "%s: another took its place while it was written (--inplace); send it again",
                   ESCAPED(sink->path));
}

/* All of its data is in the file, and nothing else. *ret_st is what it is then, *ret_old, which knows nothing
 * before, what it replaces. */
static int make_ready(struct sink *sink, uint64_t size, struct os_stat *ret_st, struct os_stat *ret_old,
                      struct err *err) {
    struct os_dir at;
    const char *name;
    if (sink_parent(sink, sink->path, &at, &name, err) != 0 || check_is_named(sink, at, name, err) != 0 ||
        sink_take_up_to(sink, 0, size, err) != 0)
        return -1;
    if ((!sink->opt.perms || OS_KEEPS_WIN_ATTR) && sink->place != SINK_STAGED &&
        !dir_cache_has_new_parent(&sink->dirs, sink->path) && os_stat_at(at, name, ret_old) != 0)
        ret_old->kind = OS_NONE;
    sink_stop_ahead(sink);
    if (sink_leave_hole(sink, size, err) != 0)
        return -1;
    int result = 0;
    if (sink->end_of_data != size || sink_filled_to(sink) > size)
        result = os_truncate(sink->file, size);
    /* Where the file system has no holes, that took room. */
    if (result == 0 && sink->end_of_data < size &&
        usage_check_free(sink->opt.usage, at, 0, sink->path, err) != 0)
        return -1;
    if (result == 0 && !sink->as_before)
        result = os_fstat(sink->file, &sink->made);
    if (result == 0 && sink->place != SINK_INPLACE) /* all of it counts as bytes until it has its name */
        usage_settle(sink->opt.usage, &sink->counts, size, size);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot set the size", ESCAPED(sink->path));
    if (!sink->as_before)
        sink->made_with = sink->mode;
    sink->made_known = sink->place == SINK_TEMP || sink->place == SINK_STAGED;
    *ret_st = sink->made;
    if (sink->as_before)
        ret_st->mtime_nsec = ret_st->win.created_nsec = UINT32_MAX; /* not known, and no times at all */
    return 0;
}

/* A large file by itself, and so one that the flush of the root's volume does not reach. */
static int flush_alone(struct sink *sink, bool alone, struct err *err) {
    int result = alone && sink->opt.durable != DURABLE_NONE ? flush_file(sink) : sink->lost;
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot flush", ESCAPED(sink->path));
}

/* Everything that is to be true of the file before it is renamed, but for the flush of one that is not `alone`. */
static int finish(struct sink *sink, uint64_t size, const struct metadata *meta, const struct os_stat *st,
                  const struct os_stat *old, bool alone, struct err *err) {
    if (sink_set_metadata(sink, sink->file, st, meta, old, !sink->marked, sink->path, err) != 0 ||
        sink_inplace_mark_again(sink, err) != 0 || flush_alone(sink, alone, err) != 0 ||
        sink_verify_check(sink, size, err) != 0)
        return -1;
    return sink_inplace_end(sink, meta, err);
}

/* The same of a file that the next session is to find, up to its name. What takes long comes first, for with the owner or the
 * mode that it is to have it is not written on any more; and it stays locked until it has its name. */
static int finish_partial(struct sink *sink, uint64_t size, const struct metadata *meta,
                          const struct os_stat *st, const struct os_stat *old, struct err *err) {
    struct os_dir at;
    const char *name;
    struct temp_name partial;
    sink_commit(sink); /* what waits would have to be flushed before the name of this one is */
    if (flush_alone(sink, true, err) != 0 || sink_verify_check(sink, size, err) != 0 ||
        sink_set_metadata(sink, sink->file, st, meta, old, true, sink->path, err) != 0)
        return -1;
    /* After it was read back Windows has it open for no writing, and through to storage (os_read_back). */
    if ((OS_CAN_SYNC_VOLUME || sink->verify.digest == NULL) && flush_alone(sink, true, err) != 0)
        return -1;
    if (sink->flush_failed != 0)
        return os_file_error(err, sink->flush_failed, "%s: cannot flush", ESCAPED(sink->path));
    if (sink_parent(sink, sink->path, &at, &name, err) != 0)
        return -1;
    sink_partial_name(name, &partial);
    (void)usage_close(&sink->held_old, &sink->old); /* what is to be replaced must not be open */
    return sink_replace(sink, at, partial.s, name, sink->path, err);
}

int sink_file_end(struct sink *sink, uint64_t size, const struct metadata *meta, struct err *err) {
    struct os_stat st, old = {.kind = OS_NONE};
    bool partial = sink->place == SINK_PARTIAL;
    int result = make_ready(sink, size, &st, &old, err);
    bool elsewhere = result == 0 && !sink_volume_reaches(sink, &st);
    bool alone = sink_is_large(size) || sink->opt.durable == DURABLE_FILE || elsewhere || sink->opt.verify ||
                 sink->marked || partial;
    if (result == 0)
        result = partial ? finish_partial(sink, size, meta, &st, &old, err)
                         : finish(sink, size, meta, &st, &old, alone, err);
    if (result != 0 && err && err->code == EXIT_SIGNAL)
        sink_file_leave(sink);
    else if (result != 0)
        sink_file_drop(sink);
    if (result != 0)
        return -1;
    if (sink->place == SINK_INPLACE)
        sink_settle(sink);
    batch_add(sink, size, alone, elsewhere);
    if (partial || sink->opt.durable == DURABLE_FILE || sink->batch_count == SINK_BATCH_FILES ||
        sink->batch_bytes >= SINK_BATCH_BYTES)
        sink_commit(sink);
    return 0;
}
