/* services.h: the services of Hyper-V sockets that a Windows host lets its guests reach.
 *
 * They are keys of the registry, one for each service GUID, below
 * HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization\GuestCommunicationServices. Only an
 * administrator may change them. Twin files under posix/ and win32/; on Linux all of it is EXIT_UNSUPPORTED.
 */
#ifndef RECEIVER_SERVICES_H
#define RECEIVER_SERVICES_H

#include "core/err.h"
#include "transport/guid.h"

enum { SERVICE_NAME_MAX = 256 }; /* bytes of UTF-8, with the NUL */

struct service {
    struct guid guid;
    char name[SERVICE_NAME_MAX]; /* ElementName: what performance counters show; "" where it has none */
    bool ours; /* hvrecv made it */
};

/* Calls `each` for every service, in no order, until it returns false. All return 0, or -1 and err: EXIT_UNSUPPORTED
 * without Hyper-V, EXIT_FILE_IO when the registry refuses, EXIT_USAGE for a service that is not ours (and no force). */
int services_list(bool (*each)(const struct service *service, void *arg), void *arg, struct err *err);
int services_add(const struct guid *guid, const char *name, bool force, struct err *err);
int services_remove(const struct guid *guid, bool force, struct err *err);

#endif
