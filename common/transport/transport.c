/* The public functions that only pass on to a transport. */
#include "transport/transport_impl.h"

#include "core/text.h"
#include "os/os.h"

#include <string.h>

int conn_dial(const struct addr *addr, int timeout_ms, struct waker *waker, struct conn **ret,
              struct err *err) {
    const struct dial_bounds bounds = {
        .deadline_ms = timeout_ms < 0 ? INT64_MAX : os_now_ms() + timeout_ms,
        .waker = waker,
    };
    return addr->transport->dial(addr, &bounds, ret, err);
}

struct addr_needs addr_needs(const struct addr *addr) {
    struct addr_needs needs = addr->transport->needs;
    if (addr->transport->look)
        addr->transport->look();
    if (addr->transport->peer_kind == PEER_TCP)
        needs.tcp_port = (uint16_t)addr->port;
    return needs;
}

bool addr_same(const struct addr *a, const struct addr *b) {
    bool same_host =
        a->transport->peer_kind == PEER_VSOCK || strcmp(a->host, b->host) == 0; /* a CID has names */
    bool same_command = strcmp(a->command ? a->command : "", b->command ? b->command : "") == 0;
    return a->transport == b->transport && same_host && same_command && strcmp(a->path, b->path) == 0 &&
           guid_equal(&a->vm, &b->vm) && guid_equal(&a->service, &b->service) && a->cid == b->cid &&
           a->port == b->port;
}

const char *addr_scheme(const struct addr *addr) {
    return addr->transport->scheme;
}

bool dial_is_early(const struct addr *addr, const struct err *err) {
    return addr->transport->is_early && addr->transport->is_early(err->sys);
}

unsigned addr_retries(const struct addr *addr) {
    return addr->transport->retries;
}

unsigned addr_resume_retries(const struct addr *addr) {
    return addr->transport->resume_retries;
}

unsigned addr_streams(const struct addr *addr, unsigned asked) {
    const struct transport *t = addr->transport;
    if (asked > 0)
        return t->alone ? 1 : asked;
    return t->streams ? t->streams(addr) : 1;
}

ptrdiff_t conn_read(struct conn *conn, void *to, size_t n, int timeout_ms, struct err *err) {
    return conn->ops->read(conn, to, n, timeout_ms, err);
}

int conn_write(struct conn *conn, const struct span *parts, size_t count, int timeout_ms, struct err *err) {
    return conn->ops->writev(conn, parts, count, timeout_ms, err);
}

void conn_resume(struct conn *conn) {
    conn->ops->resume(conn);
}

void conn_wake(struct conn *conn) {
    conn->ops->wake(conn);
}

const char *conn_peer(const struct conn *conn) {
    return conn->peer;
}

const struct peer_id *conn_peer_id(const struct conn *conn) {
    return &conn->id;
}

enum peer_kind addr_peer_kind(const struct addr *addr) {
    return addr->transport->peer_kind;
}

const char *conn_buffers(const struct conn *conn) {
    return conn->buffers;
}

bool conn_acked(const struct conn *conn, uint64_t *ret_bytes) {
    return conn->acked && conn->acked(conn, ret_bytes);
}

int conn_close(struct conn *conn, struct err *err) {
    return conn ? conn->ops->close(conn, err) : 0;
}

int listener_open(const struct addr *addr, struct listener **ret, struct err *err) {
    if (addr->transport->listen == NULL)
        return err_set(err, EXIT_USAGE, "%s: %s: cannot be listened on, only connected to",
                       ESCAPED(addr->text), addr->transport->scheme);
    return addr->transport->listen(addr, ret, err);
}
