/* fd.h: streams and listeners over file descriptors, shared by the POSIX transports.
 *
 * A wait polls two descriptors: the stream's and an eventfd. Waking writes to the eventfd, which is never
 * read, so that it stays readable and every later wait ends at once too.
 */
#ifndef TRANSPORT_FD_H
#define TRANSPORT_FD_H

#include "transport/transport_impl.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { LISTEN_BACKLOG = 128 };

/* ---- sock.c: deadlines, waiting, connecting ---- */

struct waker {
    int fd; /* eventfd */
};

int64_t deadline_after(int timeout_ms); /* -1: INT64_MAX */
int deadline_left(int64_t deadline_ms); /* for poll(): -1, or 0…INT_MAX ms */

/* Until fd has one of `events` (poll), or `wake` is readable. Either may be -1. 0, or an errno value:
 * ETIMEDOUT, ECANCELED when woken, or what poll said. */
int fd_wait(int fd, short events, int wake, int64_t deadline_ms);
/* The same for timeout_ms (-1: no bound) from now on, without asking for the time, and counted (os_waits.h). */
int fd_wait_counted(int fd, short events, int wake, int timeout_ms);

/* A non-blocking, close-on-exec stream socket with the transport's buffer sizes. -1 and errno. */
int sock_open(int family, const struct transport *transport);
void sock_set_buffers(int fd, const struct transport *transport);

/* As fd_wait, with the bounds of a dial. */
int dial_wait(int fd, short events, const struct dial_bounds *bounds);

/* Connect a non-blocking socket. 0 or an errno value; ETIMEDOUT when the deadline passed, ECANCELED when woken. A
 * Unix socket whose listener has a full backlog (EAGAIN) is tried again until then. */
int sock_connect(int fd, const struct sockaddr *to, socklen_t n, const struct dial_bounds *bounds);

/* The second half of it, for a transport that has something to do in between: `started` is errno after
 * connect(), 0 when that succeeded. */
int sock_connect_finish(int fd, int started, const struct dial_bounds *bounds);

/* What a dial to `text` failed with, as its err: EXIT_CONNECT_TIMEOUT for ETIMEDOUT, EXIT_SIGNAL for ECANCELED,
 * EXIT_SOCKET for all else. Always -1. */
int dial_failed(const char *text, int sys, const char *advice, struct err *err);

/* is_early of the transports whose address is a socket file, or a port of this machine. */
bool sock_is_early(int sys);

/* ---- conn.c ---- */

struct fd_conn {
    struct conn base;
    int in, out; /* the same one for a socket */
    int wake; /* eventfd */
    atomic_bool woken; /* set before `wake` is written */
    atomic_int
        write_error; /* why writing ended the stream (errno); 0: it did not, or the peer had ended it */
    bool in_is_socket, out_is_socket;
    bool block_in, block_out; /* O_NONBLOCK was ours: take it off again at close */
};

/* Sets conn up over two descriptors (or one twice), which it takes over, also on failure. */
int fd_conn_init(struct fd_conn *conn, int in, int out, const char *peer, const struct conn_ops *ops,
                 struct err *err);
void fd_conn_release(struct fd_conn *conn); /* closes what fd_conn_init took, does not free conn */

ptrdiff_t fd_conn_read(struct conn *conn, void *to, size_t n, int timeout_ms, struct err *err);
int fd_conn_writev(struct conn *conn, const struct span *parts, size_t count, int timeout_ms,
                   struct err *err);
void fd_conn_wake(struct conn *conn);
void fd_conn_resume(struct conn *conn);

/* ---- listener.c ---- */

struct listener;

/* Prepares an accepted socket (buffers, …) and puts into its conn who is there. conn->peer has the text of the
 * listener. */
typedef void listener_admit(struct conn *conn, int fd, const struct sockaddr_storage *from);

struct listener {
    int fd;
    int wake; /* eventfd */
    atomic_bool woken;
    bool short_of; /* of memory or descriptors since a stream was accepted last, which was told */
    listener_admit *admit;
    char text[PEER_TEXT_MAX]; /* the address, safe to print */
    char name[256]; /* the socket file to remove at close, below `dir`; "" for none */
    int dir; /* -1: none */
    dev_t device; /* which file that is, so that a successor's is left alone */
    ino_t inode;
};

/* Starts listening on the bound socket fd, which it takes over, also on failure. */
int listener_from_fd(int fd, const char *text, listener_admit *admit, struct listener **ret, struct err *err);

/* ---- unix.c, vsock.c, tcp.c: for their listeners, whoever made them ---- */

listener_admit unix_admit, vsock_admit, tcp_admit;

/* ---- unix.c, for the transports that ride on Unix sockets ---- */

/* 0 and a connected socket, or an errno value and *ret_what: what failed and what to do about it. */
int unix_connect(const char *path, const struct dial_bounds *bounds, int *ret_fd, const char **ret_what);
int unix_listen(const char *path, const char *text, listener_admit *admit, struct listener **ret,
                struct err *err);

#endif
