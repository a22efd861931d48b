/* hyperv_vm.h: what a Hyper-V host knows of its VMs. Windows only. */
#ifndef TRANSPORT_HYPERV_VM_H
#define TRANSPORT_HYPERV_VM_H

#include "transport/transport.h"

struct hyperv_vm {
    struct guid id;
    char name[256]; /* UTF-8 */
    unsigned state; /* EnabledState of Msvm_ComputerSystem */
};

enum { HYPERV_VM_RUNNING = 2 };

/* The VM that `addr` names by its id or as "name:VMNAME". 0, or -1 and err: EXIT_UNSUPPORTED when this is no host,
 * EXIT_SOCKET when there is no such VM, several have the name, or Hyper-V does not say. */
int hyperv_vm_look(const struct addr *addr, struct hyperv_vm *ret, struct err *err);

/* "running", "off", …; "in an unknown state". */
const char *hyperv_vm_state(unsigned state);

#endif
