#include "transport/fd.h"

#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

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

int fd_wait(int fd, short events, int wake, int64_t deadline_ms) {
    struct pollfd set[2] = {{.fd = wake, .events = POLLIN}, {.fd = fd, .events = events}};
    int n;
    do
        n = poll(set, 2, deadline_left(deadline_ms));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    if (n == 0)
        return ETIMEDOUT;
    return set[0].revents ? ECANCELED : 0;
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

int sock_connect_finish(int fd, int started, int64_t deadline_ms) {
    if (started != EINPROGRESS && started != EINTR)
        return started;
    int sys = fd_wait(fd, POLLOUT, -1, deadline_ms);
    if (sys)
        return sys;
    socklen_t n = sizeof sys;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &n) ? errno : sys;
}

int sock_connect(int fd, const struct sockaddr *to, socklen_t n, int64_t deadline_ms) {
    int sys = connect(fd, to, n) ? errno : 0;
    while (sys == EAGAIN && deadline_left(deadline_ms) != 0) {
        int64_t pause_ms = deadline_after(RETRY_MS);
        (void)fd_wait(-1, 0, -1, pause_ms < deadline_ms ? pause_ms : deadline_ms);
        sys = connect(fd, to, n) ? errno : 0;
    }
    return sys == EAGAIN ? ETIMEDOUT : sock_connect_finish(fd, sys, deadline_ms);
}

int dial_exit_code(int sys) {
    return sys == ETIMEDOUT ? EXIT_CONNECT_TIMEOUT : EXIT_SOCKET;
}
