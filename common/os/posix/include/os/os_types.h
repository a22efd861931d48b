/* os_types.h: what the types of os.h and os_file.h consist of here. */
#ifndef OS_OS_TYPES_H
#define OS_OS_TYPES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/os_kind.h"

struct os_mutex {
    pthread_mutex_t m;
};
#define OS_MUTEX_INIT                                                                                        \
    { PTHREAD_MUTEX_INITIALIZER }
struct os_cond {
    pthread_cond_t c;
};
struct os_thread {
    pthread_t t;
};

struct os_dir {
    int fd; /* -1: none */
};
struct os_file {
    int fd; /* -1: none */
};
#define OS_DIR_NONE ((struct os_dir){.fd = -1})
#define OS_FILE_NONE ((struct os_file){.fd = -1})

static inline bool os_file_is_open(struct os_file file) {
    return file.fd >= 0;
}

/* The directory as something whose owner, mode and time can be set; still one handle, closed once. */
static inline struct os_file os_dir_as_file(struct os_dir dir) {
    return (struct os_file){.fd = dir.fd};
}

/* True where names with different bytes are different names, as far as is usual. */
#define OS_NAMES_ARE_BYTES true

/* True where os_volume_sync works. */
#define OS_CAN_SYNC_VOLUME true
#define OS_CAN_STAGE_DIRS true

/* True where os_set_win_attr works. */
#define OS_KEEPS_WIN_ATTR false

/* What is lost of modes here, for people; NULL: nothing. */
#define OS_MODES_LOST NULL

/* What is left of a mode, and of the nanoseconds of a time, when they have been set and are read again. */
static inline uint32_t os_mode_kept(enum os_kind kind, uint32_t mode) {
    (void)kind;
    return mode;
}
static inline uint32_t os_nsec_kept(uint32_t nsec) {
    return nsec;
}

#endif
