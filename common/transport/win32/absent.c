/* What only other systems have: known, so that the message can say what to use instead. */
#include "transport/transport_impl.h"

static int absent_parse(const char *rest, const struct addr_rules *rules, struct addr *addr,
                        struct err *why) {
    (void)rest;
    (void)rules;
    return err_set(
        why, EXIT_UNSUPPORTED,
        "%s: works on Linux only; on Windows use hyperv://VM:SERVICE, or tcp://127.0.0.1:PORT for tests",
        addr->transport->scheme);
}

const struct transport unix_transport = {
    .scheme = "unix", .example = "hyperv://parent:2761", .parse = absent_parse};
const struct transport vsock_transport = {
    .scheme = "vsock", .example = "hyperv://parent:2761", .parse = absent_parse};
const struct transport mux_transport = {
    .scheme = "vsock-mux", .example = "hyperv://parent:2761", .parse = absent_parse};
