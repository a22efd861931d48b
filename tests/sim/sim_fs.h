/* sim_fs.h: files in memory, with what a power cut would leave of them, and calls that fail when they are told to.
 *
 * A file is clean after it, or its volume, was flushed, and dirty from the next change on; a name is durable after its
 * directory, or the volume, was flushed. */
#ifndef SIM_SIM_FS_H
#define SIM_SIM_FS_H

#include "os/os_file.h"

struct sim_node;

/* An empty file system. */
void sim_fs_begin(void);
/* Ends the program when a handle is left open; drops all files. */
void sim_fs_end(void);

/* A new directory that has no name, and its handle, which the caller closes. */
struct os_dir sim_fs_root(struct sim_node **ret);

/* For whoever makes a tree. `p` may be NULL: zeros. All of it is durable. */
struct sim_node *sim_fs_dir(struct sim_node *at, const char *name);
struct sim_node *sim_fs_file(struct sim_node *at, const char *name, const void *p, size_t n,
                             int64_t mtime_sec);
struct sim_node *sim_fs_link(struct sim_node *at, const char *name, const char *target);

/* The `nth` call from now on that changes something (1: the next) fails with this errno value; 0: none. */
void sim_fs_fail(unsigned nth, int sys);
bool sim_fs_failed(void); /* it did */

/* For whoever looks at one. */
struct sim_seen {
    const char *name;
    struct sim_node *node;
    bool durable; /* name and content would survive a power cut */
};
/* The `i`th name; false when there are fewer. */
bool sim_fs_at(const struct sim_node *dir, unsigned i, struct sim_seen *ret);
bool sim_fs_find(const struct sim_node *dir, const char *name, struct sim_seen *ret);
enum os_kind sim_fs_kind(const struct sim_node *node);
bool sim_fs_same(const struct sim_node *a,
                 const struct sim_node *b); /* kind, content, mode, mtime; not what is below */

#endif
