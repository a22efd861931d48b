#include "transport/transport.h"

bool peer_is_same(const struct peer_id *a, const struct peer_id *b) {
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case PEER_VSOCK: return a->cid == b->cid;
    case PEER_UNIX: return a->uid == b->uid;
    case PEER_HYPERV: return guid_equal(&a->vm, &b->vm);
    default: return false;
    }
}

bool peer_may_be_same(const struct peer_id *before, const struct peer_id *now) {
    bool told = before->kind != PEER_UNKNOWN && before->kind != PEER_TCP;
    return told ? peer_is_same(before, now) : before->kind == now->kind;
}
