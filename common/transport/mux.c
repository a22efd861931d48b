/* vsock-mux:/path.sock:PORT, the "hybrid" vsock of Firecracker and Cloud Hypervisor.
 *
 * To a guest's port: connect to /path.sock, write "CONNECT PORT\n", read "OK HOSTPORT\n"; then the stream is
 * the guest's. It may begin right behind the newline, so the answer is read byte by byte. From a guest: the
 * VMM connects to /path.sock_PORT.
 */
#include "transport/fd.h"

#include "core/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* The line up to its newline into `line`, which stays NUL-terminated and without the newline. */
static int read_answer(struct conn *conn, const struct addr *addr, int64_t deadline_ms, char line[ANSWER_MAX],
                       struct err *err) {
    size_t n = 0;
    while (n < ANSWER_MAX - 1) {
        ptrdiff_t got = conn_read(conn, line + n, 1, deadline_left(deadline_ms), err);
        bool closed = got == 0 || (got < 0 && err->sys == ECONNRESET);
        if (got < 0 && !closed)
            return -1;
        if (closed)
            return err_set(err, EXIT_SOCKET,
                           "nobody in the guest listens on port %u (start the other end with --listen "
                           "vsock://:%u first)",
                           addr->port, addr->port);
        if (line[n] == '\n') {
            line[n] = '\0';
            return 0;
        }
        n++;
        line[n] = '\0';
    }
    return err_set(err, EXIT_SOCKET, "the answer has no end; is this the socket of a VMM? It began '%s'",
                   ESCAPED(line));
}

static int handshake(struct conn *conn, const struct addr *addr, int64_t deadline_ms, struct err *err) {
    char line[ANSWER_MAX] = "";
    int n = snprintf(line, sizeof line, "CONNECT %u\n", addr->port);
    struct span request = {(const uint8_t *)line, (size_t)n};
    if (conn_write(conn, &request, 1, deadline_left(deadline_ms), err) ||
        read_answer(conn, addr, deadline_ms, line, err))
        return -1;
    if (!is_ok(line, strlen(line)))
        return err_set(err, EXIT_SOCKET, "the answer was '%s' and not OK; is this the socket of a VMM?",
                       ESCAPED(line));
    return 0;
}

static int mux_dial(const struct addr *addr, int64_t deadline_ms, struct conn **ret, struct err *err) {
    const char *text = ESCAPED(addr->text), *what;
    struct conn *conn;
    struct err why = {.code = 0};
    int fd, sys = unix_connect(addr->path, deadline_ms, &fd, &what);
    if (sys)
        return err_sys(err, dial_exit_code(sys), sys, "%s: %s", text,
                       sys == ECONNREFUSED || sys == ENOENT ? "no VMM serves this socket (start the VM first)"
                                                            : what);
    if (conn_from_fd(fd, text, &conn, err))
        return -1;
    if (handshake(conn, addr, deadline_ms, &why)) {
        (void)conn_close(conn, NULL);
        if (why.code == EXIT_TIMEOUT)
            return err_set(err, EXIT_CONNECT_TIMEOUT, "%s: the VMM did not answer in time (is the guest up?)",
                           text);
        return err_set(err, why.code, "%s: %s", text, why.msg);
    }
    *ret = conn;
    return 0;
}

/* The peer is the guest; the credentials of the socket are only its VMM's. */
static void mux_admit(const struct listener *listener, int fd, const struct sockaddr_storage *from,
                      char ret_peer[PEER_TEXT_MAX]) {
    (void)from;
    sock_set_buffers(fd, &mux_transport);
    (void)snprintf(ret_peer, PEER_TEXT_MAX, "%s", listener->text);
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
    .send_bytes = 1 << 20,
    .parse = mux_parse,
    .dial = mux_dial,
    .listen = mux_listen,
};
