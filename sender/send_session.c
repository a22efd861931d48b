#include "sender/send_session.h"

#include "codec/digest.h"
#include "core/text.h"
#include "program/stream.h"
#include "sender/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    VOIDS_MAX = 256, /* breaks that find a file on its way, in bundles: then it never arrives */
};

typedef int send_handler(struct send_session *s, struct item *item, struct err *err);

void send_session_free(struct send_session *s) {
    for (unsigned i = 0; i < s->select_count; i++)
        free(s->selects[i]);
    free(s->selects);
    pool_free(s->spare);
}

/* ---- START and REQUEST --------------------------------------------------------------------------------------- */

int send_session_start(struct send_session *s, uint64_t flags, enum durable durable, const char *into,
                       struct err *err) {
    uint8_t path[PATH_BYTES_MAX + 1], tags[PATH_BYTES_MAX + 8];
    struct wr tw = wr_of(tags, sizeof tags);
    if (into && into[0]) {
        struct wr pw = wr_of(path, sizeof path);
        path_encode(&pw, into);
        tag_encode(&tw, TAG_INTO, path, wr_used(&pw));
    }
    struct msg_start m = {
        .flags = flags, .durable = (uint8_t)durable, .tags = {.p = tags, .n = wr_used(&tw)}};
    struct item *item = item_new(MSG_START, sizeof tags + 64);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct wr w = item_writer(item);
    msg_start_encode(&w, &m);
    item_written(item, &w);
    (void)outbox_put(s->out, item);
    return 0;
}

