/* transport.h: a byte stream to the other end, whatever carries it.
 *
 * An address is parsed once (addr_parse), then connected to or listened on. A conn has one reading thread and
 * one writing thread at a time; conn_wake may come from any thread and makes both return with EXIT_SIGNAL
 * at once and for ever. Nothing here trusts EOF: it is returned as 0 and the protocol decides.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include "core/bytes.h"
#include "core/err.h"
#include "os/os_types.h"
#include "transport/guid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

struct addr {
    const struct transport *transport;
    char text[512]; /* as the user wrote it, without the sub-directory */
    char path[256]; /* unix, vsock-mux: path of the socket; exec: unused */
    char *command; /* exec: the command, owned by the addr */
    char host[256]; /* tcp; hyperv: a VM that has to be looked up, "name:VMNAME" or "wsl" */
    struct guid vm, service; /* hyperv */
    bool no_connected_suspend; /* hyperv: as in the rules */
    uint32_t cid; /* vsock */
    uint32_t port; /* tcp, vsock, vsock-mux */
    char *into; /* sub-directory of DEST ("a/b"), or NULL; owned. Only for forms with an authority
                        (vsock://CID:PORT/sub, tcp://HOST:PORT/sub) */
};

struct addr_rules {
    bool listening; /* vsock://:PORT and tcp://:PORT (= 127.0.0.1) are allowed */
    bool allow_remote; /* tcp:// beyond loopback */
    bool no_connected_suspend; /* hyperv: a VM that is paused disconnects */
};

/* 0, or -1 and err: EXIT_USAGE for a malformed address (the message names it, what is wrong, and an
 * example of the right form), EXIT_UNSUPPORTED for what this system lacks (hyperv:// to
 * another VM on Linux, unix: on Windows). */
int addr_parse(const char *text, const struct addr_rules *rules, struct addr *ret, struct err *err);
void addr_free(struct addr *addr); /* frees what addr owns, not addr; NULL fields are fine */

/* True when `text` starts like an address ("unix:", "tcp://", …), so that a DEST can be told from a file. */
bool addr_looks_like(const char *text);

/* True when both are of the same place, but for the sub-directory, as far as their words tell. */
bool addr_same(const struct addr *a, const struct addr *b);

const char *addr_scheme(const struct addr *addr); /* "vsock", "vsock-mux", … */

struct conn; /* one stream */
struct listener; /* accepts streams */

/* Ends a dial, or a pause before one, from any thread. Once woken it stays so. */
struct waker;
int waker_new(struct waker **ret, struct err *err); /* 0, or -1 and err (EXIT_MEMORY, EXIT_SOCKET) */
void waker_wake(struct waker *waker);
bool waker_pause(struct waker *waker, int64_t deadline_ms); /* until then (os_now_ms); false when woken */
void waker_free(struct waker *waker); /* when nobody wakes it any more; NULL is fine */

/* Waits are bounded by timeout_ms (-1: no bound) on the monotonic clock. */

/* A fresh socket each time. waker: NULL when nothing is to end it early. 0, or -1 and err: EXIT_SOCKET (refused, no
 * such socket, …; the message says what to do), EXIT_CONNECT_TIMEOUT, EXIT_SIGNAL when woken. */
int conn_dial(const struct addr *addr, int timeout_ms, struct waker *waker, struct conn **ret,
              struct err *err);

/* Of a failed conn_dial: the other end is not there yet (its VM boots, its program is being started), so that the
 * same dial may succeed later. */
bool dial_is_early(const struct addr *addr, const struct err *err);
/* How often a first connection is tried again when the user does not say. */
unsigned addr_retries(const struct addr *addr);
/* How often it is tried to come back to a session whose stream broke, when the user does not say. */
unsigned addr_resume_retries(const struct addr *addr);

/* Connections of one session, of the dialler: `asked`, or, when that is 0, what is best for the transport. 1 where a
 * second dial would lead elsewhere. */
unsigned addr_streams(const struct addr *addr, unsigned asked);

enum { ADDR_FAMILIES_MAX = 2 };

