/* tcp.h: tcp://HOST:PORT, for development and tests: numeric addresses and "localhost", so that no name service has a
 * say in where data goes. Pure; the same with POSIX sockets and with Winsock. */
#ifndef TRANSPORT_TCP_H
#define TRANSPORT_TCP_H

#include "transport/transport_impl.h"

#ifdef _WIN32
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

enum { TCP_ADDRESSES_MAX = 2 };

union tcp_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The one or (localhost) two addresses of `host`; 0 when it is none. */
size_t tcp_resolve(const char *host, uint32_t port, union tcp_address ret[TCP_ADDRESSES_MAX]);
socklen_t tcp_length(const union tcp_address *a);
void tcp_name_peer(struct conn *conn, const union tcp_address *a);

/* 0, or -1 and why (EXIT_USAGE) when it is beyond loopback and that is not allowed. */
int tcp_check_reach(const union tcp_address *a, const struct addr_rules *rules, struct err *why);

/* parse() of the transport. */
int tcp_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why);

#endif
