/* One stream over descriptors. Tries first and waits only when the system says that it would block, so that a
 * busy stream costs one system call a read or write. */
#include "transport/fd.h"

#include "transport/unwritten.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    IOV_BATCH = 64, /* a header and a payload need 2; batches of small frames more */
    FINISH_MS = 1000, /* for a write that has begun when the conn is woken */
};

static bool is_socket(int fd) {
    int type;
    socklen_t n = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
}

/* Sockets are asked not to block call by call, for their flags may be shared with another process. */
static int set_nonblocking(int fd, bool *ret_was_blocking) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -1;
    if (flags & O_NONBLOCK)
        return 0;
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    *ret_was_blocking = true;
    return 0;
}

static void set_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int fd_conn_init(struct fd_conn *conn, int in, int out, const char *peer, const struct conn_ops *ops,
                 struct err *err) {
    conn->base.ops = ops;
    (void)snprintf(conn->base.peer, sizeof conn->base.peer, "%s", peer);
    conn->in = in;
    conn->out = out;
    conn->in_is_socket = is_socket(in);
    conn->out_is_socket = is_socket(out);
    conn->block_in = conn->block_out = false;
    atomic_init(&conn->woken, false);
    atomic_init(&conn->write_error, 0);
    conn->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (conn->wake < 0 || (!conn->in_is_socket && set_nonblocking(in, &conn->block_in)) ||
        (!conn->out_is_socket && set_nonblocking(out, &conn->block_out))) {
        int sys = errno;
        fd_conn_release(conn);
        return err_sys(err, EXIT_SOCKET, sys, "%s: cannot prepare the stream", peer);
    }
    return 0;
}

void fd_conn_release(struct fd_conn *conn) {
    if (conn->block_in)
        set_blocking(conn->in);
    if (conn->block_out)
        set_blocking(conn->out);
    (void)close(conn->in);
    if (conn->out != conn->in)
        (void)close(conn->out);
    if (conn->wake >= 0)
        (void)close(conn->wake);
}

static int woken(struct err *err) {
    return err_set(err, EXIT_SIGNAL, "interrupted");
}

/* Why a wait ended for which the other end had timeout_ms: 0 when fd can go on. */
static int waited(const struct fd_conn *conn, int sys, short events, int timeout_ms, struct err *err) {
    if (sys == 0)
        return 0;
    if (sys == ECANCELED)
        return woken(err);
    if (sys == ETIMEDOUT)
        return err_set(
            err, EXIT_TIMEOUT, "%s: the other end %s for %g s; see whether it is alive, or raise --timeout",
            conn->base.peer, events == POLLIN ? "sent nothing" : "took nothing", timeout_ms / 1000.0);
    return err_sys(err, EXIT_SOCKET, sys, "%s: cannot wait for the stream", conn->base.peer);
}

static int writing_failed(const struct fd_conn *conn, int sys, struct err *err) {
    return err_sys(err, EXIT_SOCKET, sys, "%s: writing to the stream failed (the other end may say why)",
                   conn->base.peer);
}

/* What ends a wait may be nothing that can be read, as an urgent byte of a Unix socket: that gives the other end no new
 * time. *deadline_ms is that of one read, 0 before its first wait. 0, or -1 and err. */
static int wait_to_read(struct fd_conn *conn, int timeout_ms, int64_t *deadline_ms, struct err *err) {
    bool again = *deadline_ms != 0;
    if (!again)
        *deadline_ms = deadline_after(timeout_ms);
    int left = again ? deadline_left(*deadline_ms) : timeout_ms;
    int sys = again && left == 0 ? ETIMEDOUT : fd_wait_counted(conn->in, POLLIN, conn->wake, left);
    return waited(conn, sys, POLLIN, timeout_ms, err);
}

ptrdiff_t fd_conn_read(struct conn *base, void *to, size_t n, int timeout_ms, struct err *err) {
    struct fd_conn *conn = (struct fd_conn *)base;
    int64_t deadline_ms = 0;
    while (!atomic_load(&conn->woken)) {
        ssize_t got = conn->in_is_socket ? recv(conn->in, to, n, MSG_DONTWAIT) : read(conn->in, to, n);
        int sys = got == 0 ? atomic_load(&conn->write_error) : 0;
        if (sys) /* it was not the peer who closed it */
            return writing_failed(conn, sys, err);
        if (got >= 0)
            return got;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return err_sys(err, EXIT_SOCKET, errno, "%s: reading from the stream failed", base->peer);
        if (wait_to_read(conn, timeout_ms, &deadline_ms, err))
            return -1;
    }
    return woken(err);
}

