#include "transport/tcp.h"

#include <stdio.h>
#include <string.h>

enum { TCP_PORT_MAX = 65535, LOOPBACK_NET = 127 };

size_t tcp_resolve(const char *host, uint32_t port, union tcp_address ret[TCP_ADDRESSES_MAX]) {
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
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == LOOPBACK_NET;
    const struct in6_addr *v6 = &a->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == LOOPBACK_NET);
}

socklen_t tcp_length(const union tcp_address *a) {
    return a->any.sa_family == AF_INET ? sizeof a->v4 : sizeof a->v6;
}

int tcp_check_reach(const union tcp_address *a, const struct addr_rules *rules, struct err *why) {
    if (rules->allow_remote || is_loopback(a))
        return 0;
    return err_set(why, EXIT_USAGE,
                   "not a loopback address; tcp is neither secret nor safe on a network, and --allow-remote "
                   "permits it all the same");
}

int tcp_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    if (addr_parse_authority(rest, TCP_PORT_MAX, rules, addr, why))
        return -1;
    if (addr->host[0] == '\0')
        (void)snprintf(addr->host, sizeof addr->host, "127.0.0.1");
    union tcp_address found[TCP_ADDRESSES_MAX];
    if (tcp_resolve(addr->host, addr->port, found) == 0)
        return err_set(why, EXIT_USAGE, "the host is neither a numeric address nor localhost");
    return tcp_check_reach(&found[0], rules, why);
}

void tcp_name_peer(struct conn *conn, const union tcp_address *a) {
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
