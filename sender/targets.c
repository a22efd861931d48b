#include "sender/targets.h"

#include "core/path.h"
#include "core/text.h"
#include "program/endpoint.h"
#include "sender/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_dest(const struct options *o) {
    return o->arg_count > 0 && (o->to_count == 0 || addr_looks_like(o->args[o->arg_count - 1]));
}

int sources_count(const struct options *o) {
    bool waits = o->listen || o->use_stdio;
    return o->arg_count - (!waits && has_dest(o));
}

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

/* Where below its root the receiver is to put everything. */
static int choose_into(const struct options *o, struct target *t, struct err *err) {
    if (o->into && t->addr.into)
        return err_set(err, EXIT_USAGE, "the directory is given twice: in %s and by --into",
                       o->to_count ? ESCAPED(t->name) : "DEST");
    const char *into = o->into ? o->into : t->addr.into;
    if (into == NULL)
        return 0;
    t->into = strdup(into);
    if (t->into == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    size_t n = strlen(t->into);
    while (n > 0 && t->into[n - 1] == '/')
        t->into[--n] = '\0';
    if (path_check(t->into, err) == 0)
        return 0;
    err->code = EXIT_USAGE;
    return err_wrap(err, "--into");
}

static bool same_place(const struct target *a, const struct target *b) {
    return addr_same(&a->addr, &b->addr) && strcmp(a->into ? a->into : "", b->into ? b->into : "") == 0;
}

/* Beside those before it. */
static int parse_one(const char *text, const struct options *o, struct target *targets, unsigned before,
                     struct err *err) {
    struct addr_rules rules = {.allow_remote = o->allow_remote,
                               .no_connected_suspend = o->no_connected_suspend};
    struct target *t = &targets[before];
    (void)snprintf(t->name, sizeof t->name, "%s", text);
    if (addr_parse(text, &rules, &t->addr, err) != 0 || choose_into(o, t, err) != 0)
        return -1;
    for (unsigned i = 0; i < before; i++)
        if (same_place(&targets[i], t))
            return err_set(err, EXIT_USAGE, "%s: this receiver is given twice", ESCAPED(text));
    return 0;
}

int targets_parse(const struct options *o, struct target **ret, unsigned *ret_count, struct err *err) {
    unsigned count = o->to_count + has_dest(o);
    if (count > TARGETS_MAX)
        return err_set(err, EXIT_USAGE, "at most %d receivers at once", TARGETS_MAX);
    struct target *targets = calloc(count, sizeof *targets);
    if (targets == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    for (unsigned i = 0; i < count; i++) {
        const char *text = i < o->to_count ? o->to[i] : o->args[o->arg_count - 1];
        if (parse_one(text, o, targets, i, err) != 0) {
            targets_free(targets, i + 1);
            return -1;
        }
    }
    *ret = targets;
    *ret_count = count;
    return 0;
}

void targets_free(struct target *targets, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        addr_free(&targets[i].addr);
        free(targets[i].into);
    }
    free(targets);
}

/* ---- sending ------------------------------------------------------------------------------------------------------- */

/* What the sessions with several receivers have together: what they read, a limit, and a display. */
struct together {
    struct share *share; /* NULL where there is no memory for it: each reads for itself */
    struct pace pace;
    struct progress progress;
    struct progress_place places[TARGETS_MAX];
};

static void together_init(struct together *all, const struct sender_config *config, unsigned count) {
    struct report_style style = config->style;
    style.json = false; /* the events of each session tell its own */
    all->share = share_new(count, config->chunk_size);
    pace_init(&all->pace, &config->bwlimit, os_now_ns());
    progress_init(&all->progress, &style, all->places, count);
}

static void together_free(struct together *all) {
    progress_free(&all->progress);
    pace_free(&all->pace);
    share_free(all->share);
}

static void join(struct sender_config *config, struct together *all, unsigned place) {
    config->share = all->share;
    config->pace = &all->pace;
    config->style.shared = &all->progress;
    config->style.place = place;
    config->style.progress = false;
    config->style.progress_fd = -1;
}

static int run_sessions(const struct target *targets, unsigned count, const struct options *o,
                        struct sender_config *configs, const struct endpoint_files *files, struct err *err) {
    struct endpoint_target ends[TARGETS_MAX] = {{0}};
    struct together all;
    if (count > 1)
        together_init(&all, &configs[0], count);
    for (unsigned i = 0; i < count; i++) {
        if (count > 1)
            join(&configs[i], &all, i);
        ends[i] = (struct endpoint_target){
            .to = &targets[i].addr,
            .config = &configs[i],
            .style = &configs[i].style,
            .name = count > 1 ? targets[i].name : NULL,
        };
    }
    int code = endpoint_run(ends, count, o, &sender_ops, files, err);
    if (count > 1)
        together_free(&all);
    return code;
}

int targets_run(const struct target *targets, unsigned count, const struct options *o,
                const struct sender_config *config, struct err *err) {
    int sources = sources_count(o), code = -1;
    struct source_root *roots;
    if (roots_open(o->args, sources, &roots, err) != 0)
        return -1;
    struct os_reach *reach = roots_reach(roots, sources);
    const struct endpoint_files files = {.reach = reach, .count = (size_t)sources};
    struct sender_config *configs = calloc(count, sizeof *configs);
    for (unsigned i = 0; configs && i < count; i++) {
        configs[i] = *config;
        configs[i].streams = addr_streams(&targets[i].addr, o->streams);
        configs[i].dialler = true;
        configs[i].into = targets[i].into;
        configs[i].roots = roots;
        configs[i].root_count = sources;
    }
    if (reach == NULL || configs == NULL)
        (void)err_set(err, EXIT_MEMORY, "out of memory");
    else
        code = run_sessions(targets, count, o, configs, &files, err);
    free(configs);
    free(reach);
    roots_close(roots, sources);
    return code;
}
