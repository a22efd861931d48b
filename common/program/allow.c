#include "program/allow.h"

#include "core/text.h"

#include <string.h>

enum { CID_LOCAL = 1, CID_HOST = 2 }; /* vsock(7) */

static int parse_peer(const char *text, struct peer_id *ret) {
    uint64_t n;
    if (strncmp(text, "uid:", 4) == 0) {
        if (parse_number(text + 4, 0, UINT32_MAX - 1, &n, NULL) != 0)
            return -1;
        *ret = (struct peer_id){.kind = PEER_UNIX, .uid = (uint32_t)n};
        return 0;
    }
    *ret = (struct peer_id){.kind = PEER_HYPERV};
    if (guid_parse(text, strlen(text), &ret->vm) == 0)
        return 0;
    if (strcmp(text, "host") == 0)
        n = CID_HOST;
    else if (strcmp(text, "local") == 0)
        n = CID_LOCAL;
    else if (parse_number(text, 0, UINT32_MAX - 1, &n, NULL) != 0)
        return -1;
    *ret = (struct peer_id){.kind = PEER_VSOCK, .cid = (uint32_t)n};
    return 0;
}

int allow_add(struct allow_list *list, const char *text, struct err *err) {
    if (list->count == ALLOW_MAX)
        return err_set(err, EXIT_USAGE, "--allow-peer: more than %d peers", ALLOW_MAX);
    if (parse_peer(text, &list->peers[list->count]) != 0)
        return err_set(
            err, EXIT_USAGE,
            "--allow-peer: '%s' names no peer; give a CID (a number, host or local), the GUID of a VM, "
            "or uid:N",
            ESCAPED(text));
    list->count++;
    return 0;
}

bool allow_names_kind(const struct allow_list *list, enum peer_kind kind) {
    for (unsigned i = 0; i < list->count; i++)
        if (list->peers[i].kind == kind)
            return true;
    return false;
}

bool allow_admits(const struct allow_list *list, const struct peer_id *peer) {
    bool identified = peer->kind != PEER_UNKNOWN && peer->kind != PEER_TCP;
    for (unsigned i = 0; identified && i < list->count; i++)
        if (peer_is_same(&list->peers[i], peer))
            return true;
    return list->count == 0;
}
