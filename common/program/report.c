#include "program/report_impl.h"

#include "codec/codec.h"
#include "core/text.h"
#include "wire/protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void report_init(struct report *r, const struct report_style *style) {
    memset(r, 0, sizeof *r);
    r->style = *style;
    r->start_ms = os_now_ms();
    progress_init(&r->display, style, &r->place, 1);
}

void report_free(struct report *r) {
    progress_free(&r->display);
}

void report_go_on(struct report *r, struct report_past *past) {
    r->past = past;
    r->display.shown = past->shown;
}

void report_start(struct report *r, const char *peer) {
    r->start_ms = os_now_ms();
    r->begun = true;
    if (r->style.json) {
        struct json j;
        json_begin(&j, "start");
        json_string(&j, "role", r->style.role);
        json_string(&j, "version", HVFERRY_VERSION);
        json_string(&j, "peer", peer);
        json_end(&j);
    }
    progress_follow(&r->display, 0, r);
    if (r->style.shared)
        progress_follow(r->style.shared, r->style.place, r);
}

/* Counts no more. again: another session will take its place. */
static void leave_displays(struct report *r, bool again) {
    progress_stop(&r->display);
    if (r->past)
        r->past->shown = r->display.shown;
    if (r->style.shared)
        progress_settle(r->style.shared, r->style.place, !again);
}

static void carry(_Atomic uint64_t *now, uint64_t *past) {
    *past += atomic_load(now);
    atomic_store(now, *past);
}

static void keep_last(bool is_one, _Atomic uint64_t *now, uint64_t *past) {
    if (is_one)
        *past = atomic_load(now);
    else
        atomic_store(now, *past);
}

/* The sums of r and its past, in both. */
static void add_past(struct report *r) {
    struct report_past *past = r->past;
    if (past == NULL)
        return;
    /* What an earlier one transferred is unchanged in this one. */
    uint64_t skipped = atomic_load(&r->files_skipped), known = past->files_committed;
    atomic_store(&r->files_skipped, skipped > known ? skipped - known : 0);
    keep_last(r->begun, &r->files_skipped, &past->files_skipped);
    keep_last(r->begun, &r->files_failed, &past->files_failed);
    keep_last(r->begun, &r->dirs_and_links, &past->dirs_and_links);
    keep_last(r->begun, &r->specials, &past->specials);
    if (r->begun && past->begun)
        count(&r->retries, 1);
    carry(&r->retries, &past->retries);
    carry(&r->files_committed, &past->files_committed);
    carry(&r->bytes_committed, &past->bytes_committed);
    carry(&r->bytes_raw, &past->bytes_raw);
    carry(&r->bytes_wire, &past->bytes_wire);
    carry(&r->bytes_shared, &past->bytes_shared);
    carry(&r->chunks_resent, &past->chunks_resent);
    carry(&r->bytes_resent, &past->bytes_resent);
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        carry(&r->codec_chunks[i], &past->codec_chunks[i]);
    if (!past->begun)
        past->start_ms = r->start_ms;
    past->begun = past->begun || r->begun;
}

void report_file(struct report *r, const char *path, uint64_t size) {
    if (r->style.names)
        log_line(LOG_INFO, "%s", ESCAPED(path));
    if (!r->style.json)
        return;
    struct json j;
    json_begin(&j, "file");
    json_path(&j, "path", path);
    json_number(&j, "size", size);
    json_end(&j);
}

void report_made(struct report *r, const char *path) {
    if (r->style.names)
        log_line(LOG_INFO, "%s", ESCAPED(path));
}

/* How bad: the place in this list. */
static int severity(int code) {
    static const int order[] = {EXIT_OK, EXIT_VANISHED, EXIT_PARTIAL, EXIT_VERIFY, EXIT_NO_SPACE};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (order[i] == code)
            return (int)i;
    return 2; /* whatever else one file can suffer is EXIT_PARTIAL for the session */
}

int report_worse(int a, int b) {
    int worse = severity(a) >= severity(b) ? a : b;
    return severity(worse) == 2 ? EXIT_PARTIAL : worse;
}

void json_error(const char *path, const struct err *err) {
    struct json j;
    json_begin(&j, "error");
    json_number(&j, "code", (uint64_t)err->code);
    if (path)
        json_path(&j, "path", path);
    json_string(&j, "message", err->msg);
    bool again = err->code == EXIT_VANISHED || err->code == EXIT_SOCKET || err->code == EXIT_STREAM ||
                 err->code == EXIT_TIMEOUT || err->code == EXIT_CONNECT_TIMEOUT || err->code == EXIT_VERIFY;
    json_bool(&j, "retryable", again);
    json_end(&j);
}

