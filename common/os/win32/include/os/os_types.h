/* os_types.h: what the types of os.h and os_file.h consist of here. They hold pointers, so that nobody else has to
 * include windows.h. */
#ifndef OS_OS_TYPES_H
#define OS_OS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/os_kind.h"

struct os_mutex {
    void *srw; /* SRWLOCK */
};
#define OS_MUTEX_INIT                                                                                        \
    { NULL } /* SRWLOCK_INIT */
struct os_cond {
    void *cv; /* CONDITION_VARIABLE */
};
struct os_thread {
    void *handle;
};

struct os_dir {
    void *handle; /* NULL: none */
};
struct os_file {
    void *handle; /* NULL: none */
};
#define OS_DIR_NONE ((struct os_dir){.handle = NULL})
#define OS_FILE_NONE ((struct os_file){.handle = NULL})

static inline bool os_file_is_open(struct os_file file) {
    return file.handle != NULL;
}

/* The directory as something whose owner, mode and time can be set; still one handle, closed once. */
static inline struct os_file os_dir_as_file(struct os_dir dir) {
    return (struct os_file){.handle = dir.handle};
}

/* True where names with different bytes are different names, as far as is usual. */
#define OS_NAMES_ARE_BYTES false

/* True where os_volume_sync works. */
#define OS_CAN_SYNC_VOLUME false
#define OS_CAN_STAGE_DIRS false

/* True where os_set_win_attr works. */
#define OS_KEEPS_WIN_ATTR true

/* What is lost of modes here, for people; NULL: nothing. */
#define OS_MODES_LOST "of permissions only read-only is kept on Windows"

/* What is left of a mode, and of the nanoseconds of a time, when they have been set and are read again. */
static inline uint32_t os_mode_kept(enum os_kind kind, uint32_t mode) {
    if (kind == OS_DIR)
        return 0755;
    return mode & 0200 ? 0644 : 0444;
}
static inline uint32_t os_nsec_kept(uint32_t nsec) {
    return nsec / 100 * 100;
}

#endif
