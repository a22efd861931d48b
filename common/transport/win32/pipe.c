/* One stream over two handles that know no overlapped I/O. Each has a pump: a thread that does one blocking read or
 * write after the other, as it is asked to, with a buffer of its own, so that the thread of the conn can wait for it
 * with a deadline. */
#include "win.h"

#include "os/os_waits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PUMP_BYTES = 64 * 1024,
    FINISH_MS = 1000, /* for a write that has begun when the conn is woken, and for a pump to end */
    CANCEL_EVERY_MS = 10,
};

/* Between `asked` and `done` everything else belongs to the pump's thread, otherwise to the conn's. */
struct pump {
    HANDLE file;
    HANDLE asked, done;
    bool busy; /* the conn's side: asked, and `done` not seen yet */
    bool quit;
    DWORD n; /* bytes in `bytes` */
    DWORD at; /* reading: of those, taken by the conn */
    DWORD error; /* of the last read or write */
    struct os_thread thread;
    uint8_t bytes[PUMP_BYTES];
};

struct pipe_conn {
    struct conn base;
    struct pump *in, *out;
    HANDLE wake;
    atomic_bool woken; /* set before `wake` is */
    void *owner;
};

static void pump_read(struct pump *pump) {
    pump->at = 0;
    pump->error = ReadFile(pump->file, pump->bytes, PUMP_BYTES, &pump->n, NULL) ? 0 : GetLastError();
    if (pump->error)
        pump->n = 0;
    if (pump->error == ERROR_BROKEN_PIPE || pump->error == ERROR_HANDLE_EOF)
        pump->error = 0;
}

static void pump_write(struct pump *pump) {
    DWORD at = 0, n;
    pump->error = 0;
    while (at < pump->n && pump->error == 0) {
        if (WriteFile(pump->file, pump->bytes + at, pump->n - at, &n, NULL))
            at += n;
        else
            pump->error = GetLastError();
    }
}

static void pump_run(struct pump *pump, void (*work)(struct pump *pump)) {
    for (;;) {
        (void)WaitForSingleObject(pump->asked, INFINITE);
        (void)ResetEvent(pump->asked);
        if (pump->quit)
            break;
        work(pump);
        (void)SetEvent(pump->done);
    }
    (void)SetEvent(pump->done);
}

static void *read_main(void *arg) {
    pump_run(arg, pump_read);
    return NULL;
}

static void *write_main(void *arg) {
    pump_run(arg, pump_write);
    return NULL;
}

static void pump_free(struct pump *pump) {
    (void)CloseHandle(pump->file);
    if (pump->asked)
        (void)CloseHandle(pump->asked);
    if (pump->done)
        (void)CloseHandle(pump->done);
    free(pump);
}

