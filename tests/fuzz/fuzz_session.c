/* fuzz_session.c: a sender and a receiver, whole, with their threads, server and redialling, on a stream that is harmed.
 *
 * Input: a head (struct head below), then harms of 4 bytes: kind, direction and index of the frame, argument u16.
 * Everything else (turns of the threads, time, files) is sim/'s, so that the same input gives the same run. Promises:
 * - an end that returns 0 has all files at the destination, equal and durable; so has an acknowledgement its file;
 * - the destination has the old or the new of each file, and nothing unfinished but the part of a large file, which a later
 *   session uses; a good session leaves nothing of that, nor what a dead one left there before;
 * - harms that a session must survive end in success at both ends;
 * - nothing deadlocks, runs for ever, or is left open.
 */
#include "fuzz.h"
#include "harm.h"
#include "trees.h"

#include "../sim/sim.h"
#include "../sim/sim_fs.h"

#include "os/os.h"
#include "core/log.h"
#include "program/endpoint.h"
#include "receiver/receiver.h"
#include "receiver/sink_impl.h"
#include "sender/sender.h"
#include "wire/msg.h"

#include <errno.h>
#include <string.h>

enum {
    HEAD_SIZE = 12,
    HARM_SIZE = 4,
    LEFT_BYTES = 10 * 1024 * 1024, /* beyond the window of a receiver too */
    HOUR_MS = 3600 * 1000,
    TURNS_MAX = 4 * 1000 * 1000,
    TIMEOUT_MS = 20 * 1000,
};

enum { /* head.flags */
       RECEIVER_DIALS = 1,
       TWO_CPUS = 2,
       CHECKSUM = 4,
       ZLIB = 8,
       CLOSE_LOSES = 16,
       SERIAL_SENDER = 32,
       SERIAL_RECEIVER = 64,
       DURABLE_EACH = 128,
};

enum { /* head.net */
       CAPACITY = 15,
       SHORT_READS = 16,
       MANY_SESSIONS = 32, /* the listener serves more than one */
       HUGE = 64, /* a file that is kept when it is interrupted, with a hole in it */
       LEFT_OVERS = 128, /* of a dead session: a part of it, not all of it right, and a temporary file */
};

struct head {
    uint8_t flags, present, same, old, preempt;
    uint32_t seed;
    uint8_t fail_in,
        fail_with; /* which call of the file system, and how; the high bits say how many streams */
    uint8_t net; /* low 4 bits: capacity; then as below */
};

static struct world {
    struct head head;
    struct harm_state harm;
    struct sim_node *source, *dest, *before; /* before: as dest was */
    struct os_dir source_dir, dest_dir;
    struct source_root root;
    struct sender_config sender;
    struct receiver_config receiver;
    struct options options;
    struct server *server;
    bool serving;
    bool stopped; /* the server: its code says nothing of a session then */
    int server_code, dialler_code;
    uint64_t durable_order, acknowledged, same_before; /* what the receiver told */
} w;

/* ---- the trees ------------------------------------------------------------------------------------------------ */

static void add_file(struct sim_node *at, unsigned file, unsigned version) {
    (void)sim_fs_file(at, trees_names[file], trees_content(file, version), trees_sizes[file],
                      1000000 + version);
}

static const char orphan[] = RESERVED_PREFIX "00000000000000ab.1.0", huge_name[] = "huge";

static void add_huge(void) {
    if (w.head.net & HUGE)
        (void)sim_fs_file(w.source, huge_name, trees_huge(), TREES_HUGE_BYTES, 1000000);
    if (!(w.head.net & LEFT_OVERS))
        return;
    uint8_t *left = malloc(LEFT_BYTES);
    struct temp_name partial;
    SIM_MUST(left != NULL);
    memcpy(left, trees_huge(), LEFT_BYTES);
    left[5 * TREES_BLOCK + 1] ^= 1;
    left[LEFT_BYTES - TREES_BLOCK] = 1; /* where the new one has a hole */
    sink_partial_name(huge_name, &partial);
    (void)sim_fs_file(w.dest, partial.s, left, LEFT_BYTES, 1);
    (void)sim_fs_file(w.dest, orphan, "x", 1, 1);
    free(left);
}

