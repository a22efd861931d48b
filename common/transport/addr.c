#include "transport/transport_impl.h"

#include "core/path.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a Unix socket's name, without the NUL: sun_path of unix(7). */
enum { SOCKET_PATH_MAX = 107 };

/* The transport whose "scheme:" begins `text`, or NULL. */
static const struct transport *transport_of(const char *text) {
    for (size_t i = 0; transports[i]; i++) {
        size_t n = strlen(transports[i]->scheme);
        if (strncmp(text, transports[i]->scheme, n) == 0 && text[n] == ':')
            return transports[i];
    }
    return NULL;
}

bool addr_looks_like(const char *text) {
    return transport_of(text) != NULL;
}

static int parse_with(const struct transport *t, const char *text, const struct addr_rules *rules,
                      struct addr *addr, struct err *why) {
    const char *rest = text + strlen(t->scheme) + 1;
    if (t->has_authority && strncmp(rest, "//", 2) != 0)
        return err_set(why, EXIT_USAGE, "'//' is missing after '%s:'", t->scheme);
    if (rules->listening && t->listen == NULL && t->dial != NULL)
        return err_set(why, EXIT_USAGE, "%s: cannot be listened on, only connected to", t->scheme);
    return t->parse(rest + (t->has_authority ? 2 : 0), rules, addr, why);
}

int addr_parse(const char *text, const struct addr_rules *rules, struct addr *ret, struct err *err) {
    const struct transport *t = transport_of(text);
    if (t == NULL)
        return err_set(err, EXIT_USAGE,
                       "%s: not an address; write unix:/path.sock, vsock://CID:PORT, hyperv://VM:SERVICE, "
                       "vsock-mux:/path.sock:PORT, tcp://HOST:PORT or exec:COMMAND",
                       ESCAPED(text));
    struct addr addr = {.transport = t};
    struct err why = {.code = 0};
    (void)snprintf(addr.text, sizeof addr.text, "%s", text);
    if (parse_with(t, text, rules, &addr, &why)) {
        addr_free(&addr);
        if (why.code == EXIT_USAGE)
            return err_set(err, why.code, "%s: %s (example: %s)", ESCAPED(text), why.msg, t->example);
        return err_set(err, why.code, "%s: %s", ESCAPED(text), why.msg);
    }
    *ret = addr;
    return 0;
}

void addr_free(struct addr *addr) {
    free(addr->command);
    free(addr->into);
    addr->command = NULL;
    addr->into = NULL;
}

int addr_parse_port(const char *text, size_t n, uint32_t port_max, uint32_t *ret, struct err *why) {
    char digits[16];
    if (n == 0)
        return err_set(why, EXIT_USAGE, "the port is missing");
    (void)snprintf(digits, sizeof digits, "%.*s", n < sizeof digits ? (int)n : (int)sizeof digits - 1, text);
    uint64_t port;
    if (n >= sizeof digits || strspn(digits, "0123456789") != n ||
        parse_number(digits, 1, port_max, &port, NULL))
        return err_set(why, EXIT_USAGE, "the port is not a number from 1 to %u", port_max);
    *ret = (uint32_t)port;
    return 0;
}

/* `sub` stands after the '/' that ends the authority. One '/' at its end means nothing, as in rsync. */
static int parse_into(const char *sub, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    size_t n = strlen(sub);
    if (n == 0)
        return 0;
    if (rules->listening)
        return err_set(why, EXIT_USAGE, "an address to listen on has no sub-directory");
    if (sub[0] == '/')
        return err_set(why, EXIT_USAGE, "the sub-directory begins with '//'");
    if (sub[n - 1] == '/')
        n--;
    addr->into = malloc(n + 1);
    if (addr->into == NULL)
        return err_set(why, EXIT_MEMORY, "out of memory");
    memcpy(addr->into, sub, n);
    addr->into[n] = '\0';
    struct err fault;
    if (path_check(addr->into, &fault))
        return err_set(why, EXIT_USAGE, "the sub-directory is not allowed: %s", fault.msg);
    return 0;
}

int addr_end_authority(const char *rest, size_t n, const struct addr_rules *rules, struct addr *addr,
                       struct err *why) {
    size_t shown = strlen(addr->transport->scheme) + strlen("://") + n;
    if (shown < sizeof addr->text)
        addr->text[shown] = '\0';
    return rest[n] == '/' ? parse_into(rest + n + 1, rules, addr, why) : 0;
}

/* "HOST" or "[IPV6]" of n bytes into addr->host. */
static int parse_host(const char *host, size_t n, const struct addr_rules *rules, struct addr *addr,
                      struct err *why) {
    bool bracketed = n >= 2 && host[0] == '[' && host[n - 1] == ']';
    if (bracketed) {
        host++;
        n -= 2;
    }
    if (n == 0 && (bracketed || !rules->listening))
        return err_set(why, EXIT_USAGE, "what stands before ':PORT' is missing");
    if (n >= sizeof addr->host)
        return err_set(why, EXIT_USAGE, "what stands before ':PORT' is too long");
    if (bracketed != (n > 0 && memchr(host, ':', n) != NULL))
        return err_set(why, EXIT_USAGE, "an IPv6 address, and nothing else, stands in brackets");
    memcpy(addr->host, host, n);
    addr->host[n] = '\0';
    return 0;
}

/* The ':' before the port, in the n bytes at `rest`: the last one that is not in brackets. NULL for none. */
static const char *port_colon(const char *rest, size_t n) {
    for (size_t i = n; i > 0 && rest[i - 1] != ']'; i--)
        if (rest[i - 1] == ':')
            return rest + i - 1;
    return NULL;
}

int addr_parse_authority(const char *rest, uint32_t port_max, const struct addr_rules *rules,
                         struct addr *addr, struct err *why) {
    size_t n = strcspn(rest, "/");
    const char *colon = port_colon(rest, n);
    if (colon == NULL)
        return err_set(why, EXIT_USAGE, "':PORT' is missing");
    size_t host_n = (size_t)(colon - rest);
    if (parse_host(rest, host_n, rules, addr, why) ||
        addr_parse_port(colon + 1, n - host_n - 1, port_max, &addr->port, why))
        return -1;
    return addr_end_authority(rest, n, rules, addr, why);
}

int addr_parse_path(const char *path, size_t n, size_t spare, struct addr *addr, struct err *why) {
    if (n == 0)
        return err_set(why, EXIT_USAGE, "the path of the socket is missing");
    if (n >= 2 && path[0] == '/' && path[1] == '/')
        return err_set(why, EXIT_USAGE, "the path begins with '//'; one '/' is right here");
    if (path[n - 1] == '/')
        return err_set(why, EXIT_USAGE, "the path ends in '/', but a socket is not a directory");
    if (n + spare > SOCKET_PATH_MAX)
        return err_set(why, EXIT_USAGE, "the path has %zu bytes, and the system allows a socket %d%s",
                       n + spare, SOCKET_PATH_MAX, "; choose a shorter one");
    memcpy(addr->path, path, n);
    addr->path[n] = '\0';
    return 0;
}
