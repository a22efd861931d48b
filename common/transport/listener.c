#include "transport/fd.h"

#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAUSE_MS = 50 }; /* while the process or the system is out of descriptors or memory */

int listener_from_fd(int fd, const char *text, listener_admit *admit, struct listener **ret,
                     struct err *err) {
    struct listener *listener = calloc(1, sizeof *listener);
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener == NULL || wake < 0 || listen(fd, LISTEN_BACKLOG)) {
        int sys = errno;
        if (wake >= 0)
            (void)close(wake);
        (void)close(fd);
        free(listener);
        return err_sys(err, EXIT_SOCKET, sys, "%s: cannot listen", text);
    }
    listener->fd = fd;
    listener->wake = wake;
    listener->dir = -1;
    listener->admit = admit;
    atomic_init(&listener->woken, false);
    (void)snprintf(listener->text, sizeof listener->text, "%s", text);
    *ret = listener;
    return 0;
}

/* What went wrong with one incoming stream only: accept(2). */
static bool is_passing(int sys) {
    switch (sys) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ECONNRESET:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case ETIMEDOUT: return true;
    default: return false;
    }
}

/* The process or the system has no descriptor or memory left, which may pass. */
static bool is_shortage(int sys) {
    return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM;
}

/* A shortage leaves the stream in the backlog and the listener readable: without a pause this would spin.
 * As fd_wait; 0 when it is time for another try. */
static int pause_for_room(struct listener *listener, int sys, int64_t deadline_ms) {
    if (!listener->short_of)
        log_line(LOG_WARNING, "%s: cannot accept now: %s; trying again", listener->text, strerror(sys));
    listener->short_of = true;
    int64_t pause_ms = deadline_after(PAUSE_MS);
    if (fd_wait(-1, 0, listener->wake, pause_ms < deadline_ms ? pause_ms : deadline_ms) == ECANCELED)
        return ECANCELED;
    return deadline_left(deadline_ms) == 0 ? ETIMEDOUT : 0;
}

static int wait_failed(const struct listener *listener, int sys, struct err *err) {
    if (sys == ECANCELED)
        return err_set(err, EXIT_SIGNAL, "%s: interrupted while listening", listener->text);
    if (sys == ETIMEDOUT)
        return err_set(err, EXIT_TIMEOUT, "%s: nobody connected in time", listener->text);
    return err_sys(err, EXIT_SOCKET, sys, "%s: cannot accept", listener->text);
}

/* The next stream from the backlog. 0 or an errno value; ENOMEM when it came, but there was no memory or
 * descriptor for it: then it was dropped, which its other end sees. */
static int accept_one(const struct listener *listener, struct conn **ret) {
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    socklen_t n = sizeof from;
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &n, SOCK_CLOEXEC);
    if (fd < 0)
        return errno;
    if (conn_from_fd(fd, listener->text, ret, NULL))
        return ENOMEM;
    listener->admit(*ret, fd, &from);
    return 0;
}

int listener_accept(struct listener *listener, int timeout_ms, struct conn **ret, struct err *err) {
    int64_t deadline_ms = deadline_after(timeout_ms);
    int sys = 0;
    while (sys == 0) {
        if (atomic_load(&listener->woken))
            return wait_failed(listener, ECANCELED, err);
        sys = accept_one(listener, ret);
        if (sys == 0) {
            listener->short_of = false;
            return 0;
        }
        if (is_shortage(sys))
            sys = pause_for_room(listener, sys, deadline_ms);
        else if (is_passing(sys))
            sys = fd_wait(listener->fd, POLLIN, listener->wake, deadline_ms);
    }
    return wait_failed(listener, sys, err);
}

void listener_wake(struct listener *listener) {
    atomic_store(&listener->woken, true);
    (void)eventfd_write(listener->wake, 1); /* when full, it is readable already */
}

bool listener_file_dir(const struct listener *listener, struct os_dir *ret) {
    if (listener->dir < 0)
        return false;
    ret->fd = listener->dir;
    return true;
}

static void remove_file(const struct listener *listener) {
    struct stat st;
    if (fstatat(listener->dir, listener->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == listener->device && st.st_ino == listener->inode)
        (void)unlinkat(listener->dir, listener->name, 0);
    (void)close(listener->dir);
}

void listener_close(struct listener *listener) {
    if (listener == NULL)
        return;
    if (listener->dir >= 0)
        remove_file(listener);
    (void)close(listener->fd);
    (void)close(listener->wake);
    free(listener);
}
