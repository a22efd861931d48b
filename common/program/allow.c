#include "program/allow.h"

#include "core/text.h"

#include <string.h>

enum { CID_LOCAL = 1, CID_HOST = 2 }; /* vsock(7) */

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* "8-4-4-4-12" hexadecimal digits. */
static int parse_guid(const char *text, uint8_t ret[16]) {
    static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    unsigned digits = 0;
    if (strlen(text) != sizeof pattern - 1)
        return -1;
    memset(ret, 0, 16);
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        int digit = hex_digit(text[i]);
        if (pattern[i] == '-' ? text[i] != '-' : digit < 0)
            return -1;
        if (pattern[i] == '-')
            continue;
        ret[digits / 2] = (uint8_t)(ret[digits / 2] << 4 | digit);
        digits++;
    }
    return 0;
}

static int parse_peer(const char *text, struct peer_id *ret) {
    uint64_t n;
    if (strncmp(text, "uid:", 4) == 0) {
        if (parse_number(text + 4, 0, UINT32_MAX - 1, &n, NULL) != 0)
            return -1;
        *ret = (struct peer_id){.kind = PEER_UNIX, .uid = (uint32_t)n};
        return 0;
    }
    *ret = (struct peer_id){.kind = PEER_HYPERV};
    if (parse_guid(text, ret->vm) == 0)
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

static bool is_same(const struct peer_id *a, const struct peer_id *b) {
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case PEER_VSOCK: return a->cid == b->cid;
    case PEER_UNIX: return a->uid == b->uid;
    case PEER_HYPERV: return memcmp(a->vm, b->vm, sizeof a->vm) == 0;
    default: return false;
    }
}

bool allow_admits(const struct allow_list *list, const struct peer_id *peer) {
    for (unsigned i = 0; i < list->count; i++)
        if (is_same(&list->peers[i], peer))
            return true;
    return list->count == 0;
}
