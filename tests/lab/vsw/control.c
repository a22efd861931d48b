/* control.c: see control.h. */
#include "control.h"

#include "port.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void control_init(struct control *c) {
    *c = (struct control){.listener = -1};
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        c->client[i].fd = -1;
}

int control_listen(struct control *c, const char *path, struct err *err) {
    c->listener = listen_unix(path, err);
    c->path = c->listener >= 0 ? path : NULL;
    return c->listener >= 0 ? 0 : -1;
}

void control_accept(struct control *c) {
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    unsigned i = 0;
    while (i < CONTROL_CLIENTS_MAX && c->client[i].fd >= 0)
        i++;
    if (fd >= 0 && i < CONTROL_CLIENTS_MAX)
        c->client[i] = (struct control_client){.fd = fd};
    else if (fd >= 0)
        (void)close(fd);
}

static void close_client(struct control_client *client) {
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
}

/* Runs the whole lines of the buffer; 0, or -1 when the client does not read its replies. */
static int run_lines(struct control_client *client, struct router *r) {
    char reply[COMMAND_REPLY_MAX];
    char *end;
    while ((end = memchr(client->line, '\n', client->have)) != NULL) {
        size_t used = (size_t)(end - client->line) + 1;
        *end = '\0';
        command_run(r, client->line, reply);
        size_t n = strlen(reply);
        if (send(client->fd, reply, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
            return -1;
        client->have -= used;
        memmove(client->line, end + 1, client->have);
    }
    return 0;
}

void control_read(struct control_client *client, struct router *r) {
    ssize_t n =
        recv(client->fd, client->line + client->have, sizeof client->line - client->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        client->have += (size_t)n;
    if (n <= 0 || run_lines(client, r) != 0 || client->have == sizeof client->line)
        close_client(client);
}

void control_end(struct control *c) {
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close_client(&c->client[i]);
    if (c->listener >= 0)
        (void)close(c->listener);
    if (c->path)
        (void)unlink(c->path);
    control_init(c);
}
