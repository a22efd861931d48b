/* The errors of Windows's transports say themselves what to do, so that no cause has to be looked up. */
#include "program/doctor.h"

const struct cause doctor_causes[] = {{.cause = NULL}};

void doctor_machine(struct findings *f) {
    found_ok(f, "system", "Windows: hyperv:// leads to its VMs, or from a VM to its host");
}

void doctor_route(struct findings *f, const struct addr *addr, bool listening) {
    (void)f;
    (void)addr;
    (void)listening;
}
