/* progress.c: the line that a person watches: bytes, share, rate over the last seconds, time left, files. */
#include "program/report_impl.h"

#include "core/log.h"
#include "core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TICK_MS = 250,
    RATE_TICKS = 12, /* the rate is taken over the last three seconds */
};

struct progress {
    struct report *report;
    uint64_t shown_done; /* never goes back */
    uint64_t samples[RATE_TICKS + 1]; /* shown_done at the last ticks, a ring */
    int64_t times[RATE_TICKS + 1];
    unsigned ticks;
};

static atomic_bool line_is_shown;

/* Clears the line before something else is printed. */
static void step_aside(void) {
    if (atomic_exchange(&line_is_shown, false))
        (void)fputs("\r\033[K", stderr);
}

static double rate_of(const struct progress *p) {
    unsigned newest = (p->ticks - 1) % (RATE_TICKS + 1);
    unsigned oldest = p->ticks > RATE_TICKS + 1 ? p->ticks % (RATE_TICKS + 1) : 0;
    int64_t ms = p->times[newest] - p->times[oldest];
    return ms > 0 ? (double)(p->samples[newest] - p->samples[oldest]) * 1000.0 / (double)ms : 0;
}

static void format_eta(char *to, size_t n, uint64_t left, double rate, bool known) {
    if (!known || rate < 1) {
        (void)snprintf(to, n, "-:--:--");
        return;
    }
    uint64_t s = (uint64_t)((double)left / rate);
    (void)snprintf(to, n, "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

static void show_line(const struct progress *p, uint64_t total, bool known, bool last) {
    struct report *r = p->report;
    double rate = rate_of(p);
    char eta[32], share[8] = "  - ";
    format_eta(eta, sizeof eta, total - p->shown_done, rate, known);
    if (known)
        (void)snprintf(share, sizeof share, "%3u%%",
                       total ? (unsigned)((double)p->shown_done * 100.0 / (double)total) : 100u);
    (void)fprintf(stderr, "\r%15s %s %9s/s %s  %" PRIu64 "/%" PRIu64 "%s files\033[K%s",
                  SIZE_TEXT(p->shown_done, r->style.human), share, SIZE_TEXT((uint64_t)rate, true), eta,
                  atomic_load(&r->files_done), atomic_load(&r->files_total), known ? "" : "+",
                  last ? "\n" : "");
    (void)fflush(stderr);
    atomic_store(&line_is_shown, !last);
}

static void show_event(const struct progress *p, uint64_t total, bool known) {
    struct report *r = p->report;
    struct json j;
    json_begin(&j, "progress");
    json_number(&j, "bytes", p->shown_done);
    json_number(&j, "bytes_total", total);
    json_bool(&j, "total_known", known);
    json_number(&j, "files", atomic_load(&r->files_done));
    json_number(&j, "files_total", atomic_load(&r->files_total));
    json_number(&j, "bytes_per_second", (uint64_t)rate_of(p));
    json_end(&j);
}

static void write_ratio(int fd, uint64_t done, uint64_t total) {
    char line[48];
    int n = snprintf(line, sizeof line, "%" PRIu64 "/%" PRIu64 "\n", done, total);
    (void)os_write_fd(fd, line, (size_t)n);
}

static void tick(struct progress *p, bool last) {
    struct report *r = p->report;
    bool known = atomic_load(&r->list_complete);
    uint64_t total = atomic_load(&r->bytes_total);
    uint64_t done = atomic_load(&r->bytes_done);
    if (done > total)
        done = total;
    if (done > p->shown_done)
        p->shown_done = done;
    if (total < p->shown_done)
        total = p->shown_done;
    p->samples[p->ticks % (RATE_TICKS + 1)] = p->shown_done;
    p->times[p->ticks % (RATE_TICKS + 1)] = os_now_ms();
    p->ticks++;
    if (r->style.progress)
        show_line(p, total, known, last);
    if (r->style.progress_fd >= 0)
        write_ratio(r->style.progress_fd, p->shown_done, total);
    if (r->style.json)
        show_event(p, total, known);
}

static void *display(void *arg) {
    struct progress p = {.report = arg};
    struct report *r = p.report;
    os_lock(&r->lock);
    while (!r->stopping) {
        os_unlock(&r->lock);
        tick(&p, false);
        int64_t next = os_now_ms() + TICK_MS;
        os_lock(&r->lock);
        while (!r->stopping && os_cond_wait_until(&r->wake, &r->lock, next))
            ;
    }
    os_unlock(&r->lock);
    tick(&p, true);
    return NULL;
}

void progress_start(struct report *r) {
    struct err ignored; /* a display that cannot start is not worth a failed transfer */
    if (!r->style.progress && r->style.progress_fd < 0 && !r->style.json)
        return;
    if (r->style.progress)
        log_set_hook(step_aside);
    r->running = os_thread_start(&r->thread, "progress", display, r, &ignored) == 0;
}

void progress_stop(struct report *r) {
    if (!r->running)
        return;
    os_lock(&r->lock);
    r->stopping = true;
    os_cond_broadcast(&r->wake);
    os_unlock(&r->lock);
    os_thread_join(&r->thread);
    r->running = false;
}
