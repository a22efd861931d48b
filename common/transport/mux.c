/* vsock-mux:/path.sock:PORT, the "hybrid" vsock of Firecracker and Cloud Hypervisor.
 *
 * To a guest's port: connect to /path.sock, write "CONNECT PORT\n", read "OK HOSTPORT\n"; then the stream is
 * the guest's. It may begin right behind the newline, so the answer is read byte by byte. From a guest: the
 * VMM connects to /path.sock_PORT.
 */
#include "transport/fd.h"

#include "core/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 32, /* "OK 4294967295\n" has 14 */
    SUFFIX_MAX = 11, /* "_4294967294" */
};
#define MUX_PORT_MAX 0xFFFFFFFEu /* the highest vsock port; one more means "any" */

static int mux_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    const char *colon = strrchr(rest, ':');
    if (colon == NULL || strchr(colon, '/'))
        return err_set(why, EXIT_USAGE, "':PORT' is missing after the path");
    if (addr_parse_port(colon + 1, strlen(colon + 1), MUX_PORT_MAX, &addr->port, why))
        return -1;
    size_t spare = rules->listening ? strlen(colon) : 0; /* "_PORT" is as long as ":PORT" */
    return addr_parse_path(rest, (size_t)(colon - rest), spare, addr, why);
}

static bool is_ok(const char *line, size_t n) {
    return n > 3 && memcmp(line, "OK ", 3) == 0 && strspn(line + 3, "0123456789") == n - 3;
}

/* 0, or an errno value: ECONNRESET when the VMM closed. */
static int read_byte(int fd, const struct dial_bounds *bounds, char *ret) {
    for (;;) {
        ssize_t n = recv(fd, ret, 1, MSG_DONTWAIT);
        if (n > 0)
            return 0;
        if (n == 0)
            return ECONNRESET;
        if (errno == EINTR)
            continue;
        int sys = errno == EAGAIN ? dial_wait(fd, POLLIN, bounds) : errno;
        if (sys)
            return sys;
    }
}

/* The line up to its newline into `line`, which is NUL-terminated and without the newline, also when it is cut.
 * 0, or an errno value: EMSGSIZE for a line without an end. */
static int read_answer(int fd, const struct dial_bounds *bounds, char line[ANSWER_MAX]) {
    int sys = 0;
    size_t n = 0;
    while (sys == 0 && n < ANSWER_MAX - 1) {
        sys = read_byte(fd, bounds, line + n);
        if (sys == 0 && line[n] == '\n') {
            line[n] = '\0';
            return 0;
        }
        n += sys == 0;
        line[n] = '\0';
    }
    return sys ? sys : EMSGSIZE;
}

/* 0, or an errno value; EBADMSG for an answer that is not OK. */
static int handshake(int fd, uint32_t port, const struct dial_bounds *bounds, char line[ANSWER_MAX]) {
    int n = snprintf(line, ANSWER_MAX, "CONNECT %u\n", port);
    /* The buffer of a new socket has room for it. */
    if (send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
        return errno == EPIPE ? ECONNRESET : errno;
    int sys = read_answer(fd, bounds, line);
    return sys == 0 && !is_ok(line, strlen(line)) ? EBADMSG : sys;
}

static int handshake_failed(const struct addr *addr, int sys, const char *line, struct err *err) {
    const char *text = ESCAPED(addr->text);
    switch (sys) {
    case ECONNRESET:
        (void)err_set(err, EXIT_SOCKET,
                      "%s: nobody in the guest listens on port %u (start the other end with --listen "
                      "vsock://:%u first)",
                      text, addr->port, addr->port);
        break;
    case ETIMEDOUT:
        (void)err_set(err, EXIT_CONNECT_TIMEOUT, "%s: the VMM did not answer in time (is the guest up?)",
                      text);
        break;
    case EMSGSIZE:
        (void)err_set(err, EXIT_SOCKET,
                      "%s: the answer has no end; is this the socket of a VMM? It began '%s'", text,
                      ESCAPED(line));
        break;
    case EBADMSG:
        (void)err_set(err, EXIT_SOCKET, "%s: the answer was '%s' and not OK; is this the socket of a VMM?",
                      text, ESCAPED(line));
        break;
    default: return dial_failed(text, sys, "talking to the VMM failed", err);
    }
    if (err)
        err->sys = sys;
    return -1;
}

/* ECONNRESET and ETIMEDOUT are the answers for a guest that does not listen yet. */
static bool mux_is_early(int sys) {
    return sock_is_early(sys) || sys == ECONNRESET || sys == ETIMEDOUT;
}

static int mux_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                    struct err *err) {
    const char *text = ESCAPED(addr->text), *what;
    char line[ANSWER_MAX] = "";
    int fd, sys = unix_connect(addr->path, bounds, &fd, &what);
    if (sys)
        return dial_failed(
            text, sys,
            sys == ECONNREFUSED || sys == ENOENT ? "no VMM serves this socket (start the VM first)" : what,
            err);
    sys = handshake(fd, addr->port, bounds, line);
    if (sys) {
        (void)close(fd);
        return handshake_failed(addr, sys, line, err);
    }
    return conn_from_fd(fd, text, ret, err);
}

/* The peer is the guest; the credentials of the socket are only its VMM's. */
static void mux_admit(struct conn *conn, int fd, const struct sockaddr_storage *from) {
    (void)conn;
    (void)from;
    sock_set_buffers(fd, &mux_transport);
}

static int mux_listen(const struct addr *addr, struct listener **ret, struct err *err) {
    char path[sizeof addr->path + SUFFIX_MAX];
    (void)snprintf(path, sizeof path, "%s_%u", addr->path, addr->port);
    return unix_listen(path, ESCAPED(addr->text), mux_admit, ret, err);
}

/* A Unix stream as far as we see; unix_connect and unix_listen set the same size. */
const struct transport mux_transport = {
    .scheme = "vsock-mux",
    .example = "vsock-mux:/run/vm.vsock:2761",
    .peer_kind = PEER_UNKNOWN,
    .send_bytes = 1 << 20,
    .retries = DIAL_RETRIES,
    .resume_retries = DIAL_RETRIES,
    .is_early = mux_is_early,
    .needs = {.families = {AF_UNIX}, .socket_file = true},
    .parse = mux_parse,
    .dial = mux_dial,
    .listen = mux_listen,
};
