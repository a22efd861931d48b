/* allow.h: the peers that a listening end serves (--allow-peer). */
#ifndef PROGRAM_ALLOW_H
#define PROGRAM_ALLOW_H

#include "transport/transport.h"

enum { ALLOW_MAX = 64 };

struct allow_list {
    struct peer_id peers[ALLOW_MAX]; /* of each the kind, and what names the peer there: cid, uid or vm */
    unsigned count; /* 0: no list was given, everybody is served */
};

/* "CID" (a number, host or local), "GUID" of a VM, or "uid:N". 0, or -1 and err (EXIT_USAGE). */
int allow_add(struct allow_list *list, const char *text, struct err *err);

/* Whether a list names peers of this kind at all. */
bool allow_names_kind(const struct allow_list *list, enum peer_kind kind);
/* Whether this peer may be served. A peer that the system does not identify is on no list. */
bool allow_admits(const struct allow_list *list, const struct peer_id *peer);

#endif
