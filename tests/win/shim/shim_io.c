/* Connecting, accepting, reading and writing. */
#include "shim.h"

#include <string.h>

enum { BUFFERS_MAX = 64 };

static LPFN_CONNECTEX real_connect_ex;
static LPFN_ACCEPTEX real_accept_ex;

static bool is_one_vm(const GUID *vm) {
    GUID extra;
    return IsEqualGUID(vm, &HV_GUID_PARENT) || IsEqualGUID(vm, &HV_GUID_LOOPBACK) ||
           IsEqualGUID(vm, &HV_GUID_SILOHOST) || (knob_guid("HVSHIM_VM", &extra) && IsEqualGUID(vm, &extra));
}

/* The error that the knobs want of this connect, or 0. */
static int wanted_error(void) {
    static LONG count;
    long first = knob("HVSHIM_CONNECT_FAILS"), error = knob("HVSHIM_CONNECT_ERROR");
    return error && (first == 0 || InterlockedIncrement(&count) <= first) ? (int)error : 0;
}

/* An operation on `sock` that only a cancellation ends: it is connected to a listener of our own that stays silent,
 * and reads. */
static BOOL hang(SOCKET sock, OVERLAPPED *overlapped) {
    static char nowhere;
    WSABUF buf = {.buf = &nowhere, .len = 1};
    DWORD flags = 0;
    struct sockaddr_in in = hv_loopback();
    int n = sizeof in;
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == INVALID_SOCKET || bind(listener, (struct sockaddr *)&in, sizeof in) ||
        listen(listener, 1) || getsockname(listener, (struct sockaddr *)&in, &n) ||
        connect(sock, (struct sockaddr *)&in, sizeof in))
        return FALSE;
    return WSARecv(sock, &buf, 1, NULL, &flags, overlapped, NULL) == 0;
}

static BOOL PASCAL connect_ex(SOCKET sock, const struct sockaddr *to, int n, void *data, DWORD data_n,
                              DWORD *sent, OVERLAPPED *overlapped) {
    struct hv_socket *s = hv_find(sock);
    if (s == NULL)
        return real_connect_ex(sock, to, n, data, data_n, sent, overlapped);
    const SOCKADDR_HV *hv = hv_address(to, n);
    struct sockaddr_in in;
    if (hv == NULL)
        return FALSE;
    trace("connect vm=%08lx service=%08lx timeout=%lu\n", hv->VmId.Data1, hv->ServiceId.Data1,
          s->connect_timeout_ms);
    int error = s->bound ? wanted_error() : WSAEINVAL;
    if (error == 0 && knob("HVSHIM_CONNECT_HANGS"))
        return hang(sock, overlapped);
    if (error == 0 && !is_one_vm(&hv->VmId))
        error = WSAEADDRNOTAVAIL;
    if (error == 0)
        error = hv_lookup(&hv->ServiceId, &in);
    if (error)
        return fail(error) == 0;
    s->peer = *hv;
    return real_connect_ex(sock, (const struct sockaddr *)&in, sizeof in, data, data_n, sent, overlapped);
}

static BOOL PASCAL accept_ex(SOCKET listener, SOCKET sock, void *addresses, DWORD data_n, DWORD local_n,
                             DWORD remote_n, DWORD *n, OVERLAPPED *overlapped) {
    if (hv_find(listener) && (local_n < sizeof(SOCKADDR_HV) + 16 || remote_n < sizeof(SOCKADDR_HV) + 16))
        return fail(WSAEINVAL) == 0;
    return real_accept_ex(listener, sock, addresses, data_n, local_n, remote_n, n, overlapped);
}

/* Puts a function of ours in the place of an extension function. */
static void replace(void *to, void *keep, const void *ours, size_t n) {
    memcpy(keep, to, n);
    memcpy(to, ours, n);
}

int WSAAPI shim_WSAIoctl(SOCKET sock, DWORD code, void *in, DWORD in_n, void *out, DWORD out_n, DWORD *n,
                         WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done) {
    static const GUID connect_id = WSAID_CONNECTEX, accept_id = WSAID_ACCEPTEX;
    const LPFN_CONNECTEX ours_connect = connect_ex;
    const LPFN_ACCEPTEX ours_accept = accept_ex;
    int result = WSAIoctl(sock, code, in, in_n, out, out_n, n, overlapped, done);
    if (result || code != SIO_GET_EXTENSION_FUNCTION_POINTER || in_n != sizeof(GUID) || hv_find(sock) == NULL)
        return result;
    if (memcmp(in, &connect_id, sizeof connect_id) == 0)
        replace(out, &real_connect_ex, &ours_connect, sizeof ours_connect);
    else if (memcmp(in, &accept_id, sizeof accept_id) == 0)
        replace(out, &real_accept_ex, &ours_accept, sizeof ours_accept);
    return 0;
}

/* The buffers, but at most `most` bytes of them (0: all). */
static DWORD shorten(const WSABUF *from, DWORD count, long most, WSABUF to[BUFFERS_MAX]) {
    DWORD used = 0;
    ULONG room = most > 0 ? (ULONG)most : ULONG_MAX;
    while (used < count && used < BUFFERS_MAX && room > 0) {
        to[used] = from[used];
        if (to[used].len > room)
            to[used].len = room;
        room -= to[used].len;
        used++;
    }
    return used;
}

int WSAAPI shim_WSARecv(SOCKET sock, WSABUF *bufs, DWORD count, DWORD *n, DWORD *flags,
                        WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done) {
    struct hv_socket *s = hv_find(sock);
    WSABUF some[BUFFERS_MAX];
    if (s == NULL)
        return WSARecv(sock, bufs, count, n, flags, overlapped, done);
    if (*flags)
        return fail(WSAEOPNOTSUPP);
    s->reading = overlapped;
    return WSARecv(sock, some, shorten(bufs, count, knob("HVSHIM_READ_MAX"), some), n, flags, overlapped,
                   done);
}

int WSAAPI shim_WSASend(SOCKET sock, WSABUF *bufs, DWORD count, DWORD *n, DWORD flags,
                        WSAOVERLAPPED *overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE done) {
    WSABUF some[BUFFERS_MAX];
    if (hv_find(sock) == NULL)
        return WSASend(sock, bufs, count, n, flags, overlapped, done);
    if (flags)
        return fail(WSAEOPNOTSUPP);
    return WSASend(sock, some, shorten(bufs, count, knob("HVSHIM_WRITE_MAX"), some), n, flags, overlapped,
                   done);
}

BOOL WSAAPI shim_WSAGetOverlappedResult(SOCKET sock, WSAOVERLAPPED *overlapped, DWORD *n, BOOL wait,
                                        DWORD *flags) {
    const struct hv_socket *s = hv_find(sock);
    if (!WSAGetOverlappedResult(sock, overlapped, n, wait, flags))
        return FALSE;
    int error = (int)knob("HVSHIM_EOF_ERROR");
    return s == NULL || error == 0 || *n > 0 || overlapped != s->reading || fail(error) == 0;
}

int WSAAPI shim_shutdown(SOCKET sock, int how) {
    if (hv_find(sock) && how != SD_BOTH && knob("HVSHIM_NO_HALF_CLOSE"))
        return 0;
    return shutdown(sock, how);
}