static int add_select(struct send_session *s, struct span value, struct err *err) {
    char path[PATH_BYTES_MAX];
    struct rd r = rd_of(value.p, value.n);
    if (path_decode(&r, path, err) != 0 || !rd_done(&r))
        return err_set(err, EXIT_STREAM, "REQUEST: malformed path");
    if (s->select_count == SELECTS_MAX)
        return err_set(err, EXIT_STREAM, "REQUEST: more than %d names", SELECTS_MAX);
    char **more = realloc(s->selects, (s->select_count + 1) * sizeof *more);
    if (more)
        s->selects = more;
    char *copy = more ? strdup(path) : NULL;
    if (copy == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    s->selects[s->select_count++] = copy;
    return 0;
}

static int take_request(struct send_session *s, struct item *item, struct err *err) {
    struct msg_start m;
    struct tag tag;
    int more;
    if (msg_start_decode(item_body(item), &m, err) != 0)
        return -1;
    if (m.flags & ~(uint64_t)OPT_SUPPORTED)
        return err_set(err, EXIT_UNSUPPORTED,
                       "the receiver asks for options that this hvsend does not support (%#" PRIx64 ")",
                       m.flags & ~(uint64_t)OPT_SUPPORTED);
    struct rd r = rd_of(m.tags.p, m.tags.n);
    while ((more = tag_next(&r, &tag)) == 1) {
        if (tag.tag == TAG_SELECT && add_select(s, tag.value, err) != 0)
            return -1;
        if (tag.tag != TAG_SELECT && (tag.tag & TAG_CRITICAL))
            return err_set(err, EXIT_UNSUPPORTED, "REQUEST: unknown tag %#x", (unsigned)tag.tag);
    }
    if (more != 0)
        return err_set(err, EXIT_STREAM, "REQUEST: malformed tags");
    s->requested_flags = m.flags;
    s->has_selects = s->select_count > 0;
    s->state = SEND_TRANSFER;
    return 0;
}

/* ---- answers to entries and files ------------------------------------------------------------------------------ */

static int take_runs(struct send_session *s, struct item *item, struct err *err) {
    unsigned type = item->frame.type;
    struct rd r = rd_of(item->body, item->frame.body_length);
    struct run_of_ids run;
    int more;
    while ((more = run_next(&r, type, &run, err)) == 1) {
        if (run.verdict == VERDICT_CHECK && !(s->agreed.features & (FEATURE_DELTA | FEATURE_CHECK)))
            return err_set(err, EXIT_STREAM, "VERDICTS: no comparison was agreed on");
        if ((type == MSG_DURABLE ? ledger_durable : ledger_verdicts)(s->ledger, &run, err) != 0)
            return -1;
    }
    return more;
}

static int take_file_error(struct send_session *s, struct item *item, struct err *err) {
    struct msg_file_text m;
    struct escaped text;
    struct err why = {0};
    if (msg_file_text_decode(item_body(item), &m, err) != 0)
        return -1;
    (void)err_set(&why, err_code_of_peer(m.text.code), "the receiver: %s",
                  escape_said((const char *)m.text.text.p, m.text.text.n, &text));
    return ledger_failed(s->ledger, m.file_id, &why, err);
}

static int take_basis(struct send_session *s, struct item *item, struct err *err) {
    struct msg_basis m;
    if (msg_basis_decode(item_body(item), &m, err) != 0)
        return -1;
    uint32_t feature = m.kind == BASIS_BLOCKS ? FEATURE_DELTA : FEATURE_CHECK;
    if (!(s->agreed.features & feature))
        return err_set(err, EXIT_STREAM, "BASIS: kind %u was not agreed on", (unsigned)m.kind);
    if (m.kind == BASIS_CONTENT && m.block_size != s->agreed.chunk_size)
        return err_set(err, EXIT_STREAM, "BASIS: its grid of %" PRIu32 " is not that of the session",
                       m.block_size);
    return ledger_basis(s->ledger, &m, err);
}

/* ---- refused data ------------------------------------------------------------------------------------------------ */

/* The chunk again, stored. It is what it was when the file was read, or the file is not the same any more. 1, or 0 when it
 * cannot be had (the receiver has given the file up, or it changed, or cannot be read), or -1 and err. */
static int fill_chunk(struct send_session *s, struct item *item, struct err *err) {
    struct msg_chunk m;
    struct err why = {0};
    if (msg_chunk_decode(item_body(item), item->frame.data_length, s->agreed.chunk_size, &m, err) != 0)
        return -1;
    struct pending *p = ledger_borrow(s->ledger, m.file_id);
    if (p == NULL)
        return 0;
    struct buf *buf = pool_try_get(s->spare);
    if (buf == NULL) {
        pending_release(p);
        return err_set(err, EXIT_MEMORY, "no memory for data that has to be sent again");
    }
    int result = source_read_again(s->roots, p, m.offset, m.raw_length, buf->data, &why);
    struct digest digest = result == 0 ? digest_of(buf->data, m.raw_length) : (struct digest){{0}};
    if (result == 0 && memcmp(digest.b, m.digest, DIGEST_SIZE) != 0)
        result = err_set(&why, EXIT_VANISHED, "it changed meanwhile");
    if (result != 0)
        ledger_spoil(s->ledger, p, item->reading, &why);
    pending_release(p);
    if (result != 0) {
        buf_release(buf);
        return 0;
    }
    item->data = buf;
    m.codec = CODEC_NONE;
    item->frame.data_length = m.raw_length;
    struct wr w = item_writer(item);
    msg_chunk_encode(&w, &m);
    item_written(item, &w);
    return 1;
}

/* In the place of a refused bundle, whose files come again in new ones. */
static int send_void(struct send_session *s, const struct item *refused, uint64_t order, struct err *err) {
    struct msg_bundle m;
    struct item *item = item_new(MSG_VOID, 0);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    item->frame.flags = FRAME_RESENT;
    item->frame.order = order;
    (void)outbox_put_urgent(s->out, item);
    flight_void(s->flight, order);
    uint32_t data_length = refused->frame.data_length;
    if (msg_bundle_decode(item_body(refused), data_length, s->agreed.chunk_size, &m, err) != 0)
        return -1;
    return ledger_want_again(s->ledger, &m, true, err);
}

static int take_refused(struct send_session *s, struct item *item, struct err *err) {
    struct msg_refused m;
    if (msg_refused_decode(item_body(item), &m, err) != 0)
        return -1;
    if (m.refused_order == 0) /* taken back: the break had all of it sent again */
        return 0;
    struct item *again = flight_refused(s->flight, m.refused_order);
    if (again == NULL)
        return err_set(err, EXIT_STREAM, "REFUSED: message %" PRIu64 " carries no data, or is acknowledged",
                       m.refused_order);
    if (again->refusals > REFUSALS_MAX) { /* the receiver should have given up */
        item_free(again);
        return err_set(err, EXIT_VERIFY, "REFUSED: message %" PRIu64 " was refused %d times", m.refused_order,
                       REFUSALS_MAX + 1);
    }
    count(&s->report->chunks_resent, 1);
    count(&s->report->bytes_resent, again->raw_length);
    if (again->frame.type == MSG_BUNDLE) {
        int result = send_void(s, again, m.refused_order, err);
        item_free(again);
        return result;
    }
    again->frame.flags = FRAME_RESENT;
    again->frame.order = m.refused_order;
    (void)outbox_put_urgent(
        s->out, again); /* its data is read when its turn comes: any number can be refused at once */
    return 0;
}

/* ---- after a break ---------------------------------------------------------------------------------------------- */

void send_session_settle(struct send_session *s, uint64_t *ret_processed) {
    link_in_resume(&s->in);
    *ret_processed = s->in.processed;
}

uint64_t send_session_progress(struct send_session *s) {
    return (s->state != SEND_AWAIT_REQUEST) + ledger_progress(s->ledger);
}

/* A peer may take all but one file: what breaks off at that one is read again each time. */
static int count_voids(struct send_session *s, const struct msg_bundle *m, struct err *err) {
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < m->count; i++) {
        struct pending *p = ledger_borrow(s->ledger, bundle_member_at(m, i).file_id);
        if (p && ++p->voids > VOIDS_MAX)
            result = err_set(err, EXIT_STREAM, "%s was on its way in %d breaks, and never arrived",
                             ESCAPED(p->path), VOIDS_MAX + 1);
        pending_release(p);
    }
    return result;
}