/* What a dial needs of the system, so that all else can be taken away from the process before it. */
struct addr_needs {
    int families[ADDR_FAMILIES_MAX]; /* AF_* of the sockets that it makes; 0: none */
    uint16_t tcp_port; /* 0: none */
    bool socket_file;
    bool child; /* it starts a process; a confined one could not */
};
/* Reads whatever a dial will want to know, too: a confined process can open nothing. */
struct addr_needs addr_needs(const struct addr *addr);

/* This process's stdin and stdout. They are made non-blocking, and blocking again at close. */
int conn_stdio(struct conn **ret, struct err *err);

/* A conn over a connected stream socket (or any one descriptor for both directions); takes fd over, also
 * on failure. For accept and for tests (socketpair). */
int conn_from_fd(int fd, const char *peer, struct conn **ret, struct err *err);

/* 1…n bytes, 0 at EOF, or -1 and err: EXIT_TIMEOUT, EXIT_SIGNAL after conn_wake, EXIT_SOCKET. */
ptrdiff_t conn_read(struct conn *conn, void *to, size_t n, int timeout_ms, struct err *err);

/* All the bytes of `parts`, or -1 and err. timeout_ms bounds each wait without progress. Never SIGPIPE. When it is
 * woken, err->sys is ECANCELED if nothing was written; what has begun may take another second to finish. */
int conn_write(struct conn *conn, const struct span *parts, size_t count, int timeout_ms, struct err *err);

void conn_wake(struct conn *conn);
/* Undo conn_wake, for a last word to the peer; when no other thread uses the conn any more. */
void conn_resume(struct conn *conn);

/* Who is there, for messages: "vsock cid 3 port 1029", "unix uid 1000 pid 12", "127.0.0.1:4711". */
const char *conn_peer(const struct conn *conn);

enum peer_kind { PEER_UNKNOWN, PEER_VSOCK, PEER_UNIX, PEER_TCP, PEER_HYPERV };

/* Who is there, as the system says it; never the peer's own word. */
struct peer_id {
    enum peer_kind kind; /* PEER_UNKNOWN: the system does not say */
    uint32_t cid; /* PEER_VSOCK */
    uint32_t uid, gid; /* PEER_UNIX */
    int32_t pid; /* PEER_UNIX */
    struct guid vm; /* PEER_HYPERV */
};
const struct peer_id *conn_peer_id(const struct conn *conn);
/* The system says that both are the same; false where it does not say who is there. */
bool peer_is_same(const struct peer_id *a, const struct peer_id *b);
/* `now` may be who was there `before`: the system does not say that it is another. */
bool peer_may_be_same(const struct peer_id *before, const struct peer_id *now);
/* The kind that every accepted conn of a listener at addr has. */
enum peer_kind addr_peer_kind(const struct addr *addr);

/* What the system made of the buffer sizes that it was asked for, for messages; "" when that is not told. */
const char *conn_buffers(const struct conn *conn);

/* How many of the bytes written have reached the peer's system. Writing thread. False: that is not known; only TCP on
 * Linux tells. */
bool conn_acked(const struct conn *conn, uint64_t *ret_bytes);

/* Close without waiting for the peer. For exec: waits (bounded) for the child, ends it by pid if it stays,
 * and reports its exit status: 0, or -1 and err (EXIT_SOCKET, "the command ended with status 127").
 * conn may be NULL. */
int conn_close(struct conn *conn, struct err *err);

/* unix: a stale socket file (nobody accepts) is replaced, a live one is an error (EXIT_SOCKET, "in use").
 * exec: cannot be listened on (EXIT_USAGE). Backlog >= 128. */
int listener_open(const struct addr *addr, struct listener **ret, struct err *err);

/* The directory of the socket file that listener_close removes; the listener's. False: there is none. */
bool listener_file_dir(const struct listener *listener, struct os_dir *ret);

/* 0 and *ret, or -1 and err: EXIT_TIMEOUT, EXIT_SIGNAL after listener_wake, EXIT_SOCKET. Failures of a single
 * incoming stream (ECONNABORTED, EMFILE with a short pause) are retried inside. */
int listener_accept(struct listener *listener, int timeout_ms, struct conn **ret, struct err *err);
void listener_wake(struct listener *listener);
void listener_close(struct listener *listener); /* removes the socket file; NULL is fine */

#endif
