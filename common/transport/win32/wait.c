#include "win.h"

#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

int64_t deadline_after(int timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : os_now_ms() + timeout_ms;
}

int deadline_left(int64_t deadline_ms) {
    if (deadline_ms == INT64_MAX)
        return -1;
    int64_t left = deadline_ms - os_now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

HANDLE event_new(void) {
    return CreateEventW(NULL, TRUE, FALSE, NULL);
}

/* The event comes first: what has happened counts more than that nobody wants it. */
int event_wait(HANDLE event, HANDLE wake, int64_t deadline_ms) {
    HANDLE set[2];
    DWORD n = 0, got;
    if (event)
        set[n++] = event;
    if (wake)
        set[n++] = wake;
    do {
        int left = deadline_left(deadline_ms);
        if (n == 0)
            Sleep(left < 0 ? INFINITE : (DWORD)left);
        got =
            n == 0 ? WAIT_TIMEOUT : WaitForMultipleObjects(n, set, FALSE, left < 0 ? INFINITE : (DWORD)left);
    } while (got == WAIT_TIMEOUT && deadline_left(deadline_ms) != 0);
    if (got == WAIT_TIMEOUT)
        return STOP_DEADLINE;
    if (got >= WAIT_OBJECT_0 + n)
        return (int)GetLastError();
    return set[got - WAIT_OBJECT_0] == event ? 0 : STOP_WOKEN;
}

/* Winsock's numbers, and those that overlapped operations end with instead. */
static const struct {
    int error, sys;
} errors[] = {
    {STOP_DEADLINE, ETIMEDOUT},
    {STOP_WOKEN, ECANCELED},
    {ERROR_FILE_NOT_FOUND, ENOENT},
    {ERROR_PATH_NOT_FOUND, ENOENT},
    {ERROR_ACCESS_DENIED, EACCES},
    {ERROR_INVALID_HANDLE, EBADF},
    {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
    {ERROR_OUTOFMEMORY, ENOMEM},
    {ERROR_NETNAME_DELETED, ECONNRESET},
    {ERROR_BROKEN_PIPE, EPIPE},
    {ERROR_NO_DATA, EPIPE},
    {ERROR_SEM_TIMEOUT, ETIMEDOUT},
    {ERROR_CONNECTION_REFUSED, ECONNREFUSED},
    {ERROR_PORT_UNREACHABLE, ECONNREFUSED},
    {ERROR_NETWORK_UNREACHABLE, ENETUNREACH},
    {ERROR_HOST_UNREACHABLE, EHOSTUNREACH},
    {ERROR_CONNECTION_ABORTED, ECONNABORTED},
    {WSAEINTR, EINTR},
    {WSAEBADF, EBADF},
    {WSAEACCES, EACCES},
    {WSAEFAULT, EINVAL},
    {WSAEINVAL, EINVAL},
    {WSAEMFILE, EMFILE},
    {WSAENOTSOCK, ENOTSOCK},
    {WSAENOPROTOOPT, ENOPROTOOPT},
    {WSAEPROTONOSUPPORT, EPROTONOSUPPORT},
    {WSAESOCKTNOSUPPORT, EPROTONOSUPPORT},
    {WSAEOPNOTSUPP, EOPNOTSUPP},
    {WSAEAFNOSUPPORT, EAFNOSUPPORT},
    {WSAEADDRINUSE, EADDRINUSE},
    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL},
    {WSAENETDOWN, ENETDOWN},
    {WSAENETUNREACH, ENETUNREACH},
    {WSAENETRESET, ECONNRESET},
    {WSAECONNABORTED, ECONNABORTED},
    {WSAECONNRESET, ECONNRESET},
    {WSAENOBUFS, ENOBUFS},
    {WSAENOTCONN, ENOTCONN},
    {WSAESHUTDOWN, EPIPE},
    {WSAETIMEDOUT, ETIMEDOUT},
    {WSAECONNREFUSED, ECONNREFUSED},
    {WSAEHOSTDOWN, EHOSTUNREACH},
    {WSAEHOSTUNREACH, EHOSTUNREACH},
    {WSAEDISCON, ECONNRESET},
};

int errno_of(int error) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].error == error)
            return errors[i].sys;
    return EIO;
}

int waker_new(struct waker **ret, struct err *err) {
    struct waker *waker = malloc(sizeof *waker);
    if (waker == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    waker->event = event_new();
    if (waker->event == NULL) {
        free(waker);
        return err_sys(err, EXIT_SOCKET, errno_of((int)GetLastError()), "cannot prepare to connect");
    }
    *ret = waker;
    return 0;
}

void waker_wake(struct waker *waker) {
    (void)SetEvent(waker->event);
}

bool waker_pause(struct waker *waker, int64_t deadline_ms) {
    return event_wait(NULL, waker->event, deadline_ms) != STOP_WOKEN;
}

void waker_free(struct waker *waker) {
    if (waker == NULL)
        return;
    (void)CloseHandle(waker->event);
    free(waker);
}
