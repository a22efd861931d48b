/* hyperv:// where the system has no AF_HYPERV: known, so that the message can say what to use instead. */
#include "transport/transport_impl.h"

static int hyperv_parse(const char *rest, const struct addr_rules *rules, struct addr *addr,
                        struct err *why) {
    (void)rest;
    (void)addr;
    return err_set(why, EXIT_UNSUPPORTED,
                   "hyperv:// works on Windows only; a Linux guest of Hyper-V reaches its host as %s",
                   rules->listening ? "vsock://:PORT when it listens" : "vsock://host:PORT");
}

const struct transport hyperv_transport = {
    .scheme = "hyperv",
    .has_authority = true,
    .example = "hyperv://parent:2761",
    .parse = hyperv_parse,
};
