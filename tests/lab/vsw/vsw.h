/* vsw.h: the switch as a whole, turned by its owner: main(), or a test. One thread. */
#ifndef VSW_H
#define VSW_H

#include "control.h"
#include "port.h"

struct vsw {
    struct router router;
    struct port port[PORTS_MAX]; /* of router.device[i] */
    struct control control;
};

/* 0, or -1 when there is no memory. Ports are added with vsw_add_port() before the first turn. */
int vsw_init(struct vsw *s, struct err *err);

/* One more port for a guest of `cid`; NULL for too many ports, or when the CID is taken or reserved. */
struct port *vsw_add_port(struct vsw *s, uint64_t cid, struct err *err);

enum { VSW_EXTRA = 2 };

/* Waits until there is something to do, at most `timeout_ns` (ROUTER_IDLE: for ever), and does it. The files
 * `extra` (-1: none) are waited for too: bit i of the result says that extra[i] can be read. */
unsigned vsw_turn(struct vsw *s, uint64_t timeout_ns, const int extra[VSW_EXTRA]);

void vsw_end(struct vsw *s);

#endif
