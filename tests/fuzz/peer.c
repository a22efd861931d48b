/* peer.c: steps, one after another: op u8, then
 *   STREAM   -                       close the stream, get another one, send a preamble
 *   PAUSE    hundredths u8           wait so many tenths of a second, in which the real end does all that it can
 *   RAW      n u8, bytes             these
 *   GREET    intent u8, processed u8, features u8
 *                                    hear the other greeting where this end listens; HELLO, or WELCOME to it
 *   FRAME    type u8, how u8, n u16, body, and for CHUNK and BUNDLE data_length u16
 * `how`: bit 0 FRAME_RESENT, bit 1 FRAME_OPTIONAL, bit 2 the digest is made right (CHUNK, BUNDLE, FILE_END), bit 3 the
 * order is not the next one but that of the high 4 bits, bit 4 seq is wrong.
 */
#include "peer.h"

#include "../sim/sim.h"
#include "../sim/sim_fs.h"
#include "../sim/sim_net.h"

#include "codec/digest.h"
#include "core/log.h"
#include "os/os.h"
#include "program/endpoint.h"
#include "wire/frame.h"
#include "wire/msg.h"

#include <stdlib.h>
#include <string.h>

enum { OP_STREAM, OP_PAUSE, OP_RAW, OP_GREET, OP_FRAME, OPS };
enum {
    HOW_FLAGS = 3,
    HOW_RIGHT_DIGEST = 4,
    HOW_OWN_ORDER = 8,
    HOW_WRONG_SEQ = 16,
    STREAMS_MAX = 16,
    TIMEOUT_MS = 20 * 1000,
    TURNS_MAX = 2 * 1000 * 1000,
    LATER_MS = 10 * 60 * 1000,
    DATA_BYTE = 0x5a,
};

static struct {
    const struct peer_plan *plan;
    struct rd steps;
    struct addr to;
    struct listener *listener;
    struct server *server;
    struct options options;
    int code;
    bool over; /* the real end */
    bool stopped; /* the server: its code says nothing of a session then */
    struct conn *conn;
    unsigned streams;
    uint32_t seq;
    uint64_t order;
    uint8_t session_id[SESSION_ID_SIZE];
    struct file_digest *digest;
    unsigned sent[256], heard[256];
} peer;

unsigned peer_sent(uint8_t type) {
    return peer.sent[type];
}
unsigned peer_heard(uint8_t type) {
    return peer.heard[type];
}

/* ---- the stream ------------------------------------------------------------------------------------------------- */

static void say(const void *p, size_t n) {
    struct span part = {.p = p, .n = n};
    struct err ignored;
    if (peer.conn && n > 0)
        (void)conn_write(peer.conn, &part, 1, TIMEOUT_MS, &ignored);
}

static void open_stream(void) {
    struct preamble p = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX};
    uint8_t bytes[PREAMBLE_SIZE];
    struct err ignored;
    (void)conn_close(peer.conn, NULL);
    peer.conn = NULL;
    if (peer.streams++ >= STREAMS_MAX)
        return;
    int result = peer.plan->real_dials ? listener_accept(peer.listener, TIMEOUT_MS, &peer.conn, &ignored)
                                       : conn_dial(&peer.to, TIMEOUT_MS, NULL, &peer.conn, &ignored);
    peer.seq = 0;
    if (result != 0)
        peer.conn = NULL;
    preamble_encode(&p, bytes);
    say(bytes, sizeof bytes);
}

/* What the real end writes: its frames are whole, see stream_write. Nothing is changed. */
static void count_frames(void *ctx, struct sim_stream *s, unsigned direction, const uint8_t *p, size_t n) {
    (void)ctx;
    sim_net_put(s, direction, p, n, 0);
    if ((direction == 0) != peer.plan->real_dials || p[0] == 0x89)
        return;
    for (size_t whole; n >= FRAME_HEADER_SIZE; p += whole, n -= whole) {
        peer.heard[p[0]]++;
        whole = FRAME_HEADER_SIZE + (size_t)le32(p + 4) + le32(p + 8);
        SIM_MUST(whole <= n);
    }
}

