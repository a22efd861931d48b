#include "sim_net.h"

#include "os/os.h"
#include "sim.h"
#include "transport/transport_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 2, BACKLOG = 128 };

struct segment {
    struct segment *next;
    int64_t ready_ms;
    size_t n, at;
    uint8_t bytes[];
};

struct way_through {
    struct segment *first, *last;
    size_t bytes;
    bool ended; /* nothing follows */
    bool unread; /* nobody reads any more */
};

struct sim_stream {
    struct way_through ways[SIDES]; /* by direction */
    unsigned number, ends; /* ends: conns that are not closed */
};

struct sim_conn {
    struct conn base;
    struct sim_stream *stream;
    unsigned side; /* direction of what it writes */
    bool woken;
};

struct listener {
    struct conn *waiting[BACKLOG];
    unsigned count;
    bool woken;
};

static struct {
    struct sim_net opt;
    struct listener *listener;
    unsigned streams, open, refuse, lost;
    bool given_up;
} net;

/* ---- streams -------------------------------------------------------------------------------------------------- */

static void forget(struct way_through *w) {
    for (struct segment *next; w->first; w->first = next) {
        next = w->first->next;
        free(w->first);
    }
    w->last = NULL;
    w->bytes = 0;
}

static void release(struct sim_stream *s) {
    if (--s->ends > 0)
        return;
    for (unsigned i = 0; i < SIDES; i++)
        forget(&s->ways[i]);
    free(s);
}

void sim_net_put(struct sim_stream *s, unsigned direction, const uint8_t *p, size_t n, unsigned delay_ms) {
    struct way_through *w = &s->ways[direction];
    if (w->ended || w->unread || n == 0)
        return;
    struct segment *g = malloc(sizeof *g + n);
    SIM_MUST(g != NULL);
    int64_t now = os_now_ms(), before = w->last ? w->last->ready_ms : now;
    *g = (struct segment){.ready_ms = (before > now ? before : now) + delay_ms, .n = n};
    memcpy(g->bytes, p, n);
    if (w->last)
        w->last->next = g;
    else
        w->first = g;
    w->last = g;
    w->bytes += n;
    sim_wake(w);
}

void sim_net_end_direction(struct sim_stream *s, unsigned direction) {
    s->ways[direction].ended = true;
    sim_wake(&s->ways[direction]);
}

void sim_net_cut(struct sim_stream *s, bool lossy) {
    for (unsigned i = 0; i < SIDES; i++) {
        if (lossy)
            forget(&s->ways[i]);
        sim_net_end_direction(s, i);
    }
}

unsigned sim_net_number(const struct sim_stream *s) {
    return s->number;
}

/* ---- conn ----------------------------------------------------------------------------------------------------- */

static int64_t deadline_of(int timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : os_now_ms() + timeout_ms;
}

static ptrdiff_t take(struct way_through *w, uint8_t *to, size_t n) {
    struct segment *g = w->first;
    size_t most = g->n - g->at < n ? g->n - g->at : n;
    if (most > 1 && sim_dice() % 256 < net.opt.short_reads)
        most = 1 + sim_dice() % most;
    memcpy(to, g->bytes + g->at, most);
    g->at += most;
    w->bytes -= most;
    if (g->at == g->n) {
        w->first = g->next;
        if (w->first == NULL)
            w->last = NULL;
        free(g);
    }
    sim_wake(w);
    return (ptrdiff_t)most;
}

static int woken(struct err *err) {
    return err_sys(err, EXIT_SIGNAL, ECANCELED, "interrupted");
}

static ptrdiff_t sim_read(struct conn *base, void *to, size_t n, int timeout_ms, struct err *err) {
    struct sim_conn *c = (struct sim_conn *)base;
    struct way_through *w = &c->stream->ways[!c->side];
    int64_t deadline = deadline_of(timeout_ms);
    sim_preempt();
    for (;;) {
        if (c->woken)
            return woken(err);
        int64_t ready = w->first ? w->first->ready_ms : INT64_MAX, now = os_now_ms();
        if (ready <= now)
            return take(w, to, n);
        if (w->first == NULL && w->ended)
            return 0;
        if (now >= deadline)
            return err_set(err, EXIT_TIMEOUT, "%s: the other end sent nothing", base->peer);
        (void)sim_wait(w, ready < deadline ? ready : deadline);
    }
}

