/* roots.c: the SRC arguments, with rsync's meaning of the trailing slash. */
#include "sender/scan.h"

#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* True when the contents are meant: a trailing slash, or a path that ends in "." or "..". */
static bool means_contents(const char *arg) {
    const char *slash = strrchr(arg, '/');
    const char *last = slash ? slash + 1 : arg;
    return last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
}

static int open_one(const char *arg, struct source_root *ret, struct err *err) {
    struct os_stat st;
    if (means_contents(arg)) {
        int result = os_dir_open_path(arg, &ret->base);
        ret->name = "";
        return result == 0 ? 0 : err_sys(err, EXIT_SELECT, -result, "%s: cannot read", ESCAPED(arg));
    }
    int result = os_stat_path(arg, false, &st);
    if (result != 0)
        return err_sys(err, EXIT_SELECT, -result, "%s: cannot read", ESCAPED(arg));
    const char *slash = strrchr(arg, '/');
    result = os_last_name(arg, ret->spelled, sizeof ret->spelled);
    if (result != 0)
        return err_sys(err, EXIT_SELECT, -result, "%s: cannot read", ESCAPED(arg));
    ret->name = ret->spelled;
    char *parent = strdup(slash ? arg : ".");
    if (parent == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    if (slash)
        parent[slash - arg + 1] = '\0';
    result = os_dir_pass_path(parent, &ret->base);
    free(parent);
    return result == 0 ? 0
                       : err_sys(err, EXIT_SELECT, -result, "%s: cannot open its directory", ESCAPED(arg));
}

int roots_open(char *const *args, int count, struct source_root **ret, struct err *err) {
    if (count > ROOTS_MAX)
        return err_set(err, EXIT_USAGE, "more than %d sources", ROOTS_MAX);
    struct source_root *roots = calloc((size_t)count + 1, sizeof *roots);
    if (roots == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    for (int i = 0; i < count; i++) {
        roots[i].base = OS_DIR_NONE;
        os_path_normalize(args[i]);
        if (open_one(args[i], &roots[i], err) != 0) {
            roots_close(roots, i);
            return -1;
        }
    }
    *ret = roots;
    return 0;
}

void roots_close(struct source_root *roots, int count) {
    for (int i = 0; i < count; i++)
        os_dir_close(&roots[i].base);
    free(roots);
}

struct os_reach *roots_reach(const struct source_root *roots, int count) {
    struct os_reach *reach = calloc((size_t)count, sizeof *reach);
    for (int i = 0; reach && i < count; i++)
        reach[i] = (struct os_reach){.at = roots[i].base, .name = roots[i].name, .kind = OS_REACH_READ};
    return reach;
}

bool roots_overlap(const struct source_root *roots, int count) {
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            if (!roots[i].name[0] || !roots[j].name[0] || strcmp(roots[i].name, roots[j].name) == 0)
                return true;
    return false;
}