static void make_trees(void) {
    w.source_dir = sim_fs_root(&w.source);
    w.dest_dir = sim_fs_root(&w.dest);
    struct os_dir before = sim_fs_root(&w.before);
    os_dir_close(&before);
    struct sim_node *below = sim_fs_dir(w.source, "below");
    (void)sim_fs_link(w.source, "link", "one");
    for (unsigned i = 0; i < TREES_FILES; i++) {
        bool present = w.head.present >> i & 1, same = w.head.same >> i & 1, old = w.head.old >> i & 1;
        if (present)
            add_file(i % 3 == 2 ? below : w.source, i, 2);
        if (i % 3 == 2 || !(same || old))
            continue;
        add_file(w.dest, i, same ? 2 : 1);
        add_file(w.before, i, same ? 2 : 1);
        w.same_before += same && present;
    }
    add_huge();
}

/* ---- what must hold -------------------------------------------------------------------------------------------- */

/* Files of `from` that are at `to`, equal; with `durable` only those that a power cut would leave. */
static unsigned arrived(const struct sim_node *from, const struct sim_node *to, bool durable,
                        unsigned *ret_all) {
    struct sim_seen want, have;
    unsigned n = 0;
    for (unsigned i = 0; sim_fs_at(from, i, &want); i++) {
        bool found = sim_fs_find(to, want.name, &have);
        bool good = found && sim_fs_same(want.node, have.node) && (have.durable || !durable);
        if (sim_fs_kind(want.node) == OS_DIR && found)
            n += arrived(want.node, have.node, durable, ret_all);
        n += good && sim_fs_kind(want.node) == OS_FILE;
        *ret_all += sim_fs_kind(want.node) == OS_FILE;
    }
    return n;
}

static void must_be_complete(const struct sim_node *from, const struct sim_node *to) {
    struct sim_seen want, have;
    for (unsigned i = 0; sim_fs_at(from, i, &want); i++) {
        SIM_MUST(sim_fs_find(to, want.name, &have));
        SIM_MUST(sim_fs_same(want.node, have.node));
        SIM_MUST(have.durable);
        if (sim_fs_kind(want.node) == OS_DIR)
            must_be_complete(want.node, have.node);
    }
}

/* What a session leaves that did not come to its end, or never came to its beginning. */
static bool may_be_left(const char *name) {
    struct temp_name partial;
    sink_partial_name(huge_name, &partial);
    return (w.head.net & (HUGE | LEFT_OVERS) && strcmp(name, partial.s) == 0) ||
           (w.head.net & LEFT_OVERS && strcmp(name, orphan) == 0);
}

