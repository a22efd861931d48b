/* scan.c: depth first, directories in the order in which the file system lists them: nothing is held to be sorted. */
#include "sender/scan.h"

#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct level {
    struct os_dir dir;
    struct os_list *list; /* NULL: could not be listed */
    size_t path_length; /* of the directory */
    struct os_stat st;
};

struct scan {
    const struct source_root *roots;
    int root_count;
    struct scan_options opt;
    struct report *report;
    bool *matched; /* for each select */
    int root; /* present one; -1 before the first */
    struct level levels[PATH_DEPTH_MAX + 1];
    unsigned depth; /* open levels */
    char path[PATH_BYTES_MAX + NAME_BYTES_MAX + 2];
    char target[LINK_TARGET_MAX + 1];
    struct os_stat st;
    struct err why; /* of what could not be listed last */
    bool untold; /* the caller does not know of it yet */
};

struct scan *scan_new(const struct source_root *roots, int count, const struct scan_options *opt,
                      struct report *report) {
    struct scan *s = calloc(1, sizeof *s);
    bool *matched = calloc(opt->select_count + 1, sizeof *matched);
    if (s == NULL || matched == NULL) {
        free(s);
        free(matched);
        return NULL;
    }
    s->roots = roots;
    s->root_count = count;
    s->opt = *opt;
    s->report = report;
    s->matched = matched;
    s->root = -1;
    return s;
}

static void leave(struct scan *s) {
    struct level *level = &s->levels[--s->depth];
    os_list_close(level->list);
    os_dir_close(&level->dir);
    s->path[level->path_length] = '\0';
}

void scan_free(struct scan *s) {
    if (s == NULL)
        return;
    while (s->depth > 0)
        leave(s);
    free(s->matched);
    free(s);
}

const char *scan_unmatched(const struct scan *s) {
    for (unsigned i = 0; i < s->opt.select_count; i++)
        if (!s->matched[i])
            return s->opt.selects[i];
    return NULL;
}

/* ---- problems --------------------------------------------------------------------------------------- */

/* s->path cannot be listed, and s->why says why. */
static void unlisted(struct scan *s) {
    s->untold = true;
    count(&s->report->files_failed, 1);
    report_failure(s->report, s->path[0] ? s->path : ".", &s->why);
}

static void failed(struct scan *s, int result, const char *what) {
    int code = result == -ENOENT ? EXIT_VANISHED : EXIT_PARTIAL;
    (void)err_sys(&s->why, code, -result, "%s: %s", ESCAPED(s->path[0] ? s->path : "."), what);
    unlisted(s);
}

/* A name that cannot be sent: what is told of is its directory. */
static void refuse(struct scan *s, const char *why) {
    (void)err_set(&s->why, EXIT_PARTIAL, "%s: %s", ESCAPED(s->path), why);
    unlisted(s);
    s->path[s->levels[s->depth - 1].path_length] = '\0';
}

/* ---- what is wanted ----------------------------------------------------------------------------------- */

static bool is_selected(struct scan *s, bool dir) {
    bool wanted = s->opt.selects == NULL;
    for (unsigned i = 0; i < s->opt.select_count; i++) {
        bool below = path_is_within(s->path, s->opt.selects[i]);
        s->matched[i] = s->matched[i] || below;
        wanted = wanted || below || (dir && path_is_within(s->opt.selects[i], s->path));
    }
    return wanted;
}

/* ---- entries ------------------------------------------------------------------------------------------ */

static void fill(struct scan *s, enum entry_type type, const struct os_stat *st, struct found *ret) {
    *ret = (struct found){.type = type, .root = s->root, .path = s->path, .st = st};
}

/* Go into the directory s->path, which is `name` in `at` ("" for at itself). The level is there afterwards even when
 * the directory cannot be listed: its end is due. */
static int enter(struct scan *s, struct os_dir at, const char *name) {
    struct level *level = &s->levels[s->depth];
    *level = (struct level){.dir = OS_DIR_NONE, .path_length = strlen(s->path), .st = s->st};
    int result = name[0] ? os_dir_open(at, name, &level->dir) : os_dir_dup(at, &level->dir);
    if (result == 0)
        result = os_list_open(level->dir, &level->list);
    if (result != 0)
        failed(s, result, "cannot read the directory");
    s->depth++;
    return 0;
}

