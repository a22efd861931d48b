/* sim_fs_impl.h: for the files that make up the file system only. */
#ifndef SIM_SIM_FS_IMPL_H
#define SIM_SIM_FS_IMPL_H

#include "sim_fs.h"

struct sim_name {
    struct sim_name *next;
    struct sim_node *node;
    bool durable;
    char text[];
};

struct sim_node {
    struct sim_node *next; /* of all */
    enum os_kind kind;
    uint32_t mode, uid, gid;
    int64_t mtime_sec, ctime_sec;
    uint32_t mtime_nsec, change; /* change: the number of its last one, which no other has */
    uint64_t inode, size;
    uint8_t *data; /* the first `kept` bytes; what follows is zeros. A link's target */
    size_t kept, room; /* room: bytes that `data` has place for */
    size_t holes; /* bytes of its blocks that were zeros when a test made it */
    bool dirty;
    struct sim_name *names; /* of a directory */
};

enum {
    SIM_BLOCK = 4096, /* holes consist of such */
    SIM_FILE_MAX = 64 * 1024 * 1024, /* files end here; also what is written at most */
};

struct sim_node *sim_node_new(enum os_kind kind, uint32_t mode);
void sim_node_changed(struct sim_node *node);
void sim_node_touched(struct sim_node *node); /* not its content, nor what is in it */
struct sim_name *sim_name_find(const struct sim_node *dir, const char *name);
void sim_name_add(struct sim_node *dir, const char *name, struct sim_node *node);
void sim_name_drop(struct sim_node *dir, struct sim_name *name);
void sim_volume_clean(void);

/* Handles. sim_handle_new ends the program when there are too many. */
int sim_handle_new(struct sim_node *node);
struct sim_node *sim_handle_node(int fd);
void sim_handle_close(int *fd);

/* What a handle holds until it is closed. A lock is the node's only one; a claim stands for an id. */
bool sim_handle_lock(int fd); /* false: another handle has it */
void sim_handle_claim(int fd, uint64_t id);
bool sim_is_claimed(const struct sim_node *node, uint64_t id);

/* The node of an open directory; of a name in one, which is one component; of a new name: 0, or a negative errno value. */
struct sim_node *sim_dir_node(struct os_dir dir);
int sim_look(struct os_dir at, const char *name, struct sim_node **ret);
int sim_make(struct os_dir at, const char *name, enum os_kind kind, uint32_t mode, struct sim_node **ret);
/* The block of a file at that offset reads as zeros. */
bool sim_block_is_zero(const struct sim_node *n, uint64_t at);
int sim_stat(const struct sim_node *n, struct os_stat *ret); /* 0 */

/* 0, or the negative errno value with which the call at hand has to fail. */
int sim_failure(void);

#endif
