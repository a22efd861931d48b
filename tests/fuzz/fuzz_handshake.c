/* fuzz_handshake.c: preamble, HELLO, WELCOME and REJECT, of new sessions and of those that are gone on with.
 *
 * Input: which of the four ways in u8, role and flags u8, then steps of 2 bytes and more: n u8, delay u8 (tenths of a
 * second), n bytes of the stream. With bit 7 of the second byte the preamble, and the head of the first frame, are
 * made right first. Promises: what is accepted keeps the limits of the protocol and what this end offered; a failure
 * has a code and a text; the deadline holds.
 */
#include "fuzz.h"

#include "../sim/sim.h"
#include "../sim/sim_net.h"

#include "codec/codec.h"
#include "core/log.h"
#include "os/os.h"
#include "program/handshake.h"

#include <string.h>

enum { HANDSHAKE_MS = 5000, REJECT_MS = 1000, MOST = 4200, FEATURES = FEATURE_CHECK | FEATURE_RESUME };
enum way_in { LISTEN, LISTEN_FOR_BACK, DIAL, RESUME, WAYS };

static struct {
    const uint8_t *input;
    size_t n;
} test;

static const struct agreement before = {
    .session_id = {1, 2, 3},
    .version = PROTOCOL_VERSION_MAX,
    .codecs = 3,
    .chunk_size = CHUNK_SIZE_MIN,
    .features = FEATURES,
    .our_window = 1 << 24,
};

/* The stream's bytes, one step after another. */
static size_t put_steps(struct sim_stream *s, const uint8_t *p, size_t n, bool right) {
    static uint8_t all[MOST];
    size_t total = 0;
    const uint8_t *at = p;
    for (size_t left = n; left >= 2; left -= 2 + at[0], at += 2 + at[0]) {
        if (at[0] > left - 2 || total + at[0] > MOST)
            break;
        memcpy(all + total, at + 2, at[0]);
        total += at[0];
    }
    if (right && total >= PREAMBLE_SIZE + FRAME_HEADER_SIZE) {
        struct preamble pre = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX};
        uint8_t *head = all + PREAMBLE_SIZE;
        size_t body = total - PREAMBLE_SIZE - FRAME_HEADER_SIZE;
        struct frame f = {.type = head[0], .body_length = (uint32_t)body};
        preamble_encode(&pre, all);
        frame_encode(&f, head + FRAME_HEADER_SIZE, head);
    }
    size_t done = 0;
    for (at = p; done < total; at += 2 + at[0]) {
        sim_net_put(s, 1, all + done, at[0], at[1] * 100u);
        done += at[0];
    }
    return total;
}

static void must_keep_limits(const struct agreement *a, uint32_t offered) {
    SIM_MUST(a->chunk_size >= CHUNK_SIZE_MIN && a->chunk_size <= offered);
    SIM_MUST((a->features & ~(uint64_t)FEATURES) == 0);
    SIM_MUST((a->codecs & 1) && (a->codecs & ~codec_mask()) == 0);
    SIM_MUST(a->their_window >= 2 * (FRAME_COST + (uint64_t)BODY_MAX) && a->their_window <= INT64_MAX);
    SIM_MUST(a->version == PROTOCOL_VERSION_MAX);
}

static void must_be_told(int result, const struct err *err) {
    SIM_MUST(result >= 0 ? err->code == 0 : err->code != 0 && err->msg[0] != '\0');
}

static void greet(struct stream *s, enum way_in way, uint8_t flags) {
    struct err err = {0};
    struct agreement a;
    struct comeback back;
    uint64_t theirs = 0;
    struct handshake ours = {
        .role = flags & 1 ? ROLE_SENDER : ROLE_RECEIVER,
        .dialler = way == DIAL,
        .chunk_size = flags & 2 ? CHUNK_SIZE_MIN : CHUNK_SIZE_DEFAULT,
        .features = FEATURES,
    };
    int result;
    if (way == RESUME)
        result = handshake_resume(s, ours.role, &before, 9, HANDSHAKE_MS, &theirs, &err);
    else if (way == LISTEN_FOR_BACK)
        result = handshake_listen(s, &ours, HANDSHAKE_MS, &a, &back, &err);
    else
        result = handshake(s, &ours, HANDSHAKE_MS, &a, &err);
    must_be_told(result, &err);
    if (result == HANDSHAKE_BACK)
        SIM_MUST(way == LISTEN_FOR_BACK && back.version == PROTOCOL_VERSION_MAX && back.role != ours.role);
    else if (result == 0 && way != RESUME)
        must_keep_limits(&a, ours.chunk_size);
    if (result == HANDSHAKE_BACK)
        (void)handshake_accept(s, ours.role, &before, &back, 9, &err);
}

static void run(void *arg) {
    (void)arg;
    struct sim_stream *end;
    struct stream *s;
    struct conn *conn = sim_net_conn(&end);
    SIM_MUST(stream_new(conn, HANDSHAKE_MS, &s, NULL) == 0);
    (void)put_steps(end, test.input + 2, test.n - 2, test.input[1] & 0x80);
    if (test.input[1] & 0x40)
        sim_net_end_direction(end, 1);
    int64_t start = os_now_ms();
    greet(s, test.input[0] % WAYS, test.input[1]);
    SIM_MUST(os_now_ms() - start <= HANDSHAKE_MS + REJECT_MS + 100);
    (void)stream_close(s, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    if (n < 2)
        return 0;
    test.input = input;
    test.n = n;
    struct sim_options opt = {.seed = 1, .cpus = 1, .turns_max = 100000};
    struct sim_net net = {.capacity = 1 << 20};
    log_setup("fuzz", LOG_DEBUG);
    sim_begin(&opt);
    sim_net_begin(&net);
    sim_spawn("handshake", run, NULL);
    sim_run();
    sim_net_end();
    sim_end();
    return 0;
}