/* What may be told: TOLD_AT_ONCE lines, and another one each TOLD_EVERY_MS. */
struct allowance {
    struct os_mutex lock;
    int64_t paid_ms; /* lock; the later, the less is left */
    uint64_t untold; /* lock; since a line was told */
};

/* Of all sessions together, for those are cheap: about entries, and about the sessions themselves. */
static struct allowance entries = {OS_MUTEX_INIT, INT64_MIN, 0}, sessions = {OS_MUTEX_INIT, INT64_MIN, 0};

/* ret_untold: how many were not since the last one. */
static bool may_tell(struct allowance *a, uint64_t *ret_untold) {
    os_lock(&a->lock);
    int64_t now = os_now_ms(), oldest = now - (int64_t)TOLD_AT_ONCE * TOLD_EVERY_MS;
    if (a->paid_ms < oldest)
        a->paid_ms = oldest;
    bool may = a->paid_ms + TOLD_EVERY_MS <= now;
    if (may)
        a->paid_ms += TOLD_EVERY_MS;
    *ret_untold = a->untold;
    a->untold = may ? 0 : a->untold + 1;
    os_unlock(&a->lock);
    return may;
}

void report_line(bool bounded, enum log_level level, const char *message) {
    uint64_t untold = 0;
    if (log_limit() < level || (bounded && !may_tell(&sessions, &untold)))
        return;
    if (untold > 0)
        log_line(LOG_ERROR, "%" PRIu64 " lines about other sessions are not shown", untold);
    log_line(level, "%s", message);
}

/* Whether a trouble is to be told: all are to who asked for the session, but no peer shall fill the disk that the log is on. */
static bool is_told(struct report *r) {
    uint64_t untold; /* the session counts them */
    if (!r->style.bounded || (atomic_fetch_add(&r->troubles, 1) < TOLD_MAX && may_tell(&entries, &untold)))
        return true;
    count(&r->untold, 1);
    return false;
}

void report_failure(struct report *r, const char *path, const struct err *err) {
    int worst = atomic_load(&r->worst);
    while (!atomic_compare_exchange_weak(&r->worst, &worst, report_worse(worst, err->code)))
        ;
    if (!is_told(r))
        return;
    log_line(LOG_ERROR, "%s", err->msg);
    if (r->style.json)
        json_error(path, err);
}

void report_note(const char *message) {
    log_line(LOG_INFO, "%s", message);
}

void report_warning(struct report *r, const char *path, const char *message) {
    if ((!r->style.json && log_limit() < LOG_WARNING) || !is_told(r))
        return;
    log_line(LOG_WARNING, "%s: %s", ESCAPED(path), message);
    if (!r->style.json)
        return;
    struct json j;
    json_begin(&j, "warning");
    json_path(&j, "path", path);
    json_string(&j, "message", message);
    json_end(&j);
}

static double seconds_of(uint64_t ns) {
    return (double)ns / 1e9;
}

/* How long its threads waited neither for work nor for room. */
static uint64_t busy_ns(const struct stage_times *s) {
    uint64_t waited = s->starved_ns + s->blocked_ns;
    return waited < s->life_ns ? s->life_ns - waited : 0;
}

/* Of the session's time, for each of the threads. */
static double percent(uint64_t ns, const struct stage_times *s, double seconds) {
    return s->threads && seconds > 0 ? 100 * seconds_of(ns) / seconds / s->threads : 0;
}

static void print_stages(const struct run *run, double seconds) {
    const struct stage_times *busiest = NULL;
    for (unsigned i = 0; i < run->stage_count; i++) {
        const struct stage_times *s = &run->stages[i];
        log_line(LOG_ERROR, "stage %-6s %2u thread%s busy %3.0f %%, starved %3.0f %%, blocked %3.0f %%",
                 s->name, s->threads, s->threads == 1 ? ": " : "s:", percent(busy_ns(s), s, seconds),
                 percent(s->starved_ns, s, seconds), percent(s->blocked_ns, s, seconds));
        if (busiest == NULL || percent(busy_ns(s), s, seconds) > percent(busy_ns(busiest), busiest, seconds))
            busiest = s;
    }
    if (busiest)
        log_line(LOG_ERROR, "busiest stage here: %s", busiest->name);
}

static void add_stages(struct json *j, const struct run *run) {
    json_open(j, "stages");
    for (unsigned i = 0; run && i < run->stage_count; i++) {
        const struct stage_times *s = &run->stages[i];
        json_open(j, s->name);
        json_number(j, "threads", s->threads);
        json_real(j, "busy", seconds_of(busy_ns(s)));
        json_real(j, "starved", seconds_of(s->starved_ns));
        json_real(j, "blocked", seconds_of(s->blocked_ns));
        json_close(j);
    }
    json_close(j);
}

/* Since the first session began. */
static double seconds_in_all(const struct report *r) {
    int64_t start_ms = r->past && r->past->begun ? r->past->start_ms : r->start_ms;
    return (double)(os_now_ms() - start_ms) / 1000.0;
}

