/* session_tree.h: the trees that test sessions copy, and what they look like afterwards. */
#ifndef SESSION_TREE_H
#define SESSION_TREE_H

#include "files_help.h"

#include "codec/digest.h"

/* Where the test's directories lie: on a tmpfs where there is one, so that flushing costs nothing. */
struct scratch tree_scratch(void);

/* The source: directories, small files, one of several chunks, a sparse one, links where they can be made. All names and contents are
 * the same in every run. */
void tree_make_source(struct os_dir at);
/* False where the file system does not tell which ranges of its sparse file hold data: no HOLE is sent then. */
bool tree_tells_holes(struct os_dir at);
/* What stands at the destination before: older versions of some of the names, one file that is the same, one that
 * the source lacks. */
void tree_make_old(struct os_dir at);

/* Everything below a directory, sorted by path. */
struct node {
    char path[96];
    enum os_kind kind;
    uint32_t mode;
    uint64_t size; /* of files */
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    struct digest content; /* of a file's bytes, of a link's target */
};
struct tree {
    struct node *nodes;
    size_t count;
};
struct tree tree_look(struct os_dir at);
void tree_free(struct tree *t);
const struct node *tree_find(const struct tree *t, const char *path); /* NULL: not there */

/* True when both hold the same names, contents, modes and times. */
bool tree_same(const struct tree *a, const struct tree *b);
/* NULL when `now` has every node of `wanted`, equal in content, mode and time; else what is wrong (static text). */
const char *tree_lacks(const struct tree *now, const struct tree *wanted);
/* NULL when each name in `now` is that of `old` or of `wanted`, complete, no name of `old` is lost and no
 * unfinished file is left; else what is wrong (static text). */
const char *tree_mixed(const struct tree *now, const struct tree *old, const struct tree *wanted);

#endif
