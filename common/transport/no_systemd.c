/* Instead of systemd.c in a build without libsystemd. */
#include "transport/transport_impl.h"

static int systemd_parse(const char *rest, const struct addr_rules *rules, struct addr *addr,
                         struct err *why) {
    (void)rest;
    (void)rules;
    (void)addr;
    return err_set(why, EXIT_UNSUPPORTED,
                   "this program was built without libsystemd; listen on an address of its own");
}

const struct transport systemd_transport = {
    .scheme = "systemd",
    .example = "systemd:",
    .parse = systemd_parse,
};
