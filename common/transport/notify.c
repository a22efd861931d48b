#include "transport/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATE_MAX = 512 };

static int manager = -1; /* written before there are threads */

void notify_open(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    /* "vsock:..." is for whole machines that are started as a service. */
    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@') /* an abstract one */
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) !=
        0)
        (void)close(fd);
    else
        manager = fd;
}

void notify(const char *fmt, ...) {
    char state[STATE_MAX];
    va_list args;
    if (manager < 0)
        return;
    va_start(args, fmt);
    int n = vsnprintf(state, sizeof state, fmt, args);
    va_end(args);
    ssize_t ignored =
        write(manager, state, n < STATE_MAX ? (size_t)n : STATE_MAX - 1); /* a manager may be gone */
    (void)ignored;
}
