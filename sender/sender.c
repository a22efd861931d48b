/* sender.c: the pipeline of one session. In order:
 *
 *   scan      tree -> entries; runs ahead of the data within the window of the ledger
 *   read      wanted files -> raw chunks, holes, bundles; takes a buffer from the pool, which bounds memory
 *   pack ×N   digest of the raw bytes, compression where it pays; within read where there is one processor
 *   send      the only writer: urgent messages, entries, then data in the order of reading; waits for credit
 *   ack       the receiver's messages: verdicts, durable, refused, credit
 *   lane ×N   where the session has several streams: write data frames that the send stage hands over
 *
 * Handshake, START and goodbye run on the main thread of the session.
 */
#include "sender/stages.h"

#include "codec/digest.h"
#include "program/lanes.h"
#include "program/options.h"
#include "program/session.h"

#include <stdlib.h>

enum {
    PACK_THREADS_MAX = 8,
    GOODBYE_WAIT_MS = 10000, /* for the receiver to close after BYE */
};

static void *prepare(const void *config) {
    struct sender *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->config = config;
    run_init(&s->run);
    return s;
}

static void stop(void *session, const struct err *why) {
    struct sender *s = session;
    run_fail(&s->run, why);
}

static void release(void *session) {
    struct sender *s = session;
    run_free(&s->run);
    free(s);
}

/* One processor gains nothing from handing chunks over. */
static unsigned pack_threads(void) {
    unsigned n = os_cpu_count();
    return n == 1 ? 0 : n < PACK_THREADS_MAX ? n : PACK_THREADS_MAX;
}

/* Of what is sent again one chunk is in hand at a time, and each further stream can have two. */
static unsigned spare_chunks(const struct agreement *agreed) {
    return 1 + 2 * (agreed->streams > 1 ? agreed->streams - 1u : 0u);
}

/* What both paths need once the handshake is over. */
static int build(struct sender *s, struct err *err) {
    struct send_session *session = &s->session;
    struct share *share = s->config->share;
    uint32_t chunk_size = session->agreed.chunk_size;
    unsigned packers = s->pack_threads > 0 ? s->pack_threads : 1;
    s->out = session->out = outbox_new(session->agreed.their_window, chunk_size);
    unsigned lent = chunks_lent(packers);
    s->pool = share ? pool_new_on(share_store(share), lent) : pool_new(chunk_size, lent);
    s->parts = pool_new(PART_MAX, PARTS_MAX);
    session->spare = pool_new(chunk_size, spare_chunks(&session->agreed));
    s->raw = queue_new(packers);
    session->ledger = s->out ? ledger_new(s->out, &s->report) : NULL;
    session->flight = flight_new();
    s->digest = file_digest_new();
    if (!s->out || !s->pool || !s->parts || !session->spare || !s->raw || !session->ledger ||
        !session->flight || !s->digest)
        return err_set(err, EXIT_MEMORY, "out of memory");
    outbox_bound(s->out, window_for(ROLE_RECEIVER, CHUNK_SIZE_MAX));
    session->report = &s->report;
    session->roots = s->config->roots;
    session->state = s->config->dialler ? SEND_TRANSFER : SEND_AWAIT_REQUEST;
    link_in_init(&session->in, session->agreed.our_window, chunk_size);
    s->next_ticket = 1;
    s->pace = s->config->pace ? s->config->pace : &s->own_pace;
    if (s->pace == &s->own_pace)
        pace_init(s->pace, &s->config->bwlimit, os_now_ns());
    source_init(&s->source, s->config->roots, chunk_size, s->pool, &s->report, NULL, NULL);
    s->source.parts = s->parts;
    if (share) { /* what other sessions read is found, and theirs to find */
        share_join(&s->share, share);
        s->source.share = &s->share;
        run_on_cancel(&s->run, share_cancel, &s->share);
    }
    s->source.content.cancelled = &s->run.failed;
    s->source.delta_always = s->config->delta == DELTA_ON;
    run_on_cancel(&s->run, outbox_cancel, s->out);
    run_on_cancel(&s->run, pool_cancel, s->pool);
    run_on_cancel(&s->run, pool_cancel, s->parts);
    run_on_cancel(&s->run, queue_cancel, s->raw);
    run_on_cancel(&s->run, ledger_cancel, session->ledger);
    uint64_t written, acked;
    bool told = line_acked(&s->line, &written, &acked);
    return pack_policy_init(&s->policy, s->config->codec, s->config->level, session->agreed.codecs, told,
                            packers, err);
}

static enum queue_result settle(void *ctx, int64_t deadline_ms, uint64_t *ret_processed) {
    struct sender *s = ctx;
    (void)deadline_ms; /* nothing is waited for */
    send_session_settle(&s->session, ret_processed);
    return QUEUE_OK;
}

static int prepare_again(void *ctx, struct ticketed *chain, struct err *err) {
    struct sender *s = ctx;
    return send_session_prepare(&s->session, chain, err);
}

static uint64_t progress(void *ctx) {
    struct sender *s = ctx;
    return send_session_progress(&s->session) + atomic_load(&s->source.compared);
}