/* Nothing is left of this session, nor of the one before; that part is only used up when the file comes. */
static void must_be_tidy(const struct sim_node *dir) {
    struct sim_seen seen;
    struct temp_name partial;
    sink_partial_name(huge_name, &partial);
    for (unsigned i = 0; sim_fs_at(dir, i, &seen); i++) {
        bool reserved = strncmp(seen.name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
        SIM_MUST(!reserved || (!(w.head.net & HUGE) && strcmp(seen.name, partial.s) == 0));
        if (sim_fs_kind(seen.node) == OS_DIR)
            must_be_tidy(seen.node);
    }
}

/* Each name is that of `before` or of `from`, whole. */
static void must_be_old_or_new(const struct sim_node *to, const struct sim_node *from,
                               const struct sim_node *before) {
    struct sim_seen have, new, old;
    for (unsigned i = 0; sim_fs_at(to, i, &have); i++) {
        bool is_new = sim_fs_find(from, have.name, &new),
             is_old = before && sim_fs_find(before, have.name, &old);
        SIM_MUST(is_new || is_old || sim_fs_failed() || may_be_left(have.name));
        if (is_new && sim_fs_kind(have.node) == OS_DIR)
            must_be_old_or_new(have.node, new.node, NULL);
        else if (is_new || is_old)
            SIM_MUST((is_new && sim_fs_same(new.node, have.node)) ||
                     (is_old && sim_fs_same(old.node, have.node)));
    }
    for (unsigned i = 0; before && sim_fs_at(before, i, &old); i++)
        SIM_MUST(sim_fs_find(to, old.name, &have));
}

/* The receiver says DURABLE: then it is. What it says again after a break was said before. */
static void see(void *ctx, const struct frame *f, const uint8_t *body) {
    (void)ctx;
    struct msg_hello hello;
    struct span all = {.p = body, .n = f->body_length};
    if (f->type == MSG_HELLO && msg_hello_decode(all, &hello, NULL) == 0 && hello.intent == INTENT_NEW)
        w.durable_order = 0;
    if (f->type != MSG_DURABLE || f->order <= w.durable_order)
        return;
    struct rd r = rd_of(body, f->body_length);
    struct run_of_ids run;
    unsigned files = 0;
    w.durable_order = f->order;
    while (run_next(&r, MSG_DURABLE, &run, NULL) == 1)
        w.acknowledged += run.count;
    SIM_MUST(w.acknowledged <= arrived(w.source, w.dest, true, &files));
}

/* Harms that a session must live through: it can be gone on with, and the files are sound. */
static bool must_succeed(void) {
    bool serial = w.head.flags & (SERIAL_SENDER | SERIAL_RECEIVER);
    return !serial && !sim_fs_failed() && !w.harm.greeting && w.harm.flips <= REFUSALS_MAX;
}

static void judge(void) {
    bool receiver_dials = w.head.flags & RECEIVER_DIALS, one = w.options.once && !w.stopped;
    int sender = receiver_dials ? w.server_code : w.dialler_code;
    int receiver = receiver_dials ? w.dialler_code : w.server_code;
    bool sender_known = one || !receiver_dials, receiver_known = one || receiver_dials;
    if ((sender_known && sender == 0) || (receiver_known && receiver == 0))
        must_be_complete(w.source, w.dest);
    must_be_old_or_new(w.dest, w.source, w.before);
    if (!must_succeed())
        return;
    must_be_complete(w.source, w.dest);
    must_be_tidy(w.dest);
    SIM_MUST(!sender_known || sender == 0 || w.harm.farewell);
    SIM_MUST(!receiver_known || receiver == 0 || w.harm.farewell);
    SIM_MUST(w.harm.farewell || w.dialler_code == 0);
}

/* ---- the two ends ------------------------------------------------------------------------------------------------ */

static void serve(void *arg) {
    struct listener *l = arg;
    w.server_code = server_run(w.server);
    w.serving = false;
    listener_close(l);
    sim_net_give_up();
}

static void dial(void *arg) {
    const struct addr *to = arg;
    static const struct endpoint_files nowhere = {0};
    struct err err = {0};
    bool receiver = w.head.flags & RECEIVER_DIALS;
    const struct session_ops *ops = receiver ? &receiver_ops : &sender_ops;
    const struct endpoint_target target = {.to = to, .config = receiver ? (void *)&w.receiver : &w.sender};
    w.dialler_code = endpoint_run(&target, 1, &w.options, ops, &nowhere, &err);
    if (w.dialler_code < 0)
        w.dialler_code = err.code;
    os_sleep_ms(2 * HOUR_MS); /* the other end has given up by then */
    if (w.serving) {
        w.stopped = true;
        server_stop(w.server);
    }
}

static void configure(void) {
    uint8_t flags = w.head.flags;
    unsigned streams = 1 + w.head.fail_with / 64;
    bool receiver_dials = flags & RECEIVER_DIALS;
    struct report_style style = {.role = "end", .progress_fd = -1};
    w.root = (struct source_root){.base = w.source_dir, .name = ""};
    w.sender = (struct sender_config){
        .roots = &w.root,
        .root_count = 1,
        .flags = OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES | (flags & CHECKSUM ? OPT_CHECKSUM : 0),
        .durable = flags & DURABLE_EACH ? DURABLE_FILE : DURABLE_BATCH,
        .codec = flags & ZLIB ? CODEC_ZLIB : CODEC_NONE,
        .chunk_size = CHUNK_SIZE_MIN,
        .streams = streams,
        .timeout_ms = TIMEOUT_MS,
        .handshake_ms = TIMEOUT_MS,
        .dialler = !receiver_dials,
        .serial = flags & SERIAL_SENDER,
        .style = style,
    };
    w.receiver = (struct receiver_config){
        .session = {.root = w.dest_dir, .umask = 022},
        .chunk_size = CHUNK_SIZE_MIN,
        .streams = streams,
        .timeout_ms = TIMEOUT_MS,
        .handshake_ms = TIMEOUT_MS,
        .dialler = receiver_dials,
        .serial = flags & SERIAL_RECEIVER,
        .style = style,
    };
    w.options = (struct options){
        .once = !(w.head.net & MANY_SESSIONS),
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = TIMEOUT_MS,
        .retries_given = true,
        .retries = RETRY_FOREVER,
        .retry_delay_ms = 100,
        .grace_ms = HOUR_MS,
        .max_sessions = PEER_SESSIONS_DEFAULT,
    };
}

static void run_both(void) {
    static struct addr to;
    struct listener *l = sim_net_listen();
    bool receiver_dials = w.head.flags & RECEIVER_DIALS;
    to = (struct addr){.transport = &sim_transport, .text = "sim"};
    w.server = server_new(l, &w.options, receiver_dials ? &sender_ops : &receiver_ops,
                          receiver_dials ? (void *)&w.sender : &w.receiver);
    SIM_MUST(w.server != NULL);
    w.serving = true;
    sim_spawn("serve", serve, l);
    sim_spawn("dial", dial, &to);
    sim_run();
    server_free(w.server);
}

/* ---- the input ------------------------------------------------------------------------------------------------------ */

static struct head head_of(const uint8_t *p) {
    return (struct head){p[0], p[1], p[2], p[3], p[4], le32(p + 5), p[9], p[10], p[11]};
}

static void read_script(const uint8_t *p, size_t n, struct harm_script *ret) {
    for (; n >= HARM_SIZE && ret->count < HARMS_MAX; p += HARM_SIZE, n -= HARM_SIZE)
        ret->harms[ret->count++] = (struct harm){
            .kind = p[0] % HARM_KINDS,
            .direction = p[1] >> 7,
            .index = p[1] & 0x7f,
            .arg = p[2] | (unsigned)p[3] << 8,
        };
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    static const int errors[] = {ENOSPC, EIO, EACCES, EDQUOT, EROFS};
    if (n < HEAD_SIZE)
        return 0;
    memset(&w, 0, sizeof w);
    w.head = head_of(input);
    read_script(input + HEAD_SIZE, n - HEAD_SIZE, &w.harm.script);
    w.harm.seen = see;
    struct sim_options opt = {
        .seed = w.head.seed,
        .preempt = w.head.preempt,
        .cpus = w.head.flags & TWO_CPUS ? 2 : 1,
        .turns_max = TURNS_MAX,
    };
    struct sim_net net = {
        .tap = harm_tap,
        .ctx = &w.harm,
        .capacity = (size_t)1 << (8 + (w.head.net & CAPACITY)),
        .short_reads = w.head.net & SHORT_READS ? 64 : 0,
        .close_loses = w.head.flags & CLOSE_LOSES,
    };
    log_setup("fuzz", LOG_DEBUG);
    sim_begin(&opt);
    sim_net_begin(&net);
    sim_fs_begin();
    make_trees();
    sim_fs_fail(w.head.fail_in, errors[w.head.fail_with % (sizeof errors / sizeof errors[0])]);
    configure();
    run_both();
    judge();
    os_dir_close(&w.source_dir);
    os_dir_close(&w.dest_dir);
    harm_free(&w.harm);
    sim_fs_end();
    sim_net_end();
    sim_end();
    return 0;
}