/* The files of a bundle come again in new ones. */
static int void_bundle(struct send_session *s, struct item *item, struct err *err) {
    struct msg_bundle m;
    if (msg_bundle_decode(item_body(item), item->frame.data_length, s->agreed.chunk_size, &m, err) != 0 ||
        count_voids(s, &m, err) != 0 || ledger_want_again(s->ledger, &m, false, err) != 0)
        return -1;
    item_make_void(item);
    return 0;
}

int send_session_prepare(struct send_session *s, struct ticketed *chain, struct err *err) {
    for (struct ticketed *t = chain; t; t = t->next) {
        struct item *item = (struct item *)t;
        item->again = true;
        item->refusals = 0; /* the receiver counts anew, too */
        if (!item_carries_data(item))
            continue;
        count(&s->report->chunks_resent, 1);
        count(&s->report->bytes_resent, item->raw_length);
        if (item->frame.type == MSG_BUNDLE && void_bundle(s, item, err) != 0)
            return -1;
    }
    struct msg_ack ack = link_in_ack(&s->in);
    struct item *answer = item_of_ack(&ack);
    if (answer == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    (void)outbox_put_urgent(s->out, answer);
    return 0;
}

int send_session_reread(struct send_session *s, struct item *item, struct err *err) {
    int result = fill_chunk(s, item, err);
    if (result == 0) {
        item_make_void(item);
        if (item->frame.flags & FRAME_RESENT) /* it has cost nothing */
            flight_void(s->flight, item->frame.order);
        else
            outbox_refund(s->out, item);
    }
    return result < 0 ? -1 : 0;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static int take_finish_ack(struct send_session *s, struct item *item, struct err *err) {
    struct msg_totals theirs, ours;
    if (msg_totals_decode(item_body(item), &theirs, err) != 0)
        return -1;
    if (!ledger_finished(s->ledger, &ours) || outbox_waiting(s->out) > 0) /* FINISH waits for credit */
        return err_set(err, EXIT_STREAM, "FINISH_ACK: nothing was finished yet");
    if (!msg_totals_equal(&ours, &theirs))
        return err_set(err, EXIT_STREAM,
                       "the totals differ: %" PRIu64 " files sent, %" PRIu64 " committed; run it again",
                       ours.committed, theirs.committed);
    /* A receiver that has processed everything has granted most of its window anew, and nothing is read after this. */
    if (!outbox_has_credit(s->out, FRAME_COST))
        return err_set(err, EXIT_STREAM, "FINISH_ACK: the receiver leaves no credit for BYE");
    struct item *bye = item_new(MSG_BYE, 0);
    if (bye == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    (void)outbox_put(s->out, bye);
    s->state = SEND_DONE;
    return 0;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

/* An empty cell: the message is not allowed in that state. */
static send_handler *const handlers[SEND_STATES][MSG_TYPE_LIMIT] = {
    [SEND_AWAIT_REQUEST] = {[MSG_REQUEST] = take_request},
    [SEND_TRANSFER] =
        {
            [MSG_VERDICTS] = take_runs,
            [MSG_DURABLE] = take_runs,
            [MSG_REFUSED] = take_refused,
            [MSG_FILE_ERROR] = take_file_error,
            [MSG_BASIS] = take_basis,
            [MSG_FINISH_ACK] = take_finish_ack,
        },
};

static const char *const state_names[SEND_STATES] = {"AWAIT_REQUEST", "TRANSFER", "DONE"};

static int take_unordered(struct send_session *s, struct item *item, struct err *err) {
    if (item->frame.type == MSG_ABORT)
        return stream_refusal(item, "receiver", err);
    return item->frame.type == MSG_ACK ? outbox_take_ack(s->out, s->flight, item, err) : 0;
}

static int take_ordered(struct send_session *s, struct item *item, struct err *err) {
    unsigned type = item->frame.type;
    send_handler *handler = type < MSG_TYPE_LIMIT ? handlers[s->state][type] : NULL;
    if (handler)
        return handler(s, item, err);
    if (item->frame.flags & FRAME_OPTIONAL && !msg_type_is_known(type))
        return 0;
    return err_set(err, EXIT_STREAM, "%s is not allowed in state %s", msg_type_name(type),
                   state_names[s->state]);
}

int send_session_take(struct send_session *s, struct item *item, struct err *err) {
    struct msg_ack ack;
    uint64_t cost, order = item->frame.order;
    int result = link_in_arrived(&s->in, &item->frame, &cost, err);
    if (result == 0 && item->frame.flags & FRAME_RESENT)
        result = err_set(err, EXIT_STREAM, "%s: a receiver resends nothing", msg_type_name(item->frame.type));
    if (result == 0)
        result = order == 0 ? take_unordered(s, item, err) : take_ordered(s, item, err);
    item_free(item);
    if (result != 0)
        return -1;
    if (order > 0 && link_in_done(&s->in, order, cost, &ack)) {
        struct item *answer = item_of_ack(&ack);
        if (answer == NULL)
            return err_set(err, EXIT_MEMORY, "out of memory");
        (void)outbox_put_urgent(s->out, answer);
    }
    return 0;
}
