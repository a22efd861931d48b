/* sink_meta.c: owner, mode and times, and what the destination already has. */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"
#include "flow/content.h"
#include "os/os.h"

#include <errno.h>

bool sink_owner_differs(const struct sink *sink, const struct os_stat *st, uint32_t uid, uint32_t gid,
                        uint32_t *ret_uid, uint32_t *ret_gid) {
    bool owner = sink->opt.owner && uid != OS_KEEP_ID && uid != st->uid && os_is_privileged();
    bool group = sink->opt.group && gid != OS_KEEP_ID && gid != st->gid;
    *ret_uid = owner ? uid : OS_KEEP_ID;
    *ret_gid = group ? gid : OS_KEEP_ID;
    return owner || group;
}

/* In a user namespace there are ids that nothing can have (EINVAL). */
static bool may_not_give(int result) {
    return result == -EPERM || result == -EINVAL;
}

int sink_owner_result(int result) {
    return may_not_give(result) && !os_is_privileged() ? 0 : result;
}

int sink_owner_error(struct err *err, int result, const char *path) {
    const char *cure = may_not_give(result) ? " (leave out -o and -g: -rlpt instead of -a)" : "";
    return os_file_error(err, result, "%s: cannot set owner and group%s",
                         path[0] ? ESCAPED(path) : "the destination", cure);
}

static int set_owner(const struct sink *sink, struct os_file file, const struct os_stat *now,
                     const struct metadata *meta) {
    uint32_t uid, gid;
    if (!sink_owner_differs(sink, now, meta->uid, meta->gid, &uid, &gid))
        return 0;
    return sink_owner_result(os_set_owner(file, uid, gid));
}

/* What a file or directory is to have; not known: nothing is to be set. */
static struct win_attr wanted_attr(const struct sink *sink, const struct win_attr *now,
                                   const struct win_attr *meta, const struct win_attr *old) {
    struct win_attr want = old->known ? *old : *now;
    if (meta->known && sink->opt.perms)
        want.bits = meta->bits;
    if (meta->known && sink->opt.times) {
        want.created_sec = meta->created_sec;
        want.created_nsec = os_nsec_kept(meta->created_nsec);
    }
    return want;
}

static bool same_attr(const struct win_attr *a, const struct win_attr *b) {
    return !OS_KEEPS_WIN_ATTR ||
           (a->bits == b->bits && a->created_sec == b->created_sec && a->created_nsec == b->created_nsec);
}

int sink_set_win_attr(const struct sink *sink, struct os_file file, const struct win_attr *now,
                      const struct win_attr *meta, const struct win_attr *old) {
    struct win_attr want = wanted_attr(sink, now, meta, old);
    return same_attr(now, &want) ? 0 : os_set_win_attr(file, &want);
}

int sink_set_metadata(const struct sink *sink, struct os_file file, const struct os_stat *now,
                      const struct metadata *meta, const struct os_stat *old, bool times, const char *path,
                      struct err *err) {
    uint32_t want = meta->mode & 0777 & ~sink->opt.umask;
    if (sink->opt.perms)
        want = meta->mode & 0777;
    else if (old->kind == OS_FILE)
        want = old->mode & 0777;
    int result =
        set_owner(sink, file, now, meta); /* before the mode: a change of owner may clear bits of it */
    if (result != 0)
        return sink_owner_error(err, result, path);
    if (now->mode != os_mode_kept(OS_FILE, want))
        result = os_set_mode(file, want);
    if (result == 0)
        result = sink_set_win_attr(sink, file, &now->win, &meta->win, &old->win);
    if (result == 0 && times && sink->opt.times && !sink_has_time(now, meta->mtime_sec, meta->mtime_nsec))
        result = os_set_mtime(file, meta->mtime_sec, meta->mtime_nsec);
    if (result == 0 && times && !sink->opt.times && sink_is_marked(now))
        result = os_set_mtime_now(file);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot set mode and times", ESCAPED(path));
}

/* True when `st` has everything of `meta` that is preserved. */
static bool has_metadata(const struct sink *sink, const struct os_stat *st, const struct metadata *meta) {
    uint32_t uid, gid;
    struct win_attr want = wanted_attr(sink, &st->win, &meta->win, &st->win);
    return same_attr(&st->win, &want) &&
           (!sink->opt.perms || st->mode == os_mode_kept(OS_FILE, meta->mode & 0777)) &&
           (sink->opt.times ? sink_has_time(st, meta->mtime_sec, meta->mtime_nsec) : !sink_is_marked(st)) &&
           !sink_owner_differs(sink, st, meta->uid, meta->gid, &uid, &gid);
}

