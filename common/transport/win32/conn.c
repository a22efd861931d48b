/* One stream over a socket. */
#include "win.h"

#include "os/os_waits.h"
#include "transport/unwritten.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BUFFERS = 64, /* a header and a payload need 2; batches of small frames more */
    /* Bytes of one write. Whether it makes progress is only seen at its end, and the timeout counts from there. */
    SLICE_BYTES = 256 * 1024,
    FINISH_MS = 1000, /* for a write that has begun when the conn is woken */
};

struct sock_conn {
    struct conn base;
    SOCKET sock;
    HANDLE wake;
    atomic_bool woken; /* set before `wake` is */
    struct op reading; /* reading thread */
    struct op writing; /* writing thread */
};

static int woken(struct err *err) {
    return err_set(err, EXIT_SIGNAL, "interrupted");
}

static int failed(const struct sock_conn *conn, int error, const char *what, int timeout_ms, const char *did,
                  struct err *err) {
    if (error == STOP_WOKEN)
        return woken(err);
    if (error == STOP_DEADLINE)
        return err_set(err, EXIT_TIMEOUT,
                       "%s: the other end %s for %g s; see whether it is alive, or raise --timeout",
                       conn->base.peer, did, timeout_ms / 1000.0);
    return err_sys(err, EXIT_SOCKET, errno_of(error), "%s: %s", conn->base.peer, what);
}

static ptrdiff_t sock_read(struct conn *base, void *to, size_t n, int timeout_ms, struct err *err) {
    struct sock_conn *conn = (struct sock_conn *)base;
    WSABUF buf = {.buf = to, .len = n < SLICE_BYTES ? (ULONG)n : SLICE_BYTES};
    DWORD got, flags = 0;
    if (atomic_load(&conn->woken))
        return woken(err);
    int started =
        WSARecv(conn->sock, &buf, 1, NULL, &flags, op_begin(&conn->reading), NULL) ? WSAGetLastError() : 0;
    int error = op_finish(&conn->reading, conn->sock, started, conn->wake, deadline_after(timeout_ms), &got);
    if (error == 0)
        return (ptrdiff_t)got;
    return failed(conn, error, "reading from the stream failed", timeout_ms, "sent nothing", err);
}

static DWORD fill_buffers(const struct unwritten *rest, WSABUF bufs[BUFFERS]) {
    DWORD used = 0;
    size_t skip = rest->done, room = SLICE_BYTES;
    for (size_t i = 0; i < rest->count && used < BUFFERS && room > 0; i++, skip = 0) {
        size_t n = rest->parts[i].n - skip;
        if (n == 0)
            continue;
        n = n < room ? n : room;
        bufs[used].buf = (char *)(uintptr_t)(rest->parts[i].p + skip);
        bufs[used].len = (ULONG)n;
        used++;
        room -= n;
    }
    return used;
}

/* Why the write that is under way is not awaited any longer; 0 when it ended. Once woken, it may end within
 * FINISH_MS, so that the stream does not end in the middle of a message; *finish_by is set then. */
static int await_write(struct sock_conn *conn, int timeout_ms, int64_t *finish_by) {
    HANDLE event = conn->writing.overlapped.hEvent;
    int64_t begin = os_wait_begin();
    int stop = *finish_by ? STOP_WOKEN : event_wait(event, conn->wake, deadline_after(timeout_ms));
    os_wait_end(begin, OS_WAIT_OUTPUT);
    if (stop != STOP_WOKEN)
        return stop;
    if (*finish_by == 0)
        *finish_by = deadline_after(FINISH_MS);
    return event_wait(event, NULL, *finish_by) == 0 ? 0 : STOP_WOKEN;
}

static int sock_writev(struct conn *base, const struct span *parts, size_t count, int timeout_ms,
                       struct err *err) {
    struct sock_conn *conn = (struct sock_conn *)base;
    struct unwritten rest = {.parts = parts, .count = count, .done = 0};
    int64_t finish_by = 0;
    WSABUF bufs[BUFFERS];
    DWORD used = fill_buffers(&rest, bufs), n;
    if (used && atomic_load(&conn->woken))
        return err_sys(err, EXIT_SIGNAL, ECANCELED, "interrupted");
    for (; used; used = fill_buffers(&rest, bufs)) {
        int started =
            WSASend(conn->sock, bufs, used, NULL, 0, op_begin(&conn->writing), NULL) ? WSAGetLastError() : 0;
        int stop = started == WSA_IO_PENDING ? await_write(conn, timeout_ms, &finish_by) : 0;
        int error = op_end(&conn->writing, conn->sock, started, stop, &n);
        if (error)
            return failed(conn, error, "writing to the stream failed (the other end may say why)", timeout_ms,
                          "took nothing", err);
        unwritten_advance(&rest, n);
    }
    return 0;
}

static void sock_wake(struct conn *base) {
    struct sock_conn *conn = (struct sock_conn *)base;
    atomic_store(&conn->woken, true);
    (void)SetEvent(conn->wake);
}

static void sock_resume(struct conn *base) {
    struct sock_conn *conn = (struct sock_conn *)base;
    (void)ResetEvent(conn->wake);
    atomic_store(&conn->woken, false);
}

static void release(struct sock_conn *conn) {
    (void)closesocket(conn->sock);
    op_free(&conn->reading);
    op_free(&conn->writing);
    if (conn->wake)
        (void)CloseHandle(conn->wake);
    free(conn);
}

static int sock_close(struct conn *base, struct err *err) {
    (void)err;
    release((struct sock_conn *)base);
    return 0;
}

static const struct conn_ops sock_ops = {sock_read, sock_writev, sock_wake, sock_resume, sock_close};

int conn_from_socket(SOCKET sock, const char *peer, struct conn **ret, struct err *err) {
    struct sock_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        (void)closesocket(sock);
        return err_set(err, EXIT_MEMORY, "%s: out of memory", peer);
    }
    conn->base.ops = &sock_ops;
    (void)snprintf(conn->base.peer, sizeof conn->base.peer, "%s", peer);
    conn->sock = sock;
    conn->wake = event_new();
    atomic_init(&conn->woken, false);
    int error = conn->wake ? op_init(&conn->reading) : (int)GetLastError();
    if (error == 0)
        error = op_init(&conn->writing);
    if (error) {
        release(conn);
        return err_sys(err, EXIT_SOCKET, errno_of(error), "%s: cannot prepare the stream", peer);
    }
    *ret = &conn->base;
    return 0;
}

/* Socket handles fit into 32 bits: Windows keeps them so for programs of both sizes. */
int conn_from_fd(int fd, const char *peer, struct conn **ret, struct err *err) {
    return conn_from_socket((SOCKET)fd, peer, ret, err);
}
