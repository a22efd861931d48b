/* doctor_linux.h: facts about a Linux machine, and what doctor makes of them: apart, so that tests can invent facts. */
#ifndef PROGRAM_DOCTOR_LINUX_H
#define PROGRAM_DOCTOR_LINUX_H

#include "program/doctor.h"

#include <stdbool.h>

struct machine {
    char kernel[128]; /* release, of uname(2) */
    char version[256]; /* /proc/version */
    char vendor[64], product[64]; /* /sys/class/dmi/id; "" without DMI */
    char hypervisor[32]; /* /sys/hypervisor/type */
    bool virtual_cpu; /* "hypervisor" among the flags in /proc/cpuinfo */
    bool user_mode; /* user-mode Linux */
    unsigned vsock; /* enum vsock_part */
    int cid_error; /* errno value of asking for the CID */
    uint32_t cid; /* when cid_error is 0 */
    unsigned long send_most, receive_most; /* net.core.wmem_max and rmem_max in bytes; 0: not to be read */
    bool systemd;
};

enum machine_kind {
    MACHINE_REAL, /* or a container on one */
    MACHINE_HYPERV, /* guest of Hyper-V */
    MACHINE_WSL,
    MACHINE_KVM, /* guest of QEMU, Cloud Hypervisor or a cloud on KVM */
    MACHINE_MICROVM, /* guest without DMI: Firecracker and the like */
    MACHINE_VMWARE,
    MACHINE_UML,
    MACHINE_OTHER, /* guest of another hypervisor */
};
enum machine_kind machine_kind(const struct machine *m);

/* Reads the facts. Makes no socket; opens /dev/vsock to ask for the CID. */
void machine_look(struct machine *ret);

void judge_machine(struct findings *f, const struct machine *m);
/* Whether vsock leads from here to this CID, or can be listened on. */
void judge_vsock_route(struct findings *f, const struct machine *m, uint32_t cid, bool listening);

#endif
