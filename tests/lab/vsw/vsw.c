/* vsw.c: see vsw.h. */
#include "vsw.h"

#include "core/log.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ULL

enum { CID_ANY = 0xFFFFFFFFu, CID_HYPERVISOR = 0, CID_LOCAL = 1 };

static uint64_t monotonic_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int vsw_init(struct vsw *s, struct err *err) {
    *s = (struct vsw){.router = {.streams = streams_new()}};
    control_init(&s->control);
    return s->router.streams ? 0 : err_set(err, EXIT_MEMORY, "no memory for the table of streams");
}

struct port *vsw_add_port(struct vsw *s, uint64_t cid, struct err *err) {
    unsigned i = s->router.count;
    if (i == PORTS_MAX)
        (void)err_set(err, EXIT_USAGE, "more than %d ports", PORTS_MAX);
    else if (cid == CID_HYPERVISOR || cid == CID_LOCAL || cid >= CID_ANY)
        (void)err_set(err, EXIT_USAGE, "CID %llu cannot be given to a guest", (unsigned long long)cid);
    else if (router_find(&s->router, cid))
        (void)err_set(err, EXIT_USAGE, "CID %llu is given twice", (unsigned long long)cid);
    else {
        device_init(&s->router.device[i], cid);
        port_init(&s->port[i], &s->router.device[i]);
        s->router.count++;
        return &s->port[i];
    }
    return NULL;
}

/* --- What is waited for */

enum {
    FDS_A_PORT = 1 + RINGS, /* the listener or the front-end, and the kicks */
    FDS_MAX = PORTS_MAX * FDS_A_PORT + 1 + CONTROL_CLIENTS_MAX + VSW_EXTRA,
};

/* poll() takes no notice of negative files, so every place is always there. */
struct watched {
    struct pollfd at[FDS_MAX];
    struct pollfd *control, *clients, *extra;
};

static void watch(struct pollfd *at, int fd) {
    *at = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void watch_all(struct vsw *s, struct watched *w, const int extra[VSW_EXTRA]) {
    struct pollfd *at = w->at;
    for (unsigned i = 0; i < s->router.count; i++) {
        const struct port *p = &s->port[i];
        watch(at++, p->conn >= 0 ? p->conn : p->listener);
        for (unsigned ring = 0; ring < RINGS; ring++)
            watch(at++, p->device->kick[ring]);
    }
    w->control = at;
    watch(at++, s->control.listener);
    w->clients = at;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        watch(at++, s->control.client[i].fd);
    w->extra = at;
    for (unsigned i = 0; i < VSW_EXTRA; i++)
        watch(at++, extra[i]);
}

static void wait_for(struct watched *w, uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    nfds_t count = (nfds_t)(w->extra - w->at) + VSW_EXTRA;
    if (ppoll(w->at, count, ns == ROUTER_IDLE ? NULL : &t, NULL) < 0)
        for (nfds_t i = 0; i < count; i++)
            w->at[i].revents = 0;
}

/* --- What is done */

static void hang_up(struct vsw *s, struct port *p, const struct err *why) {
    unsigned long long cid = p->device->cid;
    if (why->code == EXIT_OK)
        log_line(LOG_INFO, "CID %llu: left", cid);
    else
        log_line(LOG_ERROR, "CID %llu: closed: %s", cid, why->msg);
    port_close(p);
    router_disconnect(&s->router, p->device);
}

/* Takes note of a kick; what it was for is looked up in the ring. */
static void read_kick(struct device *d, unsigned ring) {
    uint64_t count;
    ssize_t n = read(d->kick[ring], &count, sizeof count);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        (void)err_set(&d->failure, EXIT_PROTOCOL, "the kick file of ring %u cannot be read", ring);
}

static void serve_port(struct vsw *s, struct port *p, const struct pollfd *at) {
    struct err err = {.code = 0};
    for (unsigned ring = 0; ring < RINGS; ring++)
        if (at[1 + ring].revents != 0)
            read_kick(p->device, ring);
    if (at[0].revents != 0 && p->conn < 0) {
        port_accept(p);
        if (p->conn >= 0)
            log_line(LOG_INFO, "CID %llu: connected", (unsigned long long)p->device->cid);
    } else if (at[0].revents != 0 && port_read(p, &err) != 0) {
        hang_up(s, p, &err);
    }
}

static void serve_control(struct vsw *s, const struct watched *w) {
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (w->clients[i].revents != 0)
            control_read(&s->control.client[i], &s->router);
    if (w->control->revents != 0)
        control_accept(&s->control);
}

unsigned vsw_turn(struct vsw *s, uint64_t timeout_ns, const int extra[VSW_EXTRA]) {
    struct watched w;
    uint64_t wait = router_run(&s->router, monotonic_ns());
    for (unsigned i = 0; i < s->router.count; i++) {
        const struct err why = s->router.device[i].failure;
        if (why.code == 0)
            continue;
        hang_up(s, &s->port[i], &why);
        wait = 0; /* the others are to be told */
    }
    watch_all(s, &w, extra);
    wait_for(&w, wait < timeout_ns ? wait : timeout_ns);
    for (unsigned i = 0; i < s->router.count; i++)
        serve_port(s, &s->port[i], &w.at[i * FDS_A_PORT]);
    serve_control(s, &w);
    unsigned ready = 0;
    for (unsigned i = 0; i < VSW_EXTRA; i++)
        ready |= (unsigned)(w.extra[i].revents != 0) << i;
    return ready;
}

void vsw_end(struct vsw *s) {
    for (unsigned i = 0; i < s->router.count; i++) {
        port_end(&s->port[i]);
        device_reset(&s->router.device[i]);
    }
    control_end(&s->control);
    streams_free(s->router.streams);
}
