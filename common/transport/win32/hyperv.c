/* hyperv://VM:SERVICE, AF_HYPERV: between a Windows host, its guests, and guests of any system. */
#include "transport/hyperv.h"

#include "find_vm.h"
#include "win.h"

#include "core/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

union hyperv_address {
    struct sockaddr any;
    uint8_t bytes[HYPERV_SOCKADDR_BYTES];
};

static const struct guid wildcard; /* zero */

static union hyperv_address address(const struct guid *vm, const struct guid *service) {
    union hyperv_address a;
    hyperv_sockaddr(vm, service, a.bytes);
    return a;
}

static int hyperv_parse(const char *rest, const struct addr_rules *rules, struct addr *addr,
                        struct err *why) {
    return hyperv_parse_authority(rest, rules, addr, why);
}

/* An older Windows knows fewer options, so results do not count. */
static void set_option(SOCKET sock, enum hyperv_option option, ULONG value) {
    (void)setsockopt(sock, HYPERV_PROTOCOL, (int)option, (const char *)&value, sizeof value);
}

static int hyperv_open(const struct addr *addr, SOCKET *ret) {
    int error = sock_open(HYPERV_FAMILY, HYPERV_PROTOCOL, &hyperv_transport, ret);
    if (error == 0)
        set_option(*ret, HYPERV_CONNECTED_SUSPEND, !addr->no_connected_suspend);
    return error;
}

static void name_peer(struct conn *conn, const struct guid *vm) {
    const char *name = hyperv_vm_name(vm);
    conn->id = (struct peer_id){.kind = PEER_HYPERV, .vm = *vm};
    (void)snprintf(conn->peer, sizeof conn->peer, "hyperv vm %s", name ? name : GUID_TEXT(vm));
}

static int connect_to(const struct addr *addr, const struct guid *vm, const struct dial_bounds *bounds,
                      SOCKET *ret) {
    const union hyperv_address from = address(&wildcard, &wildcard), to = address(vm, &addr->service);
    SOCKET sock;
    int error = hyperv_open(addr, &sock);
    if (error)
        return error;
    set_option(sock, HYPERV_CONNECT_TIMEOUT, hyperv_connect_timeout(deadline_left(bounds->deadline_ms)));
    error = bind(sock, &from.any, sizeof from) ? WSAGetLastError()
                                               : sock_connect(sock, &to.any, sizeof to, bounds);
    if (error) {
        (void)closesocket(sock);
        return error;
    }
    *ret = sock;
    return 0;
}

static int hyperv_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                       struct err *err) {
    struct guid vm;
    SOCKET sock;
    if (hyperv_find_vm(addr, &vm, err))
        return -1;
    int error = connect_to(addr, &vm, bounds, &sock);
    if (error)
        return dial_failed(ESCAPED(addr->text), error,
                           hyperv_advice(error == STOP_DEADLINE ? WSAETIMEDOUT : error, HYPERV_CONNECTING),
                           err);
    if (conn_from_socket(sock, ESCAPED(addr->text), ret, err))
        return -1;
    name_peer(*ret, &vm);
    return 0;
}

/* Without an address the peer stays unknown, and no list of peers allows it. */
static void hyperv_admit(struct conn *conn, SOCKET sock, const struct sockaddr_storage *from, int n) {
    (void)sock;
    struct guid vm, service;
    if (hyperv_sockaddr_parse((const uint8_t *)from, (size_t)n, &vm, &service))
        name_peer(conn, &vm);
}

static const struct listener_kind kind = {HYPERV_FAMILY, HYPERV_PROTOCOL, &hyperv_transport, hyperv_admit};

static int hyperv_listen(const struct addr *addr, struct listener **ret, struct err *err) {
    const char *text = ESCAPED(addr->text);
    struct guid vm;
    SOCKET sock;
    if (hyperv_find_vm(addr, &vm, err))
        return -1;
    const union hyperv_address at = address(&vm, &addr->service);
    int error = hyperv_open(addr, &sock);
    if (error == 0 && bind(sock, &at.any, sizeof at)) {
        error = WSAGetLastError();
        (void)closesocket(sock);
    }
    if (error)
        return err_sys(err, EXIT_SOCKET, errno_of(error), "%s: %s", text,
                       hyperv_advice(error, HYPERV_LISTENING));
    return listener_from_socket(sock, text, &kind, ret, err);
}

/* What a VM that boots, or whose program is not started yet, answers with. */
static bool hyperv_is_early(int sys) {
    return sys == ECONNREFUSED || sys == ETIMEDOUT || sys == ENETDOWN || sys == ECONNRESET;
}

/* Each stream is a channel of its own. */
static unsigned hyperv_streams(const struct addr *addr) {
    (void)addr;
    return CHANNEL_STREAMS;
}

/* The rings of a channel are sized by the host; SO_SNDBUF and SO_RCVBUF are not documented here. */
const struct transport hyperv_transport = {
    .scheme = "hyperv",
    .has_authority = true,
    .example = "hyperv://parent:2761",
    .peer_kind = PEER_HYPERV,
    .retries = DIAL_RETRIES,
    .resume_retries = DIAL_RETRIES,
    .streams = hyperv_streams,
    .is_early = hyperv_is_early,
    .parse = hyperv_parse,
    .dial = hyperv_dial,
    .listen = hyperv_listen,
};