/* Takes the file over, also on failure. */
static int pump_new(HANDLE file, void *(*main)(void *arg), struct pump **ret, struct err *err) {
    struct pump *pump = calloc(1, sizeof *pump);
    if (pump == NULL) {
        (void)CloseHandle(file);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    pump->file = file;
    pump->asked = event_new();
    pump->done = event_new();
    bool made = pump->asked && pump->done;
    if (!made)
        (void)err_sys(err, EXIT_SOCKET, errno_of((int)GetLastError()), "cannot prepare the stream");
    if (!made || os_thread_start(&pump->thread, "pipe", main, pump, err)) {
        pump_free(pump);
        return -1;
    }
    *ret = pump;
    return 0;
}

static void pump_ask(struct pump *pump) {
    pump->busy = true;
    (void)SetEvent(pump->asked);
}

/* What was asked is done. */
static void pump_seen(struct pump *pump) {
    pump->busy = false;
    (void)ResetEvent(pump->done);
}

/* A read or write that hangs is cancelled. Should even that not help within FINISH_MS, the pump stays behind: the
 * system would wait for its thread in CloseHandle, too. */
static void pump_end(struct pump *pump) {
    if (pump == NULL)
        return;
    int64_t deadline_ms = deadline_after(FINISH_MS);
    bool done = !pump->busy;
    while (!done && deadline_left(deadline_ms) != 0) {
        (void)CancelSynchronousIo(pump->thread.handle);
        done = WaitForSingleObject(pump->done, CANCEL_EVERY_MS) == WAIT_OBJECT_0;
    }
    if (!done)
        return;
    pump->quit = true;
    (void)SetEvent(pump->asked);
    os_thread_join(&pump->thread);
    pump_free(pump);
}

static int woken(struct err *err) {
    return err_set(err, EXIT_SIGNAL, "interrupted");
}

static int stopped(const struct pipe_conn *conn, int stop, int timeout_ms, const char *did, struct err *err) {
    if (stop == STOP_WOKEN)
        return woken(err);
    if (stop == STOP_DEADLINE)
        return err_set(err, EXIT_TIMEOUT,
                       "%s: the other end %s for %g s; see whether it is alive, or raise --timeout",
                       conn->base.peer, did, timeout_ms / 1000.0);
    return err_sys(err, EXIT_SOCKET, errno_of(stop), "%s: cannot wait for the stream", conn->base.peer);
}

ptrdiff_t pipe_conn_read(struct conn *base, void *to, size_t n, int timeout_ms, struct err *err) {
    struct pipe_conn *conn = (struct pipe_conn *)base;
    struct pump *in = conn->in;
    if (atomic_load(&conn->woken))
        return woken(err);
    if (!in->busy && in->at == in->n)
        pump_ask(in);
    if (in->busy) {
        int64_t begin = os_wait_begin();
        int stop = event_wait(in->done, conn->wake, deadline_after(timeout_ms));
        os_wait_end(begin, OS_WAIT_INPUT);
        if (stop)
            return stopped(conn, stop, timeout_ms, "sent nothing", err);
        pump_seen(in);
    }
    if (in->error)
        return err_sys(err, EXIT_SOCKET, errno_of((int)in->error), "%s: reading from the stream failed",
                       base->peer);
    size_t left = in->n - in->at;
    n = n < left ? n : left;
    memcpy(to, in->bytes + in->at, n);
    in->at += (DWORD)n;
    return (ptrdiff_t)n;
}

/* As await_write of conn.c. */
static int await_write(struct pipe_conn *conn, int timeout_ms, int64_t *finish_by) {
    int64_t begin = os_wait_begin();
    int stop = *finish_by ? STOP_WOKEN : event_wait(conn->out->done, conn->wake, deadline_after(timeout_ms));
    os_wait_end(begin, OS_WAIT_OUTPUT);
    if (stop == STOP_WOKEN) {
        if (*finish_by == 0)
            *finish_by = deadline_after(FINISH_MS);
        stop = event_wait(conn->out->done, NULL, *finish_by) == 0 ? 0 : STOP_WOKEN;
    }
    if (stop == 0)
        pump_seen(conn->out);
    return stop;
}

/* Gives the pump the next `n` bytes from `p`. 0, or -1 and err. */
static int write_some(struct pipe_conn *conn, const uint8_t *p, size_t n, int timeout_ms, int64_t *finish_by,
                      struct err *err) {
    memcpy(conn->out->bytes, p, n);
    conn->out->n = (DWORD)n;
    pump_ask(conn->out);
    int stop = await_write(conn, timeout_ms, finish_by);
    if (stop)
        return stopped(conn, stop, timeout_ms, "took nothing", err);
    if (conn->out->error)
        return err_sys(err, EXIT_SOCKET, errno_of((int)conn->out->error),
                       "%s: writing to the stream failed (the other end may say why)", conn->base.peer);
    return 0;
}

int pipe_conn_writev(struct conn *base, const struct span *parts, size_t count, int timeout_ms,
                     struct err *err) {
    struct pipe_conn *conn = (struct pipe_conn *)base;
    int64_t finish_by = 0;
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].n;
    if (total && atomic_load(&conn->woken))
        return err_sys(err, EXIT_SIGNAL, ECANCELED, "interrupted");
    if (total && conn->out->busy) { /* an earlier write hangs: its bytes are on their way, and order counts */
        int stop = await_write(conn, timeout_ms, &finish_by);
        if (stop)
            return stopped(conn, stop, timeout_ms, "took nothing", err);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < parts[i].n;) {
            size_t n = parts[i].n - at < PUMP_BYTES ? parts[i].n - at : PUMP_BYTES;
            if (write_some(conn, parts[i].p + at, n, timeout_ms, &finish_by, err))
                return -1;
            at += n;
        }
    return 0;
}

void pipe_conn_wake(struct conn *base) {
    struct pipe_conn *conn = (struct pipe_conn *)base;
    atomic_store(&conn->woken, true);
    (void)SetEvent(conn->wake);
}

void pipe_conn_resume(struct conn *base) {
    struct pipe_conn *conn = (struct pipe_conn *)base;
    (void)ResetEvent(conn->wake);
    atomic_store(&conn->woken, false);
}

struct conn *pipe_conn_base(struct pipe_conn *conn) {
    return &conn->base;
}

void *pipe_conn_owner(struct conn *base) {
    return ((struct pipe_conn *)base)->owner;
}

bool pipe_conn_is_woken(struct conn *base) {
    return atomic_load(&((struct pipe_conn *)base)->woken);
}

void pipe_conn_release(struct conn *base) {
    struct pipe_conn *conn = (struct pipe_conn *)base;
    pump_end(conn->out);
    pump_end(conn->in);
    (void)CloseHandle(conn->wake);
    free(conn);
}

int pipe_conn_new(HANDLE in, HANDLE out, const char *peer, const struct conn_ops *ops, void *owner,
                  struct pipe_conn **ret, struct err *err) {
    struct pipe_conn *conn = calloc(1, sizeof *conn);
    HANDLE wake = event_new();
    if (conn == NULL || wake == NULL) {
        (void)CloseHandle(in);
        (void)CloseHandle(out);
        if (wake)
            (void)CloseHandle(wake);
        free(conn);
        return err_set(err, EXIT_MEMORY, "%s: out of memory", peer);
    }
    conn->base.ops = ops;
    (void)snprintf(conn->base.peer, sizeof conn->base.peer, "%s", peer);
    conn->wake = wake;
    conn->owner = owner;
    atomic_init(&conn->woken, false);
    int result = pump_new(in, read_main, &conn->in, err);
    if (result)
        (void)CloseHandle(out);
    else
        result = pump_new(out, write_main, &conn->out, err);
    if (result) {
        pipe_conn_release(&conn->base);
        return err_wrap(err, "%s", peer);
    }
    *ret = conn;
    return 0;
}
