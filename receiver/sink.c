/* sink.c: opening, directories and links. */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { YOUNG_S = 600 }; /* systems write what waits after 5 to 60 seconds, laptops after some minutes */

int sink_open(struct os_dir root, const struct sink_options *opt, sink_settled_fn *settled, void *ctx,
              struct sink **ret, struct err *err) {
    struct os_stat st;
    struct sink *sink = calloc(1, sizeof *sink);
    int result = sink ? os_dir_stat(root, &st) : -ENOMEM;
    if (result != 0) {
        free(sink);
        os_dir_close(&root);
        return os_file_error(err, result, "cannot receive into the directory");
    }
    sink->volume = st.device;
    sink->syncs_volume = os_volume_syncs(root);
    sink->young_sec = os_wall_ns() / 1000000000 - YOUNG_S;
    sink->root = root;
    sink->opt = *opt;
    sink->settled = settled;
    sink->ctx = ctx;
    sink->file = sink->old = sink->claim = OS_FILE_NONE;
    sink->content.cancelled = opt->cancelled;
    dir_cache_init(&sink->dirs, root);
    (void)os_claim(root, sink->opt.name_salt,
                   &sink->claim); /* without it nothing of this session is removed */
    sink_remove_orphans(sink, "");
    if (sink_verify_open(sink, err) != 0) {
        sink_close(sink);
        return -1;
    }
    *ret = sink;
    return 0;
}

int sink_name_changed(struct sink *sink, struct os_dir dir) {
    struct os_stat st;
    if (sink->opt.durable == DURABLE_NONE)
        return 0;
    int result = os_dir_stat(dir, &st);
    if (result == 0 && !sink_volume_reaches(sink, &st))
        return sink_flush_dir(sink, dir);
    sink->names_changed = true;
    return result;
}

/* Windows flushes only what is open for writing: there it is the name alone. */
static int flush_found(struct os_dir dir, const char *name) {
    struct os_file file = OS_FILE_NONE;
    if (!OS_CAN_SYNC_VOLUME)
        return 0;
    int result = os_open_read(dir, name, &file);
    if (result == 0)
        result = os_sync(file);
    os_close(&file);
    return result;
}

int sink_found(struct sink *sink, struct os_dir dir, const char *name, const struct os_stat *st) {
    if (sink->opt.durable == DURABLE_NONE || st->ctime_sec < sink->young_sec)
        return 0;
    if (sink_volume_reaches(sink, st)) {
        sink->names_changed = true;
        return 0;
    }
    int result = st->kind == OS_FILE ? flush_found(dir, name) : 0;
    return result == 0 ? sink_flush_dir(sink, dir) : result;
}

int sink_long_error(const struct sink *sink, int result, const char *path, const char *what,
                    struct err *err) {
    if (sink_is_cancelled(sink))
        return err_set(err, EXIT_SIGNAL, "cancelled");
    return os_file_error(err, result, "%s: %s", ESCAPED(path), what);
}

int sink_parent(struct sink *sink, const char *path, struct os_dir *ret, const char **ret_name,
                struct err *err) {
    int result = dir_cache_parent(&sink->dirs, path, ret, ret_name);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot open its directory", ESCAPED(path));
    return 0;
}

static int replace(struct sink *sink, struct os_dir dir, const char *temp, const char *name, const char *path,
                   struct err *err) {
    int result = os_rename_at(dir, temp, name);
    if (result == -EISDIR) {
        dir_cache_forget(&sink->dirs, path);
        int removed = os_rmdir_at(dir, name);
        if (removed != 0)
            return err_sys(err, EXIT_PARTIAL, -removed, "%s: a directory that is not empty is in its place",
                           ESCAPED(path));
        result = os_rename_at(dir, temp, name);
    }
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot rename into place", ESCAPED(path));
}

int sink_replace(struct sink *sink, struct os_dir dir, const char *temp, const char *name, const char *path,
                 struct err *err) {
    struct os_stat old, new;
    if (sink->opt.usage == NULL)
        return replace(sink, dir, temp, name, path, err);
    usage_lock(sink->opt.usage); /* or two sessions would be given back the same file */
    bool there = os_stat_at(dir, name, &old) == 0 && old.kind != OS_NONE;
    bool file = os_stat_at(dir, temp, &new) == 0 && new.kind == OS_FILE;
    int result = replace(sink, dir, temp, name, path, err);
    if (result == 0 && file) { /* flushed: the file system knows by now what is a hole */
        struct usage_file counts = {.bytes = new.size};
        usage_settle(sink->opt.usage, &counts, new.size, new.allocated);
    }
    if (result == 0 && there) {
        usage_give_name(sink->opt.usage);
        usage_gone(sink->opt.usage, &old);
    }
    usage_unlock(sink->opt.usage);
    return result;
}

