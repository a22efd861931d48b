/* confine_rights.c: what is left of root. Of its capabilities only those that open, make and own files. */
#include "os/os_confine.h"

#include "os/posix/os_posix.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAP_WORDS = _LINUX_CAPABILITY_U32S_3 };

/* All of them are in the first word. */
#define CAP(NAME) (1u << (CAP_##NAME))
_Static_assert(CAP_KILL < 32 && CAP_FOWNER < 32, "the first word has them");

static uint32_t wanted(const struct os_confinement *keep) {
    uint32_t caps = CAP(DAC_READ_SEARCH);
    bool writes = keep->socket_file; /* its directory, or itself, may be another's */
    for (size_t i = 0; i < keep->reach_count; i++)
        if (keep->reach[i].kind == OS_REACH_WRITE) {
            caps |= CAP(CHOWN);
            writes = true;
        }
    caps |= writes ? CAP(DAC_OVERRIDE) | CAP(FOWNER) : 0u;
    return keep->child ? caps | CAP(KILL) : caps;
}

void confine_rights(const struct os_confinement *keep, char *ret) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct has[CAP_WORDS] = {{0}};
    if (syscall(SYS_capget, &head, has) != 0 || (has[0].permitted | has[1].permitted) == 0)
        return; /* an ordinary user has nothing to give up */
    uint32_t keeps = wanted(keep) & has[0].permitted;
    has[0] = (struct __user_cap_data_struct){.effective = keeps & has[0].effective, .permitted = keeps};
    has[1] = (struct __user_cap_data_struct){0};
    if (syscall(SYS_capset, &head, has) != 0)
        (void)snprintf(ret, OS_CONFINED_MAX, "the capabilities of user %u cannot be given up", geteuid());
    else
        (void)snprintf(ret, OS_CONFINED_MAX, "runs as user %u with capabilities for files alone (mask %#x)",
                       geteuid(), keeps);
}
