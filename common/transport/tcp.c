/* tcp://HOST:PORT; tcp_addr.c has what it means. */
#include "transport/fd.h"

#include "core/text.h"
#include "transport/tcp.h"

#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include <unistd.h>

static const char *connect_advice(int sys) {
    switch (sys) {
    case ECONNREFUSED: return "nobody is listening (start the other end with --listen first)";
    case ETIMEDOUT: return "no answer in time (see whether the host is up and no firewall is in between)";
    case ENETUNREACH:
    case EHOSTUNREACH: return "there is no way to that host (correct the address, or the routes)";
    default: return "cannot connect";
    }
}

/* Small control frames must not wait for an acknowledgement. */
static void set_nodelay(int fd) {
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* TCP_INFO grew: an old kernel fills less of it in. */
static bool tcp_acked(const struct conn *conn, uint64_t *ret_bytes) {
    struct tcp_info info;
    socklen_t n = sizeof info;
    if (getsockopt(((const struct fd_conn *)conn)->out, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 ||
        n < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return false;
    *ret_bytes = info.tcpi_bytes_acked;
    return true;
}

static void ready(struct conn *conn, const union tcp_address *from) {
    tcp_name_peer(conn, from);
    conn->acked = tcp_acked;
}

/* 0 or an errno value. */
static int connect_to(const union tcp_address *to, const struct dial_bounds *bounds, int *ret_fd) {
    int fd = sock_open(to->any.sa_family, &tcp_transport);
    if (fd < 0)
        return errno;
    int sys = sock_connect(fd, &to->any, tcp_length(to), bounds);
    if (sys) {
        (void)close(fd);
        return sys;
    }
    set_nodelay(fd);
    *ret_fd = fd;
    return 0;
}

static int tcp_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                    struct err *err) {
    union tcp_address to[TCP_ADDRESSES_MAX];
    size_t n = tcp_resolve(addr->host, addr->port, to);
    const union tcp_address *at = &to[0];
    int fd = -1, sys = connect_to(at, bounds, &fd);
    if (sys == ECONNREFUSED && n > 1) {
        at = &to[1];
        sys = connect_to(at, bounds, &fd);
    }
    if (sys)
        return dial_failed(ESCAPED(addr->text), sys, connect_advice(sys), err);
    if (conn_from_fd(fd, ESCAPED(addr->text), ret, err))
        return -1;
    ready(*ret, at);
    return 0;
}

void tcp_admit(struct conn *conn, int fd, const struct sockaddr_storage *from) {
    union tcp_address a;
    memcpy(&a, from, sizeof a);
    set_nodelay(fd);
    ready(conn, &a);
}

static int bind_error(int sys, const char *text, struct err *err) {
    switch (sys) {
    case EADDRINUSE:
        return err_sys(err, EXIT_SOCKET, sys, "%s: in use by another process (choose another port)", text);
    case EADDRNOTAVAIL:
        return err_sys(err, EXIT_SOCKET, sys, "%s: not an address of this machine (correct it)", text);
    case EACCES:
        return err_sys(err, EXIT_SOCKET, sys, "%s: ports below 1024 are for root (choose another)", text);
    default: return err_sys(err, EXIT_SOCKET, sys, "%s: cannot bind", text);
    }
}

static int tcp_listen(const struct addr *addr, struct listener **ret, struct err *err) {
    const char *text = ESCAPED(addr->text);
    union tcp_address at[TCP_ADDRESSES_MAX];
    if (tcp_resolve(addr->host, addr->port, at) == 0)
        return err_set(err, EXIT_USAGE, "%s: not a numeric address", text);
    int fd = sock_open(at[0].any.sa_family, &tcp_transport);
    if (fd < 0)
        return err_sys(err, EXIT_SOCKET, errno, "%s: cannot make a socket", text);
    const int on = 1;
    /* Connections of an earlier run, still in TIME_WAIT, must not keep the port. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &at[0].any, tcp_length(&at[0]))) {
        int sys = errno;
        (void)close(fd);
        return bind_error(sys, text, err);
    }
    return listener_from_fd(fd, text, tcp_admit, ret, err);
}

/* Buffers are left to the system: a fixed size would switch its autotuning off. */
const struct transport tcp_transport = {
    .scheme = "tcp",
    .has_authority = true,
    .example = "tcp://127.0.0.1:2761",
    .peer_kind = PEER_TCP,
    .is_early = sock_is_early,
    .needs = {.families = {AF_INET, AF_INET6}},
    .parse = tcp_parse,
    .dial = tcp_dial,
    .listen = tcp_listen,
};
