/* scan.c: depth first, directories in the order in which the file system lists them: nothing is held to be sorted.
 *
 * Roots that may meet at the destination are walked together, each directory with all that they have of it, because no path
 * may be sent twice: the receiver would see the second before the first has come to its place. */
#include "sender/scan.h"

#include "core/text.h"
#include "sender/scan_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Names of all the directories that are open, each of several places: at most 4 MiB. Without a bound it would be up to who
     * makes the files. Where there are more, each name is looked for in each place. */
    NAMES_MAX = 131072
};

/* What one root has of a directory. */
struct place {
    int root;
    const char *only; /* the one name that counts in it; NULL: all of them */
    struct os_dir dir;
    bool borrowed; /* dir */
    int result; /* of opening dir */
};

struct level {
    struct place *places; /* in the order of the roots; usually there is one */
    int count, now; /* which of them is listed */
    struct scan_names *names; /* of all of them; NULL: there is one, or it is not known */
    bool begun; /* listing it */
    bool sent; /* the directory is an entry, so that its end is due */
    struct os_list *list; /* NULL: could not be listed */
    size_t path_length; /* of the directory */
    struct os_stat st; /* of the first place */
    struct place single;
};

struct scan {
    const struct source_root *roots;
    int root_count;
    struct scan_options opt;
    struct report *report;
    bool *matched; /* for each select */
    int next_root;
    bool overlap; /* all roots are walked together */
    struct scan_names_common names;
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
    s->overlap = roots_overlap(roots, count);
    if (s->overlap)
        scan_names_begin(&s->names, NAMES_MAX);
    return s;
}

