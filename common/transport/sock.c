#include "transport/fd.h"

#include "os/os_waits.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RETRY_MS = 10 }; /* between two tries at a full backlog: no event tells when there is room */

int64_t deadline_after(int timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : os_now_ms() + timeout_ms;
}

int deadline_left(int64_t deadline_ms) {
    if (deadline_ms == INT64_MAX)
        return -1;
    int64_t left = deadline_ms - os_now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int poll_once(int fd, short events, int wake, int timeout_ms) {
    struct pollfd set[2] = {{.fd = wake, .events = POLLIN}, {.fd = fd, .events = events}};
    int n = poll(set, 2, timeout_ms);
    if (n < 0)
        return errno;
    if (n == 0)
        return ETIMEDOUT;
    return set[0].revents ? ECANCELED : 0;
}

int fd_wait(int fd, short events, int wake, int64_t deadline_ms) {
    int sys;
    do
        sys = poll_once(fd, events, wake, deadline_left(deadline_ms));
    while (sys == EINTR);
    return sys;
}

int fd_wait_counted(int fd, short events, int wake, int timeout_ms) {
    int64_t begin = os_wait_begin();
    int sys = poll_once(fd, events, wake, timeout_ms);
    if (sys == EINTR)
        sys = fd_wait(fd, events, wake, deadline_after(timeout_ms));
    os_wait_end(begin, events == POLLIN ? OS_WAIT_INPUT : OS_WAIT_OUTPUT);
    return sys;
}

void sock_set_buffers(int fd, const struct transport *transport) {
    /* The system cuts what exceeds net.core.*mem_max; a smaller buffer is slower, not wrong. */
    const int send = transport->send_bytes, receive = transport->receive_bytes;
    if (send)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
    if (receive)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
}

int sock_open(int family, const struct transport *transport) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        sock_set_buffers(fd, transport);
    return fd;
}

int dial_wait(int fd, short events, const struct dial_bounds *bounds) {
    return fd_wait(fd, events, bounds->waker ? bounds->waker->fd : -1, bounds->deadline_ms);
}

int sock_connect_finish(int fd, int started, const struct dial_bounds *bounds) {
    if (started != EINPROGRESS && started != EINTR)
        return started;
    int sys = dial_wait(fd, POLLOUT, bounds);
    if (sys)
        return sys;
    socklen_t n = sizeof sys;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &n) ? errno : sys;
}

/* Until there may be room in a full backlog. 0, or as dial_wait. */
static int wait_for_room(const struct dial_bounds *bounds) {
    struct dial_bounds pause = {deadline_after(RETRY_MS), bounds->waker};
    if (pause.deadline_ms >= bounds->deadline_ms)
        return dial_wait(-1, 0, bounds);
    int sys = dial_wait(-1, 0, &pause);
    return sys == ETIMEDOUT ? 0 : sys;
}

int sock_connect(int fd, const struct sockaddr *to, socklen_t n, const struct dial_bounds *bounds) {
    int sys = connect(fd, to, n) ? errno : 0;
    while (sys == EAGAIN) {
        sys = wait_for_room(bounds);
        if (sys == 0)
            sys = connect(fd, to, n) ? errno : 0;
    }
    return sock_connect_finish(fd, sys, bounds);
}

int dial_failed(const char *text, int sys, const char *advice, struct err *err) {
    if (sys == ECANCELED)
        return err_set(err, EXIT_SIGNAL, "%s: interrupted while connecting", text);
    return err_sys(err, sys == ETIMEDOUT ? EXIT_CONNECT_TIMEOUT : EXIT_SOCKET, sys, "%s: %s", text, advice);
}

bool sock_is_early(int sys) {
    return sys == ECONNREFUSED || sys == ENOENT;
}

int waker_new(struct waker **ret, struct err *err) {
    struct waker *waker = malloc(sizeof *waker);
    if (waker == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    waker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waker->fd < 0) {
        free(waker);
        return err_sys(err, EXIT_SOCKET, errno, "cannot prepare to connect");
    }
    *ret = waker;
    return 0;
}

void waker_wake(struct waker *waker) {
    (void)eventfd_write(waker->fd, 1); /* when full, it is readable already */
}

bool waker_pause(struct waker *waker, int64_t deadline_ms) {
    return fd_wait(-1, 0, waker->fd, deadline_ms) != ECANCELED;
}

void waker_free(struct waker *waker) {
    if (waker == NULL)
        return;
    (void)close(waker->fd);
    free(waker);
}
