/* find_vm.h: the id of a VM that an address names in another way. */
#ifndef TRANSPORT_WIN32_FIND_VM_H
#define TRANSPORT_WIN32_FIND_VM_H

#include "transport/transport_impl.h"

/* What addr->host asks for ("name:VMNAME", "wsl"), or addr->vm when it is empty. 0, or -1 and err. */
int hyperv_find_vm(const struct addr *addr, struct guid *ret, struct err *err);

/* The VM that people call `name`; case does not matter, and it must be the only one. */
int hyperv_vm_by_name(const struct addr *addr, const char *name, struct guid *ret, struct err *err);

#endif
