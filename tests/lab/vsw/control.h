/* control.h: the control socket: a few clients at a time, that send lines and get one line for each. */
#ifndef CONTROL_H
#define CONTROL_H

#include "command.h"

enum { CONTROL_CLIENTS_MAX = 8, CONTROL_LINE_MAX = 256 };

struct control_client {
    int fd; /* -1: none */
    char line[CONTROL_LINE_MAX];
    size_t have;
};

struct control {
    const char *path; /* NULL: not listening */
    int listener; /* -1: none */
    struct control_client client[CONTROL_CLIENTS_MAX];
};

void control_init(struct control *c);
int control_listen(struct control *c, const char *path, struct err *err);

/* Takes a client, when one has come. One too many is turned away. */
void control_accept(struct control *c);

/* Runs the commands that have come. A client that has left, sends too long a line, or does not read its replies
 * is closed. */
void control_read(struct control_client *client, struct router *r);
void control_end(struct control *c);

#endif
