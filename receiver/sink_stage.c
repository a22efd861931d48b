/* sink_stage.c: a new directory is filled under another name and gets its own with the first files in it.
 *
 * Whoever makes a directory knows that there is nothing in it. What is written there under its own name is seen by nobody until
 * the directory is, so that one rename serves all the small files that are in it by then; each of them would take a rename of its
 * own (decision 0017). So it is with each directory below it.
 *
 * A file that has its name before it is flushed is whole before anything else happens (sink_file_begin), and in the batch
 * then; its directory, and those above, get their names when the batch is flushed. What can take longer, a large file, has a
 * temporary name there too. When it is large enough to be kept unfinished, its directory gets its name before: what a dead
 * session left staged is removed with all that is in it.
 */
#include "receiver/sink_impl.h"

#include "core/path.h"
#include "core/text.h"

#include <errno.h>
#include <string.h>

/* Whether there may be another one: its name has to be told from those of dead sessions, and none of it is counted. */
static bool may_stage(const struct sink *sink) {
    return OS_CAN_STAGE_DIRS && os_file_is_open(sink->claim) && sink->opt.usage == NULL &&
           sink->dirs.staged_count < SINK_STAGED_MAX;
}

/* Others must not be able to give it, or what is in it, another name, and a directory of somebody else this one: that would be
 * removed with all that is in it when this session is dead. What they may do comes with its end. */
static bool may_be_in(const struct sink *sink, struct os_dir at, uint32_t *mode) {
    struct os_stat st;
    if (os_dir_stat(at, &st) != 0 || st.device != sink->volume || !os_dir_is_private(&st))
        return false;
    if ((*mode & 022) == 0)
        return true;
    *mode &= ~022u;
    return sink->opt.perms &&
           (st.mode & 02000) == 0; /* a change of the mode would take that away (set_dir_mode) */
}

int sink_stage_dir(struct sink *sink, struct os_dir at, const char *name, const char *path, uint32_t mode) {
    struct os_stat st;
    struct temp_name temp;
    if (!may_stage(sink) || os_stat_at(at, name, &st) != -ENOENT || !may_be_in(sink, at, &mode))
        return 1;
    sink_temp_name(sink, path, UINT64_MAX - sink->staged, &temp); /* the sender's files count from 1 */
    int result = os_mkdir_at(at, temp.s, mode);
    if (result == -EEXIST)
        return 1;
    if (result != 0)
        return result;
    sink->staged++;
    result = dir_cache_stage(&sink->dirs, path, temp.s);
    if (result != 0)
        (void)os_rmdir_at(at, temp.s);
    return result == 0 ? dir_cache_made(&sink->dirs, path) : result;
}

static int merge(struct os_dir from, struct os_dir to, unsigned levels);

static int merge_dirs(struct os_dir from, const char *name, struct os_dir to, const char *to_name,
                      unsigned levels) {
    struct os_dir ours, theirs;
    int result = levels == 0 ? -ELOOP : os_dir_open(from, name, &ours);
    if (result != 0)
        return result;
    result = os_dir_open(to, to_name, &theirs);
    if (result == 0) {
        result = merge(ours, theirs, levels - 1);
        os_dir_close(&theirs);
    }
    os_dir_close(&ours);
    return result == 0 ? os_rmdir_at(from, name) : result;
}

/* `name` in `from` becomes `to_name` in `to`. What has come there since it was staged meets it as it would have without that: a
 * directory takes a directory in, and links go, and so does an empty directory where ours is none. */
