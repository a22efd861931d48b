/* --stdio: what exec: started on the far side. */
#include "transport/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int stdio_close(struct conn *base, struct err *err) {
    (void)err;
    fd_conn_release((struct fd_conn *)base);
    free(base);
    return 0;
}

static const struct conn_ops stdio_ops = {fd_conn_read, fd_conn_writev, fd_conn_wake, fd_conn_resume,
                                          stdio_close};

static int open_null(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static int put_at(int fd, int place) {
    int result;
    do
        result = dup2(fd, place);
    while (result < 0 && errno == EINTR);
    return result;
}

/* The stream moves to descriptors of its own, and /dev/null takes the old places: nothing that prints can
 * break into the stream, no child inherits it, and closing it is seen by the other end at once. */
static int take_over(int *ret_in, int *ret_out) {
    int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int out = in < 0 ? -1 : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int null = out < 0 ? -1 : open_null();
    if (null < 0 || put_at(null, STDIN_FILENO) < 0 || put_at(null, STDOUT_FILENO) < 0) {
        int sys = errno;
        const int opened[] = {in, out, null};
        for (size_t i = 0; i < 3; i++)
            if (opened[i] >= 0)
                (void)close(opened[i]);
        return sys;
    }
    (void)close(null);
    *ret_in = in;
    *ret_out = out;
    return 0;
}

int conn_stdio(struct conn **ret, struct err *err) {
    if (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO))
        return err_set(err, EXIT_USAGE,
                       "stdio: this is a terminal; --stdio is for the command that the other end "
                       "starts with exec:");
    struct fd_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return err_set(err, EXIT_MEMORY, "stdio: out of memory");
    int in = -1, out = -1, sys = take_over(&in, &out);
    if (sys) {
        free(conn);
        return err_sys(err, EXIT_SOCKET, sys, "stdio: stdin or stdout cannot be used");
    }
    if (fd_conn_init(conn, in, out, "stdio", &stdio_ops, err)) {
        free(conn);
        return -1;
    }
    *ret = &conn->base;
    return 0;
}
