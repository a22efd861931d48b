/* os_confine.h: the process gives up what it will not need, before it listens to a peer.
 *
 * Should a peer ever make it run code of the peer's choice, that code reaches no more than what is kept here. On Linux:
 * landlock (files), a seccomp filter (system calls), and the capabilities of root; docs/decisions/0012 says why so.
 * Nothing of it can be undone, and children inherit it.
 */
#ifndef OS_OS_CONFINE_H
#define OS_OS_CONFINE_H

#include "core/err.h"
#include "os/os_file.h"

enum os_reach_kind {
    OS_REACH_READ, /* to read files and list directories */
    OS_REACH_WRITE, /* that, and to make, change and remove files, directories and links; nothing else */
    OS_REACH_REMOVE, /* to remove files */
};

/* What stays in reach: `name` below `at` ("": `at` itself) and all that is below it. */
struct os_reach {
    struct os_dir at;
    const char *name;
    enum os_reach_kind kind;
};

enum { OS_FAMILIES_MAX = 4 }; /* Unix, vsock, IPv4, IPv6 */

struct os_confinement {
    const struct os_reach *reach; /* everything else is out of reach */
    size_t reach_count;
    int families[OS_FAMILIES_MAX]; /* AF_*: stream sockets that may still be made and connected; 0: none */
    const uint16_t *tcp_ports; /* the only ones that TCP may connect to */
    size_t tcp_port_count;
    bool socket_file; /* a socket file will be connected to, or removed */
    bool child; /* a child is waited for, and may have to be ended */
};

enum { OS_CONFINED_MAX = 160 };

/* A line for people about each part: what is confined, or why it is not. "": nothing to say. */
struct os_confined {
    char files[OS_CONFINED_MAX], calls[OS_CONFINED_MAX], rights[OS_CONFINED_MAX];
};

/* On the main thread, while it has started no thread but that of os_on_interrupt. What the system lacks is said in *ret and
 * is no error. 0, or -1 and err (EXIT_MEMORY). */
int os_confine(const struct os_confinement *keep, struct os_confined *ret, struct err *err);

#endif