bool sink_remove_counted(struct sink *sink, struct os_dir at, const char *name, struct usage_file *counts) {
    struct usage *usage = sink->opt.usage;
    struct os_stat st;
    usage_lock(usage);
    int seen = usage ? os_stat_at(at, name, &st) : -ENOENT;
    int result = os_unlink_at(at, name);
    if (usage && result == 0) {
        if (counts && seen == 0)
            usage_settle(usage, counts, st.size, st.allocated);
        if (seen == 0)
            usage_gone(usage, &st);
    }
    usage_unlock(usage);
    return result == 0 || result == -ENOENT;
}

/* The rights of a directory that is `st` become `mode`, 0…0777. Peers set no more than those; a sticky bit that is there stays, and
 * keeps others from removing what is not theirs. The set-group-ID bit is left alone only with all the rest: the filter of
 * system calls (os_confine.h) lets no such bit be set. 0, or a negative result. */
static int set_dir_mode(struct os_file dir, const struct os_stat *st, uint32_t mode) {
    if ((st->mode & 0777) == os_mode_kept(OS_DIR, mode))
        return 0;
    return os_set_mode(dir, mode | (st->mode & 01000));
}

/* A directory that is there already becomes writable; ENTRY_DIR_END sets its mode. What would not come back stays as it is: the
 * mode where none is preserved, and a set-group-ID bit where the superuser writes without it. */
static bool is_to_be_writable(const struct sink *sink, const struct os_stat *st) {
    return sink->opt.perms && (st->mode & 0700) != 0700 && !(st->mode & 02000 && os_is_privileged());
}

static int make_writable(const struct sink *sink, struct os_dir at, const char *name,
                         const struct os_stat *st) {
    struct os_dir dir;
    if (!is_to_be_writable(sink, st))
        return 0;
    int result = os_dir_open(at, name, &dir);
    if (result != 0)
        return result;
    result = set_dir_mode(os_dir_as_file(dir), st, (st->mode & 0777) | 0700);
    os_dir_close(&dir);
    return result;
}

/* The root too, where that can be had: what cannot be written into it says why. */
static void make_root_writable(const struct sink *sink) {
    struct os_stat st;
    if (os_dir_stat(sink->root, &st) == 0 && is_to_be_writable(sink, &st))
        (void)set_dir_mode(os_dir_as_file(sink->root), &st, (st.mode & 0777) | 0700);
}

int sink_make_dir(struct sink *sink, const char *path, uint32_t mode, struct err *err) {
    struct os_dir at;
    const char *name;
    if (path[0] == '\0') {
        make_root_writable(sink);
        sink_remove_orphans(sink, ""); /* again, if it was not before */
        return 0;
    }
    if (sink_parent(sink, path, &at, &name, err) != 0)
        return -1;
    struct os_stat st;
    if (dir_cache_is_staged(&sink->dirs, path))
        return 0;
    int result = sink_stage_dir(sink, at, name, path, (mode & 0777) | 0700);
    if (result <= 0)
        return result == 0 ? 0 : os_file_error(err, result, "%s: cannot create the directory", ESCAPED(path));
    bool there = sink->opt.usage && os_stat_at(at, name, &st) == 0;
    if (!there && usage_take_name(sink->opt.usage, at, path, err) != 0)
        return -1;
    result = os_mkdir_at(at, name, (mode & 0777) | 0700);
    if (result != 0 && !there)
        usage_give_name(sink->opt.usage);
    if (result == -EEXIST && (result = os_stat_at(at, name, &st)) == 0) {
        if (st.kind == OS_DIR) {
            result = make_writable(sink, at, name, &st);
            if (result == 0) {
                sink_remove_orphans(sink, path);
                if (sink_parent(sink, path, &at, &name, err) != 0) /* that may have closed it */
                    return -1;
                result = sink_found(sink, at, name, &st);
            }
            return result == 0 ? 0 : os_file_error(err, result, "%s: cannot make it writable", ESCAPED(path));
        }
        if (st.kind != OS_SYMLINK)
            return err_set(err, EXIT_PARTIAL,
                           "%s: cannot create the directory: something else is in its place", ESCAPED(path));
        dir_cache_forget(&sink->dirs, path);
        result = os_unlink_at(at, name);
        if (result == 0)
            result = os_mkdir_at(at, name, (mode & 0777) | 0700);
    }
    if (result == 0)
        result = sink_name_changed(sink, at);
    if (result == 0)
        result = dir_cache_made(&sink->dirs, path);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot create the directory", ESCAPED(path));
}

