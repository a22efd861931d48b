/* unix:/path.sock */
#include "transport/fd.h"

#include "core/text.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>
#include <unistd.h>

/* For others that start to listen in the same directory, which takes each of them microseconds. */
enum { TURN_MS = 2000, TURN_STEP_MS = 10 };

static int unix_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    (void)rules;
    return addr_parse_path(rest, strlen(rest), 0, addr, why);
}

/* path is at most SOCKET_PATH_MAX bytes: addr_parse_path saw to that. */
static struct sockaddr_un address_of(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    return un;
}

static const char *connect_advice(int sys) {
    switch (sys) {
    case ECONNREFUSED: return "nobody is listening (start the other end with --listen first)";
    case ENOENT:
        return "there is no such socket (start the other end with --listen first, or correct the path)";
    case EACCES:
    case EPERM: return "this user may not write to the socket (change its mode, or run as its owner)";
    case EPROTOTYPE:
        return "the socket is not a stream socket, so another program made it (correct the path)";
    case ETIMEDOUT:
        return "the listening end is busy: its queue of connections stayed full (try again later)";
    default: return "cannot connect";
    }
}

int unix_connect(const char *path, const struct dial_bounds *bounds, int *ret_fd, const char **ret_what) {
    struct sockaddr_un un = address_of(path);
    int fd = sock_open(AF_UNIX, &unix_transport);
    if (fd < 0) {
        *ret_what = "cannot make a socket";
        return errno;
    }
    int sys = sock_connect(fd, (const struct sockaddr *)&un, sizeof un, bounds);
    if (sys) {
        (void)close(fd);
        *ret_what = connect_advice(sys);
        return sys;
    }
    *ret_fd = fd;
    return 0;
}

/* The process that connected, or that listened: credentials are the kernel's, not the peer's word. */
static void name_peer(struct conn *conn, int fd) {
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n))
        return;
    conn->id = (struct peer_id){.kind = PEER_UNIX, .uid = who.uid, .gid = who.gid, .pid = who.pid};
    (void)snprintf(conn->peer, sizeof conn->peer, "unix uid %u pid %d", who.uid, who.pid);
}

static int unix_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                     struct err *err) {
    int fd;
    const char *what;
    int sys = unix_connect(addr->path, bounds, &fd, &what);
    if (sys)
        return dial_failed(ESCAPED(addr->text), sys, what, err);
    if (conn_from_fd(fd, ESCAPED(addr->text), ret, err))
        return -1;
    name_peer(*ret, fd);
    return 0;
}

/* Removes a socket file that nobody serves any more. 0 when the name is free (or so it was a moment ago:
 * bind() has the last word), -1 and err. */
static int clear_stale(const char *path, const char *text, struct err *err) {
    struct stat before, now;
    if (lstat(path, &before))
        return 0;
    if (!S_ISSOCK(before.st_mode))
        return err_set(err, EXIT_SOCKET, "%s: the file is there and is no socket (choose another path)",
                       text);
    int fd = sock_open(AF_UNIX, &unix_transport);
    if (fd < 0)
        return err_sys(err, EXIT_SOCKET, errno, "%s: cannot make a socket", text);
    struct sockaddr_un un = address_of(path);
    int sys = connect(fd, (const struct sockaddr *)&un, sizeof un) ? errno : 0;
    (void)close(fd);
    if (sys == 0 || sys == EAGAIN || sys == EPROTOTYPE)
        return err_set(err, EXIT_SOCKET, "%s: in use by another process (end it, or choose another path)",
                       text);
    if (sys != ECONNREFUSED && sys != ENOENT)
        return err_sys(err, EXIT_SOCKET, sys, "%s: the socket is there, and whether it is in use is unknown",
                       text);
    if (lstat(path, &now) == 0 && now.st_dev == before.st_dev && now.st_ino == before.st_ino)
        (void)unlink(path);
    return 0;
}

