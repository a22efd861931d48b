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

int confine_connecting(const struct endpoint_files *files, const struct addr *to, uint32_t retries,
                       struct err *err) {
    struct addr_needs needs = addr_needs(to);
    struct os_confinement keep = keep_files(files);
    if (needs.child && retries > 0)
        log_line(LOG_INFO, "not confined: the command may have to be started again (--retry)");
    if (needs.child)
        return 0;
    _Static_assert((int)OS_FAMILIES_MAX == (int)ADDR_FAMILIES_MAX, "the same families");
    memcpy(keep.families, needs.families, sizeof keep.families);
    keep.tcp_port = needs.tcp_port;
    keep.socket_file = needs.socket_file;
    return confine(&keep, err);
}

int confine_child(const struct endpoint_files *files, const struct addr *to, uint32_t retries,
                  struct err *err) {
    struct os_confinement keep = keep_files(files);
    keep.child = addr_needs(to).child;
    return keep.child && retries == 0 ? confine(&keep, err) : 0;
}

int confine_connected(const struct endpoint_files *files, struct err *err) {
    struct os_confinement keep = keep_files(files);
    return confine(&keep, err);
}
