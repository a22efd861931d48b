/* win.h: streams and listeners over Winsock and pipes, shared by the transports of Windows.
 *
 * Every read, write, connect and accept is begun with overlapped I/O and an event of its own; then its thread
 * waits for that event, for the conn's wake event, and for the deadline. What did not end in time is
 * cancelled with CancelIoEx, and its last word is awaited, so that no buffer is used by the system
 * afterwards. A wake event stays set, so that every later wait ends at once too.
 *
 * Socket functions here return 0 or a Windows error number: Winsock's own, or one of enum stop.
 */
#ifndef TRANSPORT_WIN32_WIN_H
#define TRANSPORT_WIN32_WIN_H

#include "transport/transport_impl.h"

#include <winsock2.h>

#include <windows.h>

#include <stdatomic.h>

enum { LISTEN_BACKLOG = 128 };

/* Why a wait ended without its event. */
enum stop {
    STOP_DEADLINE = WAIT_TIMEOUT,
    STOP_WOKEN = ERROR_OPERATION_ABORTED,
};

/* ---- wait.c: deadlines and events ---- */

struct waker {
    HANDLE event;
};

int64_t deadline_after(int timeout_ms); /* -1: INT64_MAX */
int deadline_left(int64_t deadline_ms); /* -1, or 0…INT_MAX ms */

HANDLE event_new(void); /* manual reset, not set; NULL and GetLastError */

/* Until `event` is set, or `wake`; either may be NULL. 0, STOP_DEADLINE, STOP_WOKEN, or what the system said. */
int event_wait(HANDLE event, HANDLE wake, int64_t deadline_ms);

/* The errno value that fits a Windows error number: EIO where none does. */
int errno_of(int error);

/* ---- op.c: one overlapped operation at a time ---- */

struct op {
    OVERLAPPED overlapped; /* hEvent is owned */
};

int op_init(struct op *op); /* 0 or an error number */
void op_free(struct op *op); /* nothing may be under way */

/* Before each operation. Returns what the system function takes. */
OVERLAPPED *op_begin(struct op *op);

/* The result of an operation on `sock`. started: 0, or WSAGetLastError after the call that began it. stop: 0, or why
 * it is not awaited any longer; it is cancelled then, but what it did before that counts as success. */
int op_end(struct op *op, SOCKET sock, int started, int stop, DWORD *ret_n);

/* Begun operations: await the end within the bounds, then op_end. */
int op_finish(struct op *op, SOCKET sock, int started, HANDLE wake, int64_t deadline_ms, DWORD *ret_n);

/* ---- sock.c ---- */

/* An overlapped socket that no child inherits, with the transport's buffer sizes. 0 or an error number. */
int sock_open(int family, int protocol, const struct transport *transport, SOCKET *ret);

/* Connects a bound socket (ConnectEx wants that) and makes it a full one (SO_UPDATE_CONNECT_CONTEXT). */
int sock_connect(SOCKET sock, const struct sockaddr *to, int n, const struct dial_bounds *bounds);

/* What a dial to `text` failed with, as its err: EXIT_CONNECT_TIMEOUT when time was over, EXIT_SIGNAL when woken,
 * EXIT_SOCKET for all else. Always -1. */
int dial_failed(const char *text, int error, const char *advice, struct err *err);

/* is_early of tcp. */
bool sock_is_early(int sys);

/* ---- conn.c ---- */

/* A conn over a connected socket, which it takes over, also on failure. 0, or -1 and err. */
int conn_from_socket(SOCKET sock, const char *peer, struct conn **ret, struct err *err);

/* ---- listener.c ---- */

/* Prepares an accepted socket and puts into its conn who is there. `from`: what getpeername said, n bytes (0: nothing).
 * conn->peer has the text of the listener. */
typedef void listener_admit(struct conn *conn, SOCKET sock, const struct sockaddr_storage *from, int n);

/* What accepted sockets are made of. */
struct listener_kind {
    int family, protocol;
    const struct transport *transport;
    listener_admit *admit;
};

/* Starts listening on the bound socket, which it takes over, also on failure. `kind` outlives the listener. */
int listener_from_socket(SOCKET sock, const char *text, const struct listener_kind *kind,
                         struct listener **ret, struct err *err);

/* ---- pipe.c ---- */

/* A conn over handles that know no overlapped I/O: pipes, files. Takes both over, also on failure.
 * Close it with pipe_conn_release, from `close` of ops. */
struct pipe_conn;
int pipe_conn_new(HANDLE in, HANDLE out, const char *peer, const struct conn_ops *ops, void *owner,
                  struct pipe_conn **ret, struct err *err);
struct conn *pipe_conn_base(struct pipe_conn *conn);
void *pipe_conn_owner(struct conn *conn); /* what was given to pipe_conn_new */
bool pipe_conn_is_woken(struct conn *conn);
void pipe_conn_release(struct conn *conn); /* frees conn, too */
ptrdiff_t pipe_conn_read(struct conn *conn, void *to, size_t n, int timeout_ms, struct err *err);
int pipe_conn_writev(struct conn *conn, const struct span *parts, size_t count, int timeout_ms,
                     struct err *err);
void pipe_conn_wake(struct conn *conn);
void pipe_conn_resume(struct conn *conn);

#endif
