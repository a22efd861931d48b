#include "session_pair.h"

#include "core/log.h"
#include "sockets_help.h"
#include "watch_help.h"

/* ---- what is printed --------------------------------------------------------------------------------- */

static int caught = -1; /* stands in for stderr */
static char said[64 * 1024];

static void *do_nothing(void *arg) {
    return arg;
}

/* A sanitizer starts a thread of its own together with the first one of the program, and keeps it. */
static void start_first_thread(void) {
    struct os_thread first;
    assert_int_equal(os_thread_start(&first, "first", do_nothing, NULL, NULL), 0);
    os_thread_join(&first);
}

void pair_catch(void) {
    if (caught < 0) {
        start_first_thread();
        caught = catch_stderr();
        log_setup("pair", LOG_WARNING);
    }
    forget_caught(caught);
}

const char *pair_said(void) {
    said[read_caught(caught, said, sizeof said - 1)] = '\0';
    return said;
}

unsigned pair_stride(void) {
    const char *given = getenv("HVFERRY_TEST_STRIDE");
    if (given && atoi(given) > 0)
        return (unsigned)atoi(given);
    return usual_stride();
}

/* ---- what is left behind -------------------------------------------------------------------------------- */

/* A thread that was joined may be listed for a moment longer. */
static bool threads_are_back(unsigned before) {
    enum { PAUSES = 10000 };
    for (unsigned i = 0; i < PAUSES; i++) {
        if (running_threads() <= before)
            return true;
        os_sleep_ms(1);
    }
    return false;
}

/* ---- one session ------------------------------------------------------------------------------------------ */

struct end {
    const struct session_ops *ops;
    const void *config;
    void *session;
    struct way way;
    int code;
    unsigned stop_us;
    struct os_thread thread, stopper;
};

static void *run_end(void *arg) {
    struct end *e = arg;
    e->code = e->ops->run(e->session, e->config, &e->way);
    return NULL;
}

static void *stop_end(void *arg) {
    struct end *e = arg;
    struct err why = {0};
    pause_us(e->stop_us);
    (void)err_set(&why, EXIT_SIGNAL, "stopped by the test");
    e->ops->stop(e->session, &why);
    return NULL;
}

/* The far side of the end's stream. */
static int start_end(struct end *e, const char *name) {
    int fds[2];
    sockets_pair(fds);
    assert_int_equal(conn_from_fd(fds[0], name, &e->way.conn, NULL), 0);
    e->session = e->ops->prepare(e->config);
    assert_non_null(e->session);
    return fds[1];
}

static void launch(struct end *e) {
    assert_int_equal(os_thread_start(&e->thread, "end", run_end, e, NULL), 0);
    if (e->stop_us > 0)
        assert_int_equal(os_thread_start(&e->stopper, "stopper", stop_end, e, NULL), 0);
}

static void collect(struct end *e, const struct run *run, const struct report *r, struct side *ret) {
    os_thread_join(&e->thread);
    if (e->stop_us > 0)
        os_thread_join(&e->stopper);
    *ret = (struct side){
        .code = e->code,
        .committed = atomic_load(&r->files_committed),
        .skipped = atomic_load(&r->files_skipped),
        .failed = atomic_load(&r->files_failed),
        .resent = atomic_load(&r->chunks_resent),
        .raw = atomic_load(&r->bytes_raw),
    };
    if (run->failed)
        memcpy(ret->message, run->first.msg, sizeof ret->message);
    e->ops->free(e->session);
}

struct sender_config pair_sender_config(const struct pair_options *opt, const struct source_root *root) {
    enum { USUAL = OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES };
    int timeout = opt->timeout_ms ? opt->timeout_ms : PATIENT_MS;
    return (struct sender_config){
        .roots = root,
        .root_count = 1,
        .flags = opt->flags ? opt->flags : USUAL,
        .durable = opt->durable,
        .codec = opt->codec,
        .chunk_size = opt->sender_chunk ? opt->sender_chunk : PAIR_CHUNK,
        .timeout_ms = timeout,
        .handshake_ms = timeout,
        .dialler = !opt->receiver_dials,
        .serial = opt->sender_serial,
        .share = opt->share,
        .style = {.role = "sender", .progress_fd = -1},
    };
}

struct receiver_config pair_receiver_config(const struct pair_options *opt, struct os_dir dest) {
    int timeout = opt->timeout_ms ? opt->timeout_ms : PATIENT_MS;
    return (struct receiver_config){
        .session = {.root = dest, .selects = opt->selects, .select_count = opt->select_count, .umask = 022},
        .chunk_size = opt->receiver_chunk ? opt->receiver_chunk : PAIR_CHUNK,
        .timeout_ms = timeout,
        .handshake_ms = timeout,
        .dialler = opt->receiver_dials,
        .serial = opt->receiver_serial,
        .style = {.role = "receiver", .progress_fd = -1},
    };
}

void pair_run(const struct pair_options *opt, struct os_dir source, struct os_dir dest,
              struct pair_result *ret) {
    pair_catch();
    unsigned descriptors = open_descriptors(), threads = running_threads();
    struct source_root root = {.base = source, .name = ""};
    struct sender_config sc = pair_sender_config(opt, &root);
    struct receiver_config rc = pair_receiver_config(opt, dest);
    struct end sender = {.ops = &sender_ops, .config = &sc, .stop_us = opt->stop_sender_us};
    struct end receiver = {.ops = &receiver_ops, .config = &rc, .stop_us = opt->stop_receiver_us};
    int sender_side = start_end(&sender, "sender's stream"),
        receiver_side = start_end(&receiver, "receiver's stream");
    struct relay *relay = relay_start(sender_side, receiver_side, opt->plan);
    assert_non_null(relay);
    launch(&receiver);
    launch(&sender);
    struct sender *s = sender.session;
    struct receiver *r = receiver.session;
    collect(&sender, &s->run, &s->report, &ret->sender);
    collect(&receiver, &r->run, &r->report, &ret->receiver);
    relay_join(relay, ret->passed);
    ret->leak = NULL;
    if (!threads_are_back(threads))
        ret->leak = "a thread was left behind";
    else if (open_descriptors() != descriptors)
        ret->leak = "a descriptor was left behind";
}
