/* receiver.c: the pipeline of one session. In order:
 *
 *   ingest      socket -> frames; a data area lands straight in a pooled buffer
 *   lane ×N     the same for each further stream, where the session has several
 *   unpack ×N   inflate into exactly raw_length, verify the digest; damaged: refuse; within ingest on one processor
 *   sink        in the order of the messages: verdicts, writes, commits (recv_session, sink)
 *   basis       digests of what is here of files that are to come, beside all of it
 *   reply       the only writer: verdicts, durable, credit
 *
 * Memory: the credit that we grant bounds what can be between ingest and sink; the pool has a buffer for each
 * data frame of it, and one more for each thread that unpacks or reads, so that no reader waits for one.
 */
#include "receiver/stages.h"

#include "program/lanes.h"
#include "program/session.h"

#include <stdlib.h>
#include <string.h>

enum { UNPACK_THREADS_MAX = 8 };

static void *prepare(const void *config) {
    struct receiver *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->config = config;
    run_init(&r->run);
    tally_init(&r->unpacking);
    os_mutex_init(&r->arriving);
    return r;
}

static void stop(void *session, const struct err *why) {
    struct receiver *r = session;
    run_fail(&r->run, why);
}

static void release(void *session) {
    struct receiver *r = session;
    os_mutex_free(&r->arriving);
    tally_free(&r->unpacking);
    run_free(&r->run);
    free(r);
}

/* One processor gains nothing from handing chunks over. */
static unsigned unpack_threads(void) {
    unsigned n = os_cpu_count();
    return n == 1 ? 0 : n < UNPACK_THREADS_MAX ? n : UNPACK_THREADS_MAX;
}

/* ---- after a break ---------------------------------------------------------------------------------------- */

static enum queue_result settle(void *ctx, int64_t deadline_ms, uint64_t *ret_processed) {
    struct receiver *r = ctx;
    enum queue_result result = tally_wait(&r->unpacking, deadline_ms);
    if (result == QUEUE_OK)
        result = sequencer_settle(r->ordered, deadline_ms);
    if (result != QUEUE_OK)
        return result;
    sequencer_clear(r->ordered, item_drop_ticketed);
    refusals_clear(r->refusals);
    link_in_resume(&r->in);
    *ret_processed = r->in.processed;
    return QUEUE_OK;
}

/* What was refused comes again unasked: all above `processed` does. */
static void take_back(struct item *item) {
    if (item->frame.type != MSG_REFUSED)
        return;
    struct wr w = item_writer(item);
    msg_refused_encode(&w, &(struct msg_refused){.refused_order = 0});
}

static int prepare_again(void *ctx, struct ticketed *chain, struct err *err) {
    struct receiver *r = ctx;
    for (struct ticketed *t = chain; t; t = t->next)
        take_back((struct item *)t);
    outbox_each(r->out, take_back);
    struct msg_ack ack = link_in_ack(&r->in);
    struct item *answer = item_of_ack(&ack);
    if (answer == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    (void)outbox_put_urgent(r->out, answer);
    return 0;
}

static uint64_t progress(void *ctx) {
    struct receiver *r = ctx;
    return atomic_load(&r->session->progress);
}

/* ---- the session ---------------------------------------------------------------------------------------------- */

static int build(struct receiver *r, struct err *err) {
    uint32_t chunk_size = r->agreed.chunk_size;
    unsigned chunks = (unsigned)(r->agreed.our_window / (chunk_size + (uint64_t)FRAME_COST));
    link_in_init(&r->in, r->agreed.our_window, chunk_size);
    r->in.several = r->agreed.streams > 1;
    r->flight = flight_new();
    r->out = outbox_new(r->agreed.their_window, chunk_size);
    if (r->out)
        outbox_bound(r->out, window_for(ROLE_SENDER, chunk_size));
    r->unpack_threads = unpack_threads();
    r->pool = pool_new(chunk_size, chunks + r->unpack_threads + r->agreed.streams);
    r->packed = queue_new(chunks + 1);
    r->ordered = sequencer_new();
    r->refusals = refusals_new();
    if (!r->out || !r->flight || !r->pool || !r->packed || !r->ordered || !r->refusals)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct recv_config config = r->config->session;
    config.cancelled = &r->run.failed;
    if (r->config->usages) {
        config.usage = usage_of(r->config->usages, conn_peer_id(r->line.stream->conn), err);
        if (config.usage == NULL)
            return -1;
    }
    if (recv_session_new(&config, &r->agreed, &r->in, r->out, &r->report, &r->session, err) != 0)
        return -1;
    run_on_cancel(&r->run, outbox_cancel, r->out);
    run_on_cancel(&r->run, pool_cancel, r->pool);
    run_on_cancel(&r->run, queue_cancel, r->packed);
    run_on_cancel(&r->run, tally_cancel, &r->unpacking);
    run_on_cancel(&r->run, sequencer_cancel, r->ordered);
    if (r->session->basis)
        run_on_cancel(&r->run, basis_close, r->session->basis);
    return r->config->dialler ? recv_session_request(r->session, err) : 0;
}

static int start_stages(struct receiver *r, struct err *err) {
    if (run_start(&r->run, "ingest", stage_ingest, r, err) != 0)
        return -1;
    for (unsigned i = 0; i < r->unpack_threads; i++)
        if (run_start(&r->run, "unpack", stage_unpack, r, err) != 0)
            return -1;
    if (run_start(&r->run, "sink", stage_sink, r, err) != 0 ||
        (r->session->basis && run_start(&r->run, "basis", stage_basis, r, err) != 0))
        return -1;
    if (run_start(&r->run, "reply", stage_reply, r, err) != 0)
        return -1;
    return lanes_start(&r->line, &r->run, stage_lane, r, err);
}

static int begin(void *session, struct err *err) {
    struct receiver *r = session;
    struct line_hooks hooks = {settle, prepare_again, progress, r};
    r->agreed = r->line.agreed;
    if (build(r, err) != 0 || line_open(&r->line, r->out, r->flight, &hooks, err) != 0)
        return -1;
    return r->config->serial ? receive_serially(r, err) : start_stages(r, err);
}

static void dismantle(void *session) {
    struct receiver *r = session;
    count(&r->report.bytes_wire, line_bytes_in(&r->line));
    recv_session_free(r->session);
    sequencer_free(r->ordered, item_drop_ticketed);
    queue_free(r->packed, item_drop);
    outbox_free(r->out);
    flight_free(r->flight);
    pool_free(r->pool);
    refusals_free(r->refusals);
}

static int run(void *session, const void *arg, struct way *way) {
    const struct receiver_config *config = arg;
    struct receiver *r = session;
    struct session_parts parts = {
        .ours =
            {
                .role = ROLE_RECEIVER,
                .dialler = config->dialler,
                .chunk_size = config->chunk_size,
                .streams = config->streams,
                .features = FEATURE_CHECK | (config->whole_files ? 0u : FEATURE_DELTA),
                .key = config->key,
            },
        .handshake_ms = config->handshake_ms,
        .timeout_ms = config->timeout_ms,
        .one_stream = config->serial,
        .style = &config->style,
        .begin = begin,
        .end = dismantle,
        .session = r,
    };
    return session_run(&parts, way, &r->run, &r->line, &r->report);
}

const struct session_ops receiver_ops = {prepare, run, stop, release};
