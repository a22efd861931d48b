/* transport_impl.h: what one transport has to provide; for the files of this directory only.
 *
 * Each transport is one file that ends in its const table. addr.c finds the table by the scheme of an
 * address; everything else goes through the pointers.
 */
#ifndef TRANSPORT_TRANSPORT_IMPL_H
#define TRANSPORT_TRANSPORT_IMPL_H

#include "transport/transport.h"

enum {
    PEER_TEXT_MAX = 256, /* conn_peer, with its NUL */
    BUFFERS_TEXT_MAX = 128, /* conn_buffers */
    CHANNEL_STREAMS = 4, /* of a session where each stream is a channel of VMBus; docs/decisions/0015 */
    DIAL_RETRIES = 5, /* of the transports that lead to a VM, which may still boot */
};

/* As conn_read, conn_write, conn_wake, conn_resume and conn_close; close also frees the conn. */
struct conn_ops {
    ptrdiff_t (*read)(struct conn *conn, void *to, size_t n, int timeout_ms, struct err *err);
    int (*writev)(struct conn *conn, const struct span *parts, size_t count, int timeout_ms, struct err *err);
    void (*wake)(struct conn *conn);
    void (*resume)(struct conn *conn);
    int (*close)(struct conn *conn, struct err *err);
};

/* The head of every conn; the transport's own fields follow it. */
struct conn {
    const struct conn_ops *ops;
    /* Set before the conn is shared, constant afterwards. */
    char peer[PEER_TEXT_MAX]; /* safe to print */
    struct peer_id id;
    char buffers[BUFFERS_TEXT_MAX];
    bool (*acked)(const struct conn *conn,
                  uint64_t *ret_bytes); /* conn_acked; NULL: the system does not say */
};

/* What ends a dial before it succeeds. */
struct dial_bounds {
    int64_t deadline_ms; /* os_now_ms, INT64_MAX for none */
    const struct waker *waker; /* NULL for none */
};

struct transport {
    const char *scheme; /* "tcp" */
    bool has_authority; /* SCHEME://HOST:PORT/sub/dir rather than SCHEME:rest */
    const char *example; /* for messages about malformed addresses */
    enum peer_kind peer_kind; /* addr_peer_kind */
    int send_bytes, receive_bytes; /* SO_SNDBUF and SO_RCVBUF; 0 leaves them to the system */

    /* `rest` is what follows "SCHEME:" or "SCHEME://"; addr->transport and addr->text are set. 0, or -1 and
     * why->msg, the bare reason (addr.c adds the address and the example). What was allocated in addr is
     * freed by the caller in both cases. */
    int (*parse)(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why);

    struct addr_needs needs; /* addr_needs, but for the port */
    void (*look)(void); /* reads what a dial will want to know; NULL: nothing */

    unsigned retries; /* addr_retries */
    unsigned resume_retries; /* addr_resume_retries */
    unsigned (*streams)(const struct addr *addr); /* of a session, unless the user says; NULL: 1 */
    bool alone; /* a second dial would lead to another peer */
    bool (*is_early)(int sys); /* dial_is_early, from err->sys; NULL: never */

    /* NULL where it cannot be. */
    int (*dial)(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                struct err *err);
    int (*listen)(const struct addr *addr, struct listener **ret, struct err *err);
};

/* The transports of this platform; ends with NULL. */
extern const struct transport *const transports[];

extern const struct transport exec_transport, hyperv_transport, mux_transport, systemd_transport,
    tcp_transport, unix_transport, vsock_transport;

/* For parse(): HOST:PORT[/sub/dir] into host, port and into; brackets around an IPv6 address are taken off.
 * The host may be empty when listening only. Ports are 1…port_max. */
int addr_parse_authority(const char *rest, uint32_t port_max, const struct addr_rules *rules,
                         struct addr *addr, struct err *why);

/* For parse(): what follows the authority, which is the n bytes at `rest`: the sub-directory goes to addr->into. */
int addr_end_authority(const char *rest, size_t n, const struct addr_rules *rules, struct addr *addr,
                       struct err *why);

/* For parse(): the n digits at `text` as a port, 1…port_max. */
int addr_parse_port(const char *text, size_t n, uint32_t port_max, uint32_t *ret, struct err *why);

/* For parse(): `path`, n bytes, as the name of a socket file, to which `spare` bytes will be appended. */
int addr_parse_path(const char *path, size_t n, size_t spare, struct addr *addr, struct err *why);

#endif
