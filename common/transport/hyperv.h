/* hyperv.h: what is known about AF_HYPERV without having it: addresses, options and advice.
 *
 * Everything here is pure and built on every system, so that it is tested everywhere. Numbers are those of
 * hvsocket.h and winsock2.h.
 */
#ifndef TRANSPORT_HYPERV_H
#define TRANSPORT_HYPERV_H

#include "transport/transport_impl.h"

enum {
    HYPERV_FAMILY = 34, /* AF_HYPERV */
    HYPERV_PROTOCOL = 1, /* HV_PROTOCOL_RAW: of the socket, and the level of its options */
    HYPERV_SOCKADDR_BYTES = 36, /* SOCKADDR_HV */
    HYPERV_CONNECT_TIMEOUT_MAX_MS = 300000,
};

/* Options, each a ULONG. */
enum hyperv_option { HYPERV_CONNECT_TIMEOUT = 1, HYPERV_CONNECTED_SUSPEND = 4 };

/* For parse(): VM:SERVICE[/sub/dir]. What VM says goes to addr->vm; what has to be looked up ("name:VMNAME",
 * "wsl") to addr->host. SERVICE is a GUID or a port, and goes to addr->service. */
int hyperv_parse_authority(const char *rest, const struct addr_rules *rules, struct addr *addr,
                           struct err *why);

/* "parent", "children", …, or NULL when the GUID has no name. */
const char *hyperv_vm_name(const struct guid *vm);

/* SOCKADDR_HV: Family and Reserved (16 bits each, little-endian), VmId, ServiceId. */
void hyperv_sockaddr(const struct guid *vm, const struct guid *service, uint8_t ret[HYPERV_SOCKADDR_BYTES]);
/* False when `from` is not such an address. */
bool hyperv_sockaddr_parse(const uint8_t *from, size_t n, struct guid *ret_vm, struct guid *ret_service);

/* HVSOCKET_CONNECT_TIMEOUT for a wait of timeout_ms (-1: none): 1…HYPERV_CONNECT_TIMEOUT_MAX_MS. */
uint32_t hyperv_connect_timeout(int timeout_ms);

enum hyperv_step { HYPERV_CONNECTING, HYPERV_LISTENING };

/* What a Winsock error (10013, …) of that step means, and what to do about it. */
const char *hyperv_advice(int wsa, enum hyperv_step step);

#endif
