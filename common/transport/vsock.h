/* vsock.h: the parts of vsock.c that need no AF_VSOCK socket, so that they can be tested anywhere. */
#ifndef TRANSPORT_VSOCK_H
#define TRANSPORT_VSOCK_H

#include "transport/transport.h"

#include <sys/socket.h>

#include <linux/vm_sockets.h>

typedef int vsock_setsockopt(int fd, int level, int name, const void *value, socklen_t n);
typedef int vsock_getsockopt(int fd, int level, int name, void *value, socklen_t *n);

struct sockaddr_vm vsock_address(const struct addr *addr);

/* All buffer options in their order. A transport under AF_VSOCK that lacks one ignores it, so results do not
 * count. */
void vsock_set_buffers(int fd, vsock_setsockopt *set);

/* What became of them, for conn_buffers; "" when the system does not tell. */
void vsock_tell_buffers(int fd, vsock_getsockopt *get, char *ret, size_t size);

/* From the address that accept() gave, or that was connected to. */
struct peer_id vsock_peer_id(const struct sockaddr_vm *vm);

/* How long the kernel itself tries to connect; -1 leaves its default (2 s). */
void vsock_set_connect_timeout(int fd, int timeout_ms, vsock_setsockopt *set);

/* What a guest that boots answers with, or that nobody listens there yet; by the transport under AF_VSOCK: ECONNRESET
 * (virtio, vhost), ENODEV (vhost: no guest with this CID), ETIMEDOUT (a guest without a driver yet; hv_sock). */
bool vsock_is_early(int sys);

/* What to do about a failed socket(), connect(), bind() or listen(). */
const char *vsock_advice(int sys);

#endif
