/* shim.h: a ws2_32.dll for tests that has AF_HYPERV where the system has not.
 *
 * It lies beside the unchanged programs and passes every call on to the real ws2_32.dll, except that sockets of
 * AF_HYPERV become TCP sockets on 127.0.0.1. A service that is bound is a file in a folder, named by its GUID, that
 * holds the TCP port; connecting looks there. What this proves: addresses, options, the order of calls, partial I/O
 * and error paths of the program. It proves nothing about a real Hyper-V.
 *
 * Environment:
 *   HVSHIM_DIR            the folder (needed)
 *   HVSHIM_LOG            a file to which calls are appended, one line each
 *   HVSHIM_VM             one more VM id that can be connected to, besides parent, loopback and silohost
 *   HVSHIM_PEER           VM id of those who connect to us (default: loopback)
 *   HVSHIM_READ_MAX       bytes that one read gives at most
 *   HVSHIM_WRITE_MAX      bytes that one write takes at most
 *   HVSHIM_CONNECT_ERROR  Winsock error of every connect, or
 *   HVSHIM_CONNECT_FAILS    only of the first so many in this process
 *   HVSHIM_CONNECT_HANGS  1: connecting never ends by itself
 *   HVSHIM_LOSSY_CLOSE    1: closing drops what is on its way, and resets the stream
 *   HVSHIM_NO_HALF_CLOSE  1: shutdown of one direction does nothing
 *   HVSHIM_EOF_ERROR      Winsock error that a read ends with where the stream has ended
 */
#ifndef SHIM_H
#define SHIM_H

#include <winsock2.h>

#include <hvsocket.h>
#include <mswsock.h>
#include <stdbool.h>
#include <stdio.h> /* for the format of printf */
#include <windows.h>

#include <objbase.h>

#define AF_HYPERV 34

/* In these files a function of Winsock by its own name is the real one; shim_NAME is what programs get. */

/* What is known about one socket of AF_HYPERV. */
struct hv_socket {
    SOCKET sock; /* the TCP socket; INVALID_SOCKET: the entry is free */
    bool bound, connected;
    SOCKADDR_HV local, peer;
    HANDLE file; /* the service in HVSHIM_DIR, removed by closing it; NULL: none */
    ULONG connect_timeout_ms;
    OVERLAPPED *reading; /* of the last read */
};

/* ---- shim_main.c ---- */

long knob(const char *name); /* 0 when it is not set */
bool knob_guid(const char *name, GUID *ret);
void trace(const char *format, ...) __attribute__((format(__MINGW_PRINTF_FORMAT, 1, 2)));
int fail(int error); /* sets it; SOCKET_ERROR */

/* ---- shim_sockets.c ---- */

struct hv_socket *hv_find(SOCKET sock); /* NULL: not one of ours */
const SOCKADDR_HV *hv_address(const struct sockaddr *address, int n); /* NULL and the error set: not one */
struct sockaddr_in hv_loopback(void); /* 127.0.0.1, any port */
int hv_lookup(const GUID *service, struct sockaddr_in *ret); /* 0, or an error: nobody has bound it */

#endif
