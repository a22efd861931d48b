#include "program/confine.h"

#include "core/log.h"

#include <stdlib.h>
#include <string.h>

static int confine(const struct os_confinement *keep, struct err *err) {
    struct os_confined done;
    if (os_confine(keep, &done, err) != 0)
        return -1;
    if (done.files[0])
        log_line(LOG_INFO, "files: %s", done.files);
    if (done.calls[0])
        log_line(LOG_INFO, "system calls: %s", done.calls);
    if (done.rights[0])
        log_line(LOG_INFO, "%s", done.rights);
    return 0;
}

static struct os_confinement keep_files(const struct endpoint_files *files) {
    return (struct os_confinement){.reach = files->reach, .reach_count = files->count};
}

int confine_listening(const struct endpoint_files *files, const struct listener *listener, struct err *err) {
    struct os_confinement keep = keep_files(files);
    struct os_dir dir;
    keep.socket_file = listener_file_dir(listener, &dir);
    if (!keep.socket_file)
        return confine(&keep, err);
    struct os_reach *all = calloc(files->count + 1, sizeof *all);
    if (all == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    memcpy(all, files->reach, files->count * sizeof *all);
    all[files->count] = (struct os_reach){.at = dir, .name = "", .kind = OS_REACH_REMOVE};
    keep.reach = all;
    keep.reach_count++;
    int result = confine(&keep, err);
    free(all);
    return result;
}

static void add_family(struct os_confinement *keep, int family) {
    for (int i = 0; i < OS_FAMILIES_MAX && family != 0; i++)
        if (keep->families[i] == 0 || keep->families[i] == family) {
            keep->families[i] = family;
            return;
        }
}

int confine_connecting(const struct endpoint_files *files, const struct confine_dial *dials, size_t count,
                       struct err *err) {
    struct os_confinement keep = keep_files(files);
    bool again = false;
    uint16_t *ports = calloc(count, sizeof *ports);
    if (ports == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    keep.tcp_ports = ports;
    for (size_t i = 0; i < count; i++) {
        struct addr_needs needs = addr_needs(dials[i].to);
        for (int f = 0; f < ADDR_FAMILIES_MAX; f++)
            add_family(&keep, needs.families[f]);
        if (needs.tcp_port)
            ports[keep.tcp_port_count++] = needs.tcp_port;
        keep.socket_file = keep.socket_file || needs.socket_file;
        keep.child = keep.child || needs.child;
        again = again || (needs.child && dials[i].retries > 0);
    }
    if (again)
        log_line(LOG_INFO, "not confined: the command may have to be started again (--retry)");
    int result = again ? 0 : confine(&keep, err);
    free(ports);
    return result;
}

int confine_connected(const struct endpoint_files *files, struct err *err) {
    struct os_confinement keep = keep_files(files);
    return confine(&keep, err);
}
