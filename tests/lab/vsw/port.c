/* port.c: see port.h. */
#include "port.h"

#include "core/bytes.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUESTS_A_TURN = 64 };

void port_init(struct port *p, struct device *device) {
    *p = (struct port){.listener = -1, .conn = -1, .device = device};
}

int listen_unix(const char *path, struct err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, EXIT_USAGE, "'%s' is longer than the path of a Unix socket may be", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(err, EXIT_SOCKET, errno, "make a socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4) != 0) {
        (void)err_sys(err, EXIT_SOCKET, errno, "listen at '%s'", path);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int port_listen(struct port *p, const char *path, struct err *err) {
    p->listener = listen_unix(path, err);
    p->path = p->listener >= 0 ? path : NULL;
    return p->listener >= 0 ? 0 : -1;
}

void port_attach(struct port *p, int fd) {
    p->conn = fd;
    p->have = 0;
    p->fd_count = 0;
    p->device->is_connected = true;
}

void port_accept(struct port *p) {
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        port_attach(p, fd);
}

static void close_files(struct port *p) {
    for (unsigned i = 0; i < p->fd_count; i++)
        if (p->fds[i] >= 0)
            (void)close(p->fds[i]);
    p->fd_count = 0;
}

void port_close(struct port *p) {
    close_files(p);
    if (p->conn >= 0)
        (void)close(p->conn);
    p->conn = -1;
}

void port_end(struct port *p) {
    port_close(p);
    if (p->listener >= 0)
        (void)close(p->listener);
    if (p->path)
        (void)unlink(p->path);
    p->listener = -1;
    p->path = NULL;
}

/* Files come with the first bytes of a request. */
static int keep_files(struct port *p, struct msghdr *h, struct err *err) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (p->fd_count < VU_FDS_MAX)
                p->fds[p->fd_count++] = fd;
            else if (close(fd) == 0)
                (void)err_set(err, EXIT_PROTOCOL, "more than %d files in one request", VU_FDS_MAX);
        }
    }
    if (h->msg_flags & MSG_CTRUNC)
        (void)err_set(err, EXIT_PROTOCOL, "more than %d files in one request", VU_FDS_MAX);
    return err->code == 0 ? 0 : -1;
}

/* Reads until `want` bytes of the request are there: 1; 0 when they have not come yet; -1 at the end. */
static int read_until(struct port *p, size_t want, struct err *err) {
    while (p->have < want) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(VU_FDS_MAX * sizeof(int))];
        } control;
        struct iovec part = {.iov_base = p->in + p->have, .iov_len = want - p->have};
        struct msghdr h = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(p->conn, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0 && errno != ECONNRESET)
            return err_sys(err, EXIT_SOCKET, errno, "read a request");
        if (n <= 0)
            return -1;
        p->have += (size_t)n;
        if (keep_files(p, &h, err) != 0)
            return -1;
    }
    return 1;
}

static int send_reply(const struct port *p, const struct vu_msg *m, const struct vu_reply *reply,
                      struct err *err) {
    uint8_t bytes[VU_HEADER_BYTES + VU_PAYLOAD_MAX];
    size_t n = VU_HEADER_BYTES + reply->size;
    vu_encode_reply_header(m->request, reply->size, bytes);
    memcpy(bytes + VU_HEADER_BYTES, reply->payload, reply->size);
    ssize_t sent = send(p->conn, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return err_sys(err, EXIT_SOCKET, errno, "send a reply");
    return (size_t)sent == n ? 0 : err_set(err, EXIT_SOCKET, "does not read its replies");
}

/* One request: 1 done, 0 not there yet, -1 as port_read(). */
static int next_request(struct port *p, struct err *err) {
    struct vu_header h;
    struct vu_msg m;
    struct vu_reply reply;
    int got = read_until(p, VU_HEADER_BYTES, err);
    if (got != 1)
        return got;
    if (vu_decode_header(p->in, &h, err) != 0)
        return -1;
    got = read_until(p, VU_HEADER_BYTES + h.size, err);
    if (got != 1)
        return got;
    if (vu_decode(&h, p->in + VU_HEADER_BYTES, p->fd_count, &m, err) != 0 ||
        device_request(p->device, &m, p->fds, &reply, err) != 0)
        return -1;
    close_files(p);
    p->have = 0;
    return reply.size == 0 || send_reply(p, &m, &reply, err) == 0 ? 1 : -1;
}

int port_read(struct port *p, struct err *err) {
    int got = 1;
    for (unsigned i = 0; i < REQUESTS_A_TURN && got == 1; i++)
        got = next_request(p, err);
    return got < 0 ? -1 : 0;
}
