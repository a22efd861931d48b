/* os_types.h: what the types of os.h and os_file.h consist of here. They hold pointers, so that nobody else has to
 * include windows.h. */
#ifndef OS_OS_TYPES_H
#define OS_OS_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct os_mutex {
    void *srw; /* SRWLOCK */
};
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

#endif