/* Opens what must be a regular file, now that it is open too. 0, or -errno. */
static int open_regular(struct os_dir at, const char *name, struct os_file *ret, struct os_stat *ret_st) {
    struct os_file file;
    struct os_stat st;
    int result = os_open_read(at, name, &file);
    if (result != 0)
        return result;
    result = os_fstat(file, &st);
    if (result == 0 && st.kind != OS_FILE)
        result = -EINVAL;
    if (result != 0) {
        os_close(&file);
        return result;
    }
    *ret = file;
    *ret_st = st;
    return 0;
}

bool sink_may_change(struct os_dir at, const char *name) {
    struct os_stat st;
    return os_stat_at(at, name, &st) == 0 && st.kind == OS_FILE && st.links <= 1;
}

/* As open_regular, for one that has no other name. */
static int open_to_change(struct os_dir at, const char *name, struct os_file *ret, struct os_stat *ret_st) {
    int result = open_regular(at, name, ret, ret_st);
    if (result == 0 && ret_st->links > 1) {
        os_close(ret);
        result = -EMLINK;
    }
    return result;
}

static struct file_state state_of(const struct sink *sink, const struct os_stat *st) {
    return (struct file_state){st->device,    st->inode,      st->size,       st->ctime_sec,
                               st->mtime_sec, st->ctime_nsec, st->mtime_nsec, sink->flushes};
}

static bool is_still(const struct file_state *was, const struct os_stat *st) {
    return st->device == was->device && st->inode == was->inode && st->size == was->size &&
           st->ctime_sec == was->ctime_sec && st->ctime_nsec == was->ctime_nsec &&
           st->mtime_sec == was->mtime_sec && st->mtime_nsec == was->mtime_nsec;
}

/* As open_to_change, for what `looked_at` says. -EAGAIN: it is another by now, or was changed. */
static int open_looked_at(const struct sink *sink, struct os_dir at, const char *name,
                          const struct os_stat *looked_at, struct os_file *ret) {
    const struct file_state was = state_of(sink, looked_at);
    struct os_stat now;
    int result = open_to_change(at, name, ret, &now);
    if (result == 0 && !is_still(&was, &now)) {
        os_close(ret);
        result = -EAGAIN;
    }
    return result;
}

/* What was changed of a file that stays. Windows flushes no file that is not open for writing; a name is not at stake. */
static int flush_changed(struct sink *sink, struct os_file file, const struct os_stat *st) {
    if (sink->opt.durable == DURABLE_NONE || !OS_CAN_SYNC_VOLUME)
        return 0;
    if (!sink_volume_reaches(sink, st))
        return os_sync(file);
    sink->names_changed = true;
    return 0;
}

/* True for a file whose last change was that it was written to. One that is complete was given its time after that. */
static bool is_as_written(const struct os_stat *st) {
    return st->mtime_sec == st->ctime_sec && st->mtime_nsec == st->ctime_nsec;
}

enum sink_has sink_has(struct sink *sink, const struct entry *e, bool same_time) {
    struct os_dir at;
    const char *name;
    struct os_stat st;
    if (dir_cache_has_new_parent(&sink->dirs, e->path) || dir_cache_staged(&sink->dirs, e->path) ||
        dir_cache_parent(&sink->dirs, e->path, &at, &name) != 0 || os_stat_at(at, name, &st) != 0)
        return SINK_LACKS;
    if (st.kind != OS_FILE || st.size != e->size)
        return SINK_LACKS;
    struct metadata meta = {e->mode, e->mtime_sec, e->mtime_nsec, e->uid, e->gid, e->win};
    if (same_time && (sink_is_marked(&st) || !sink_has_time(&st, e->mtime_sec, e->mtime_nsec)))
        return SINK_LACKS;
    /* It was not given this time, but written at it: by whoever died over it in place, perhaps. */
    if (!same_time || (is_as_written(&st) && os_keeps_change_time(at)))
        return st.links <= 1 || has_metadata(sink, &st, &meta) ? SINK_MAY_HAVE : SINK_LACKS;
    sink_remove_partial(sink, e->path, st.size);
    if (has_metadata(sink, &st, &meta))
        return sink_found(sink, at, name, &st) == 0 ? SINK_HAS : SINK_LACKS;
    struct os_file file = OS_FILE_NONE; /* metadata that cannot be set make the file be sent again */
    struct err ignored;
    /* Not the time, which it has: should another session write to it now, what that leaves must not be taken for this one's. */
    bool done = open_looked_at(sink, at, name, &st, &file) == 0 &&
                sink_set_metadata(sink, file, &st, &meta, &st, false, e->path, &ignored) == 0 &&
                flush_changed(sink, file, &st) == 0;
    os_close(&file);
    return done ? SINK_HAS : SINK_LACKS;
}

