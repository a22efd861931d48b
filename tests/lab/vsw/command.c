/* command.c: see command.h. */
#include "command.h"

#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ULL
enum { DELAY_MS_MAX = 3600 * 1000 };

struct text {
    char *at;
    size_t left;
};

static void add(struct text *t, const char *fmt, ...) ERR_PRINTF(2, 3);
static void add(struct text *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at, t->left, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

/* The argument of a command. */
struct argument {
    const char *text; /* "" when there is none */
    uint64_t number; /* of those that take one */
    struct device *device; /* of those that take a CID; NULL when it was left out */
};

static void run_delay(struct router *r, const struct argument *a, struct text *reply) {
    r->delay_ns = a->number * NS_PER_MS;
    add(reply, " delay=%llu", (unsigned long long)a->number);
}

static void run_rate(struct router *r, const struct argument *a, struct text *reply) {
    r->rate = a->number;
    for (unsigned i = 0; i < r->count; i++)
        r->device[i].free_ns = 0;
    add(reply, " rate=%llu", (unsigned long long)a->number);
}

static void run_reset(struct router *r, const struct argument *a, struct text *reply) {
    add(reply, " streams=%u", router_reset_streams(r, a->device));
}

static void run_vanish(struct router *r, const struct argument *a, struct text *reply) {
    (void)r;
    (void)reply;
    a->device->is_vanished = true;
}

static void run_return(struct router *r, const struct argument *a, struct text *reply) {
    (void)r;
    (void)reply;
    a->device->is_vanished = false;
}

static void run_stall(struct router *r, const struct argument *a, struct text *reply) {
    (void)r;
    (void)reply;
    a->device->is_stalled = true;
}

static void run_go(struct router *r, const struct argument *a, struct text *reply) {
    (void)reply;
    a->device->is_stalled = false;
    router_show_credit(r, a->device);
}

static void run_stats(struct router *r, const struct argument *a, struct text *reply) {
    (void)a;
    add(reply, " streams=%u", streams_count(r->streams));
    for (unsigned i = 0; i < r->count; i++) {
        const struct device *d = &r->device[i];
        add(reply, " cid=%llu connected=%d", (unsigned long long)d->cid, d->is_connected);
        add(reply, " rx_packets=%llu rx_bytes=%llu", (unsigned long long)d->stats.rx_packets,
            (unsigned long long)d->stats.rx_bytes);
        add(reply, " tx_packets=%llu tx_bytes=%llu", (unsigned long long)d->stats.tx_packets,
            (unsigned long long)d->stats.tx_bytes);
        add(reply, " drops=%llu backlog=%u", (unsigned long long)d->stats.drops, d->queued);
    }
}

static void run_clear(struct router *r, const struct argument *a, struct text *reply) {
    const struct argument none = {.text = "", .number = 0};
    struct text ignored = {.at = (char[64]){0}, .left = 64};
    (void)a;
    (void)reply;
    run_delay(r, &none, &ignored);
    run_rate(r, &none, &ignored);
    for (unsigned i = 0; i < r->count; i++) {
        const struct argument each = {.text = "", .device = &r->device[i]};
        run_return(r, &each, &ignored);
        run_go(r, &each, &ignored);
    }
}

enum takes { TAKES_NOTHING, TAKES_NUMBER, TAKES_CID, MAY_TAKE_CID };

static const struct command {
    const char *name;
    enum takes takes;
    uint64_t max; /* of the number */
    void (*run)(struct router *r, const struct argument *a, struct text *reply);
} commands[] = {
    {"delay", TAKES_NUMBER, DELAY_MS_MAX, run_delay},
    {"rate", TAKES_NUMBER, 1ULL << 40, run_rate},
    {"reset", MAY_TAKE_CID, 0, run_reset},
    {"vanish", TAKES_CID, 0, run_vanish},
    {"return", TAKES_CID, 0, run_return},
    {"stall", TAKES_CID, 0, run_stall},
    {"go", TAKES_CID, 0, run_go},
    {"stats", TAKES_NOTHING, 0, run_stats},
    {"clear", TAKES_NOTHING, 0, run_clear},
};

static const struct command *find_command(const char *name, size_t n) {
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strlen(commands[i].name) == n && memcmp(commands[i].name, name, n) == 0)
            return &commands[i];
    return NULL;
}

static int read_argument(struct router *r, const struct command *c, struct argument *a, struct err *err) {
    if (c->takes == TAKES_NOTHING)
        return a->text[0] == '\0' ? 0 : err_set(err, EXIT_USAGE, "%s takes nothing", c->name);
    if (c->takes == MAY_TAKE_CID && a->text[0] == '\0')
        return 0;
    if (c->takes == TAKES_NUMBER)
        return parse_number(a->text, 0, c->max, &a->number, err);
    if (parse_number(a->text, 0, UINT32_MAX, &a->number, err) != 0)
        return -1;
    a->device = router_find(r, a->number);
    return a->device ? 0 : err_set(err, EXIT_USAGE, "no port has CID %llu", (unsigned long long)a->number);
}

void command_run(struct router *r, const char *line, char ret[COMMAND_REPLY_MAX]) {
    struct err err = {.code = 0};
    struct text reply = {.at = ret, .left = COMMAND_REPLY_MAX - 1};
    size_t n = strcspn(line, " ");
    const struct command *c = find_command(line, n);
    struct argument a = {.text = line + n + (line[n] == ' ')};
    if (!c)
        (void)err_set(&err, EXIT_USAGE,
                      "unknown command; there are delay MS, rate BYTES, reset [CID], vanish CID, "
                      "return CID, stall CID, go CID, stats, clear");
    if (c && read_argument(r, c, &a, &err) == 0) {
        add(&reply, "ok");
        c->run(r, &a, &reply);
    } else {
        add(&reply, "error %s", err.msg);
    }
    reply.at[0] = '\n';
    reply.at[1] = '\0';
}
