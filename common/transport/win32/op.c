#include "win.h"

#include "os/os_waits.h"

int op_init(struct op *op) {
    *op = (struct op){.overlapped = {.hEvent = event_new()}};
    return op->overlapped.hEvent ? 0 : (int)GetLastError();
}

void op_free(struct op *op) {
    if (op->overlapped.hEvent)
        (void)CloseHandle(op->overlapped.hEvent);
    op->overlapped.hEvent = NULL;
}

OVERLAPPED *op_begin(struct op *op) {
    op->overlapped = (OVERLAPPED){.hEvent = op->overlapped.hEvent};
    (void)ResetEvent(op->overlapped.hEvent);
    return &op->overlapped;
}

int op_end(struct op *op, SOCKET sock, int started, int stop, DWORD *ret_n) {
    DWORD n, flags;
    if (started && started != WSA_IO_PENDING)
        return started;
    if (stop)
        (void)CancelIoEx((HANDLE)sock, &op->overlapped);
    if (!WSAGetOverlappedResult(sock, &op->overlapped, &n, TRUE, &flags))
        return stop ? stop : WSAGetLastError();
    *ret_n = n;
    return 0;
}

int op_finish(struct op *op, SOCKET sock, int started, HANDLE wake, int64_t deadline_ms, DWORD *ret_n) {
    int64_t begin = os_wait_begin();
    int stop = started == WSA_IO_PENDING ? event_wait(op->overlapped.hEvent, wake, deadline_ms) : 0;
    os_wait_end(begin, OS_WAIT_INPUT);
    return op_end(op, sock, started, stop, ret_n);
}
