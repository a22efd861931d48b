/* usage.h: what one peer has added to the destination, and may add (--quota, --max-files, --min-free).
 *
 * The account of a peer lasts as long as the program: its sessions share it, one after another and at once. Any thread.
 */
#ifndef RECEIVER_USAGE_H
#define RECEIVER_USAGE_H

#include "os/os.h"
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

struct usage_table {
    const struct limits *limits;
    struct os_mutex lock;
    struct usage *first; /* lock */
    unsigned count; /* lock */
    _Atomic uint64_t coming; /* bytes that have room and are not written yet, of all sessions */
    struct os_mutex replacing; /* usage_lock */
};

/* What was added, less what it replaced. */
struct usage {
    struct usage_table *table;
    struct peer_id peer;
    _Atomic uint64_t bytes, files;
    struct usage *next; /* the table's */
};

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
/* Whether so many bytes fit below `dir`, so that the rest stays free, beside all that is being written. 0, or -1 and err
 * (EXIT_NO_SPACE). */
int usage_check_free(const struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                     struct err *err);
/* The same, and nobody else gets them until usage_room_used says that they are written, or will not be. */
int usage_take_room(struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                    struct err *err);
void usage_room_used(struct usage *usage, uint64_t bytes); /* of a successful usage_take_room */

/* What is seen to be replaced is what is replaced: of all peers, one thread at a time is between the two. */
void usage_lock(struct usage *usage);
void usage_unlock(struct usage *usage);

#endif
