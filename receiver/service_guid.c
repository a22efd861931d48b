#include "receiver/service_guid.h"

#include "core/text.h"
#include "receiver/services.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: hvrecv service-guid of PORT|GUID\n"
    "       hvrecv service-guid list\n"
    "       hvrecv service-guid register   --port N | --guid GUID  --name NAME  [--force]\n"
    "       hvrecv service-guid unregister --port N | --guid GUID  [--force]\n\n"
    "of: the service GUID of a vsock port, or the port of a service GUID. The others show and change which\n"
    "services a Windows host lets its guests reach; changing needs an administrator. Entries that another\n"
    "program made are left alone without --force.\n";

struct request {
    struct guid guid;
    bool has_guid;
    const char *name;
    bool force;
};

static int parse_port(const char *text, struct guid *ret, struct err *err) {
    uint64_t port;
    if (parse_number(text, 0, GUID_PORT_MAX, &port, NULL))
        return err_set(err, EXIT_USAGE, "%s: not a port from 0 to %d", ESCAPED(text), GUID_PORT_MAX);
    *ret = guid_of_port((uint32_t)port);
    return 0;
}

static int parse_guid(const char *text, struct guid *ret, struct err *err) {
    return guid_parse(text, strlen(text), ret)
               ? err_set(err, EXIT_USAGE, "%s: not a GUID (example: 00000ac9-facb-11e6-bd58-64006a7986d3)",
                         ESCAPED(text))
               : 0;
}

static int parse_value(const char *option, const char *value, struct request *r, struct err *err) {
    if (strcmp(option, "--name") == 0) {
        r->name = value;
        return value[0] ? 0 : err_set(err, EXIT_USAGE, "--name: the name is empty");
    }
    if (r->has_guid)
        return err_set(err, EXIT_USAGE, "give one --port or one --guid");
    r->has_guid = true;
    if (strcmp(option, "--port") == 0)
        return parse_port(value, &r->guid, err);
    return parse_guid(value, &r->guid, err);
}

static bool takes_value(const char *option) {
    return strcmp(option, "--port") == 0 || strcmp(option, "--guid") == 0 || strcmp(option, "--name") == 0;
}

static int parse(int count, char **words, struct request *ret, struct err *err) {
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "--force") == 0) {
            ret->force = true;
            continue;
        }
        if (!takes_value(words[i]))
            return err_set(err, EXIT_USAGE, "service-guid: %s is not known; see hvrecv service-guid --help",
                           ESCAPED(words[i]));
        if (i + 1 == count)
            return err_set(err, EXIT_USAGE, "%s: its value is missing", words[i]);
        if (parse_value(words[i], words[i + 1], ret, err))
            return -1;
        i++;
    }
    return ret->has_guid ? 0 : err_set(err, EXIT_USAGE, "say which service: --port N or --guid GUID");
}

static int of(int count, char **words, struct err *err) {
    struct guid guid;
    uint32_t port;
    if (count != 1)
        return err_set(err, EXIT_USAGE, "service-guid of: give one port or one GUID");
    if (strchr(words[0], '-') == NULL) {
        if (parse_port(words[0], &guid, err))
            return -1;
        (void)puts(GUID_TEXT(&guid));
        return EXIT_OK;
    }
    if (parse_guid(words[0], &guid, err))
        return -1;
    if (!guid_to_port(&guid, &port))
        return err_set(err, EXIT_UNSUPPORTED,
                       "%s: stands for no port: only those that end in -facb-11e6-bd58-64006a7986d3 do",
                       words[0]);
    (void)printf("%u\n", port);
    return EXIT_OK;
}

static bool print_service(const struct service *service, void *arg) {
    uint32_t port;
    char text[16] = "-";
    (void)arg;
    if (guid_to_port(&service->guid, &port))
        (void)snprintf(text, sizeof text, "%u", port);
    (void)printf("%s\t%s\t%s\t%s\n", GUID_TEXT(&service->guid), text, service->ours ? "hvferry" : "other",
                 ESCAPED(service->name));
    return true;
}

static int list(int count, char **words, struct err *err) {
    (void)words;
    if (count)
        return err_set(err, EXIT_USAGE, "service-guid list: nothing may follow");
    return services_list(print_service, NULL, err);
}

static int add(int count, char **words, struct err *err) {
    struct request r = {.name = NULL};
    if (parse(count, words, &r, err))
        return -1;
    if (r.name == NULL)
        return err_set(err, EXIT_USAGE, "service-guid register: --name is missing");
    return services_add(&r.guid, r.name, r.force, err);
}

static int drop(int count, char **words, struct err *err) {
    struct request r = {.name = NULL};
    if (parse(count, words, &r, err))
        return -1;
    if (r.name)
        return err_set(err, EXIT_USAGE, "service-guid unregister: --name has no meaning here");
    return services_remove(&r.guid, r.force, err);
}

static int help(int count, char **words, struct err *err) {
    (void)count;
    (void)words;
    (void)err;
    (void)fputs(usage, stdout);
    return EXIT_OK;
}

int service_guid_run(int count, char **words, struct err *err) {
    static const struct {
        const char *name;
        int (*run)(int count, char **words, struct err *err);
    } commands[] = {{"of", of}, {"list", list}, {"register", add}, {"unregister", drop}, {"--help", help}};
    for (size_t i = 0; count > 0 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(words[0], commands[i].name) == 0)
            return commands[i].run(count - 1, words + 1, err);
    return err_set(err, EXIT_USAGE,
                   "service-guid: say of, list, register or unregister; see hvrecv service-guid --help");
}