/* Before a file gets the time that says that it is right: what was compared may be in memory only, written by whomever. Should
 * the time get to storage first, then after a power cut the next session would pass over what is there. One flush serves all
 * that were compared before it. As flush_changed for Windows. */
static int flush_compared(struct sink *sink, struct os_file file, const struct os_stat *st,
                          const struct file_state *was) {
    if (sink->opt.durable == DURABLE_NONE || !OS_CAN_SYNC_VOLUME || st->ctime_sec < sink->young_sec)
        return 0;
    int result = 0;
    if (!sink_volume_reaches(sink, st))
        result = os_sync(file);
    else if (was->flushes == sink->flushes)
        result = sink_flush_volume(sink);
    if (result != 0) /* or the next session would compare what was lost, and find it right */
        (void)os_drop_cached(file);
    return result;
}

int sink_touch(struct sink *sink, const char *path, const struct file_state *was, const struct metadata *meta,
               struct err *err) {
    struct os_dir at;
    const char *name;
    struct os_stat st = {.kind = OS_NONE};
    struct os_file file = OS_FILE_NONE;
    if (sink_parent(sink, path, &at, &name, err) != 0)
        return -1;
    bool right = os_stat_at(at, name, &st) == 0 && st.kind == OS_FILE && has_metadata(sink, &st, meta);
    bool renew =
        right && sink->opt.times && is_as_written(&st); /* to be believed from now on, if that can be */
    int result = right && !renew ? 0 : open_to_change(at, name, &file, &st);
    if (renew && result != 0) {
        renew = false;
        result = 0;
    }
    bool still = result != 0 || is_still(was, &st);
    if (result == 0 && still && os_file_is_open(file)) {
        result = flush_compared(sink, file, &st, was);
        if (result == 0) /* which may have taken long */
            result = os_fstat(file, &st);
        still = result != 0 || is_still(was, &st);
    }
    if (!still) {
        os_close(&file);
        return err_set(err, EXIT_PARTIAL, "%s: changed since it was compared; send it again", ESCAPED(path));
    }
    if (result == 0 && !right && sink_set_metadata(sink, file, &st, meta, &st, true, path, err) != 0) {
        os_close(&file);
        return -1;
    }
    if (result == 0 && renew)
        (void)os_set_mtime(file, meta->mtime_sec, meta->mtime_nsec);
    if (result == 0)
        result = right ? sink_found(sink, at, name, &st) : flush_changed(sink, file, &st);
    os_close(&file);
    if (result == 0) /* this may take long too */
        sink_remove_partial(sink, path, st.size);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot open or flush", ESCAPED(path));
}

int sink_digest(struct sink *sink, const char *path, uint32_t block_size, struct file_state *ret_was,
                struct digest *ret, struct err *err) {
    struct os_dir at;
    const char *name;
    struct os_stat st;
    struct os_file file = OS_FILE_NONE;
    struct usage_held held = {0};
    if (sink_parent(sink, path, &at, &name, err) != 0)
        return -1;
    usage_lock(sink->opt.usage);
    int result = open_regular(at, name, &file, &st);
    if (result == 0)
        usage_hold(sink->opt.usage, &held, &st);
    usage_unlock(sink->opt.usage);
    if (result == 0)
        result = content_digest(&sink->content, file, st.size, block_size, ret);
    (void)usage_close(&held, &file);
    if (result != 0)
        return sink_long_error(sink, result, path, "cannot read for comparison", err);
    *ret_was = state_of(sink, &st);
    return 0;
}
