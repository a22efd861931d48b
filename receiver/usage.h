/* usage.h: what one peer has added to the destination, and may add (--quota, --max-files, --min-free).
 *
 * The rule of --quota: what is about to be written counts before it is, and what is gone is taken off once it is certain that
 * it takes no room any more. Both are counted as the file system does, bytes on storage, so that a peer that replaces its own
 * files comes out even. Holes count too, but apart: one that goes takes off what counts for holes, never what counts for bytes,
 * for a hollow file that was there before has cost its peer nothing. So the sum is never less than the room that was taken.
 * A file that lost its name while a session has it open takes its room until the last one closes it. Who removes or replaces
 * a file has it taken off, whoever wrote it.
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
    uint64_t quota; /* bytes of files, and of holes; 0: no limit */
    uint64_t max_files; /* files, directories and links; 0: no limit */
    uint64_t min_free; /* bytes that must stay free; 0: no limit */
};

struct usage_table {
    const struct limits *limits;
    struct os_mutex lock; /* after `replacing` */
    struct usage *first; /* lock */
    unsigned count; /* lock */
    _Atomic uint64_t coming; /* bytes that have room and are not written yet, of all sessions */
    struct os_mutex replacing; /* usage_lock */
    struct usage_held *held; /* replacing */
};

/* What was added, less what is gone. */
struct usage {
    struct usage_table *table;
    struct peer_id peer;
    uint64_t bytes, holes, files; /* the table's lock */
    struct usage *next; /* the table's */
};

/* An open file that others may replace or remove. All zeros: none is. */
struct usage_held {
    struct usage *usage;
    uint64_t device, inode;
    struct usage *owed_to; /* replacing; who replaced it: the last one that closes it takes it off there */
    struct usage_held *next; /* replacing */
};

/* What counts for a file that is being written. All zeros: it is new. */
struct usage_file {
    uint64_t bytes, holes; /* holes: the rest of its size */
    uint64_t unpaid; /* of the holes: nobody has paid for them, and who writes to them does */
};

struct usage_table *usage_table_new(const struct limits *limits); /* limits are borrowed; NULL: no memory */
void usage_table_free(struct usage_table *table); /* NULL is fine */
/* The account of this peer; those that the system does not tell apart have one together. NULL and err (EXIT_MEMORY;
 * EXIT_REFUSED: there are too many peers). */
struct usage *usage_of(struct usage_table *table, const struct peer_id *peer, struct err *err);

/* Before something is added. `path` is for the message. `usage`: NULL where nothing is limited. 0, or -1 and err
 * (EXIT_NO_SPACE). */
int usage_take(struct usage *usage, uint64_t bytes, uint64_t files, const char *path, struct err *err);
/* For a file: it becomes `longer`, and of what it had `within` bytes are written. */
int usage_take_bytes(struct usage *usage, struct usage_file *file, uint64_t longer, uint64_t within,
                     const char *path, struct err *err);
/* The same for a directory or a link in `dir`, which the free space must have room for too. */
int usage_take_name(struct usage *usage, struct os_dir dir, const char *path, struct err *err);
/* A name was taken away again, or replaced. */
void usage_give_name(struct usage *usage);
/* A file that was there is to be written on. */
struct usage_file usage_file_of(struct usage *usage, const struct os_stat *st);
/* It has become `size` bytes, of which so many are on storage; *file says so afterwards. 0, 0: it takes no room any more. */
void usage_settle(struct usage *usage, struct usage_file *file, uint64_t size, uint64_t allocated);
bool usage_is_free_limited(const struct usage *usage); /* --min-free */
/* Whether so many bytes fit below `dir`, so that the rest stays free, beside all that is being written. 0, or -1 and err
 * (EXIT_NO_SPACE). */
int usage_check_free(const struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                     struct err *err);
/* The same, and nobody else gets them until usage_room_used says that they are written, or will not be. */
int usage_take_room(struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                    struct err *err);
void usage_room_used(struct usage *usage, uint64_t bytes); /* of a successful usage_take_room */

/* What is seen to be replaced is what is replaced, and what is opened is seen to be held: of all peers, one thread at a time
 * is between the two. */
void usage_lock(struct usage *usage);
void usage_unlock(struct usage *usage);
/* Under the lock in which it was opened: nobody is given back `st` before usage_close. */
void usage_hold(struct usage *usage, struct usage_held *held, const struct os_stat *st);
/* Under the lock in which it was seen and then lost a name: what is certainly gone is taken off. */
void usage_gone(struct usage *usage, const struct os_stat *st);
/* os_open_read, os_open_locked of a file that is not ours, and it is held. */
int usage_open_read(struct usage *usage, struct usage_held *held, struct os_dir at, const char *name,
                    struct os_file *ret);
int usage_open_locked(struct usage *usage, struct usage_held *held, struct os_dir at, const char *name,
                      struct os_file *ret);
/* os_close_checked, of a file that is held or not. */
int usage_close(struct usage_held *held, struct os_file *file);

#endif
