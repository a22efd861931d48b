/* receiver.c: the pipeline of one session. In order:
 *
 *   ingest      socket -> frames; a data area lands straight in a pooled buffer
 *   unpack ×N   inflate into exactly raw_length, verify the digest; damaged: refuse
 *   sink        in the order of the messages: verdicts, writes, commits (recv_session, sink)
 *   reply       the only writer: verdicts, durable, credit
 *
 * Memory: the credit that we grant bounds what can be between ingest and sink; the pool has a buffer for each
 * data frame of it and one more for each unpack thread.
 */
#include "receiver/stages.h"

#include "core/log.h"

#include <stdlib.h>
#include <string.h>

enum { UNPACK_THREADS_MAX = 8 };

static void *prepare(const void *config) {
    struct receiver *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->config = config;
    run_init(&r->run);
    return r;
}

static void stop(void *session, const struct err *why) {
    struct receiver *r = session;
    run_fail(&r->run, why);
}

static void release(void *session) {
    struct receiver *r = session;
    run_free(&r->run);
    free(r);
}

static void wake_conn(void *conn) {
    conn_wake(conn);
}

static unsigned unpack_threads(void) {
    unsigned n = os_cpu_count();
    return n < UNPACK_THREADS_MAX ? n : UNPACK_THREADS_MAX;
}

static int build(struct receiver *r, struct err *err) {
    uint32_t chunk_size = r->agreed.chunk_size;
    unsigned chunks = (unsigned)(r->agreed.our_window / (chunk_size + (uint64_t)FRAME_COST));
    link_in_init(&r->in, r->agreed.our_window, chunk_size);
    r->out = outbox_new(r->agreed.their_window, chunk_size);
    r->pool = pool_new(chunk_size, chunks + unpack_threads() + 1);
    r->packed = queue_new(chunks + 1);
    r->ordered = sequencer_new();
    r->refusals = refusals_new();
    if (!r->out || !r->pool || !r->packed || !r->ordered || !r->refusals)
        return err_set(err, EXIT_MEMORY, "out of memory");
    if (recv_session_new(&r->config->session, &r->agreed, &r->in, r->out, &r->report, &r->session, err) != 0)
        return -1;
    run_on_cancel(&r->run, outbox_cancel, r->out);
    run_on_cancel(&r->run, pool_cancel, r->pool);
    run_on_cancel(&r->run, queue_cancel, r->packed);
    run_on_cancel(&r->run, sequencer_cancel, r->ordered);
    return r->config->dialler ? recv_session_request(r->session, err) : 0;
}

static int start_stages(struct receiver *r, struct err *err) {
    if (run_start(&r->run, "ingest", stage_ingest, r, err) != 0)
        return -1;
    for (unsigned i = 0; i < unpack_threads(); i++)
        if (run_start(&r->run, "unpack", stage_unpack, r, err) != 0)
            return -1;
    if (run_start(&r->run, "sink", stage_sink, r, err) != 0)
        return -1;
    return run_start(&r->run, "reply", stage_reply, r, err);
}

static int transfer(struct receiver *r, struct err *err) {
    struct handshake ours = {
        .role = ROLE_RECEIVER,
        .dialler = r->config->dialler,
        .chunk_size = r->config->chunk_size,
        .features = FEATURE_CHECK,
    };
    if (handshake(r->stream, &ours, r->config->handshake_ms, &r->agreed, err) != 0 || build(r, err) != 0)
        run_fail(&r->run, err);
    else if (r->config->serial && receive_serially(r, err) != 0)
        run_fail(&r->run, err);
    else if (!r->config->serial)
        (void)start_stages(r, err);
    return run_join(&r->run, err);
}

static void dismantle(struct receiver *r) {
    recv_session_free(r->session);
    sequencer_free(r->ordered, item_drop_ticketed);
    queue_free(r->packed, item_drop);
    outbox_free(r->out);
    pool_free(r->pool);
    refusals_free(r->refusals);
}

static int run(void *session, const void *arg, struct conn *conn) {
    const struct receiver_config *config = arg;
    struct receiver *r = session;
    struct err err = {0}, close_err = {0};
    report_init(&r->report, &config->style);
    if (stream_new(conn, config->timeout_ms, &r->stream, &err) != 0) {
        report_end(&r->report, err.code, &err);
        report_free(&r->report);
        return err.code;
    }
    run_on_cancel(&r->run, wake_conn, conn);
    report_start(&r->report, conn_peer(conn));
    int result = transfer(r, &err);
    if (result != 0 && err.code != EXIT_SOCKET)
        stream_abort(r->stream, &err);
    run_disarm(&r->run);
    count(&r->report.bytes_wire, atomic_load(&r->stream->bytes_in));
    if (stream_close(r->stream, &close_err) != 0)
        log_line(result == 0 ? LOG_WARNING : LOG_ERROR, "%s", close_err.msg);
    dismantle(r);
    int code = result != 0 ? err.code : atomic_load(&r->report.worst);
    report_end(&r->report, code, result != 0 ? &err : NULL);
    report_free(&r->report);
    return code;
}

const struct session_ops receiver_ops = {prepare, run, stop, release};