/* write() has no MSG_NOSIGNAL: the signal of a broken pipe is held back and taken off again. */
static ssize_t pipe_writev(int fd, const struct iovec *iov, int count) {
    sigset_t broken, before, pending;
    (void)sigemptyset(&broken);
    (void)sigaddset(&broken, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &broken, &before);
    ssize_t n = writev(fd, iov, count);
    int sys = errno;
    if (n < 0 && sys == EPIPE && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&broken, NULL, &(struct timespec){.tv_sec = 0});
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = sys;
    return n;
}

static ssize_t write_some(const struct fd_conn *conn, struct iovec *iov, int count) {
    if (!conn->out_is_socket)
        return pipe_writev(conn->out, iov, count);
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    return sendmsg(conn->out, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int fill_iov(const struct unwritten *rest, struct iovec iov[IOV_BATCH]) {
    int used = 0;
    size_t skip = rest->done;
    for (size_t i = 0; i < rest->count && used < IOV_BATCH; i++, skip = 0) {
        if (rest->parts[i].n == skip)
            continue;
        iov[used].iov_base = (void *)(uintptr_t)(rest->parts[i].p + skip);
        iov[used].iov_len = rest->parts[i].n - skip;
        used++;
    }
    return used;
}

/* Wait until more can be written. Once woken, what is begun may be finished within FINISH_MS, so that the stream
 * does not end in the middle of a message; *finish_by is set then. 0, or -1 and err. */
static int wait_to_write(struct fd_conn *conn, bool begun, int timeout_ms, int64_t *finish_by,
                         struct err *err) {
    if (!atomic_load(&conn->woken)) {
        int sys = fd_wait_counted(conn->out, POLLOUT, conn->wake, timeout_ms);
        if (waited(conn, sys, POLLOUT, timeout_ms, err) == 0)
            return 0;
        if (err->code != EXIT_SIGNAL)
            return -1;
    }
    if (!begun)
        return err_sys(err, EXIT_SIGNAL, ECANCELED, "interrupted");
    if (*finish_by == 0)
        *finish_by = deadline_after(FINISH_MS);
    return fd_wait(conn->out, POLLOUT, -1, *finish_by) == 0 ? 0 : woken(err);
}

/* Whoever reads is not left waiting for a peer to which nothing can be said: what has arrived is still read, then the
 * stream ends. Always -1. */
static int write_failed(struct fd_conn *conn, int sys, struct err *err) {
    if (sys != EPIPE && sys != ECONNRESET)
        atomic_store(&conn->write_error, sys);
    if (conn->out_is_socket)
        (void)shutdown(conn->out, SHUT_RDWR);
    return writing_failed(conn, sys, err);
}

int fd_conn_writev(struct conn *base, const struct span *parts, size_t count, int timeout_ms,
                   struct err *err) {
    struct fd_conn *conn = (struct fd_conn *)base;
    struct unwritten rest = {.parts = parts, .count = count, .done = 0};
    bool begun = false;
    int64_t finish_by = 0;
    for (;;) {
        struct iovec iov[IOV_BATCH];
        int used = fill_iov(&rest, iov);
        if (used == 0)
            return 0;
        if (!begun && atomic_load(&conn->woken))
            return err_sys(err, EXIT_SIGNAL, ECANCELED, "interrupted");
        ssize_t n = write_some(conn, iov, used);
        if (n >= 0) {
            unwritten_advance(&rest, (size_t)n);
            begun = begun || n > 0;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return write_failed(conn, errno, err);
        if (wait_to_write(conn, begun, timeout_ms, &finish_by, err))
            return -1;
    }
}

void fd_conn_wake(struct conn *base) {
    struct fd_conn *conn = (struct fd_conn *)base;
    atomic_store(&conn->woken, true);
    (void)eventfd_write(conn->wake,
                        1); /* fails only when the counter is full, and then it is readable already */
}

void fd_conn_resume(struct conn *base) {
    struct fd_conn *conn = (struct fd_conn *)base;
    uint64_t count;
    ssize_t ignored = read(conn->wake, &count, sizeof count); /* EAGAIN when it was not woken */
    (void)ignored;
    atomic_store(&conn->woken, false);
}

static int fd_conn_close(struct conn *base, struct err *err) {
    (void)err;
    fd_conn_release((struct fd_conn *)base);
    free(base);
    return 0;
}

int conn_from_fd(int fd, const char *peer, struct conn **ret, struct err *err) {
    static const struct conn_ops ops = {fd_conn_read, fd_conn_writev, fd_conn_wake, fd_conn_resume,
                                        fd_conn_close};
    struct fd_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        (void)close(fd);
        return err_set(err, EXIT_MEMORY, "%s: out of memory", peer);
    }
    if (fd_conn_init(conn, fd, fd, peer, &ops, err)) {
        free(conn);
        return -1;
    }
    *ret = &conn->base;
    return 0;
}
