/* sockets_help.h: two ends of a stream, as conn_from_fd takes them, and bytes by hand on one of them. */
#ifndef SOCKETS_HELP_H
#define SOCKETS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static inline void sockets_pair(int fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

/* As recv and send: what there was, 0 at the end, -1. */
static inline ptrdiff_t socket_read(int fd, void *to, size_t n) {
    return recv(fd, to, n, 0);
}
static inline ptrdiff_t socket_write(int fd, const void *p, size_t n) {
    return send(fd, p, n, MSG_NOSIGNAL);
}

static inline void socket_end_reading(int fd) {
    (void)shutdown(fd, SHUT_RD);
}
static inline void socket_end_writing(int fd) {
    (void)shutdown(fd, SHUT_WR);
}
static inline void socket_close(int fd) {
    (void)close(fd);
}

#endif
