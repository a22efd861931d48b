/* usage.h: what one peer has added to the destination, and may add (--quota, --max-files, --min-free).
 *
 * The account of a peer lasts as long as the program: its sessions share it, one after another and at once. Any thread.
 */
#ifndef RECEIVER_USAGE_H
#define RECEIVER_USAGE_H

#include "os/os_file.h"
#include "transport/transport.h"

#include <stdatomic.h>

enum {
    USAGE_PEERS_MAX = 1024,
    USAGE_NAME_BYTES = 4096, /* what a directory or a link may need */
};

struct limits {
    uint64_t quota; /* bytes of files, holes too; 0: no limit */
    uint64_t max_files; /* files, directories and links; 0: no limit */
    uint64_t min_free; /* bytes that must stay free; 0: no limit */
};

/* What was added, less what it replaced. */
struct usage {
    const struct limits *limits;
    struct peer_id peer;
    _Atomic uint64_t bytes, files;
    struct usage *next; /* the table's */
};

struct usage_table;
struct usage_table *usage_table_new(const struct limits *limits); /* limits are borrowed; NULL: no memory */
void usage_table_free(struct usage_table *table); /* NULL is fine */
/* The account of this peer. NULL and err (EXIT_MEMORY; EXIT_REFUSED: there are too many peers). */
struct usage *usage_of(struct usage_table *table, const struct peer_id *peer, struct err *err);

/* Before something is added. `path` is for the message. `usage`: NULL where nothing is limited. 0, or -1 and err
 * (EXIT_NO_SPACE). */
int usage_take(struct usage *usage, uint64_t bytes, uint64_t files, const char *path, struct err *err);
/* The same for a directory or a link in `dir`, which the free space must have room for too. */
int usage_take_name(struct usage *usage, struct os_dir dir, const char *path, struct err *err);
/* Something was taken away again, or replaced. */
void usage_give(struct usage *usage, uint64_t bytes, uint64_t files);
/* Whether so many bytes fit below `dir`, so that the rest stays free. 0, or -1 and err (EXIT_NO_SPACE). */
int usage_check_free(const struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                     struct err *err);

#endif
