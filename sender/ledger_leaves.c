/* ledger_leaves.c: what the receiver can have of the entries, and so can answer. The send stage. */
#include "sender/ledger_impl.h"

/* Lock held. */
static void has_left(struct pending *p, enum sent what, uint64_t size) {
    p->sent = what;
    p->sent_size = size;
}

/* Lock held. `again`: it has left before, with the stream that broke. */
static void end_leaves(struct ledger *l, struct item *item, const struct msg_file_end *end) {
    struct pending *p = ledger_find(l, end->file_id);
    if (p == NULL || item->again)
        return;
    has_left(p, SENT_ALL, end->size);
    p->sent_reading = item->reading;
}

/* Lock held. */
static int bundle_leaves(struct ledger *l, const struct item *item, uint32_t chunk_size, struct err *err) {
    struct msg_bundle m;
    if (msg_bundle_decode(item_body(item), item->frame.data_length, chunk_size, &m, err) != 0)
        return -1;
    for (uint32_t i = 0; i < m.count; i++) {
        struct bundle_member member = bundle_member_at(&m, i);
        struct pending *p = ledger_find(l, member.file_id);
        if (p)
            has_left(p, SENT_ALL, member.size);
    }
    return 0;
}

/* Lock held. A message about files; those that have left before with the stream that broke say nothing new, but FILE_END. */
static int leaves(struct ledger *l, struct item *item, uint32_t chunk_size, struct err *err) {
    struct msg_file_same same;
    struct msg_file_text fail;
    struct msg_file_end end;
    struct pending *p;
    switch (item->frame.type) {
    case MSG_BUNDLE: return bundle_leaves(l, item, chunk_size, err);
    case MSG_FILE_SAME:
        if (msg_file_same_decode(item_body(item), &same, err) != 0)
            return -1;
        if ((p = ledger_find(l, same.file_id)))
            has_left(p, SENT_SAME, 0);
        return 0;
    case MSG_FILE_FAIL:
        if (msg_file_text_decode(item_body(item), &fail, err) != 0)
            return -1;
        if ((p = ledger_find(l, fail.file_id)))
            p->given_up = true;
        return 0;
    default: /* MSG_FILE_END */
        if (msg_file_end_decode(item_body(item), &end, err) != 0)
            return -1;
        end_leaves(l, item, &end);
        return 0;
    }
}

int ledger_leaves(struct ledger *l, struct item *item, uint32_t chunk_size, struct err *err) {
    unsigned type = item->frame.type;
    bool once = type == MSG_BUNDLE || type == MSG_FILE_SAME || type == MSG_FILE_FAIL;
    if (type != MSG_FILE_END && (!once || item->again))
        return 0;
    os_lock(&l->lock);
    int result = leaves(l, item, chunk_size, err);
    os_unlock(&l->lock);
    return result;
}

void ledger_spoil(struct ledger *l, struct pending *p, unsigned reading, const struct err *why) {
    os_lock(&l->lock);
    bool news = reading > atomic_load(&p->spoilt);
    if (news) {
        p->spoilt_code = why->code;
        atomic_store(&p->spoilt, reading);
    }
    os_unlock(&l->lock);
    if (news) {
        struct err told = *why;
        (void)err_wrap(&told, "a chunk cannot be sent again");
        report_warning(l->report, p->path, told.msg);
    }
}

int ledger_sync_sent(struct ledger *l, struct err *err) {
    os_lock(&l->lock);
    l->syncs--;
    int result = ledger_advance(l, err);
    os_unlock(&l->lock);
    return result;
}
