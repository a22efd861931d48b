#include "win.h"

#include <mswsock.h>

#include <errno.h>
#include <string.h>

static BOOL CALLBACK start_winsock(INIT_ONCE *once, void *arg, void **context) {
    (void)once;
    (void)context;
    WSADATA data;
    *(int *)arg = WSAStartup(MAKEWORD(2, 2), &data);
    return *(int *)arg == 0;
}

/* Winsock is started by the first socket, and left running. */
static int need_winsock(void) {
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    int error = WSASYSNOTREADY;
    return InitOnceExecuteOnce(&once, start_winsock, &error, NULL) ? 0 : error;
}

int sock_open(int family, int protocol, const struct transport *transport, SOCKET *ret) {
    int error = need_winsock();
    if (error)
        return error;
    SOCKET sock =
        WSASocketW(family, SOCK_STREAM, protocol, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return WSAGetLastError();
    const int send = transport->send_bytes, receive = transport->receive_bytes;
    if (send)
        (void)setsockopt(sock, SOL_SOCKET, SO_SNDBUF, (const char *)&send, sizeof send);
    if (receive)
        (void)setsockopt(sock, SOL_SOCKET, SO_RCVBUF, (const char *)&receive, sizeof receive);
    *ret = sock;
    return 0;
}

/* ConnectEx is found by its socket's provider. */
static int find_connect_ex(SOCKET sock, LPFN_CONNECTEX *ret) {
    GUID id = WSAID_CONNECTEX;
    DWORD n;
    return WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, ret, sizeof *ret, &n, NULL,
                    NULL)
               ? WSAGetLastError()
               : 0;
}

int sock_connect(SOCKET sock, const struct sockaddr *to, int n, const struct dial_bounds *bounds) {
    LPFN_CONNECTEX connect_ex;
    struct op op;
    DWORD sent;
    int error = find_connect_ex(sock, &connect_ex);
    if (error)
        return error;
    error = op_init(&op);
    if (error)
        return error;
    int started = connect_ex(sock, to, n, NULL, 0, NULL, op_begin(&op)) ? 0 : WSAGetLastError();
    error = op_finish(&op, sock, started, bounds->waker ? bounds->waker->event : NULL, bounds->deadline_ms,
                      &sent);
    op_free(&op);
    if (error == 0 && setsockopt(sock, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0))
        error = WSAGetLastError();
    return error;
}

int dial_failed(const char *text, int error, const char *advice, struct err *err) {
    int sys = errno_of(error);
    if (sys == ECANCELED)
        return err_set(err, EXIT_SIGNAL, "%s: interrupted while connecting", text);
    return err_sys(err, sys == ETIMEDOUT ? EXIT_CONNECT_TIMEOUT : EXIT_SOCKET, sys, "%s: %s", text, advice);
}

bool sock_is_early(int sys) {
    return sys == ECONNREFUSED;
}
