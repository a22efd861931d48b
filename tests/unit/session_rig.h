/* session_rig.h: one half of a session without stream and threads: messages go straight into its table. */
#ifndef SESSION_RIG_H
#define SESSION_RIG_H

#include "session_peer.h"

enum { RIG_ANSWERS = 16 };

struct answers {
    unsigned count;
    struct item *items[RIG_ANSWERS];
};

struct recv_rig {
    struct scratch scratch; /* its directory is the root */
    struct report report;
    struct agreement agreed;
    struct link_in in;
    struct outbox *out;
    struct pool *pool;
    struct recv_session *session;
    uint64_t order;
    struct answers answers; /* to the last message */
};
/* `select`: what a pull asked for, or NULL. */
void recv_rig_new(struct recv_rig *rig, const char *const *select);
void recv_rig_free(struct recv_rig *rig);
/* Applies the message, which is used up; the code, and what was said about it in *err. */
int recv_rig_take(struct recv_rig *rig, struct item *item, struct err *err);
/* The same for what must be accepted. */
void recv_rig_good(struct recv_rig *rig, struct item *item);
/* Brings a new rig into that state. */
void recv_rig_reach(struct recv_rig *rig, enum recv_state state);

struct send_rig {
    struct report report;
    struct outbox *out;
    struct pool *pool;
    struct send_session session;
    struct source_root root;
    uint64_t order;
    struct answers answers;
};
void send_rig_new(struct send_rig *rig, struct os_dir source, enum send_state state);
void send_rig_free(struct send_rig *rig);
int send_rig_take(struct send_rig *rig, struct item *item, struct err *err);
void send_rig_good(struct send_rig *rig, struct item *item);
/* Lists an entry; its id. */
uint64_t send_rig_list(struct send_rig *rig, enum entry_type type, const char *path);
/* As if this data frame had been sent with that order. The item is used up. */
void send_rig_sent(struct send_rig *rig, struct item *item, uint64_t order);

/* The first answer of that type, or NULL. */
const struct item *answer_of(const struct answers *answers, uint8_t type);

#endif
