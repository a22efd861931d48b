/* find_vm.h: the id of a VM that an address names in another way. */
#ifndef TRANSPORT_WIN32_FIND_VM_H
#define TRANSPORT_WIN32_FIND_VM_H

#include "transport/transport_impl.h"

/* What addr->host asks for ("name:VMNAME", "wsl"), or addr->vm when it is empty. 0, or -1 and err. */
int hyperv_find_vm(const struct addr *addr, struct guid *ret, struct err *err);

#endif
