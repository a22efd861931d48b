#include "program/session.h"

#include "core/log.h"
#include "program/serve.h"

#include <stdio.h>

enum { PEER_MAX = 256 };

/* A peer that speaks our language was cut off before there was a session: it will come again. Or it was shown out. */
static bool was_cut_off(struct run *run, const struct line *line) {
    if (atomic_load(&line->way->dropped))
        return true;
    return !run_failed(run) && line->way->registry && line->way->grace_ms != 0 && line->stream->greeted &&
           line->stream->broke;
}

/* 0 when there is a session; SESSION_NONE: there will be none, and nothing to report; -1 and err, with which the run
 * fails. */
static int greet(const struct session_parts *parts, struct run *run, struct line *line, bool *ret_none,
                 struct err *err) {
    char peer[PEER_MAX];
    (void)snprintf(peer, sizeof peer, "%s", conn_peer(line->stream->conn));
    log_line(LOG_INFO, "session with %s", peer);
    int result = line_greet(line, &parts->ours, parts->handshake_ms, err);
    *ret_none = result == HANDSHAKE_BACK || (result != 0 && was_cut_off(run, line));
    if (!*ret_none)
        report_start(line->report, peer);
    else if (result != HANDSHAKE_BACK)
        log_line(LOG_INFO, "%s", err->msg);
    return result;
}

/* The whole session over a good first stream. The exit code, or SESSION_NONE. */
static int run_over(const struct session_parts *parts, struct run *run, struct line *line,
                    struct err *ret_err) {
    struct err close_err = {0};
    bool none;
    run_on_cancel(run, line_cancel, line);
    int result = greet(parts, run, line, &none, ret_err);
    if (!none && (result != 0 || parts->begin(parts->session, ret_err) != 0))
        run_fail(run, ret_err);
    bool good = run_join(run, ret_err) == 0;
    run_disarm(run);
    if (line_close(line, good && !none ? NULL : ret_err, parts->goodbye_ms, &close_err) != 0)
        report_line(parts->style->bounded, good ? LOG_WARNING : LOG_ERROR, close_err.msg);
    parts->end(parts->session);
    if (good)
        *ret_err = (struct err){0};
    if (none)
        return SESSION_NONE;
    return good ? atomic_load(&line->report->worst) : ret_err->code;
}

int session_run(const struct session_parts *parts, struct way *way, struct run *run, struct line *line,
                struct report *report) {
    struct err err = {0};
    int code;
    report_init(report, parts->style);
    report_go_on(report, &way->past);
    run->timed = parts->style->stats || parts->style->json;
    if (line_init(line, way, parts->ours.role, parts->timeout_ms, report, &err) == 0) {
        line->one_stream = parts->one_stream;
        code = run_over(parts, run, line, &err);
    } else {
        code = err.code;
    }
    if (way->lost) {
        way->why = err;
        way->settled = atomic_load(&report->files_done) + atomic_load(&report->dirs_and_links);
        report_lost(report, &err);
    } else if (code != SESSION_NONE) {
        report_end(report, code, err_is_set(&err) ? &err : NULL, run);
    }
    line_free(line);
    report_free(report);
    return code;
}