int sink_end_dir(struct sink *sink, const struct entry *e, struct err *err) {
    struct os_dir dir;
    struct os_stat st;
    uint32_t uid, gid;
    if (sink_name_dirs_of(sink, e->path, err) != 0)
        return -1;
    int result = dir_cache_get(&sink->dirs, e->path, strlen(e->path), &dir);
    if (result == 0)
        result = os_dir_stat(dir, &st);
    struct os_file as_file = os_dir_as_file(dir);
    if (result == 0 && sink_owner_differs(sink, &st, e->uid, e->gid, &uid, &gid)) {
        result = sink_owner_result(os_set_owner(as_file, uid, gid));
        if (result != 0)
            return sink_owner_error(err, result, e->path);
    }
    if (result == 0)
        result = sink_set_win_attr(sink, as_file, &st.win, &e->win, &st.win);
    if (result == 0 && sink->opt.perms)
        result = set_dir_mode(as_file, &st, e->mode & 0777);
    if (result == 0 && sink->opt.times && !sink_has_time(&st, e->mtime_sec, e->mtime_nsec))
        result = os_set_mtime(as_file, e->mtime_sec, e->mtime_nsec);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot set mode and times of the directory",
                             e->path[0] ? ESCAPED(e->path) : "the destination");
    return sink_stage_result(sink, err);
}

int sink_check_place(struct sink *sink, const char *path, struct err *err) {
    struct os_dir at;
    const char *name;
    struct os_stat st;
    if (dir_cache_has_new_parent(&sink->dirs, path) || dir_cache_parent(&sink->dirs, path, &at, &name) != 0 ||
        os_stat_at(at, name, &st) != 0 || st.kind == OS_FILE || st.kind == OS_DIR || st.kind == OS_SYMLINK)
        return 0;
    return err_set(err, EXIT_PARTIAL, "%s: a FIFO, a socket or a device is in its place; remove it first",
                   ESCAPED(path));
}

/* True when the link at `name` has this target already. */
static bool has_link(struct os_dir at, const char *name, struct span target) {
    char old[LINK_TARGET_MAX + 1];
    ptrdiff_t n = os_readlink_at(at, name, old, sizeof old);
    return n >= 0 && (size_t)n == target.n && memcmp(old, target.p, target.n) == 0;
}

/* True when owner or time of what is `st` are to be set: where they are preserved and differ. */
static bool link_differs(const struct sink *sink, const struct entry *e, const struct os_stat *st) {
    uint32_t uid, gid;
    return sink_owner_differs(sink, st, e->uid, e->gid, &uid, &gid) ||
           (sink->opt.times && !sink_has_time(st, e->mtime_sec, e->mtime_nsec));
}

/* Owner and time of the link at `name`, where they are preserved and differ. 0, or -1 and err. */
static int finish_link(struct sink *sink, const struct entry *e, struct os_dir at, const char *name,
                       struct err *err) {
    struct os_stat st;
    uint32_t uid, gid;
    int result = os_stat_at(at, name, &st);
    if (result == 0 && sink_owner_differs(sink, &st, e->uid, e->gid, &uid, &gid)) {
        result = sink_owner_result(os_set_owner_at(at, name, uid, gid));
        if (result != 0)
            return sink_owner_error(err, result, e->path);
    }
    if (result == 0 && sink->opt.times && !sink_has_time(&st, e->mtime_sec, e->mtime_nsec))
        result = os_set_mtime_at(at, name, e->mtime_sec, e->mtime_nsec);
    return result == 0 ? 0
                       : os_file_error(err, result, "%s: cannot set the time of the link", ESCAPED(e->path));
}

static int create_link(struct sink *sink, const struct entry *e, const char *target, struct os_dir at,
                       const char *name, struct err *err) {
    struct temp_name temp;
    sink_temp_name(sink, e->path, e->file_id, &temp);
    if (usage_take_name(sink->opt.usage, at, e->path, err) != 0)
        return -1;
    int result = os_symlink_at(target, at, temp.s);
    if (result != 0) {
        usage_give_name(sink->opt.usage);
        return os_file_error(err, result, "%s: cannot create the link", ESCAPED(e->path));
    }
    result = finish_link(sink, e, at, temp.s, err);
    if (result == 0)
        result = sink_replace(sink, at, temp.s, name, e->path, err);
    if (result != 0) {
        if (os_unlink_at(at, temp.s) == 0)
            usage_give_name(sink->opt.usage);
        return -1;
    }
    result = sink_name_changed(sink, at);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot flush its directory", ESCAPED(e->path));
}

int sink_make_link(struct sink *sink, const struct entry *e, struct span target, struct err *err) {
    struct os_dir at;
    const char *name;
    if (sink_parent(sink, e->path, &at, &name, err) != 0)
        return -1;
    char text[LINK_TARGET_MAX + 1];
    memcpy(text, target.p, target.n);
    text[target.n] = '\0';
    if (!has_link(at, name, target))
        return sink_check_place(sink, e->path, err) != 0 ? -1 : create_link(sink, e, text, at, name, err);
    struct os_stat st;
    int result = os_stat_at(at, name, &st);
    if (result == 0 && st.links > 1 && link_differs(sink, e, &st)) /* its other names may lie outside */
        return create_link(sink, e, text, at, name, err);
    if (result == 0)
        result = sink_found(sink, at, name, &st);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot look at the link, or flush it", ESCAPED(e->path));
    return finish_link(sink, e, at, name, err);
}
