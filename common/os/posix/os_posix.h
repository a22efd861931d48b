/* os_posix.h: shared by the files of this folder only. */
#ifndef OS_POSIX_OS_POSIX_H
#define OS_POSIX_OS_POSIX_H

#include "os/os_file.h"

#include <sys/stat.h>

void os_stat_from(const struct stat *st, struct os_stat *ret);

/* open below `at`, without following any link: openat2, or openat with O_NOFOLLOW. fd or -errno. */
int os_open_beneath(int at, const char *name, int flags, unsigned mode);

#endif
