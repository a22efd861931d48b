/* registry.h: the sessions of a listener that a peer may come back to after a break. Any thread. */
#ifndef PROGRAM_REGISTRY_H
#define PROGRAM_REGISTRY_H

#include "program/line.h"

struct registry *registry_new(void); /* NULL: no memory */
void registry_free(struct registry *r); /* no line is in it any more; NULL is fine */
void registry_add(struct registry *r, struct line *line);
void registry_remove(struct registry *r, struct line *line); /* fine when it is not there */

/* Hands the stream to the session that the peer comes back to, whether that has noticed the break or not. False: there
 * is none; the caller keeps the stream. */
bool registry_offer(struct registry *r, const struct comeback *back, struct stream *stream);
/* True when every session in it waits for its peer; false when there is none. */
bool registry_all_broken(struct registry *r);

#endif