static int bind_error(int sys, const char *text, struct err *err) {
    switch (sys) {
    case EADDRINUSE:
        return err_sys(err, EXIT_SOCKET, sys,
                       "%s: in use by another process (end it, or choose another path)", text);
    case ENOENT:
        return err_sys(err, EXIT_SOCKET, sys, "%s: the directory of the socket is missing (make it first)",
                       text);
    case EACCES:
    case EROFS:
        return err_sys(err, EXIT_SOCKET, sys,
                       "%s: cannot make a socket in that directory (choose another path)", text);
    default: return err_sys(err, EXIT_SOCKET, sys, "%s: cannot make the socket", text);
    }
}

/* Opens the directory that the socket is in. */
static int open_directory(const char *path, int flags) {
    char dir[sizeof((struct sockaddr_un *)0)->sun_path] = ".";
    const char *slash = strrchr(path, '/');
    if (slash)
        (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - path + 1), path);
    return open(dir, flags | O_DIRECTORY | O_CLOEXEC);
}

/* One at a time looks for a dead socket file and makes its own: what is bound and not listening yet looks dead to
 * others. Whoever may read the directory can keep its lock, so this waits for TURN_MS and then goes without it.
 * A descriptor with the lock, or -1. */
static int take_turn(const char *path) {
    int64_t until_ms = deadline_after(TURN_MS);
    int fd = open_directory(path, O_RDONLY);
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK &&
           deadline_left(until_ms) > 0)
        os_sleep_ms(TURN_STEP_MS);
    return fd;
}

static void end_turn(int fd) {
    if (fd >= 0)
        (void)close(fd);
}

/* Remembers which file it is, for listener_close. A path would not do then: the process may be confined. */
static void own_file(struct listener *listener, const char *path) {
    struct stat st;
    const char *slash = strrchr(path, '/');
    (void)snprintf(listener->name, sizeof listener->name, "%s", slash ? slash + 1 : path);
    int fd = open_directory(path, O_PATH);
    if (fd >= 0 && fstatat(fd, listener->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0)
        return;
    listener->dir = fd;
    listener->device = st.st_dev;
    listener->inode = st.st_ino;
}

static int listen_in_turn(const char *path, const char *text, listener_admit *admit, struct listener **ret,
                          struct err *err) {
    struct sockaddr_un un = address_of(path);
    if (clear_stale(path, text, err))
        return -1;
    int fd = sock_open(AF_UNIX, &unix_transport);
    if (fd < 0)
        return err_sys(err, EXIT_SOCKET, errno, "%s: cannot make a socket", text);
    if (bind(fd, (const struct sockaddr *)&un, sizeof un)) {
        int sys = errno;
        (void)close(fd);
        return bind_error(sys, text, err);
    }
    struct listener *listener;
    if (listener_from_fd(fd, text, admit, &listener, err)) {
        (void)unlink(path);
        return -1;
    }
    own_file(listener, path);
    *ret = listener;
    return 0;
}

int unix_listen(const char *path, const char *text, listener_admit *admit, struct listener **ret,
                struct err *err) {
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return err_set(err, EXIT_USAGE, "%s: the path of the socket is too long (choose a shorter one)",
                       text);
    int turn = take_turn(path);
    int result = listen_in_turn(path, text, admit, ret, err);
    end_turn(turn);
    return result;
}

void unix_admit(struct conn *conn, int fd, const struct sockaddr_storage *from) {
    (void)from;
    sock_set_buffers(fd, &unix_transport);
    name_peer(conn, fd);
}

static int unix_listen_at(const struct addr *addr, struct listener **ret, struct err *err) {
    return unix_listen(addr->path, ESCAPED(addr->text), unix_admit, ret, err);
}

/* Only the sender's buffer counts on a Unix stream. What is in it stays in the cache of a processor until the reader takes
 * it; larger ones, of which the reader is woken less often, cost more than they save. */
const struct transport unix_transport = {
    .scheme = "unix",
    .example = "unix:/run/hvferry.sock",
    .peer_kind = PEER_UNIX,
    .send_bytes = 256 << 10,
    .is_early = sock_is_early,
    .needs = {.families = {AF_UNIX}, .socket_file = true},
    .parse = unix_parse,
    .dial = unix_dial,
    .listen = unix_listen_at,
    .resume_retries = DIAL_RETRIES,
};
