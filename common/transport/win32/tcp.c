/* tcp://HOST:PORT over Winsock; tcp_addr.c has what it means. */
#include "transport/tcp.h"

#include "win.h"

#include "core/text.h"

#include <string.h>

static const char *connect_advice(int error) {
    switch (error) {
    case ERROR_CONNECTION_REFUSED:
    case WSAECONNREFUSED: return "nobody is listening (start the other end with --listen first)";
    case STOP_DEADLINE:
    case ERROR_SEM_TIMEOUT:
    case WSAETIMEDOUT: return "no answer in time (see whether the host is up and no firewall is in between)";
    case ERROR_NETWORK_UNREACHABLE:
    case ERROR_HOST_UNREACHABLE:
    case WSAENETUNREACH:
    case WSAEHOSTUNREACH: return "there is no way to that host (correct the address, or the routes)";
    default: return "cannot connect";
    }
}

/* Small control frames must not wait for an acknowledgement. */
static void set_nodelay(SOCKET sock) {
    const BOOL on = TRUE;
    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
}

/* 0 or an error number. */
static int connect_to(const union tcp_address *to, const struct dial_bounds *bounds, SOCKET *ret) {
    union tcp_address any = {.any = {.sa_family = to->any.sa_family}};
    SOCKET sock;
    int error = sock_open(to->any.sa_family, IPPROTO_TCP, &tcp_transport, &sock);
    if (error)
        return error;
    error = bind(sock, &any.any, tcp_length(&any)) ? WSAGetLastError()
                                                   : sock_connect(sock, &to->any, tcp_length(to), bounds);
    if (error) {
        (void)closesocket(sock);
        return error;
    }
    set_nodelay(sock);
    *ret = sock;
    return 0;
}

static bool is_refused(int error) {
    return error == WSAECONNREFUSED || error == ERROR_CONNECTION_REFUSED;
}

static int tcp_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                    struct err *err) {
    union tcp_address to[TCP_ADDRESSES_MAX];
    size_t n = tcp_resolve(addr->host, addr->port, to);
    const union tcp_address *at = &to[0];
    SOCKET sock;
    int error = connect_to(at, bounds, &sock);
    if (is_refused(error) && n > 1) {
        at = &to[1];
        error = connect_to(at, bounds, &sock);
    }
    if (error)
        return dial_failed(ESCAPED(addr->text), error, connect_advice(error), err);
    if (conn_from_socket(sock, ESCAPED(addr->text), ret, err))
        return -1;
    tcp_name_peer(*ret, at);
    return 0;
}

static void tcp_admit(struct conn *conn, SOCKET sock, const struct sockaddr_storage *from, int n) {
    (void)n;
    union tcp_address a;
    memcpy(&a, from, sizeof a);
    set_nodelay(sock);
    tcp_name_peer(conn, &a);
}

static const struct listener_kind kinds[] = {
    {AF_INET, IPPROTO_TCP, &tcp_transport, tcp_admit},
    {AF_INET6, IPPROTO_TCP, &tcp_transport, tcp_admit},
};

static int bind_error(int error, const char *text, struct err *err) {
    int sys = errno_of(error);
    switch (error) {
    case WSAEADDRINUSE:
        return err_sys(err, EXIT_SOCKET, sys, "%s: in use by another process (choose another port)", text);
    case WSAEADDRNOTAVAIL:
        return err_sys(err, EXIT_SOCKET, sys, "%s: not an address of this machine (correct it)", text);
    case WSAEACCES:
        return err_sys(err, EXIT_SOCKET, sys,
                       "%s: the port is reserved, or in use by another user (choose another)", text);
    default: return err_sys(err, EXIT_SOCKET, sys, "%s: cannot bind", text);
    }
}

static int tcp_listen(const struct addr *addr, struct listener **ret, struct err *err) {
    const char *text = ESCAPED(addr->text);
    union tcp_address at[TCP_ADDRESSES_MAX];
    if (tcp_resolve(addr->host, addr->port, at) == 0)
        return err_set(err, EXIT_USAGE, "%s: not a numeric address", text);
    const struct listener_kind *kind = &kinds[at[0].any.sa_family == AF_INET6];
    SOCKET sock;
    int error = sock_open(kind->family, kind->protocol, &tcp_transport, &sock);
    if (error)
        return err_sys(err, EXIT_SOCKET, errno_of(error), "%s: cannot make a socket", text);
    const BOOL on = TRUE;
    /* Another user's program could take the port over otherwise. */
    (void)setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on);
    if (bind(sock, &at[0].any, tcp_length(&at[0]))) {
        error = WSAGetLastError();
        (void)closesocket(sock);
        return bind_error(error, text, err);
    }
    return listener_from_socket(sock, text, kind, ret, err);
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