/* All parts, one after another. */
static uint8_t *gather(const struct span *parts, size_t count, size_t *ret_n) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    uint8_t *all = malloc(n + 1);
    SIM_MUST(all != NULL);
    for (size_t i = 0; i < count; i++) {
        memcpy(all + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    *ret_n = n;
    return all;
}

static int sim_writev(struct conn *base, const struct span *parts, size_t count, int timeout_ms,
                      struct err *err) {
    struct sim_conn *c = (struct sim_conn *)base;
    struct way_through *w = &c->stream->ways[c->side];
    int64_t deadline = deadline_of(timeout_ms);
    size_t n;
    bool full = false;
    sim_preempt();
    while (!c->woken && !w->ended && !w->unread && w->bytes > net.opt.capacity) {
        full = true;
        if (os_now_ms() >= deadline)
            return err_set(err, EXIT_TIMEOUT, "%s: the other end took nothing", base->peer);
        (void)sim_wait(w, deadline);
    }
    net.lost += full && (c->woken || w->ended || w->unread);
    if (c->woken)
        return woken(err);
    if (w->ended || w->unread)
        return err_sys(err, EXIT_SOCKET, EPIPE, "%s: writing to the stream failed", base->peer);
    uint8_t *all = gather(parts, count, &n);
    if (net.opt.tap)
        net.opt.tap(net.opt.ctx, c->stream, c->side, all, n);
    else
        sim_net_put(c->stream, c->side, all, n, 0);
    free(all);
    return 0;
}

static void sim_wake_conn(struct conn *base) {
    struct sim_conn *c = (struct sim_conn *)base;
    c->woken = true;
    sim_wake(&c->stream->ways[0]);
    sim_wake(&c->stream->ways[1]);
}

static void sim_resume(struct conn *base) {
    ((struct sim_conn *)base)->woken = false;
}

static int sim_close(struct conn *base, struct err *err) {
    (void)err;
    struct sim_conn *c = (struct sim_conn *)base;
    if (net.opt.close_loses)
        forget(&c->stream->ways[c->side]);
    sim_net_end_direction(c->stream, c->side);
    c->stream->ways[!c->side].unread = true;
    forget(&c->stream->ways[!c->side]);
    sim_wake(&c->stream->ways[!c->side]);
    net.open--;
    release(c->stream);
    free(c);
    return 0;
}

static const struct conn_ops sim_ops = {sim_read, sim_writev, sim_wake_conn, sim_resume, sim_close};

static struct conn *conn_of(struct sim_stream *s, unsigned side) {
    struct sim_conn *c = calloc(1, sizeof *c);
    SIM_MUST(c != NULL);
    *c = (struct sim_conn){.base = {.ops = &sim_ops, .peer = "the other end"}, .stream = s, .side = side};
    s->ends++;
    net.open++;
    return &c->base;
}

static struct sim_stream *new_stream(void) {
    struct sim_stream *s = calloc(1, sizeof *s);
    SIM_MUST(s != NULL);
    s->number = ++net.streams;
    return s;
}

struct conn *sim_net_conn(struct sim_stream **ret) {
    *ret = new_stream();
    return conn_of(*ret, 0);
}

/* ---- dialling and listening ----------------------------------------------------------------------------------- */

static int sim_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                    struct err *err) {
    (void)bounds;
    sim_preempt();
    if (net.given_up)
        return err_set(err, EXIT_SIGNAL, "%s: nobody is there, and nobody waits any longer", addr->text);
    if (net.listener == NULL || net.listener->woken || net.listener->count == BACKLOG || net.refuse > 0) {
        net.refuse -= net.refuse > 0;
        return err_sys(err, EXIT_SOCKET, ECONNREFUSED, "%s: nobody listens", addr->text);
    }
    struct sim_stream *s = new_stream();
    *ret = conn_of(s, 0);
    net.listener->waiting[net.listener->count++] = conn_of(s, 1);
    sim_wake(net.listener);
    return 0;
}

static bool sim_is_early(int sys) {
    return sys == ECONNREFUSED;
}

const struct transport sim_transport = {
    .scheme = "sim", .retries = 5, .resume_retries = 5, .is_early = sim_is_early, .dial = sim_dial};
const struct transport *const transports[] = {&sim_transport, NULL};

struct listener *sim_net_listen(void) {
    SIM_MUST(net.listener == NULL);
    net.listener = calloc(1, sizeof *net.listener);
    SIM_MUST(net.listener != NULL);
    return net.listener;
}

int listener_accept(struct listener *l, int timeout_ms, struct conn **ret, struct err *err) {
    int64_t deadline = deadline_of(timeout_ms);
    sim_preempt();
    while (!l->woken && l->count == 0)
        if (!sim_wait(l, deadline))
            return err_set(err, EXIT_TIMEOUT, "nobody connected in time");
    if (l->woken)
        return err_set(err, EXIT_SIGNAL, "interrupted while listening");
    *ret = l->waiting[0];
    memmove(l->waiting, l->waiting + 1, --l->count * sizeof l->waiting[0]);
    return 0;
}

bool listener_file_dir(const struct listener *l, struct os_dir *ret) {
    (void)l;
    (void)ret;
    return false;
}

void listener_wake(struct listener *l) {
    l->woken = true;
    sim_wake(l);
}

void listener_close(struct listener *l) {
    if (l == NULL)
        return;
    while (l->count > 0)
        (void)conn_close(l->waiting[--l->count], NULL);
    free(l);
    net.listener = NULL;
}

unsigned sim_net_lost(void) {
    return net.lost;
}

void sim_net_give_up(void) {
    net.given_up = true;
}
void sim_net_refuse(unsigned n) {
    net.refuse = n;
}

void sim_net_begin(const struct sim_net *opt) {
    memset(&net, 0, sizeof net);
    net.opt = *opt;
}

void sim_net_end(void) {
    SIM_MUST(net.open == 0 && net.listener == NULL);
}

/* ---- the rest of transport.h ------------------------------------------------------------------------------------ */

struct waker {
    bool woken;
};

int waker_new(struct waker **ret, struct err *err) {
    (void)err;
    *ret = calloc(1, sizeof **ret);
    SIM_MUST(*ret != NULL);
    return 0;
}

void waker_wake(struct waker *waker) {
    waker->woken = true;
    sim_wake(waker);
}

bool waker_pause(struct waker *waker, int64_t deadline_ms) {
    while (!waker->woken && os_now_ms() < deadline_ms)
        (void)sim_wait(waker, deadline_ms);
    return !waker->woken;
}

void waker_free(struct waker *waker) {
    free(waker);
}

int conn_stdio(struct conn **ret, struct err *err) {
    (void)ret;
    return err_set(err, EXIT_UNSUPPORTED, "there are no standard streams here");
}
