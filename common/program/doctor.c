#include "program/doctor.h"

#include "core/text.h"
#include "os/os.h"
#include "program/handshake.h"
#include "program/setup.h"

#include <stdlib.h>
#include <string.h>

static const char *const step_names[] = {
    [STEP_CONNECT] = "connect",
    [STEP_LISTEN] = "listen",
    [STEP_PEER] = "peer",
};

/* Copies `text` with the words in braces put in. */
static void fill_in(const char *text, const struct addr *addr, char *to, size_t size) {
    char port[16], cid[16], service[40], there[sizeof addr->text + 16];
    const char *scheme = addr_scheme(addr);
    (void)snprintf(port, sizeof port, "%u", addr->port);
    (void)snprintf(cid, sizeof cid, "%u", addr->cid);
    (void)snprintf(service, sizeof service, "%08x-facb-11e6-bd58-64006a7986d3", addr->port);
    if (strncmp(scheme, "vsock", 5) == 0)
        (void)snprintf(there, sizeof there, "vsock://:%u", addr->port);
    else
        (void)snprintf(there, sizeof there, "%s", ESCAPED(addr->text));
    const struct {
        const char *word, *means;
    } words[] = {
        {"{port}", port},       {"{cid}", cid},     {"{path}", ESCAPED(addr->path)},
        {"{service}", service}, {"{there}", there},
    };
    size_t used = 0;
    while (*text && used + 1 < size) {
        const char *means = NULL;
        for (size_t i = 0; i < sizeof words / sizeof words[0] && means == NULL; i++)
            if (strncmp(text, words[i].word, strlen(words[i].word)) == 0) {
                means = words[i].means;
                text += strlen(words[i].word);
            }
        if (means == NULL) {
            to[used++] = *text++;
            continue;
        }
        int n = snprintf(to + used, size - used, "%s", means);
        used += (size_t)n < size - used ? (size_t)n : size - used - 1;
    }
    to[used] = '\0';
}

static const struct cause *find_cause(enum doctor_step step, const char *scheme, const struct err *err) {
    for (const struct cause *c = doctor_causes; c->cause; c++)
        if (c->step == step && (c->scheme == NULL || strcmp(c->scheme, scheme) == 0) &&
            (c->sys == 0 || c->sys == err->sys) && (c->code == 0 || c->code == err->code))
            return c;
    return NULL;
}

void doctor_explain(struct findings *f, enum doctor_step step, const struct addr *addr,
                    const struct err *err) {
    char text[ERR_MESSAGE_MAX];
    const struct cause *c = find_cause(step, addr_scheme(addr), err);
    if (c == NULL) {
        found_failure(f, err->code, step_names[step], "%s", err->msg);
        return;
    }
    fill_in(c->cause, addr, text, sizeof text);
    if (err->sys)
        found_failure(f, err->code, step_names[step], "%s (%s)", text, strerror(err->sys));
    else
        found_failure(f, err->code, step_names[step], "%s (%s)", text, err->msg);
    fill_in(c->remedy, addr, text, sizeof text);
    found_remedy(f, "%s", text);
}

/* Takes conn over. */
static void look_at_peer(struct findings *f, const struct addr *addr, struct conn *conn, int timeout_ms) {
    struct err err = {0}, close_err = {0};
    struct stream *stream;
    unsigned version = 0;
    if (stream_new(conn, timeout_ms, &stream, &err) != 0) {
        doctor_explain(f, STEP_PEER, addr, &err);
        return;
    }
    int result = handshake_probe(stream, timeout_ms, &version, &err);
    int closed = stream_close(stream, &close_err);
    if (result == 0)
        found_ok(f, step_names[STEP_PEER], "hvferry, protocol %u", version);
    else
        doctor_explain(f, STEP_PEER, addr, closed == 0 ? &err : &close_err);
}

static void try_connect(struct findings *f, const struct addr *addr, int timeout_ms) {
    struct err err = {0};
    struct conn *conn;
    int64_t start_ms = os_now_ms();
    if (conn_dial(addr, timeout_ms, NULL, &conn, &err) != 0) {
        doctor_explain(f, STEP_CONNECT, addr, &err);
        return;
    }
    found_ok(f, step_names[STEP_CONNECT], "%s answers after %d ms%s%s", conn_peer(conn),
             (int)(os_now_ms() - start_ms), conn_buffers(conn)[0] ? "; " : "", conn_buffers(conn));
    look_at_peer(f, addr, conn, timeout_ms);
}

static void try_listen(struct findings *f, const struct addr *addr) {
    struct err err = {0};
    struct listener *listener = NULL;
    if (listener_open(addr, &listener, &err) != 0) {
        doctor_explain(f, STEP_LISTEN, addr, &err);
        return;
    }
    found_ok(f, step_names[STEP_LISTEN], "%s can be listened on", ESCAPED(addr->text));
    listener_close(listener);
}

void doctor_address(struct findings *f, const char *text, const struct options *o) {
    struct err err = {0};
    struct addr addr;
    struct addr_rules rules = {.listening = o->listen != NULL, .allow_remote = o->allow_remote};
    if (addr_parse(text, &rules, &addr, &err) != 0) {
        found_failure(f, err.code, "address", "%s", err.msg);
        return;
    }
    found_ok(f, "address", "%s", ESCAPED(addr.text));
    doctor_route(f, &addr, rules.listening);
    if (findings_code(f) == EXIT_OK) {
        if (rules.listening)
            try_listen(f, &addr);
        else
            try_connect(f, &addr, o->connect_timeout_ms);
    }
    addr_free(&addr);
}

static int check_usage(const struct options *o, struct err *err) {
    if (o->arg_count + (o->listen != NULL) > 1)
        return err_set(err, EXIT_USAGE, "doctor: give one ADDR, or --listen ADDR, or nothing; see --help");
    return 0;
}

int doctor_main(enum program program, int argc, char **argv) {
    struct options o;
    struct err err = {0};
    enum parsed parsed = options_parse(program, argc, argv, &o, &err);
    if (parsed == PARSED_DONE)
        return EXIT_OK;
    if (parsed == PARSED_ERROR || check_usage(&o, &err) != 0)
        return setup_fail(&o, &err);
    struct findings *f = calloc(1, sizeof *f);
    if (f == NULL) {
        (void)err_set(&err, EXIT_MEMORY, "out of memory");
        return setup_fail(&o, &err);
    }
    doctor_machine(f);
    if (o.listen || o.arg_count)
        doctor_address(f, o.listen ? o.listen : o.args[0], &o);
    findings_print(f, stdout);
    int code = findings_code(f);
    free(f);
    return code;
}
