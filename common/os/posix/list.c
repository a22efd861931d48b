#include "os/posix/os_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct os_list {
    DIR *dir;
};

int os_list_open(struct os_dir dir, struct os_list **ret) {
    /* A descriptor of its own: its position is not shared with others that list the directory. */
    int fd = posix_open_again(dir);
    if (fd < 0)
        return fd;
    struct os_list *list = malloc(sizeof *list);
    DIR *opened = list ? fdopendir(fd) : NULL;
    if (opened == NULL) {
        int result = list ? -errno : -ENOMEM;
        (void)close(fd);
        free(list);
        return result;
    }
    list->dir = opened;
    *ret = list;
    return 0;
}

static enum os_kind kind_of(unsigned char type) {
    switch (type) {
    case DT_REG: return OS_FILE;
    case DT_DIR: return OS_DIR;
    case DT_LNK: return OS_SYMLINK;
    default: return OS_NONE;
    }
}

int os_list_next(struct os_list *list, const char **ret_name, enum os_kind *ret_kind) {
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(list->dir);
        if (entry == NULL)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *ret_name = entry->d_name;
        *ret_kind = kind_of(entry->d_type);
        return 1;
    }
}

void os_list_close(struct os_list *list) {
    if (list == NULL)
        return;
    (void)closedir(list->dir);
    free(list);
}
