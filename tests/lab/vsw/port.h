/* port.h: the Unix socket of one device: listens, takes one front-end at a time, and hands its requests on. */
#ifndef PORT_H
#define PORT_H

#include "device.h"

struct port {
    const char *path; /* NULL: not listening (tests attach a socket) */
    int listener, conn; /* -1: none */
    struct device *device;
    uint8_t in[VU_HEADER_BYTES + VU_PAYLOAD_MAX]; /* the request that is being read */
    size_t have;
    int fds[VU_FDS_MAX]; /* that came with it */
    unsigned fd_count;
};

void port_init(struct port *p, struct device *device);

/* Listens on a new Unix socket at `path`, in the place of one that was left behind. 0 or -1. */
int port_listen(struct port *p, const char *path, struct err *err);

/* Takes a front-end, when one has come. */
void port_accept(struct port *p);

/* The connected socket `fd` is the front-end from now on. */
void port_attach(struct port *p, int fd);

/* Reads and does what the front-end asks. 0; -1 when the connection is to be closed, with the reason; a
 * front-end that has left is err->code EXIT_OK. */
int port_read(struct port *p, struct err *err);

/* Closes the connection, not the device: router_disconnect() does that. */
void port_close(struct port *p);

/* Removes the socket too. */
void port_end(struct port *p);

/* A listening Unix socket at `path`; -1 on errors. */
int listen_unix(const char *path, struct err *err);

#endif