static int put(struct os_dir from, const char *name, struct os_dir to, const char *to_name, unsigned levels) {
    struct os_stat ours, theirs;
    int result = os_move(from, name, to, to_name, false);
    if (result != -EEXIST && result != -ENOTEMPTY)
        return result;
    if ((result = os_stat_at(from, name, &ours)) != 0 || (result = os_stat_at(to, to_name, &theirs)) != 0)
        return result;
    bool dir = ours.kind == OS_DIR, meets_dir = theirs.kind == OS_DIR;
    if (dir && meets_dir)
        return merge_dirs(from, name, to, to_name, levels);
    if (theirs.kind != OS_SYMLINK && (dir || (theirs.kind != OS_FILE && !meets_dir)))
        return -EEXIST; /* what is no file, too: somebody else is at its other end */
    if (!dir && !meets_dir)
        return os_move(from, name, to, to_name, true);
    result = dir ? os_unlink_at(to, to_name) : os_rmdir_at(to, to_name);
    return result == 0 ? os_move(from, name, to, to_name, false) : result;
}

/* The first failure; what can be moved is. */
static int merge(struct os_dir from, struct os_dir to, unsigned levels) {
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    int more, result = os_list_open(from, &list);
    if (result != 0)
        return result;
    while ((more = os_list_next(list, &name, &kind)) == 1) {
        int moved = put(from, name, to, name, levels);
        result = result != 0 ? result : moved;
    }
    os_list_close(list);
    return more < 0 ? more : result;
}

/* What lies deeper was not made by a session, nor what is on another volume, or where others could have given it this name. */
static void remove_tree(const struct sink *sink, struct os_dir at, const char *name, unsigned levels,
                        bool also_cancelled) {
    struct os_dir dir;
    struct os_list *list;
    struct os_stat st;
    const char *inner;
    enum os_kind kind;
    if (os_unlink_at(at, name) == 0 || levels == 0 || os_dir_stat(at, &st) != 0 || !os_dir_is_private(&st) ||
        st.device != sink->volume || os_dir_open(at, name, &dir) != 0)
        return;
    if (os_list_open(dir, &list) == 0) {
        while ((also_cancelled || !sink_is_cancelled(sink)) && os_list_next(list, &inner, &kind) == 1)
            remove_tree(sink, dir, inner, levels - 1, also_cancelled);
        os_list_close(list);
    }
    os_dir_close(&dir);
    (void)os_rmdir_at(at, name);
}

void sink_remove_dead(struct sink *sink, struct os_dir at, const char *name) {
    remove_tree(sink, at, name, PATH_DEPTH_MAX, false);
}

/* Something else is where it was to go, and stays. */
static bool is_taken(int result) {
    return result == -EEXIST || result == -ENOTEMPTY || result == -ENOTDIR || result == -EISDIR ||
           result == -ELOOP;
}

/* It is staged no more when this is 0, and to be dropped else. */
static int name_dir(struct sink *sink, struct dir_staged *d, struct err *err) {
    struct os_dir at;
    const char *name;
    if (sink_parent(sink, d->path, &at, &name, err) != 0)
        return -1;
    if (d->spoilt)
        return err_set(err, EXIT_FILE_IO, "%s: the directory holds what could not be removed",
                       ESCAPED(d->path));
    int result = os_move(at, d->temp, at, name, false);
    if (result == -EEXIST || result == -ENOTEMPTY) {
        result = put(at, d->temp, at, name, PATH_DEPTH_MAX);
        dir_cache_forget(&sink->dirs, d->path);
    }
    int changed = sink_name_changed(sink, at); /* also where only a part of it could be moved */
    result = result == 0 ? changed : result;
    if (is_taken(result))
        return err_set(err, EXIT_PARTIAL,
                       "%s: cannot give the directory its name: something else is in its place, or inside it",
                       ESCAPED(d->path));
    if (result != 0)
        return os_file_error(err, result, "%s: cannot give the directory its name", ESCAPED(d->path));
    dir_cache_unstage(&sink->dirs, d);
    return 0;
}

void sink_stage_fill(struct sink *sink, const char *path) {
    struct dir_staged *nearest = dir_cache_staged(&sink->dirs, path);
    if (nearest == NULL || nearest->filled) /* and so are those above it */
        return;
    for (unsigned i = 0; i < sink->dirs.staged_count; i++)
        if (dir_staged_holds(&sink->dirs.staged[i], path))
            sink->dirs.staged[i].filled = true;
}

