/* Sockets, their names, their options and their end. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOCKETS_MAX = 1024, PORT_TEXT_MAX = 16 };

static struct {
    SRWLOCK lock;
    unsigned used;
    struct hv_socket sockets[SOCKETS_MAX];
} table = {.lock = SRWLOCK_INIT};

struct hv_socket *hv_find(SOCKET sock) {
    struct hv_socket *found = NULL;
    AcquireSRWLockShared(&table.lock);
    for (unsigned i = 0; i < table.used && found == NULL; i++)
        if (table.sockets[i].sock == sock)
            found = &table.sockets[i];
    ReleaseSRWLockShared(&table.lock);
    return found;
}

static int add(SOCKET sock) {
    struct hv_socket *entry = NULL;
    AcquireSRWLockExclusive(&table.lock);
    for (unsigned i = 0; i < table.used && entry == NULL; i++)
        if (table.sockets[i].sock == INVALID_SOCKET)
            entry = &table.sockets[i];
    if (entry == NULL && table.used < SOCKETS_MAX)
        entry = &table.sockets[table.used++];
    if (entry)
        *entry =
            (struct hv_socket){.sock = sock, .local = {.Family = AF_HYPERV}, .peer = {.Family = AF_HYPERV}};
    ReleaseSRWLockExclusive(&table.lock);
    return entry ? 0 : WSAEMFILE;
}

static bool is_right_kind(int type, int protocol) {
    if (type != SOCK_STREAM)
        return fail(WSAESOCKTNOSUPPORT) == 0;
    return protocol == HV_PROTOCOL_RAW || fail(WSAEPROTONOSUPPORT) == 0;
}

static SOCKET keep(SOCKET sock) {
    int error = sock == INVALID_SOCKET ? 0 : add(sock);
    if (error) {
        (void)closesocket(sock);
        (void)fail(error);
        return INVALID_SOCKET;
    }
    return sock;
}

SOCKET WSAAPI shim_socket(int family, int type, int protocol) {
    if (family != AF_HYPERV)
        return socket(family, type, protocol);
    return is_right_kind(type, protocol) ? keep(socket(AF_INET, SOCK_STREAM, 0)) : INVALID_SOCKET;
}

SOCKET WSAAPI shim_WSASocketW(int family, int type, int protocol, WSAPROTOCOL_INFOW *info, GROUP group,
                              DWORD flags) {
    if (family != AF_HYPERV)
        return WSASocketW(family, type, protocol, info, group, flags);
    trace("socket overlapped=%d inherited=%d\n", (flags & WSA_FLAG_OVERLAPPED) != 0,
          (flags & WSA_FLAG_NO_HANDLE_INHERIT) == 0);
    return is_right_kind(type, protocol) ? keep(WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, flags))
                                         : INVALID_SOCKET;
}

const SOCKADDR_HV *hv_address(const struct sockaddr *address, int n) {
    const SOCKADDR_HV *hv = (const void *)address;
    int error = 0;
    if (address == NULL || n < (int)sizeof *hv)
        error = WSAEFAULT;
    else if (hv->Family != AF_HYPERV)
        error = WSAEAFNOSUPPORT;
    else if (hv->Reserved != 0)
        error = WSAEINVAL;
    return error ? (fail(error), NULL) : hv;
}

struct sockaddr_in hv_loopback(void) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return in;
}

static void service_path(char path[MAX_PATH], const GUID *g) {
    const char *dir = getenv("HVSHIM_DIR");
    (void)snprintf(path, MAX_PATH, "%s\\%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", dir ? dir : ".",
                   g->Data1, g->Data2, g->Data3, g->Data4[0], g->Data4[1], g->Data4[2], g->Data4[3],
                   g->Data4[4], g->Data4[5], g->Data4[6], g->Data4[7]);
}

int hv_lookup(const GUID *service, struct sockaddr_in *ret) {
    char path[MAX_PATH], text[PORT_TEXT_MAX] = "";
    DWORD n = 0;
    service_path(path, service);
    HANDLE file = CreateFileA(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                              NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return WSAECONNREFUSED;
    (void)ReadFile(file, text, sizeof text - 1, &n, NULL);
    (void)CloseHandle(file);
    *ret = hv_loopback();
    ret->sin_port = htons((u_short)atoi(text));
    return 0;
}

/* Takes the service, for as long as the file is open. */
static int announce(struct hv_socket *s, const GUID *service) {
    char path[MAX_PATH], text[PORT_TEXT_MAX];
    struct sockaddr_in in;
    int n = sizeof in;
    DWORD written;
    if (getsockname(s->sock, (struct sockaddr *)&in, &n))
        return SOCKET_ERROR;
    service_path(path, service);
    HANDLE file =
        CreateFileA(path, GENERIC_WRITE | DELETE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return fail(GetLastError() == ERROR_FILE_EXISTS ? WSAEADDRINUSE : WSAEACCES);
    n = snprintf(text, sizeof text, "%u", ntohs(in.sin_port));
    (void)WriteFile(file, text, (DWORD)n, &written, NULL);
    s->file = file;
    return 0;
}

int WSAAPI shim_bind(SOCKET sock, const struct sockaddr *address, int n) {
    struct hv_socket *s = hv_find(sock);
    if (s == NULL)
        return bind(sock, address, n);
    const SOCKADDR_HV *hv = hv_address(address, n);
    struct sockaddr_in in = hv_loopback();
    if (hv == NULL)
        return SOCKET_ERROR;
    if (s->bound)
        return fail(WSAEINVAL);
    if (bind(sock, (const struct sockaddr *)&in, sizeof in))
        return SOCKET_ERROR;
    bool named = !IsEqualGUID(&hv->ServiceId, &HV_GUID_ZERO);
    if (named && announce(s, &hv->ServiceId))
        return SOCKET_ERROR;
    s->local = *hv;
    s->bound = true;
    trace("bind service=%08lx\n", hv->ServiceId.Data1);
    return 0;
}

int WSAAPI shim_listen(SOCKET sock, int backlog) {
    struct hv_socket *s = hv_find(sock);
    if (s && s->file == NULL)
        return fail(WSAEINVAL);
    if (s)
        trace("listen backlog=%d\n", backlog);
    return listen(sock, backlog);
}

static int give(const SOCKADDR_HV *hv, struct sockaddr *to, int *n) {
    if (*n < (int)sizeof *hv)
        return fail(WSAEFAULT);
    memcpy(to, hv, sizeof *hv);
    *n = sizeof *hv;
    return 0;
}

int WSAAPI shim_getsockname(SOCKET sock, struct sockaddr *to, int *n) {
    const struct hv_socket *s = hv_find(sock);
    if (s == NULL)
        return getsockname(sock, to, n);
    return s->bound || s->connected ? give(&s->local, to, n) : fail(WSAEINVAL);
}

int WSAAPI shim_getpeername(SOCKET sock, struct sockaddr *to, int *n) {
    const struct hv_socket *s = hv_find(sock);
    if (s == NULL)
        return getpeername(sock, to, n);
    return s->connected ? give(&s->peer, to, n) : fail(WSAENOTCONN);
}

static int set_raw_option(struct hv_socket *s, int option, const char *value, int n) {
    ULONG v;
    if (value == NULL || n != sizeof v)
        return fail(WSAEFAULT);
    memcpy(&v, value, sizeof v);
    trace("option %d=%lu\n", option, v);
    switch (option) {
    case HVSOCKET_CONNECT_TIMEOUT:
        if (v > HVSOCKET_CONNECT_TIMEOUT_MAX)
            return fail(WSAEINVAL);
        s->connect_timeout_ms = v;
        return 0;
    case HVSOCKET_CONTAINER_PASSTHRU:
    case HVSOCKET_CONNECTED_SUSPEND: return 0;
    default: return fail(WSAENOPROTOOPT);
    }
}

/* Who connected to the listener is only known from here on, as with a real socket. */
static void accepted(struct hv_socket *s, SOCKET from) {
    const struct hv_socket *listener = hv_find(from);
    if (listener == NULL)
        return;
    s->local = listener->local;
    s->connected = true;
    if (!knob_guid("HVSHIM_PEER", &s->peer.VmId))
        s->peer.VmId = HV_GUID_LOOPBACK;
    s->peer.ServiceId = listener->local.ServiceId;
}

int WSAAPI shim_setsockopt(SOCKET sock, int level, int option, const char *value, int n) {
    struct hv_socket *s = hv_find(sock);
    if (s == NULL)
        return setsockopt(sock, level, option, value, n);
    if (level == HV_PROTOCOL_RAW)
        return set_raw_option(s, option, value, n);
    if (level != SOL_SOCKET)
        return fail(WSAENOPROTOOPT);
    if (setsockopt(sock, level, option, value, n))
        return SOCKET_ERROR;
    if (option == SO_UPDATE_CONNECT_CONTEXT)
        s->connected = true;
    if (option == SO_UPDATE_ACCEPT_CONTEXT && n == sizeof(SOCKET)) {
        SOCKET from;
        memcpy(&from, value, sizeof from);
        accepted(s, from);
    }
    return 0;
}

int WSAAPI shim_closesocket(SOCKET sock) {
    struct hv_socket *s = hv_find(sock);
    if (s && s->connected && knob("HVSHIM_LOSSY_CLOSE")) {
        const struct linger now = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(sock, SOL_SOCKET, SO_LINGER, (const char *)&now, sizeof now);
    }
    if (s && s->file)
        (void)CloseHandle(s->file);
    if (s) {
        AcquireSRWLockExclusive(&table.lock);
        s->sock = INVALID_SOCKET;
        ReleaseSRWLockExclusive(&table.lock);
    }
    return closesocket(sock);
}
