/* --stdio: what exec: started on the far side. */
#include "win.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>

enum { FD_IN = 0, FD_OUT = 1 };

static int stdio_close(struct conn *base, struct err *err) {
    (void)err;
    pipe_conn_release(base);
    return 0;
}

static const struct conn_ops stdio_ops = {pipe_conn_read, pipe_conn_writev, pipe_conn_wake, pipe_conn_resume,
                                          stdio_close};

static bool is_console(DWORD which) {
    DWORD mode;
    return GetConsoleMode(GetStdHandle(which), &mode) != 0;
}

/* A handle of our own that no child inherits; NULL and GetLastError. */
static HANDLE copy_of(DWORD which) {
    HANDLE self = GetCurrentProcess(), copy;
    return DuplicateHandle(self, GetStdHandle(which), self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) ? copy
                                                                                                    : NULL;
}

/* NUL takes the place of both: nothing that prints can break into the stream, and closing it is seen by the other
 * end at once. */
static void leave_nothing_behind(void) {
    int nul = _open("NUL", _O_RDWR | _O_BINARY | _O_NOINHERIT);
    if (nul < 0)
        return;
    (void)_dup2(nul, FD_IN);
    (void)_dup2(nul, FD_OUT);
    (void)_close(nul);
}

int conn_stdio(struct conn **ret, struct err *err) {
    if (is_console(STD_INPUT_HANDLE) || is_console(STD_OUTPUT_HANDLE))
        return err_set(err, EXIT_USAGE,
                       "stdio: this is a console; --stdio is for the command that the other end "
                       "starts with exec:");
    HANDLE in = copy_of(STD_INPUT_HANDLE), out = in ? copy_of(STD_OUTPUT_HANDLE) : NULL;
    if (out == NULL) {
        int sys = errno_of((int)GetLastError());
        if (in)
            (void)CloseHandle(in);
        return err_sys(err, EXIT_SOCKET, sys, "stdio: stdin or stdout cannot be used");
    }
    struct pipe_conn *conn;
    if (pipe_conn_new(in, out, "stdio", &stdio_ops, NULL, &conn, err))
        return -1;
    leave_nothing_behind();
    *ret = pipe_conn_base(conn);
    return 0;
}