/* A directory: 1 and its entry, and we are inside; 0 when it is passed over. */
static int found_dir(struct scan *s, struct os_dir at, const char *name, struct found *ret) {
    if (!is_selected(s, true))
        return 0;
    if (!s->opt.recursive) {
        report_warning(s->report, s->path[0] ? s->path : ".", "skipping directory (-r enters it)");
        return 0;
    }
    (void)enter(s, at, name);
    fill(s, ENTRY_DIR, &s->levels[s->depth - 1].st, ret);
    return 1;
}

static int found_link(struct scan *s, struct os_dir at, const char *name, struct found *ret) {
    if (!s->opt.links) {
        report_warning(s->report, s->path, "skipping symbolic link (-l copies it)");
        return 0;
    }
    ptrdiff_t n = os_readlink_at(at, name, s->target, sizeof s->target);
    if (n <= 0 || n > LINK_TARGET_MAX) {
        failed(s, n < 0 ? (int)n : -ENAMETOOLONG, "cannot read the link");
        return 0;
    }
    fill(s, ENTRY_SYMLINK, &s->st, ret);
    ret->target = s->target;
    ret->target_length = (size_t)n;
    return 1;
}

/* The name `name` in `at`, whose path is s->path: 1 and an entry, or 0. */
static int look(struct scan *s, struct os_dir at, const char *name, struct found *ret) {
    int result = os_stat_at(at, name, &s->st);
    if (result != 0) {
        if (is_selected(s, true)) /* it may be a directory */
            failed(s, result, "cannot read its status");
        return 0;
    }
    if (s->st.kind == OS_DIR)
        return found_dir(s, at, name, ret);
    if (!is_selected(s, false))
        return 0;
    if (s->st.kind == OS_SYMLINK)
        return found_link(s, at, name, ret);
    if (s->st.kind != OS_FILE) {
        count(&s->report->specials, 1);
        report_warning(s->report, s->path, "skipping special file");
        return 0;
    }
    fill(s, ENTRY_FILE, &s->st, ret);
    return 1;
}

/* Begin the next root: 1 and an entry, 0 when it has none of its own. */
static int begin_root(struct scan *s, struct found *ret) {
    const struct source_root *root = &s->roots[s->root];
    size_t n = strlen(root->name);
    if (n > NAME_BYTES_MAX)
        return 0; /* cannot have been opened */
    memcpy(s->path, root->name, n + 1);
    if (n > 0)
        return look(s, root->base, root->name, ret);
    int result = os_dir_stat(root->base, &s->st);
    if (result != 0) {
        failed(s, result, "cannot read the directory");
        return 0;
    }
    return found_dir(s, root->base, "", ret);
}

/* The next name of the innermost directory: 1 and an entry, 0 for a name that is passed over, -1 at its end. */
static int next_name(struct scan *s, struct found *ret) {
    struct level *level = &s->levels[s->depth - 1];
    const char *name = NULL;
    enum os_kind kind;
    s->path[level->path_length] = '\0';
    int more = level->list ? os_list_next(level->list, &name, &kind) : 0;
    if (more < 0)
        failed(s, more, "cannot list the directory");
    if (more <= 0)
        return -1;
    size_t n = strlen(name), at = level->path_length;
    size_t shown = n < NAME_BYTES_MAX ? n : NAME_BYTES_MAX; /* some file systems have longer ones */
    if (at > 0)
        s->path[at++] = '/';
    memcpy(s->path + at, name, shown);
    s->path[at + shown] = '\0';
    enum name_fault fault = name_check(name, n);
    if (fault == NAME_RESERVED)
        report_warning(s->report, s->path, "skipping the unfinished file of another transfer");
    else if (fault != NAME_OK)
        refuse(s, name_fault_text(fault));
    else if (os_name_fault(name, n)) /* it is there, made in other ways than Windows's own */
        refuse(s, os_name_fault(name, n));
    else if (path_depth(s->path) > PATH_DEPTH_MAX)
        refuse(s, "deeper than 64 levels");
    else
        return look(s, level->dir, name, ret);
    return 0;
}

static int end_dir(struct scan *s, struct found *ret) {
    s->st = s->levels[s->depth - 1].st;
    leave(s);
    fill(s, ENTRY_DIR_END, &s->st, ret);
    return 1;
}

int scan_next(struct scan *s, struct found *ret) {
    for (;;) {
        int got = 0;
        if (s->untold) {
            s->untold = false;
            fill(s, 0, NULL, ret);
            ret->why = &s->why;
            return 1;
        }
        if (s->depth > 0) {
            got = next_name(s, ret);
            if (got < 0)
                return end_dir(s, ret);
        } else {
            if (s->root + 1 >= s->root_count)
                return 0;
            s->root++;
            got = begin_root(s, ret);
        }
        if (got > 0)
            return 1;
    }
}
