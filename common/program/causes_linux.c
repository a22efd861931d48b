/* What the errors of the transports mean on Linux, and what to do about them. The first row that fits counts. */
#include "program/doctor.h"

#include <errno.h>

static const char listen_there[] = "at the other end: hvrecv --listen {there} DIR";

const struct cause doctor_causes[] = {
    /* vsock: virtio, vhost and hv_sock differ in what they say (vsock.h). */
    {"vsock", STEP_CONNECT, ECONNRESET, 0, "nobody listens at CID {cid} on port {port}", listen_there},
    {"vsock", STEP_CONNECT, ECONNREFUSED, 0, "nobody listens at CID {cid} on port {port}", listen_there},
    {"vsock", STEP_CONNECT, ENODEV, 0, "there is no machine with CID {cid}, or no device that leads to it",
     "on a host: modprobe vhost_vsock, and start the VM with this CID (QEMU: -device "
     "vhost-vsock-pci,guest-cid={cid}); in a guest: hvsend doctor vsock://host:{port}"},
    {"vsock", STEP_CONNECT, ETIMEDOUT, 0,
     "CID {cid} does not answer: it is booting or paused, has no driver, or nobody listens there (Hyper-V)",
     "in a guest: modprobe vmw_vsock_virtio_transport; on a host with Hyper-V, as administrator: New-Item "
     "'HKLM:\\SOFTWARE\\Microsoft\\Windows "
     "NT\\CurrentVersion\\Virtualization\\GuestCommunicationServices\\{service}'"},
    {"vsock", STEP_CONNECT, ENETUNREACH, 0, "nothing leads to CID {cid} from here",
     "modprobe vhost_vsock (on a host)"},
    {"vsock", STEP_CONNECT, EHOSTUNREACH, 0, "nothing leads to CID {cid} from here",
     "modprobe vhost_vsock (on a host)"},
    {"vsock", STEP_CONNECT, EAFNOSUPPORT, 0, "this kernel has no vsock", "modprobe vsock"},
    {"vsock", STEP_LISTEN, EAFNOSUPPORT, 0, "this kernel has no vsock", "modprobe vsock"},
    {"vsock", STEP_CONNECT, EACCES, 0, "this process may not use vsock sockets",
     "see what confines it (systemd: RestrictAddressFamilies=AF_VSOCK AF_UNIX; containers: seccomp)"},
    {"vsock", STEP_CONNECT, EPERM, 0, "this process may not use vsock sockets",
     "see what confines it (systemd: RestrictAddressFamilies=AF_VSOCK AF_UNIX; containers: seccomp)"},
    {"vsock", STEP_LISTEN, EACCES, 0,
     "this process may not listen on port {port}: those below 1024 are for root",
     "choose a port from 1024 on, or run as root"},
    {"vsock", STEP_LISTEN, EADDRINUSE, 0, "another process listens on port {port}",
     "ss --vsock -lp shows which"},
    {"vsock", STEP_LISTEN, EADDRNOTAVAIL, 0, "CID {cid} is not this machine's own",
     "listen on vsock://:{port}"},

    {"vsock-mux", STEP_CONNECT, ENOENT, 0, "there is no socket {path}",
     "start the VM with it (Firecracker: \"uds_path\": \"{path}\"; cloud-hypervisor: --vsock "
     "cid=3,socket={path})"},
    {"vsock-mux", STEP_CONNECT, ECONNREFUSED, 0, "the socket {path} is a leftover: no VM serves it",
     "rm {path}, and start the VM again"},
    {"vsock-mux", STEP_CONNECT, ECONNRESET, 0,
     "the VM is there, but nobody in the guest listens on port {port}",
     "in the guest: hvrecv --listen {there} DIR"},
    {"vsock-mux", STEP_CONNECT, ETIMEDOUT, 0, "the VM does not answer: it is paused, or its guest is booting",
     "resume it, or wait; hvsend --retry forever does"},
    {"vsock-mux", STEP_CONNECT, EBADMSG, 0, "what serves {path} is no VM: it does not answer OK",
     "correct the path; if an hvferry listens there: unix:{path}"},
    {"vsock-mux", STEP_CONNECT, EMSGSIZE, 0, "what serves {path} is no VM: it does not answer OK",
     "correct the path; if an hvferry listens there: unix:{path}"},
    {"vsock-mux", STEP_CONNECT, EACCES, 0, "this user may not write to {path}",
     "run as the user of the VM, or as root"},

    {"unix", STEP_CONNECT, ENOENT, 0, "there is no socket {path}", listen_there},
    {"unix", STEP_CONNECT, ECONNREFUSED, 0, "the socket {path} is a leftover: nobody listens on it",
     listen_there},
    {"unix", STEP_CONNECT, EACCES, 0, "this user may not write to {path}",
     "run as its owner, or: chmod a+w {path}"},
    {"unix", STEP_CONNECT, EPROTOTYPE, 0, "{path} belongs to another program: it is no stream socket",
     "correct the path"},
    {"unix", STEP_CONNECT, ETIMEDOUT, 0,
     "the program that listens on {path} accepts nobody: its queue is full",
     "see what that program does, or start it anew"},

    {"tcp", STEP_CONNECT, ECONNREFUSED, 0, "the machine is there, but nobody listens on port {port}",
     listen_there},
    {"tcp", STEP_CONNECT, ETIMEDOUT, 0, "no answer: the machine is off, or a firewall drops what comes",
     "ping it, and see its firewall"},
    {"tcp", STEP_CONNECT, ENETUNREACH, 0, "there is no way to that machine",
     "ip route shows which there are"},
    {"tcp", STEP_CONNECT, EHOSTUNREACH, 0, "there is no way to that machine",
     "ip route shows which there are"},
    {"tcp", STEP_LISTEN, EADDRINUSE, 0, "another process listens on port {port}", "ss -ltnp shows which"},

    {"exec", STEP_PEER, 0, 0, "the command runs no hvferry with --stdio",
     "run it by hand, and see what it says; it must end in: hvrecv --stdio DIR"},

    /* Who answers, whatever carries it. */
    {NULL, STEP_PEER, 0, EXIT_PROTOCOL, "what answers is no hvferry, or one of another version",
     "correct the address, or install the same version at both ends"},
    {NULL, STEP_PEER, 0, EXIT_TIMEOUT, "what answers says nothing: it is no hvferry, or it hangs",
     "see which program listens there"},
    {NULL, STEP_PEER, 0, EXIT_STREAM, "what answers closed at once", "see what the other end says about it"},
    {NULL, STEP_PEER, ECONNRESET, 0, "what answers closed at once", "see what the other end says about it"},
    {.cause = NULL},
};
