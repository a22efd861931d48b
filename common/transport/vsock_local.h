/* vsock_local.h: what this machine's kernel has of vsock, found out without a socket. Linux only. */
#ifndef TRANSPORT_VSOCK_LOCAL_H
#define TRANSPORT_VSOCK_LOCAL_H

#include <stdint.h>

/* Modules (or parts of the kernel), as a set. */
enum vsock_part {
    VSOCK_CORE = 1 << 0, /* vsock: the sockets themselves */
    VSOCK_LOOPBACK = 1 << 1, /* vsock_loopback: CID local */
    VSOCK_VIRTIO = 1 << 2, /* vmw_vsock_virtio_transport: a guest of KVM, Firecracker, … to its host */
    VSOCK_VHOST = 1 << 3, /* vhost_vsock: a host to its guests */
    VSOCK_HYPERV = 1 << 4, /* hv_sock: a guest of Hyper-V to its host */
    VSOCK_VMCI = 1 << 5, /* vmw_vsock_vmci_transport: VMware, either end */
};

const char *vsock_part_module(enum vsock_part part); /* its name for modprobe */

/* The parts that a text in the form of /proc/modules names as live. */
unsigned vsock_parts_in(const char *proc_modules);

/* The parts that this kernel has, as modules or built in. */
unsigned vsock_parts(void);

/* This machine's own CID. 0, or an errno value: ENOENT without /dev/vsock. VMADDR_CID_ANY (UINT32_MAX) means that no
 * transport has given it one. */
int vsock_local_cid(uint32_t *ret);

#endif
