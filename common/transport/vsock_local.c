#include "transport/vsock_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

/* `trace` exists where the part is built into the kernel, and has no module to be listed. */
static const struct {
    enum vsock_part part;
    const char *module, *trace;
} parts[] = {
    {VSOCK_CORE, "vsock", "/dev/vsock"},
    {VSOCK_LOOPBACK, "vsock_loopback", "/sys/module/vsock_loopback"},
    {VSOCK_VIRTIO, "vmw_vsock_virtio_transport", "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"},
    {VSOCK_VHOST, "vhost_vsock", "/dev/vhost-vsock"},
    {VSOCK_HYPERV, "hv_sock", "/sys/bus/vmbus/drivers/hv_sock"},
    {VSOCK_VMCI, "vmw_vsock_vmci_transport", "/sys/module/vmw_vsock_vmci_transport"},
};
enum { PART_COUNT = sizeof parts / sizeof parts[0] };

const char *vsock_part_module(enum vsock_part part) {
    for (int i = 0; i < PART_COUNT; i++)
        if (parts[i].part == part)
            return parts[i].module;
    return "";
}

/* A line is "NAME SIZE USERS DEPENDENTS STATE ADDRESS"; `line` has its newline cut off. */
static unsigned part_in_line(const char *line) {
    char name[64], state[16];
    if (sscanf(line, "%63s %*s %*s %*s %15s", name, state) != 2 || strcmp(state, "Live") != 0)
        return 0;
    for (int i = 0; i < PART_COUNT; i++)
        if (strcmp(name, parts[i].module) == 0)
            return parts[i].part;
    return 0;
}

unsigned vsock_parts_in(const char *proc_modules) {
    unsigned found = 0;
    char line[256];
    while (*proc_modules) {
        size_t n = strcspn(proc_modules, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)(n < sizeof line ? n : sizeof line - 1), proc_modules);
        found |= part_in_line(line);
        proc_modules += n + (proc_modules[n] == '\n');
    }
    return found;
}

unsigned vsock_parts(void) {
    unsigned found = 0;
    char line[1024];
    FILE *modules = fopen("/proc/modules", "re");
    while (modules && fgets(line, sizeof line, modules))
        found |= vsock_parts_in(line);
    if (modules)
        (void)fclose(modules);
    for (int i = 0; i < PART_COUNT; i++)
        if (access(parts[i].trace, F_OK) == 0)
            found |= parts[i].part;
    return found;
}

int vsock_local_cid(uint32_t *ret) {
    unsigned cid;
    int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int sys = ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) ? errno : 0;
    (void)close(fd);
    if (sys == 0)
        *ret = cid;
    return sys;
}
