#include "win.h"

#include <mswsock.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    PAUSE_MS = 50, /* after an incoming stream failed, which may pass */
    ADDRESS_BYTES = sizeof(struct sockaddr_storage) + 16, /* AcceptEx wants 16 more */
};

struct listener {
    SOCKET sock;
    HANDLE wake;
    atomic_bool woken;
    struct op accepting;
    LPFN_ACCEPTEX accept_ex;
    const struct listener_kind *kind;
    char text[PEER_TEXT_MAX]; /* the address, safe to print */
    uint8_t addresses[2 * ADDRESS_BYTES]; /* AcceptEx writes both ends' here */
};

static int prepare(struct listener *listener) {
    GUID id = WSAID_ACCEPTEX;
    DWORD n;
    if (listen(listener->sock, LISTEN_BACKLOG) ||
        WSAIoctl(listener->sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &listener->accept_ex,
                 sizeof listener->accept_ex, &n, NULL, NULL))
        return WSAGetLastError();
    listener->wake = event_new();
    return listener->wake ? op_init(&listener->accepting) : (int)GetLastError();
}

int listener_from_socket(SOCKET sock, const char *text, const struct listener_kind *kind,
                         struct listener **ret, struct err *err) {
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        (void)closesocket(sock);
        return err_set(err, EXIT_MEMORY, "%s: out of memory", text);
    }
    listener->sock = sock;
    listener->kind = kind;
    atomic_init(&listener->woken, false);
    (void)snprintf(listener->text, sizeof listener->text, "%s", text);
    int error = prepare(listener);
    if (error) {
        listener_close(listener);
        return err_sys(err, EXIT_SOCKET, errno_of(error), "%s: cannot listen", text);
    }
    *ret = listener;
    return 0;
}

/* What went wrong with one incoming stream only, or will be better later: accept, AcceptEx. */
static bool is_passing(int error) {
    switch (error) {
    case ERROR_NETNAME_DELETED:
    case ERROR_SEM_TIMEOUT:
    case ERROR_CONNECTION_ABORTED:
    case WSAECONNRESET:
    case WSAECONNABORTED:
    case WSAENETDOWN:
    case WSAENETUNREACH:
    case WSAEHOSTUNREACH:
    case WSAETIMEDOUT:
    case WSAEMFILE:
    case WSAENOBUFS:
    case ERROR_NOT_ENOUGH_MEMORY: return true;
    default: return false;
    }
}

/* A socket that AcceptEx has connected becomes a conn. 0 or an error number; takes the socket over. */
static int admit(struct listener *listener, SOCKET sock, struct conn **ret) {
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    int n = sizeof from;
    if (setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&listener->sock,
                   sizeof listener->sock)) {
        int error = WSAGetLastError();
        (void)closesocket(sock);
        return error;
    }
    if (getpeername(sock, (struct sockaddr *)&from, &n))
        n = 0;
    if (conn_from_socket(sock, listener->text, ret, NULL))
        return ERROR_NOT_ENOUGH_MEMORY;
    listener->kind->admit(*ret, sock, &from, n);
    return 0;
}

/* The next stream. 0 or an error number. */
static int accept_one(struct listener *listener, int64_t deadline_ms, struct conn **ret) {
    const struct listener_kind *kind = listener->kind;
    SOCKET sock;
    DWORD n;
    int error = sock_open(kind->family, kind->protocol, kind->transport, &sock);
    if (error)
        return error;
    int started = listener->accept_ex(listener->sock, sock, listener->addresses, 0, ADDRESS_BYTES,
                                      ADDRESS_BYTES, &n, op_begin(&listener->accepting))
                      ? 0
                      : WSAGetLastError();
    error = op_finish(&listener->accepting, listener->sock, started, listener->wake, deadline_ms, &n);
    if (error == 0)
        return admit(listener, sock, ret);
    (void)closesocket(sock);
    return error;
}

/* 0 when it is time for another try. */
static int pause_after(const struct listener *listener, int64_t deadline_ms) {
    int64_t pause_ms = deadline_after(PAUSE_MS);
    int stop = event_wait(NULL, listener->wake, pause_ms < deadline_ms ? pause_ms : deadline_ms);
    return stop == STOP_DEADLINE && deadline_left(deadline_ms) != 0 ? 0 : stop;
}

int listener_accept(struct listener *listener, int timeout_ms, struct conn **ret, struct err *err) {
    int64_t deadline_ms = deadline_after(timeout_ms);
    int error = 0;
    while (error == 0) {
        if (atomic_load(&listener->woken)) {
            error = STOP_WOKEN;
            break;
        }
        error = accept_one(listener, deadline_ms, ret);
        if (error == 0)
            return 0;
        if (is_passing(error))
            error = pause_after(listener, deadline_ms);
    }
    if (error == STOP_WOKEN)
        return err_set(err, EXIT_SIGNAL, "%s: interrupted while listening", listener->text);
    if (error == STOP_DEADLINE)
        return err_set(err, EXIT_TIMEOUT, "%s: nobody connected in time", listener->text);
    return err_sys(err, EXIT_SOCKET, errno_of(error), "%s: cannot accept", listener->text);
}

void listener_wake(struct listener *listener) {
    atomic_store(&listener->woken, true);
    (void)SetEvent(listener->wake);
}

bool listener_file_dir(const struct listener *listener, struct os_dir *ret) {
    (void)listener;
    (void)ret;
    return false;
}

void listener_close(struct listener *listener) {
    if (listener == NULL)
        return;
    (void)closesocket(listener->sock);
    op_free(&listener->accepting);
    if (listener->wake)
        (void)CloseHandle(listener->wake);
    free(listener);
}