/* A sender that listened hears first what the receiver wants. One that is quiet gets another try on a new stream; however
 * often it comes back, the time in which it has a stream is bounded, and so is all of it. */
static int take_request(struct sender *s, struct err *err) {
    int64_t deadline = os_now_ms() + s->config->handshake_ms;
    int64_t last = deadline + s->config->handshake_ms + s->line.way->grace_ms;
    bool once_more = true;
    s->line.back_by_ms = last;
    while (s->session.state == SEND_AWAIT_REQUEST) {
        struct item *item;
        int64_t left = deadline - os_now_ms();
        s->line.stream->read_by_ms = deadline; /* whatever drips */
        enum stream_result result =
            left > 0 ? stream_recv(s->line.stream, NULL, (int)left, &item, err) : STREAM_QUIET;
        if (result != STREAM_ITEM) {
            if (result == STREAM_QUIET) /* it may be alive, and only the stream dead */
                (void)err_set(err, EXIT_TIMEOUT,
                              "the receiver did not say within %d seconds what it asks for",
                              s->config->handshake_ms / 1000);
            else
                (void)ack_failed(s, result, err);
            int64_t began = os_now_ms();
            if ((result == STREAM_QUIET && !once_more) || line_recover(&s->line, result, err) != 0)
                return -1;
            deadline += os_now_ms() - began;
            if (result == STREAM_QUIET)
                deadline += s->config->handshake_ms;
            deadline = deadline < last ? deadline : last;
            once_more = once_more && result != STREAM_QUIET;
            continue;
        }
        if (send_session_take(&s->session, item, err) != 0)
            return -1;
    }
    s->line.stream->read_by_ms = s->line.back_by_ms = INT64_MAX;
    return 0;
}

static int open_session(struct sender *s, struct err *err) {
    struct line_hooks hooks = {settle, prepare_again, progress, s};
    s->session.agreed = s->line.agreed;
    s->pack_threads = pack_threads();
    if (build(s, err) != 0 || line_open(&s->line, s->out, s->session.flight, &hooks, err) != 0 ||
        take_request(s, err) != 0)
        return -1;
    s->flags = s->config->flags | s->session.requested_flags;
    struct scan_options opt = {
        .recursive = s->flags & OPT_RECURSIVE,
        .links = s->flags & OPT_LINKS,
        .selects = s->session.has_selects ? (const char *const *)s->session.selects : NULL,
        .select_count = s->session.select_count,
    };
    s->scan = scan_new(s->config->roots, s->config->root_count, &opt, &s->report);
    if (s->scan == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    return send_session_start(&s->session, s->flags, s->config->durable, s->config->into, err);
}

static int start_stages(struct sender *s, struct err *err) {
    if (run_start(&s->run, "send", stage_send, s, err) != 0 ||
        run_start(&s->run, "scan", stage_scan, s, err) != 0 ||
        run_start(&s->run, "read", stage_read, s, err) != 0)
        return -1;
    for (unsigned i = 0; i < s->pack_threads; i++)
        if (run_start(&s->run, "pack", stage_pack, s, err) != 0)
            return -1;
    if (run_start(&s->run, "ack", stage_ack, s, err) != 0)
        return -1;
    return lanes_start(&s->line, &s->run, lane_carry, s, err);
}

static int begin(void *session, struct err *err) {
    struct sender *s = session;
    if (open_session(s, err) != 0)
        return -1;
    return s->config->serial ? send_serially(s, err) : start_stages(s, err);
}

static void dismantle(void *session) {
    struct sender *s = session;
    count(&s->report.bytes_wire, line_bytes_out(&s->line));
    scan_free(s->scan);
    source_free(&s->source);
    queue_free(s->raw, item_drop);
    ledger_free(s->session.ledger);
    outbox_free(s->out);
    flight_free(s->session.flight);
    file_digest_free(s->digest);
    if (s->pace == &s->own_pace)
        pace_free(s->pace);
    pool_free(s->pool);
    pool_free(s->parts);
    send_session_free(&s->session);
}

static int run(void *session, const void *arg, struct way *way) {
    const struct sender_config *config = arg;
    struct sender *s = session;
    struct session_parts parts = {
        .ours =
            {
                .role = ROLE_SENDER,
                .dialler = config->dialler,
                .chunk_size = config->chunk_size,
                .streams = config->streams,
                .features = FEATURE_CHECK | (config->delta == DELTA_OFF ? 0u : FEATURE_DELTA),
                .key = config->key,
            },
        .handshake_ms = config->handshake_ms,
        .timeout_ms = config->timeout_ms,
        .goodbye_ms = GOODBYE_WAIT_MS,
        .one_stream = config->serial,
        .style = &config->style,
        .begin = begin,
        .end = dismantle,
        .session = s,
    };
    s->config = config;
    s->source.dirs_root = -1;
    return session_run(&parts, way, &s->run, &s->line, &s->report);
}

const struct session_ops sender_ops = {prepare, run, stop, release};
