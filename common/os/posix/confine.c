#include "os/os_confine.h"

#include "os/posix/os_posix.h"

#include <string.h>
#include <sys/prctl.h>

int os_confine(const struct os_confinement *keep, struct os_confined *ret, struct err *err) {
    memset(ret, 0, sizeof *ret);
    /* Landlock and capabilities bind one thread, and those that it starts: the other one starts anew. */
    bool paused = os_signals_pause();
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* a kernel without it has neither of the filters */
    confine_rights(keep, ret->rights);
    confine_files(keep, ret->files);
    confine_calls(keep, ret->calls); /* last: it forbids the calls of the others */
    return paused ? os_signals_resume(err) : 0;
}
