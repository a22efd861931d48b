/* Instead of confine.c where a run-time checker is linked in: it reads /proc, makes a process that traces this one, and writes
 * its reports where it likes. */
#include "os/os_confine.h"

#include <stdio.h>
#include <string.h>

int os_confine(const struct os_confinement *keep, struct os_confined *ret, struct err *err) {
    (void)keep;
    (void)err;
    memset(ret, 0, sizeof *ret);
    (void)snprintf(ret->files, sizeof ret->files,
                   "not confined: this build has a sanitizer, or measures coverage");
    return 0;
}