static void leave(struct scan *s) {
    struct level *level = &s->levels[--s->depth];
    os_list_close(level->list);
    scan_names_free(level->names);
    for (int i = 0; i < level->count; i++)
        if (!level->places[i].borrowed)
            os_dir_close(&level->places[i].dir);
    if (level->places != &level->single)
        free(level->places);
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

/* ---- roots that meet -------------------------------------------------------------------------------------- */

static bool is_sent(const struct scan *s, enum os_kind kind) {
    return kind == OS_FILE || (kind == OS_DIR && s->opt.recursive) || (kind == OS_SYMLINK && s->opt.links);
}

/* What is not sent hides nothing. */
static bool has(const struct scan *s, const struct place *place, const char *name, enum os_kind *ret) {
    struct os_stat st;
    if (place->result != 0 || (place->only && strcmp(place->only, name) != 0) ||
        os_stat_at(place->dir, name, &st) != 0 || !is_sent(s, st.kind))
        return false;
    *ret = st.kind;
    return true;
}

/* False when they are not all known. */
static bool add_names(const struct place *place, unsigned number, struct scan_names *to) {
    struct os_list *list = NULL;
    const char *name;
    enum os_kind kind;
    if (place->only)
        return scan_names_add(to, place->only, number);
    if (place->result != 0) /* it has nothing */
        return true;
    int more = os_list_open(place->dir, &list);
    while (more == 0 && (more = os_list_next(list, &name, &kind)) == 1)
        more = scan_names_add(to, name, number) ? 0 : -ENOMEM;
    os_list_close(list);
    return more == 0;
}

static void forget_names(struct level *level) {
    scan_names_free(level->names);
    level->names = NULL;
}

/* Where there are many places, to ask each of them for each name would take most of the time. */
static void learn_names(struct scan *s, struct level *level) {
    bool known = OS_NAMES_ARE_BYTES && level->count > 1 && (level->names = scan_names_new(&s->names)) != NULL;
    for (int i = 0; known && i < level->count; i++)
        known = add_names(&level->places[i], (unsigned)i, level->names);
    if (!known)
        forget_names(level);
}

/* A name that is listed now may have come since: of those who have it after all, the later ones are to ask. */
static void learn_name(struct level *level, const char *name) {
    if (level->names && !scan_names_add(level->names, name, (unsigned)level->now))
        forget_names(level);
}

/* True when no other root has an entry of this name, as far as is known. */
static bool is_alone(const struct level *level, const char *name) {
    return level->names && scan_names_only(level->names, name, (unsigned)level->now);
}

/* True when another root's entry of this name is the one that is sent: a directory before what is none, as in rsync, and
 * else the first. */
static bool yields(const struct scan *s, const char *name, bool dir) {
    const struct level *level = &s->levels[s->depth - 1];
    enum os_kind kind;
    if (is_alone(level, name))
        return false;
    for (int i = 0; i < level->count; i++)
        if (i != level->now && has(s, &level->places[i], name, &kind) &&
            ((kind == OS_DIR) == dir ? i < level->now : !dir))
            return true;
    return false;
}

/* ---- entries ------------------------------------------------------------------------------------------ */

static void fill(struct scan *s, enum entry_type type, const struct os_stat *st, int root,
                 struct found *ret) {
    *ret = (struct found){.type = type, .root = root, .path = s->path, .st = st};
}

static bool begin_level(struct scan *s, int most) {
    struct level *level = &s->levels[s->depth];
    *level = (struct level){.path_length = strlen(s->path), .places = &level->single};
    if (most > 1 && (level->places = calloc((size_t)most, sizeof *level->places)) == NULL)
        return false;
    s->depth++;
    return true;
}

/* Go into the directory s->path, which is `name` in the innermost one. The level is there afterwards even when the
 * directory cannot be listed: its end is due. False: no memory. */
static bool enter(struct scan *s, const char *name) {
    const struct level *from = &s->levels[s->depth - 1];
    struct level *level = &s->levels[s->depth];
    int end = is_alone(from, name) ? from->now + 1 : from->count;
    enum os_kind kind;
    if (!begin_level(s, end - from->now))
        return false;
    level->sent = true;
    level->st = s->st;
    for (int i = from->now; i < end; i++) /* those before it have no such directory */
        if (i == from->now || (has(s, &from->places[i], name, &kind) && kind == OS_DIR)) {
            struct place *place = &level->places[level->count++];
            *place = (struct place){.root = from->places[i].root, .dir = OS_DIR_NONE};
            place->result = os_dir_open(from->places[i].dir, name, &place->dir);
        }
    learn_names(s, level);
    return true;
}

/* A directory: 1 and its entry, and we are inside; 0 when it is passed over. */
static int found_dir(struct scan *s, const char *name, struct found *ret) {
    if (!is_selected(s, true))
        return 0;
    if (!s->opt.recursive) {
        report_warning(s->report, s->path, "skipping directory (-r enters it)");
        return 0;
    }
    if (yields(s, name, true)) /* what is in it came, or comes, with the other */
        return 0;
    if (!enter(s, name)) {
        failed(s, -ENOMEM, "cannot read the directory");
        return 0;
    }
    struct level *level = &s->levels[s->depth - 1];
    fill(s, ENTRY_DIR, &level->st, level->places[0].root, ret);
    return 1;
}

static int found_link(struct scan *s, const struct place *place, const char *name, struct found *ret) {
    if (!s->opt.links) {
        report_warning(s->report, s->path, "skipping symbolic link (-l copies it)");
        return 0;
    }
    if (yields(s, name, false))
        return 0;
    ptrdiff_t n = os_readlink_at(place->dir, name, s->target, sizeof s->target);
    if (n <= 0 || n > LINK_TARGET_MAX) {
        failed(s, n < 0 ? (int)n : -ENAMETOOLONG, "cannot read the link");
        return 0;
    }
    fill(s, ENTRY_SYMLINK, &s->st, place->root, ret);
    ret->target = s->target;
    ret->target_length = (size_t)n;
    return 1;
}

/* The name `name` in `place`, whose path is s->path: 1 and an entry, or 0. */
static int look(struct scan *s, const struct place *place, const char *name, struct found *ret) {
    int result = os_stat_at(place->dir, name, &s->st);
    if (result != 0) {
        if (is_selected(s, true)) /* it may be a directory */
            failed(s, result, "cannot read its status");
        return 0;
    }
    if (s->st.kind == OS_DIR)
        return found_dir(s, name, ret);
    if (!is_selected(s, false))
        return 0;
    if (s->st.kind == OS_SYMLINK)
        return found_link(s, place, name, ret);
    if (s->st.kind != OS_FILE) {
        count(&s->report->specials, 1);
        report_warning(s->report, s->path, "skipping special file");
        return 0;
    }
    if (yields(s, name, false))
        return 0;
    fill(s, ENTRY_FILE, &s->st, place->root, ret);
    return 1;
}

/* A root whose contents are meant is an entry itself. False when it is passed over. */
static bool add_contents(struct scan *s, struct level *top, const struct source_root *root) {
    if (!is_selected(s, true))
        return false;
    if (!s->opt.recursive) {
        report_warning(s->report, ".", "skipping directory (-r enters it)");
        return false;
    }
    if (top->sent)
        return true;
    int result = os_dir_stat(root->base, &top->st);
    if (result != 0)
        failed(s, result, "cannot read the directory");
    top->sent = result == 0;
    return top->sent;
}

/* Begin the next root, or all of them: 1 and an entry, 0 when it has none of its own. */
static int begin_roots(struct scan *s, struct found *ret) {
    int first = s->next_root, n = s->overlap ? s->root_count : 1;
    s->next_root += n;
    if (!begin_level(s, n)) {
        failed(s, -ENOMEM, "cannot read the directory");
        return 0;
    }
    struct level *top = &s->levels[s->depth - 1];
    for (int i = first; i < first + n; i++) {
        const struct source_root *root = &s->roots[i];
        const char *only = root->name[0] ? root->name : NULL;
        if (only || add_contents(s, top, root))
            top->places[top->count++] =
                (struct place){.root = i, .only = only, .dir = root->base, .borrowed = true};
    }
    learn_names(s, top);
    if (!top->sent)
        return 0;
    fill(s, ENTRY_DIR, &top->st, top->places[0].root, ret);
    return 1;
}

/* The next name of the place that is listed: 1, 0 at its end, or -errno. */
static int list(struct level *level, const char **ret_name) {
    const struct place *place = &level->places[level->now];
    bool first = !level->begun;
    enum os_kind kind;
    level->begun = true;
    if (place->only) {
        *ret_name = place->only;
        return first;
    }
    int result = place->result;
    if (first && result == 0)
        result = os_list_open(place->dir, &level->list);
    return result == 0 ? os_list_next(level->list, ret_name, &kind) : result;
}

static void end_place(struct level *level) {
    os_list_close(level->list);
    level->list = NULL;
    level->begun = false;
    level->now++;
}

/* The next name of the innermost directory: 1 and an entry, 0 for a name that is passed over, -1 at its end. */
static int next_name(struct scan *s, struct found *ret) {
    struct level *level = &s->levels[s->depth - 1];
    const char *name = NULL;
    s->path[level->path_length] = '\0';
    if (level->now == level->count)
        return -1;
    int more = list(level, &name);
    if (more < 0)
        failed(s, more, level->list ? "cannot list the directory" : "cannot read the directory");
    if (more <= 0) {
        end_place(level);
        return 0;
    }
    const struct place *place = &level->places[level->now];
    learn_name(level, name);
    size_t n = strlen(name), at = level->path_length;
    size_t shown = n < NAME_BYTES_MAX ? n : NAME_BYTES_MAX; /* some file systems have longer ones */
    if (at > 0)
        s->path[at++] = '/';
    memcpy(s->path + at, name, shown);
    s->path[at + shown] = '\0';
    if (place->only) /* somebody asked for it by this name */
        return look(s, place, name, ret);
    enum name_fault fault = name_check(name, n);
    if (fault == NAME_RESERVED && name_is_unfinished(name))
        report_warning(s->report, s->path, "skipping the unfinished file of another transfer");
    else if (fault != NAME_OK)
        refuse(s, name_fault_text(fault));
    else if (os_name_fault(name, n)) /* it is there, made in other ways than Windows's own */
        refuse(s, os_name_fault(name, n));
    else if (path_depth(s->path) > PATH_DEPTH_MAX)
        refuse(s, "deeper than 64 levels");
    else
        return look(s, place, name, ret);
    return 0;
}

/* 1 and the entry; 0 for what is none: where roots start. */
static int end_dir(struct scan *s, struct found *ret) {
    const struct level *level = &s->levels[s->depth - 1];
    bool sent = level->sent;
    s->st = level->st;
    leave(s);
    fill(s, ENTRY_DIR_END, &s->st, 0, ret);
    return sent;
}

int scan_next(struct scan *s, struct found *ret) {
    for (;;) {
        int got = 0;
        if (s->untold) {
            s->untold = false;
            fill(s, 0, NULL, 0, ret);
            ret->why = &s->why;
            return 1;
        }
        if (s->depth > 0) {
            got = next_name(s, ret);
            if (got < 0)
                got = end_dir(s, ret);
        } else {
            if (s->next_root >= s->root_count)
                return 0;
            got = begin_roots(s, ret);
        }
        if (got > 0)
            return 1;
    }
}
