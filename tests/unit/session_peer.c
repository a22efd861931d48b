#include "session_peer.h"

#include "sockets_help.h"

struct real_end {
    const struct session_ops *ops;
    enum role role;
    struct source_root root;
    union {
        struct sender_config sender;
        struct receiver_config receiver;
    } config;
    void *session;
    struct way way;
    int code;
    struct os_thread thread;
};

static void *run_real(void *arg) {
    struct real_end *e = arg;
    e->code = e->ops->run(e->session, &e->config, &e->way);
    return NULL;
}

struct real_end *real_end_start(enum role role, const struct pair_options *opt, struct os_dir dir, bool shake,
                                struct peer *ret) {
    int fds[2];
    struct real_end *e = calloc(1, sizeof *e);
    struct conn *ours;
    assert_non_null(e);
    pair_catch();
    e->role = role;
    e->ops = role == ROLE_SENDER ? &sender_ops : &receiver_ops;
    e->root = (struct source_root){.base = dir, .name = ""};
    if (role == ROLE_SENDER)
        e->config.sender = pair_sender_config(opt, &e->root);
    else
        e->config.receiver = pair_receiver_config(opt, dir);
    sockets_pair(fds);
    assert_int_equal(conn_from_fd(fds[0], "the test", &e->way.conn, NULL), 0);
    assert_int_equal(conn_from_fd(fds[1], "the session", &ours, NULL), 0);
    e->session = e->ops->prepare(&e->config);
    assert_non_null(e->session);
    *ret = (struct peer){.pool = pool_new(PAIR_CHUNK, 8)};
    assert_int_equal(stream_new(ours, PATIENT_MS, &ret->stream, NULL), 0);
    assert_int_equal(os_thread_start(&e->thread, "real", run_real, e, NULL), 0);
    struct handshake mine = {
        .role = role == ROLE_SENDER ? ROLE_RECEIVER : ROLE_SENDER,
        .dialler = (role == ROLE_SENDER) == opt->receiver_dials,
        .chunk_size = PAIR_CHUNK,
        .features = FEATURE_CHECK,
    };
    if (shake)
        assert_int_equal(handshake(ret->stream, &mine, PATIENT_MS, &ret->agreed, NULL), 0);
    return e;
}

void real_end_join(struct real_end *e, struct peer *peer, struct side *ret) {
    (void)stream_close(peer->stream, NULL);
    os_thread_join(&e->thread);
    pool_free(peer->pool);
    *peer = (struct peer){0};
    const struct run *run =
        e->role == ROLE_SENDER ? &((struct sender *)e->session)->run : &((struct receiver *)e->session)->run;
    *ret = (struct side){.code = e->code};
    if (run->failed)
        memcpy(ret->message, run->first.msg, sizeof ret->message);
    e->ops->free(e->session);
    free(e);
}

bool peer_say(struct peer *p, struct item *item) {
    struct err err = {0};
    bool sent = stream_send(p->stream, item, &err) == 0;
    item_free(item);
    return sent;
}

bool peer_hear(struct peer *p, uint8_t type, struct item **ret) {
    for (;;) {
        struct item *item;
        struct err err = {0};
        if (stream_recv(p->stream, p->pool, PATIENT_MS, &item, &err) != STREAM_ITEM)
            return false;
        bool found = item->frame.type == type;
        if (found && ret)
            *ret = item;
        else
            item_free(item);
        if (found)
            return true;
    }
}
