/* systemd: or systemd:NAME, to listen on the socket that systemd made (socket activation, sd_listen_fds(3)).
 *
 * NAME is the FileDescriptorName= of the socket unit; without it there must be one socket only. The socket is as its unit
 * made it; its file, if it has one, is systemd's to remove.
 */
#include "transport/fd.h"

#include "core/text.h"
#include "transport/tcp.h"
#include "transport/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static int listen_unix(const struct addr *addr, struct listener **ret, struct err *err);
static int listen_vsock(const struct addr *addr, struct listener **ret, struct err *err);
static int listen_tcp(const struct addr *addr, struct listener **ret, struct err *err);

/* By the family of the socket. */
static const struct {
    int family;
    struct transport transport;
} kinds[] = {
    {AF_UNIX, {.scheme = "systemd", .peer_kind = PEER_UNIX, .listen = listen_unix}},
    {AF_VSOCK, {.scheme = "systemd", .peer_kind = PEER_VSOCK, .listen = listen_vsock}},
    {AF_INET, {.scheme = "systemd", .peer_kind = PEER_TCP, .listen = listen_tcp}},
    {AF_INET6, {.scheme = "systemd", .peer_kind = PEER_TCP, .listen = listen_tcp}},
};

static const struct transport *transport_for(int fd, struct sockaddr_storage *ret_own) {
    socklen_t n = sizeof *ret_own;
    *ret_own = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
        getsockname(fd, (struct sockaddr *)ret_own, &n) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].family == ret_own->ss_family)
            return &kinds[i].transport;
    return NULL;
}

/* The one descriptor of this name ("": of any). -1 and why. */
static int find_fd(const char *name, struct err *why) {
    char **names = NULL;
    int count = sd_listen_fds_with_names(0, &names), found = -1, matches = 0;
    for (int i = 0; i < count; i++) {
        if (name[0] == '\0' || strcmp(name, names[i]) == 0) {
            found = SD_LISTEN_FDS_START + i;
            matches++;
        }
        free(names[i]);
    }
    free(names);
    if (count <= 0)
        return err_set(why, EXIT_USAGE, "systemd passed no socket (start it by a socket unit)");
    if (matches != 1)
        return err_set(why, EXIT_USAGE,
                       "%d of the %d sockets that systemd passed match (name one by its "
                       "FileDescriptorName=)",
                       matches, count);
    return found;
}

static int systemd_parse(const char *rest, const struct addr_rules *rules, struct addr *addr,
                         struct err *why) {
    if (!rules->listening)
        return err_set(why, EXIT_USAGE, "it can be listened on only");
    int fd = find_fd(rest, why);
    if (fd < 0)
        return -1;
    struct sockaddr_storage own;
    union tcp_address tcp;
    const struct transport *kind = transport_for(fd, &own);
    if (kind == NULL)
        return err_set(why, EXIT_USAGE,
                       "what systemd passed is no listening stream socket of unix, vsock or tcp "
                       "(ListenStream= and Accept=no in the socket unit)");
    memcpy(&tcp, &own, sizeof tcp);
    if (kind->peer_kind == PEER_TCP && tcp_check_reach(&tcp, rules, why) != 0)
        return err_wrap(why, "the socket that systemd passed (ListenStream= in the socket unit)");
    addr->transport = kind;
    addr->port = (uint32_t)fd;
    return 0;
}

static int take(const struct addr *addr, listener_admit *admit, struct listener **ret, struct err *err) {
    int fd = (int)addr->port;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return listener_from_fd(fd, ESCAPED(addr->text), admit, ret, err);
}

static int listen_unix(const struct addr *addr, struct listener **ret, struct err *err) {
    return take(addr, unix_admit, ret, err);
}

static int listen_vsock(const struct addr *addr, struct listener **ret, struct err *err) {
    vsock_set_buffers((int)addr->port, setsockopt);
    return take(addr, vsock_admit, ret, err);
}

static int listen_tcp(const struct addr *addr, struct listener **ret, struct err *err) {
    return take(addr, tcp_admit, ret, err);
}

const struct transport systemd_transport = {
    .scheme = "systemd",
    .example = "systemd:",
    .parse = systemd_parse,
};