void sink_stage_spoil(struct sink *sink, const char *path) {
    struct dir_staged *nearest = dir_cache_staged(&sink->dirs, path);
    if (nearest)
        nearest->spoilt = true;
}

static void remove_staged(struct sink *sink, const struct dir_staged *d) {
    struct os_dir at;
    const char *name;
    if (dir_cache_parent(&sink->dirs, d->path, &at, &name) == 0)
        remove_tree(sink, at, d->temp, PATH_DEPTH_MAX, true);
    dir_cache_forget(&sink->dirs, d->path);
}

/* It cannot have its name: what is left in it goes. Those below it go too; they may be where a part of it was moved to. */
static void drop(struct sink *sink, struct dir_staged *d) {
    char path[PATH_BYTES_MAX];
    unsigned first = (unsigned)(d - sink->dirs.staged); /* those below it were made later */
    memcpy(path, d->path, d->n + 1);
    remove_staged(sink, d);
    dir_cache_unstage(&sink->dirs, d);
    for (unsigned i = sink->dirs.staged_count; i-- > first;) {
        struct dir_staged *below = &sink->dirs.staged[i];
        if (path_is_within(below->path, path)) {
            remove_staged(sink, below);
            dir_cache_unstage(&sink->dirs, below);
        }
    }
}

/* All files of the batch that lie in it, as it is not known which have a place now. True when there is any. */
static bool fail_files_in(struct sink *sink, const struct dir_staged *d, const struct err *err) {
    bool any = false;
    for (unsigned i = 0; i < sink->batch_count; i++) {
        struct sink_commit *c = &sink->batch[i];
        struct err why = *err;
        if (c->path == NULL || !dir_staged_holds(d, c->path))
            continue;
        (void)err_wrap(&why, "%s", ESCAPED(c->path));
        sink_settle_one(sink, c, &why);
        any = true;
    }
    return any;
}

static void tell_later(struct sink *sink, const struct err *err) {
    if (!err_is_set(&sink->dropped))
        sink->dropped = *err;
}

void sink_name_filled(struct sink *sink) {
    for (unsigned i = 0; i < sink->dirs.staged_count;) {
        struct dir_staged *d = &sink->dirs.staged[i];
        struct err err = {0};
        if (!d->filled)
            i++;
        else if (name_dir(sink, d, &err) != 0) {
            if (!fail_files_in(sink, d, &err))
                tell_later(sink, &err);
            drop(sink, d);
        }
    }
}

/* True for those above and below. */
static bool concerns(const struct dir_staged *d, const char *path) {
    return path_is_within(d->path, path) || path_is_within(path, d->path);
}

static bool any_is_filled(const struct sink *sink, const char *path) {
    for (unsigned i = 0; i < sink->dirs.staged_count; i++)
        if (sink->dirs.staged[i].filled && concerns(&sink->dirs.staged[i], path))
            return true;
    return false;
}

int sink_name_dirs_of(struct sink *sink, const char *path, struct err *err) {
    int result = 0;
    if (any_is_filled(sink, path))
        sink_commit(sink); /* no file of the batch is in one of them then */
    for (unsigned i = 0; i < sink->dirs.staged_count;) {
        struct dir_staged *d = &sink->dirs.staged[i];
        struct err why = {0};
        if (!concerns(d, path)) {
            i++;
        } else if (name_dir(sink, d, &why) != 0) {
            drop(sink, d);
            if (result != 0)
                tell_later(sink, &why);
            else if (err)
                *err = why;
            result = -1;
        }
    }
    return result;
}

void sink_unstage(struct sink *sink) {
    while (sink->dirs.staged_count > 0)
        drop(sink, &sink->dirs.staged[0]);
}

int sink_stage_result(struct sink *sink, struct err *err) {
    if (!err_is_set(&sink->dropped))
        return 0;
    if (err)
        *err = sink->dropped;
    sink->dropped = (struct err){0};
    return -1;
}
