/* hyperv:// in a Linux guest of Hyper-V: the kernel's hv_sock shows the same sockets as AF_VSOCK, and services
 * as ports. So hyperv://parent:SERVICE is vsock://host:PORT, and nothing else can be reached. */
#include "transport/hyperv.h"

#include "transport/vsock.h"

#include <string.h>

static int hyperv_parse(const char *rest, const struct addr_rules *rules, struct addr *addr,
                        struct err *why) {
    if (hyperv_parse_authority(rest, rules, addr, why))
        return -1;
    if (rules->listening)
        return err_set(why, EXIT_UNSUPPORTED,
                       "listening on hyperv:// works on Windows only; here, listen on vsock://:PORT");
    const char *name = hyperv_vm_name(&addr->vm);
    if (addr->host[0] || name == NULL || strcmp(name, "parent") != 0)
        return err_set(why, EXIT_UNSUPPORTED,
                       "from Linux only the host can be reached, as hyperv://parent:SERVICE or "
                       "vsock://host:PORT; other VMs from Windows only");
    if (!guid_to_port(&addr->service, &addr->port))
        return err_set(why, EXIT_UNSUPPORTED,
                       "this service cannot be reached from Linux: only those that end in "
                       "-facb-11e6-bd58-64006a7986d3 are ports of vsock");
    addr->cid = VMADDR_CID_HOST;
    addr->transport = &vsock_transport;
    return 0;
}

const struct transport hyperv_transport = {
    .scheme = "hyperv",
    .has_authority = true,
    .example = "hyperv://parent:2761",
    .parse = hyperv_parse,
};
