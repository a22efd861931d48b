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

/* What was done before. */
struct shown {
    uint64_t samples[RATE_TICKS + 1]; /* `done` at the last ticks, a ring */
    int64_t times[RATE_TICKS + 1];
    unsigned ticks;
};

static atomic_bool line_is_shown;

/* Clears the line before something else is printed. */
static void step_aside(void) {
    if (atomic_exchange(&line_is_shown, false))
        (void)fputs("\r\033[K", stderr);
}

static double rate_of(const struct shown *s) {
    unsigned newest = (s->ticks - 1) % (RATE_TICKS + 1);
    unsigned oldest = s->ticks > RATE_TICKS + 1 ? s->ticks % (RATE_TICKS + 1) : 0;
    int64_t ms = s->times[newest] - s->times[oldest];
    return ms > 0 ? (double)(s->samples[newest] - s->samples[oldest]) * 1000.0 / (double)ms : 0;
}

static void format_eta(char *to, size_t n, uint64_t left, double rate, bool known) {
    if (!known || rate < 1) {
        (void)snprintf(to, n, "-:--:--");
        return;
    }
    uint64_t s = whole((double)left / rate);
    (void)snprintf(to, n, "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

static void show_line(const struct shown *s, const struct progress_sums *sums, bool human, bool last) {
    double rate = rate_of(s);
    char eta[32], share[8] = "  - ";
    format_eta(eta, sizeof eta, sums->bytes - sums->bytes_done, rate, sums->complete);
    if (sums->complete)
        (void)snprintf(share, sizeof share, "%3u%%",
                       sums->bytes ? (unsigned)((double)sums->bytes_done * 100.0 / (double)sums->bytes)
                                   : 100u);
    (void)fprintf(stderr, "\r%15s %s %9s/s %s  %" PRIu64 "/%" PRIu64 "%s files\033[K%s",
                  SIZE_TEXT(sums->bytes_done, human), share, SIZE_TEXT(whole(rate), true), eta,
                  sums->files_done, sums->files, sums->complete ? "" : "+", last ? "\n" : "");
    (void)fflush(stderr);
    atomic_store(&line_is_shown, !last);
}

static void show_event(const struct shown *s, const struct progress_sums *sums) {
    struct json j;
    json_begin(&j, "progress");
    json_number(&j, "bytes", sums->bytes_done);
    json_number(&j, "bytes_total", sums->bytes);
    json_bool(&j, "total_known", sums->complete);
    json_number(&j, "files", sums->files_done);
    json_number(&j, "files_total", sums->files);
    json_number(&j, "bytes_per_second", whole(rate_of(s)));
    json_end(&j);
}

static void write_ratio(int fd, const struct progress_sums *sums) {
    char line[48];
    int n = snprintf(line, sizeof line, "%" PRIu64 "/%" PRIu64 "\n", sums->bytes_done, sums->bytes);
    (void)os_write_fd(fd, line, (size_t)n);
}

static struct progress_sums sums_of(const struct report *r) {
    return (struct progress_sums){
        .complete = atomic_load(&r->list_complete), /* before what it vouches for */
        .files = atomic_load(&r->files_total),
        .files_done = atomic_load(&r->files_done),
        .bytes = atomic_load(&r->bytes_total),
        .bytes_done = atomic_load(&r->bytes_done),
    };
}

/* Over all places. */
static struct progress_sums add_up(struct progress *p) {
    struct progress_sums all = {.complete = true};
    os_lock(&p->lock);
    for (unsigned i = 0; i < p->count; i++) {
        const struct progress_place *place = &p->places[i];
        struct progress_sums one = place->report ? sums_of(place->report) : place->last;
        all.files += one.files;
        all.files_done += one.files_done;
        all.bytes += one.bytes;
        all.bytes_done += one.bytes_done < one.bytes ? one.bytes_done : one.bytes;
        all.complete = all.complete && one.complete;
    }
    os_unlock(&p->lock);
    return all;
}

static void raise_to(uint64_t *n, uint64_t least) {
    if (*n < least)
        *n = least;
}

static void tick(struct progress *p, struct shown *s, bool last) {
    struct progress_sums sums = add_up(p);
    raise_to(&sums.bytes_done, p->shown.bytes_done);
    raise_to(&sums.files_done, p->shown.files_done);
    raise_to(&sums.bytes, sums.complete ? sums.bytes_done : p->shown.bytes);
    raise_to(&sums.files, sums.complete ? sums.files_done : p->shown.files);
    p->shown = sums;
    s->samples[s->ticks % (RATE_TICKS + 1)] = sums.bytes_done;
    s->times[s->ticks % (RATE_TICKS + 1)] = os_now_ms();
    s->ticks++;
    if (p->style.progress)
        show_line(s, &sums, p->style.human, last);
    if (p->style.progress_fd >= 0)
        write_ratio(p->style.progress_fd, &sums);
    if (p->style.json)
        show_event(s, &sums);
}

static void *display(void *arg) {
    struct progress *p = arg;
    struct shown shown = {0};
    log_set_target(p->target);
    os_lock(&p->lock);
    while (!p->stopping) {
        os_unlock(&p->lock);
        tick(p, &shown, false);
        int64_t next = os_now_ms() + TICK_MS;
        os_lock(&p->lock);
        while (!p->stopping && os_cond_wait_until(&p->wake, &p->lock, next))
            ;
    }
    os_unlock(&p->lock);
    tick(p, &shown, true);
    return NULL;
}

void progress_init(struct progress *p, const struct report_style *style, struct progress_place *places,
                   unsigned count) {
    *p = (struct progress){.style = *style, .target = log_target(), .places = places, .count = count};
    memset(places, 0, count * sizeof *places);
    os_mutex_init(&p->lock);
    os_cond_init(&p->wake);
}

void progress_free(struct progress *p) {
    progress_stop(p);
    os_cond_free(&p->wake);
    os_mutex_free(&p->lock);
}

void progress_follow(struct progress *p, unsigned place, const struct report *r) {
    struct err ignored; /* a display that cannot start is not worth a failed transfer */
    if (!p->style.progress && p->style.progress_fd < 0 && !p->style.json)
        return;
    os_lock(&p->lock);
    p->places[place].report = r;
    bool first = !p->running;
    if (first && p->style.progress)
        log_set_hook(step_aside);
    if (first)
        p->running = os_thread_start(&p->thread, "progress", display, p, &ignored) == 0;
    os_unlock(&p->lock);
}

void progress_settle(struct progress *p, unsigned place, bool over) {
    os_lock(&p->lock);
    struct progress_place *at = &p->places[place];
    if (at->report)
        at->last = sums_of(at->report);
    at->report = NULL;
    at->last.complete = at->last.complete || over;
    os_unlock(&p->lock);
}

void progress_stop(struct progress *p) {
    os_lock(&p->lock);
    bool running = p->running;
    p->running = false;
    p->stopping = true;
    os_cond_broadcast(&p->wake);
    os_unlock(&p->lock);
    if (!running)
        return;
    os_thread_join(&p->thread);
    if (p->style.progress)
        log_set_hook(NULL);
}
