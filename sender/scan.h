/* scan.h: the tree below the sources, one entry at a time, in constant memory but for one open directory a level, or one of
 * each root that has it. No path comes twice: of what several roots have, directories become one, which is as the first
 * of them, and of the rest the first counts. Of their names a bounded number of hashes is kept. */
#ifndef SENDER_SCAN_H
#define SENDER_SCAN_H

#include "core/path.h"
#include "os/os_confine.h"
#include "os/os_file.h"
#include "program/report.h"
#include "wire/protocol.h"

/* One SRC argument. */
struct source_root {
    struct os_dir base; /* directory in which the paths of its entries start */
    char spelled[NAME_BYTES_MAX + 1]; /* of the last component, as it is on disk */
    const char *name; /* first component, or "" for SRC/ (its contents) */
};

enum { ROOTS_MAX = 1024 };

/* Opens what the SRC arguments name. 0, or -1 and err (EXIT_SELECT names the argument). */
int roots_open(char *const *args, int count, struct source_root **ret, struct err *err);
void roots_close(struct source_root *roots, int count);
/* What is offered, as what the process may reach (free). NULL: no memory. */
struct os_reach *roots_reach(const struct source_root *roots, int count);
/* True when a path at the destination may be in several of them. */
bool roots_overlap(const struct source_root *roots, int count);

struct scan_options {
    bool recursive, links;
    const char *const
        *selects; /* pull: only what lies on the way to, or under, one of these; NULL: everything */
    unsigned select_count;
};

/* An entry, or what cannot be listed; valid until the next call. */
struct found {
    enum entry_type type; /* FILE, DIR, DIR_END, SYMLINK; 0: `why` is set */
    /* EXIT_PARTIAL, EXIT_VANISHED: `path` cannot be listed, or something in it whose name cannot be sent; it was reported. */
    const struct err *why;
    int root; /* of FILE and SYMLINK */
    const char *path;
    const struct os_stat *st;
    const char *target; /* SYMLINK: target_length bytes */
    size_t target_length;
};

struct scan;
/* `roots` and what the options point to outlive the scan. Problems are reported, and counted in
 * report->files_failed and specials. NULL: no memory. */
struct scan *scan_new(const struct source_root *roots, int count, const struct scan_options *opt,
                      struct report *report);
void scan_free(struct scan *scan); /* NULL is fine */
/* 1 and an entry, or 0 at the end. */
int scan_next(struct scan *scan, struct found *ret);
/* A select that no entry matched, or NULL. At the end. */
const char *scan_unmatched(const struct scan *scan);

#endif
