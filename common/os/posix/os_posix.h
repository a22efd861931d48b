/* os_posix.h: shared by the files of this folder only. */
#ifndef OS_POSIX_OS_POSIX_H
#define OS_POSIX_OS_POSIX_H

#include "os/os_file.h"

#include <sys/stat.h>

void os_stat_from(const struct stat *st, struct os_stat *ret);

/* open below `at`, without following any link: openat2, or openat with O_NOFOLLOW. fd or -errno. */
int os_open_beneath(int at, const char *name, int flags, unsigned mode);

/* Ends the thread of os_on_interrupt; signals wait until it is back. False: there is none. Main thread. */
bool os_signals_pause(void);
int os_signals_resume(struct err *err); /* 0, or -1 and err */

/* The parts of os_confine. Each says into `ret` (OS_CONFINED_MAX bytes) what it did, or why it did nothing. They bind the
 * calling thread and those that it starts; confine_calls binds all threads. */
struct os_confinement;
void confine_files(const struct os_confinement *keep, char *ret);
void confine_calls(const struct os_confinement *keep, char *ret);
void confine_rights(const struct os_confinement *keep, char *ret);

/* The directory once more, with a description of its own: a descriptor, or -errno. */
int posix_open_again(struct os_dir dir);

#endif
