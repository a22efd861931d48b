/* tcp://HOST:PORT, for development and tests: numeric addresses and "localhost", so that no name service has
 * a say in where data goes. */
#include "transport/fd.h"

#include "core/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TCP_PORT_MAX = 65535, ADDRESSES_MAX = 2 };

union tcp_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The one or (localhost) two addresses of `host`; 0 when it is none. */
static size_t resolve(const char *host, uint32_t port, union tcp_address ret[ADDRESSES_MAX]) {
    bool localhost = strcmp(host, "localhost") == 0;
    union tcp_address v4 = {.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    union tcp_address v6 = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
    size_t n = 0;
    if (inet_pton(AF_INET, localhost ? "127.0.0.1" : host, &v4.v4.sin_addr) == 1)
        ret[n++] = v4;
    if (inet_pton(AF_INET6, localhost ? "::1" : host, &v6.v6.sin6_addr) == 1)
        ret[n++] = v6;
    return n;
}

static bool is_loopback(const union tcp_address *a) {
    if (a->any.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    const struct in6_addr *v6 = &a->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

static socklen_t length_of(const union tcp_address *a) {
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

static int tcp_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    if (addr_parse_authority(rest, TCP_PORT_MAX, rules, addr, why))
        return -1;
    if (addr->host[0] == '\0')
        (void)snprintf(addr->host, sizeof addr->host, "127.0.0.1");
    union tcp_address found[ADDRESSES_MAX];
    if (resolve(addr->host, addr->port, found) == 0)
        return err_set(why, EXIT_USAGE, "the host is neither a numeric address nor localhost");
    if (!rules->allow_remote && !is_loopback(&found[0]))
        return err_set(
            why, EXIT_USAGE,
            "not a loopback address; tcp is neither secret nor safe on a network, and --allow-remote "
            "permits it all the same");
    return 0;
}

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

/* 0 or an errno value. */
static int connect_to(const union tcp_address *to, const struct dial_bounds *bounds, int *ret_fd) {
    int fd = sock_open(to->any.sa_family, &tcp_transport);
    if (fd < 0)
        return errno;
    int sys = sock_connect(fd, &to->any, length_of(to), bounds);
    if (sys) {
        (void)close(fd);
        return sys;
    }
    set_nodelay(fd);
    *ret_fd = fd;
    return 0;
}

static void name_peer(struct conn *conn, const union tcp_address *a) {
    char host[INET6_ADDRSTRLEN] = "?";
    conn->id.kind = PEER_TCP;
    if (a->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        (void)snprintf(conn->peer, sizeof conn->peer, "%s:%u", host, ntohs(a->v4.sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        (void)snprintf(conn->peer, sizeof conn->peer, "[%s]:%u", host, ntohs(a->v6.sin6_port));
    }
}

static int tcp_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                    struct err *err) {
    union tcp_address to[ADDRESSES_MAX];
    size_t n = resolve(addr->host, addr->port, to);
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
    name_peer(*ret, at);
    return 0;
}

static void tcp_admit(struct conn *conn, int fd, const struct sockaddr_storage *from) {
    union tcp_address a;
    memcpy(&a, from, sizeof a);
    set_nodelay(fd);
    name_peer(conn, &a);
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
    union tcp_address at[ADDRESSES_MAX];
    if (resolve(addr->host, addr->port, at) == 0)
        return err_set(err, EXIT_USAGE, "%s: not a numeric address", text);
    int fd = sock_open(at[0].any.sa_family, &tcp_transport);
    if (fd < 0)
        return err_sys(err, EXIT_SOCKET, errno, "%s: cannot make a socket", text);
    const int on = 1;
    /* Connections of an earlier run, still in TIME_WAIT, must not keep the port. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &at[0].any, length_of(&at[0]))) {
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
    .parse = tcp_parse,
    .dial = tcp_dial,
    .listen = tcp_listen,
};