static void summary_event(struct report *r, int code, const struct run *run) {
    struct json j;
    json_begin(&j, "summary");
    json_number(&j, "code", (uint64_t)code);
    json_number(&j, "files", atomic_load(&r->files_committed));
    json_number(&j, "skipped", atomic_load(&r->files_skipped));
    json_number(&j, "failed", atomic_load(&r->files_failed));
    json_number(&j, "special", atomic_load(&r->specials));
    json_number(&j, "bytes_written", atomic_load(&r->bytes_committed));
    json_number(&j, "bytes_read", atomic_load(&r->bytes_raw));
    json_number(&j, "bytes_shared", atomic_load(&r->bytes_shared));
    json_number(&j, "bytes_wire", atomic_load(&r->bytes_wire));
    json_number(&j, "chunks_resent", atomic_load(&r->chunks_resent));
    json_number(&j, "bytes_resent", atomic_load(&r->bytes_resent));
    json_number(&j, "retries", atomic_load(&r->retries));
    json_real(&j, "seconds", seconds_in_all(r));
    json_open(&j, "codecs");
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        json_number(&j, codec_id_name(i), atomic_load(&r->codec_chunks[i]));
    json_close(&j);
    add_stages(&j, run);
    json_end(&j);
}

static void print_stats(struct report *r, const struct run *run) {
    bool h = r->style.human;
    double seconds = seconds_in_all(r);
    uint64_t raw = atomic_load(&r->bytes_raw), wire = atomic_load(&r->bytes_wire);
    uint64_t shared = atomic_load(&r->bytes_shared);
    log_line(LOG_ERROR,
             "files: %" PRIu64 " transferred, %" PRIu64 " unchanged, %" PRIu64 " failed, %" PRIu64
             " special skipped; directories and links: %" PRIu64,
             atomic_load(&r->files_committed), atomic_load(&r->files_skipped), atomic_load(&r->files_failed),
             atomic_load(&r->specials), atomic_load(&r->dirs_and_links));
    log_line(LOG_ERROR, "bytes: %s in files, %s of data, %s on the wire; %" PRIu64 " chunks sent again",
             SIZE_TEXT(atomic_load(&r->bytes_committed), h), SIZE_TEXT(raw, h), SIZE_TEXT(wire, h),
             atomic_load(&r->chunks_resent));
    if (shared > 0)
        log_line(LOG_ERROR, "shared: %s of the data was read for another receiver", SIZE_TEXT(shared, h));
    log_line(LOG_ERROR, "chunks: %" PRIu64 " none, %" PRIu64 " zlib, %" PRIu64 " zstd; %.3f seconds, %s/s",
             atomic_load(&r->codec_chunks[CODEC_NONE]), atomic_load(&r->codec_chunks[CODEC_ZLIB]),
             atomic_load(&r->codec_chunks[CODEC_ZSTD]), seconds,
             SIZE_TEXT(seconds > 0 ? whole((double)raw / seconds) : 0, true));
    if (run)
        print_stages(run, (double)(os_now_ms() - r->start_ms) / 1000.0);
}

/* A warning of the session. */
static void warning_event(const char *message) {
    struct json j;
    json_begin(&j, "warning");
    json_string(&j, "message", message);
    json_end(&j);
}

void report_lost(struct report *r, const struct err *err) {
    leave_displays(r, true);
    add_past(r);
    log_line(LOG_INFO, "%s", err->msg);
    if (r->style.json)
        warning_event(err->msg);
}

void report_none(const struct report_style *style, struct report_past *past, const struct err *err) {
    if (past->begun) {
        struct report r;
        report_init(&r, style);
        report_go_on(&r, past);
        report_end(&r, err->code, err, NULL);
        report_free(&r);
        return;
    }
    log_line(LOG_ERROR, "%s", err->msg);
    if (style->json)
        json_error(NULL, err);
    if (style->shared)
        progress_settle(style->shared, style->place, true);
}

static void tell_how_many_more(const struct report *r) {
    uint64_t untold = atomic_load(&r->untold);
    char message[96];
    if (untold == 0)
        return;
    (void)snprintf(message, sizeof message, "%" PRIu64 " more failures and warnings are not shown", untold);
    report_line(r->style.bounded, LOG_ERROR, message);
    if (r->style.json)
        warning_event(message);
}

void report_end(struct report *r, int code, const struct err *err, const struct run *run) {
    leave_displays(r, false);
    tell_how_many_more(r);
    add_past(r);
    if (err) {
        report_line(r->style.bounded, LOG_ERROR, err->msg);
        if (r->style.json)
            json_error(NULL, err);
    }
    if (r->style.json)
        summary_event(r, code, run);
    else if (r->style.stats)
        print_stats(r, run);
}