/* The dialler's HELLO, for its session id. */
static void hear_greeting(void) {
    uint8_t bytes[PREAMBLE_SIZE + FRAME_HEADER_SIZE + HANDSHAKE_BODY_MAX];
    enum { ID_AT = PREAMBLE_SIZE + FRAME_HEADER_SIZE + 12, NEEDED = ID_AT + SESSION_ID_SIZE };
    size_t got = 0;
    struct err ignored;
    while (got < NEEDED) {
        ptrdiff_t n = conn_read(peer.conn, bytes + got, sizeof bytes - got, TIMEOUT_MS, &ignored);
        if (n <= 0)
            return;
        got += (size_t)n;
    }
    memcpy(peer.session_id, bytes + ID_AT, SESSION_ID_SIZE);
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static bool is_ordered(uint8_t type) {
    return type >= MSG_START && type != MSG_ACK && type != MSG_HEARTBEAT && type != MSG_ABORT;
}

static void send_frame(uint8_t type, uint8_t how, const uint8_t *body, uint32_t n, const uint8_t *data,
                       uint32_t data_n) {
    uint8_t header[FRAME_HEADER_SIZE];
    bool own = how & HOW_OWN_ORDER;
    struct frame f = {
        .type = type,
        .flags = how & HOW_FLAGS,
        .body_length = n,
        .data_length = data_n,
        .seq = peer.seq++ + (how & HOW_WRONG_SEQ ? 1 : 0),
        .order = own                ? (uint64_t)how >> 4
                 : is_ordered(type) ? ++peer.order
                                    : 0,
    };
    frame_encode(&f, body, header);
    say(header, sizeof header);
    say(body, n);
    say(data, data_n);
    peer.sent[type]++;
}

/* CHUNK and BUNDLE have a digest of their data, FILE_END one of the chunks before it. */
static void make_right(uint8_t type, uint8_t *body, uint32_t n, const uint8_t *data, uint32_t data_n) {
    struct msg_chunk chunk;
    struct digest d = digest_of(data, data_n);
    if (type == MSG_FILE_BEGIN)
        file_digest_start(peer.digest);
    if (type == MSG_CHUNK && n >= 40)
        memcpy(body + 24, d.b, DIGEST_SIZE);
    if (type == MSG_BUNDLE && n >= 24)
        memcpy(body + 8, d.b, DIGEST_SIZE);
    struct span all = {.p = body, .n = n};
    if (type == MSG_CHUNK && msg_chunk_decode(all, data_n, CHUNK_SIZE_MIN, &chunk, NULL) == 0)
        file_digest_add(peer.digest, chunk.offset, chunk.raw_length, &d);
    if (type == MSG_FILE_END && n >= 40) {
        d = file_digest_finish(peer.digest, le64(body + 8));
        memcpy(body + 24, d.b, DIGEST_SIZE);
    }
}

static void frame_step(void) {
    static uint8_t body[UINT16_MAX], data[UINT16_MAX];
    uint8_t type = rd_u8(&peer.steps), how = rd_u8(&peer.steps);
    uint32_t n = rd_u16(&peer.steps), data_n = 0;
    if (n > rd_left(&peer.steps))
        n = (uint32_t)rd_left(&peer.steps);
    if (n > 0)
        memcpy(body, rd_bytes(&peer.steps, n), n);
    if (type == MSG_CHUNK || type == MSG_BUNDLE)
        data_n = rd_u16(&peer.steps);
    memset(data, DATA_BYTE, data_n);
    if (how & HOW_RIGHT_DIGEST)
        make_right(type, body, n, data, data_n);
    send_frame(type, how, body, n, data, data_n);
}

static void greet_step(void) {
    uint8_t bytes[HANDSHAKE_BODY_MAX];
    struct wr w = wr_of(bytes, sizeof bytes);
    struct msg_hello m = {
        .version = PROTOCOL_VERSION_MAX,
        .role = peer.plan->role,
        .intent = rd_u8(&peer.steps),
        .codecs = 3,
        .chunk_size = CHUNK_SIZE_MIN,
        .window = 1 << 24,
        .streams = 1,
    };
    m.processed = rd_u8(&peer.steps);
    m.features = rd_u8(&peer.steps);
    if (peer.conn && peer.plan->real_dials)
        hear_greeting();
    memcpy(m.session_id, peer.session_id, SESSION_ID_SIZE);
    msg_hello_encode(&w, &m);
    send_frame(peer.plan->real_dials ? MSG_WELCOME : MSG_HELLO, 0, bytes, (uint32_t)wr_used(&w), NULL, 0);
}

/* ---- the steps -------------------------------------------------------------------------------------------------- */

static void do_step(uint8_t op) {
    uint32_t n;
    switch (op % OPS) {
    case OP_STREAM: open_stream(); break;
    case OP_PAUSE: os_sleep_ms(rd_u8(&peer.steps) * 100); break;
    case OP_RAW:
        n = rd_u8(&peer.steps);
        if (n > rd_left(&peer.steps))
            n = (uint32_t)rd_left(&peer.steps);
        say(rd_bytes(&peer.steps, n), n);
        break;
    case OP_GREET: greet_step(); break;
    case OP_FRAME: frame_step(); break;
    }
}

static void run_peer(void *arg) {
    (void)arg;
    open_stream();
    while (rd_left(&peer.steps) > 0 && !peer.steps.bad && !peer.over)
        do_step(rd_u8(&peer.steps));
    os_sleep_ms(1000);
    (void)conn_close(peer.conn, NULL);
    peer.conn = NULL;
    if (peer.listener && peer.plan->real_dials) {
        listener_close(peer.listener);
        peer.listener = NULL;
        sim_net_give_up();
    }
    os_sleep_ms(LATER_MS);
    if (peer.server && !peer.over) {
        peer.stopped = true;
        server_stop(peer.server);
    }
}

static void run_real(void *arg) {
    static const struct endpoint_files nowhere = {0};
    struct err err = {0};
    (void)arg;
    const struct endpoint_target target = {.to = &peer.to, .config = peer.plan->config};
    if (peer.plan->real_dials)
        peer.code = endpoint_run(&target, 1, &peer.options, peer.plan->ops, &nowhere, &err);
    else
        peer.code = server_run(peer.server);
    if (peer.code < 0)
        peer.code = err.code;
    peer.over = true;
}

int peer_run(const struct peer_plan *plan, const uint8_t *steps, size_t n) {
    memset(&peer, 0, sizeof peer);
    peer.plan = plan;
    peer.steps = rd_of(steps, n);
    peer.to = (struct addr){.transport = &sim_transport, .text = "sim"};
    peer.listener = sim_net_listen();
    peer.digest = file_digest_new();
    peer.options = (struct options){
        .once = true,
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = TIMEOUT_MS,
        .retries_given = true,
        .retries = 8,
        .retry_delay_ms = 100,
        .grace_ms = TIMEOUT_MS,
        .max_sessions = PEER_SESSIONS_DEFAULT,
    };
    memset(peer.session_id, 7, sizeof peer.session_id);
    SIM_MUST(peer.digest != NULL);
    file_digest_start(peer.digest);
    if (!plan->real_dials) {
        peer.server = server_new(peer.listener, &peer.options, plan->ops, plan->config);
        SIM_MUST(peer.server != NULL);
    }
    sim_spawn("real", run_real, NULL);
    sim_spawn("peer", run_peer, NULL);
    sim_run();
    if (peer.server)
        server_free(peer.server);
    listener_close(peer.listener);
    file_digest_free(peer.digest);
    return peer.stopped ? PEER_STOPPED : peer.code;
}

/* ---- the world -------------------------------------------------------------------------------------------------- */

bool peer_begin(const uint8_t *input, size_t n) {
    if (n < PEER_HEAD)
        return false;
    struct sim_options opt = {
        .seed = le32(input + 4), .preempt = input[2], .cpus = 1, .turns_max = TURNS_MAX};
    struct sim_net net = {
        .tap = count_frames,
        .capacity = (size_t)1 << (8 + input[3] % 16),
        .short_reads = input[0] & PEER_SHORT_READS ? 64 : 0,
    };
    log_setup("fuzz", LOG_DEBUG);
    sim_begin(&opt);
    sim_net_begin(&net);
    sim_fs_begin();
    return true;
}

void peer_end(void) {
    sim_fs_end();
    sim_net_end();
    sim_end();
}
