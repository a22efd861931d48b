/* addr_rows.h: what addr_parse makes of one address. */
#ifndef ADDR_ROWS_H
#define ADDR_ROWS_H

#include "core/err.h"
#include "transport/transport.h"

#include <stdint.h>

#define C50 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"

enum rule { DIAL, LISTEN, REMOTE, LISTEN_REMOTE };

struct good {
    enum rule rule;
    const char *text;
    const char *place; /* path, host or command */
    uint32_t port, cid;
    const char *into;
    const char *shown; /* addr.text; NULL: as written */
};

struct bad {
    enum rule rule;
    const char *text;
    int code;
    const char *says; /* part of the message */
};

#endif
