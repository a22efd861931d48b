/* sink_files.h: what the tests of the sink want of files, where they may use POSIX calls. */
#ifndef SINK_FILES_H
#define SINK_FILES_H

#include "../files_help.h"

#include "core/path.h"

static inline unsigned temps_below(int at, const char *name) {
    unsigned n = 0;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    DIR *dir = fdopendir(fd);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        n += strncmp(e->d_name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            n += temps_below(fd, e->d_name);
    }
    (void)closedir(dir);
    return n;
}

/* Temporary names anywhere below. */
static inline unsigned temps_in(struct os_dir dir) {
    return temps_below(dir.fd, ".");
}

#endif
