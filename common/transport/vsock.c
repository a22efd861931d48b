/* vsock://CID:PORT, AF_VSOCK on Linux: virtio-vsock (KVM, Firecracker, …) and hv_sock (guests of Hyper-V). */
#include "transport/vsock.h"

#include "core/text.h"
#include "transport/fd.h"
#include "transport/vsock_local.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define VSOCK_PORT_MAX (VMADDR_PORT_ANY - 1)

static const struct {
    const char *name;
    uint32_t cid;
} cid_names[] = {{"host", VMADDR_CID_HOST}, {"local", VMADDR_CID_LOCAL}, {"any", VMADDR_CID_ANY}};

/* virtio: the credit that an end grants, u64, cut to the maximum, which therefore comes first. The kernel's
 * 256 KiB is less than a chunk. */
static const uint64_t credit_bytes = 4 << 20;

/* hv_sock: makes a ring of 128 KiB in each direction, near the best measured speed. Rings are contiguous, and
 * larger ones fail in a guest whose memory is fragmented. */
static const int ring_bytes = 64 << 10;

static const struct {
    int level, name;
    const void *value;
    socklen_t n;
} buffer_options[] = {
    {AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &credit_bytes, sizeof credit_bytes},
    {AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &credit_bytes, sizeof credit_bytes},
    {SOL_SOCKET, SO_SNDBUF, &ring_bytes, sizeof ring_bytes},
    {SOL_SOCKET, SO_RCVBUF, &ring_bytes, sizeof ring_bytes},
};

static int parse_cid(const char *host, uint32_t *ret) {
    for (size_t i = 0; i < sizeof cid_names / sizeof cid_names[0]; i++)
        if (strcmp(host, cid_names[i].name) == 0) {
            *ret = cid_names[i].cid;
            return 0;
        }
    uint64_t cid;
    if (parse_number(host, 0, UINT32_MAX, &cid, NULL))
        return -1;
    *ret = (uint32_t)cid;
    return 0;
}

static int vsock_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    if (addr_parse_authority(rest, VSOCK_PORT_MAX, rules, addr, why))
        return -1;
    if (parse_cid(addr->host[0] ? addr->host : "any", &addr->cid))
        return err_set(why, EXIT_USAGE, "the CID is neither a number nor host, local or any");
    if (addr->cid == VMADDR_CID_ANY && !rules->listening)
        return err_set(why, EXIT_USAGE, "'any' can be listened on, but not connected to; name one CID");
    return 0;
}

struct sockaddr_vm vsock_address(const struct addr *addr) {
    return (struct sockaddr_vm){.svm_family = AF_VSOCK, .svm_cid = addr->cid, .svm_port = addr->port};
}

void vsock_set_buffers(int fd, vsock_setsockopt *set) {
    for (size_t i = 0; i < sizeof buffer_options / sizeof buffer_options[0]; i++)
        (void)set(fd, buffer_options[i].level, buffer_options[i].name, buffer_options[i].value,
                  buffer_options[i].n);
}

void vsock_set_connect_timeout(int fd, int timeout_ms, vsock_setsockopt *set) {
    if (timeout_ms < 0)
        return;
    int ms = timeout_ms > 0 ? timeout_ms : 1; /* zero would mean the default */
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    (void)set(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &tv, sizeof tv);
}

const char *vsock_advice(int sys) {
    switch (sys) {
    case ECONNRESET:
    case ECONNREFUSED: return "nobody is listening there (start the other end with --listen first)";
    case ETIMEDOUT:
        return "no answer (start the other end with --listen first; on a Windows host the service must be "
               "registered, too)";
    case EAFNOSUPPORT: return "this kernel has no vsock (load the module: modprobe vsock)";
    case ENODEV:
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "there is no such CID, or no vsock device (on a host: modprobe vhost_vsock; in a guest: give "
               "the "
               "VM a vsock device, modprobe vmw_vsock_virtio_transport or hv_sock; for CID local: modprobe "
               "vsock_loopback)";
    case EADDRINUSE: return "in use by another process (end it, or choose another port)";
    case EADDRNOTAVAIL: return "this CID is not this machine's own (listen on vsock://:PORT)";
    case EACCES:
    case EPERM: return "not allowed (ports below 1024 are for root; choose another)";
    default: return "the vsock socket failed";
    }
}

bool vsock_is_early(int sys) {
    return sys == ENODEV || sys == ETIMEDOUT || sys == ECONNRESET || sys == ECONNREFUSED;
}

static int dial_error(const struct addr *addr, int sys, struct err *err) {
    return dial_failed(ESCAPED(addr->text), sys, vsock_advice(sys), err);
}

struct peer_id vsock_peer_id(const struct sockaddr_vm *vm) {
    /* hv_sock gives every accepted stream the CID "any": in a guest of Hyper-V only the host can be there. No other
     * transport brings it: vhost refuses to give it to a guest. */
    return (struct peer_id){
        .kind = PEER_VSOCK,
        .cid = vm->svm_cid == VMADDR_CID_ANY ? VMADDR_CID_HOST : vm->svm_cid,
    };
}

