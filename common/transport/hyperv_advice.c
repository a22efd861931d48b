#include "transport/hyperv.h"

/* Winsock errors that Hyper-V sockets were seen with. NULL: not an error of that step. */
static const struct {
    int wsa;
    const char *connecting, *listening;
} advice[] = {
    {10013 /* WSAEACCES */,
     "Windows forbids it (run as administrator or as a member of Hyper-V Administrators, and register the "
     "service on the host: hvrecv service-guid register)",
     "Windows forbids it (run as administrator or as a member of Hyper-V Administrators, and register the "
     "service on the host: hvrecv service-guid register)"},
    {10047 /* WSAEAFNOSUPPORT */,
     "this Windows has no Hyper-V sockets (turn the Hyper-V feature on, or use Windows 10, Server 2016 or "
     "later as the guest)",
     "this Windows has no Hyper-V sockets (turn the Hyper-V feature on, or use Windows 10, Server 2016 or "
     "later as the guest)"},
    {10048 /* WSAEADDRINUSE */, NULL, "in use by another process (end it, or choose another service)"},
    {10049 /* WSAEADDRNOTAVAIL */,
     "there is no such VM here, or it is not running (see its id with (Get-VM NAME).Id; the id of a WSL VM "
     "changes at every start: use hyperv://wsl:SERVICE)",
     "this VM id cannot be listened on here (a host listens on any, children or a VM id; parent is for "
     "guests)"},
    {10050 /* WSAENETDOWN */, "the VM is off, paused or still starting (start it, and try again)",
     "the VM is off, paused or still starting (start it, and try again)"},
    {10051 /* WSAENETUNREACH */, "there is no way to that VM (correct the VM id)", NULL},
    {10054 /* WSAECONNRESET */, "the other end closed at once (see what it says)", NULL},
    {10055 /* WSAENOBUFS */,
     "no memory for the buffers of the connection (the guest's memory may be fragmented: use fewer streams, "
     "or restart it)",
     "no memory for the buffers of the socket (close other programs)"},
    {10060 /* WSAETIMEDOUT */,
     "no answer (start the other end with --listen first; the service must be registered on the host: hvrecv "
     "service-guid register)",
     NULL},
    {10061 /* WSAECONNREFUSED */,
     "nobody is listening (start the other end with --listen first; the service must be registered on the "
     "host: hvrecv service-guid register)",
     NULL},
};

const char *hyperv_advice(int wsa, enum hyperv_step step) {
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++) {
        const char *text = step == HYPERV_LISTENING ? advice[i].listening : advice[i].connecting;
        if (advice[i].wsa == wsa && text)
            return text;
    }
    return "the Hyper-V socket failed";
}
