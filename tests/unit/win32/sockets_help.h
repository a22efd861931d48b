/* sockets_help.h: two ends of a stream, as conn_from_fd takes them, and bytes by hand on one of them. */
#ifndef SOCKETS_HELP_H
#define SOCKETS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <winsock2.h>

#include <windows.h>

#include <cmocka.h>

static inline SOCKET socket_new(void) {
    SOCKET s = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    assert_true(s != INVALID_SOCKET);
    return s;
}

/* Over TCP: there is nothing else. */
static inline void sockets_pair(int fds[2]) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int n = sizeof in;
    WSADATA data;
    assert_int_equal(WSAStartup(MAKEWORD(2, 2), &data), 0);
    SOCKET listener = socket_new(), dialled = socket_new();
    assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &n), 0);
    assert_int_equal(connect(dialled, (struct sockaddr *)&in, sizeof in), 0);
    SOCKET accepted = accept(listener, NULL, NULL);
    assert_true(accepted != INVALID_SOCKET);
    assert_int_equal(closesocket(listener), 0);
    for (int i = 0; i < 2; i++) {
        const BOOL now = TRUE;
        SOCKET s = i ? accepted : dialled;
        (void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, (const char *)&now, sizeof now);
        fds[i] = (int)s;
    }
}

/* Until there is something to do, or for a while: a shutdown by another thread wakes nobody in Wine. */
static inline void socket_await(int fd, short events) {
    enum { LOOK_EVERY_MS = 20 };
    u_long no_waiting = 1;
    WSAPOLLFD wait = {.fd = (SOCKET)fd, .events = events};
    (void)ioctlsocket((SOCKET)fd, (long)FIONBIO, &no_waiting);
    (void)WSAPoll(&wait, 1, LOOK_EVERY_MS);
}

/* As recv and send: what there was, 0 at the end, -1. */
static inline ptrdiff_t socket_read(int fd, void *to, size_t n) {
    int got;
    do {
        socket_await(fd, POLLRDNORM);
        got = recv((SOCKET)fd, to, (int)n, 0);
    } while (got < 0 && WSAGetLastError() == WSAEWOULDBLOCK);
    return got;
}
static inline ptrdiff_t socket_write(int fd, const void *p, size_t n) {
    int put;
    do {
        socket_await(fd, POLLWRNORM);
        put = send((SOCKET)fd, p, (int)n, 0);
    } while (put < 0 && WSAGetLastError() == WSAEWOULDBLOCK);
    return put;
}

static inline void socket_end_reading(int fd) {
    (void)shutdown((SOCKET)fd, SD_RECEIVE);
}
static inline void socket_end_writing(int fd) {
    (void)shutdown((SOCKET)fd, SD_SEND);
}
static inline void socket_close(int fd) {
    (void)closesocket((SOCKET)fd);
}

#endif