void vsock_tell_buffers(int fd, bool rings, vsock_getsockopt *get, char *ret, size_t size) {
    uint64_t credit = 0;
    int out = 0, in = 0;
    socklen_t credit_n = sizeof credit, out_n = sizeof out, in_n = sizeof in;
    ret[0] = '\0';
    if (rings && get(fd, SOL_SOCKET, SO_SNDBUF, &out, &out_n) == 0 &&
        get(fd, SOL_SOCKET, SO_RCVBUF, &in, &in_n) == 0)
        (void)snprintf(ret, size, "vsock rings %s out, %s in", SIZE_TEXT((uint64_t)out, true),
                       SIZE_TEXT((uint64_t)in, true));
    else if (!rings && get(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &credit, &credit_n) == 0)
        (void)snprintf(ret, size, "vsock buffer %s of %s", SIZE_TEXT(credit, true),
                       SIZE_TEXT(credit_bytes, true));
}

static void name_peer(struct conn *conn, const struct sockaddr_vm *vm) {
    conn->id = vsock_peer_id(vm);
    (void)snprintf(conn->peer, sizeof conn->peer, "vsock cid %u port %u", conn->id.cid, vm->svm_port);
}

/* Whether streams to the host are rings of hv_sock. Found out once: later the process may be confined. */
static bool host_has_rings(void) {
    static atomic_int found = -1;
    if (atomic_load(&found) < 0)
        atomic_store(&found, (vsock_parts() & VSOCK_HYPERV) != 0);
    return atomic_load(&found) != 0;
}

static void look(void) {
    (void)host_has_rings();
}

/* Each stream to a host of Hyper-V is a channel of its own; those of virtio share one queue. */
static unsigned vsock_streams(const struct addr *addr) {
    return addr->cid == VMADDR_CID_HOST && host_has_rings() ? CHANNEL_STREAMS : 1;
}

static int vsock_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                      struct err *err) {
    struct sockaddr_vm vm = vsock_address(addr);
    int fd = sock_open(AF_VSOCK, &vsock_transport);
    if (fd < 0)
        return dial_error(addr, errno, err);
    vsock_set_buffers(fd, setsockopt);
    vsock_set_connect_timeout(fd, deadline_left(bounds->deadline_ms), setsockopt);
    int sys = connect(fd, (const struct sockaddr *)&vm, sizeof vm) ? errno : 0;
    /* hv_sock puts its own sizes in place inside connect(), and makes the rings when the host has answered. */
    vsock_set_buffers(fd, setsockopt);
    sys = sock_connect_finish(fd, sys, bounds);
    if (sys) {
        (void)close(fd);
        return dial_error(addr, sys, err);
    }
    if (conn_from_fd(fd, ESCAPED(addr->text), ret, err))
        return -1;
    name_peer(*ret, &vm);
    bool rings = vm.svm_cid == VMADDR_CID_HOST && host_has_rings();
    vsock_tell_buffers(fd, rings, getsockopt, (*ret)->buffers, sizeof(*ret)->buffers);
    return 0;
}

/* Accepted sockets have the listener's buffer sizes. */
void vsock_admit(struct conn *conn, int fd, const struct sockaddr_storage *from) {
    struct sockaddr_vm vm;
    memcpy(&vm, from, sizeof vm);
    name_peer(conn, &vm);
    /* The rings of hv_sock have the listener's sizes, which the accepted socket does not know. */
    if (vm.svm_cid != VMADDR_CID_ANY)
        vsock_tell_buffers(fd, false, getsockopt, conn->buffers, sizeof conn->buffers);
}

static int vsock_listen(const struct addr *addr, struct listener **ret, struct err *err) {
    struct sockaddr_vm vm = vsock_address(addr);
    const char *text = ESCAPED(addr->text);
    int fd = sock_open(AF_VSOCK, &vsock_transport);
    if (fd < 0)
        return err_sys(err, EXIT_SOCKET, errno, "%s: %s", text, vsock_advice(errno));
    vsock_set_buffers(fd, setsockopt);
    if (bind(fd, (const struct sockaddr *)&vm, sizeof vm)) {
        int sys = errno;
        (void)close(fd);
        return err_sys(err, EXIT_SOCKET, sys, "%s: %s", text, vsock_advice(sys));
    }
    return listener_from_fd(fd, text, vsock_admit, ret, err);
}

/* Buffer sizes: buffer_options above. */
const struct transport vsock_transport = {
    .scheme = "vsock",
    .has_authority = true,
    .example = "vsock://host:2761",
    .peer_kind = PEER_VSOCK,
    .retries = DIAL_RETRIES,
    .resume_retries = DIAL_RETRIES,
    .streams = vsock_streams,
    .is_early = vsock_is_early,
    .needs = {.families = {AF_VSOCK}},
    .look = look,
    .parse = vsock_parse,
    .dial = vsock_dial,
    .listen = vsock_listen,
};
