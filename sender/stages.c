#include "sender/stages.h"

#include "codec/digest.h"
#include "core/log.h"
#include "core/text.h"
#include "program/lanes.h"

#include <string.h>

enum {
    ENTRIES_FIRST = 2 * 1024, /* the first frame is short, so that the receiver can start */
    ENTRIES_BYTES = 32 * 1024, /* later ones: hundreds of entries */
    ENTRIES_AHEAD = 16, /* frames of entries that wait to be sent */
    DATA_AHEAD =
        512, /* messages of files that wait to be sent; those that carry data are fewer: their buffers are */
    WANTS_AHEAD = 1024, /* files that wait to be read: listing more would only take a processor from that */
    ENTRY_BYTES_MAX = 96 + PATH_DEPTH_MAX * (1 + NAME_BYTES_MAX) + LINK_TARGET_MAX,
};

/* ---- scan: tree -> entries ---------------------------------------------------------------------------------- */

static bool write_entry(struct entry_writer *ew, const struct found *f, uint64_t id) {
    uint8_t tags[LINK_TARGET_MAX + 32];
    struct wr tw = wr_of(tags, sizeof tags);
    if (f->type == ENTRY_SYMLINK)
        tag_encode(&tw, TAG_LINK_TARGET, f->target, f->target_length);
    else
        win_attr_encode(&tw, &f->st->win);
    struct entry e = {
        .file_id = id,
        .type = (uint8_t)f->type,
        .mode = f->st->mode,
        .uid = f->st->uid,
        .gid = f->st->gid,
        .mtime_sec = f->st->mtime_sec,
        .mtime_nsec = f->st->mtime_nsec,
        .size = f->type == ENTRY_FILE ? f->st->size : 0,
        .path = f->path,
        .tags = {.p = tags, .n = wr_used(&tw)},
    };
    return entry_encode(ew, &e);
}

static int tell_unlisted(struct sender *s, const struct found *f, struct err *err) {
    struct item *item = item_of_unlisted(f->path, f->why->code, f->why->msg);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    (void)outbox_put(s->out, item);
    return 0;
}

/* Into the ledger, and into the frame unless it is the end of a directory, which the ledger sends when it is due. */
static int list_one(struct sender *s, struct entry_writer *ew, const struct found *f, struct err *err) {
    if (f->type == ENTRY_FILE) {
        count(&s->report.files_total, 1);
        count(&s->report.bytes_total, f->st->size);
    }
    uint64_t id = ledger_add(s->session.ledger, f);
    if (id == 0)
        return err_set(err, run_failed(&s->run) ? EXIT_SIGNAL : EXIT_MEMORY,
                       "cannot list further: cancelled or out of memory");
    if (f->type != ENTRY_DIR_END && !write_entry(ew, f, id))
        return err_set(err, EXIT_MEMORY, "an entry does not fit its frame");
    return 0;
}

static int end_list(struct sender *s, struct err *err) {
    struct item *item = item_new(MSG_LIST_END, 0);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    const char *missing = scan_unmatched(s->scan);
    if (missing) {
        struct err why = {0};
        (void)err_set(&why, EXIT_PARTIAL, "'%s' was asked for, but is not offered", ESCAPED(missing));
        report_failure(&s->report, missing, &why);
    }
    atomic_store(&s->report.list_complete, true);
    (void)outbox_put(s->out, item);
    return ledger_list_end(s->session.ledger, err);
}

int scan_step(struct sender *s, uint32_t most, bool *ret_end, struct err *err) {
    char last[PATH_BYTES_MAX] = "";
    struct item *item = item_new(MSG_ENTRIES, most + ENTRY_BYTES_MAX);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct entry_writer ew = {.w = item_writer(item), .last = last};
    struct found f = {.why = NULL};
    int result = 0;
    bool more = true;
    while (result == 0 && more && f.why == NULL && wr_used(&ew.w) < most &&
           (ew.count == 0 || ledger_has_room(s->session.ledger))) {
        more = scan_next(s->scan, &f) == 1;
        if (more && f.why == NULL)
            result = list_one(s, &ew, &f, err);
    }
    item_written(item, &ew.w);
    if (result == 0 && ew.count > 0)
        (void)outbox_put(s->out, item);
    else
        item_free(item);
    if (result == 0 && more && f.why)
        result = tell_unlisted(s, &f, err);
    *ret_end = !more;
    return result == 0 && !more ? end_list(s, err) : result;
}

int stage_scan(void *arg, struct err *err) {
    struct sender *s = arg;
    bool end = false;
    for (uint32_t most = ENTRIES_FIRST; !end; most = most < ENTRIES_BYTES ? most * 2 : most)
        if (!outbox_wait_room(s->out, ENTRIES_AHEAD) ||
            !queue_wait_few(ledger_wants(s->session.ledger), WANTS_AHEAD) ||
            scan_step(s, most, &end, err) != 0)
            return run_failed(&s->run) ? 0 : -1;
    return 0;
}

/* ---- read: wanted files -> chunks ------------------------------------------------------------------------------ */

/* Where nothing is compressed one chunk is read while each stream sends one, and what packing threads keep lies idle:
 * more in hand would only leave the processor's cache before they are sent. */
static unsigned lent_when_storing(struct sender *s) {
    unsigned packers = s->policy.threads, few = 2 + packers + lanes_open(&s->line);
    return few < chunks_lent(packers) ? few : chunks_lent(packers);
}

/* True when nothing is compressed now, so that the chunks need no other thread. */
static bool is_storing(struct sender *s) {
    bool storing = pack_policy_stores(&s->policy);
    unsigned lent = storing ? lent_when_storing(s) : chunks_lent(s->policy.threads);
    if (lent != s->lent)
        pool_lend(s->pool, lent);
    s->lent = lent;
    return storing;
}

static int emit_to_pack(void *ctx, struct item *item, struct err *err) {
    struct sender *s = ctx;
    item->t.ticket = s->next_ticket++;
    bool put = true;
    /* The reading stage kicks before it waits, but not before it waits for the buffer of a chunk: there are few, and who
     * sends has to know of each that it can give back. */
    bool few = item_carries_data(item) && item->data->cap > PART_MAX;
    put_fn *put_here = few ? outbox_put_data : outbox_put_data_later;
    if (item_carries_data(item) && is_storing(s)) {
        return pack_step(s, item, NULL, put_here, err);
    } else if (item_carries_data(item) && s->pack_threads == 0) {
        return pack_step(s, item, &s->packer, put_here, err);
    } else if (item_carries_data(item)) {
        put = queue_put(s->raw, item);
        if (!put)
            item_free(item);
    } else if (outbox_wait_data(s->out, DATA_AHEAD)) {
        put = outbox_put_data_later(s->out, item);
    } else {
        item_free(item);
        put = false;
    }
    return put ? 0 : err_set(err, EXIT_SIGNAL, "cancelled");
}

/* The receiver must have all that was sent so far, or it may wait for us. */
static int await_digests(void *ctx, struct pending *p, uint64_t block, struct err *err) {
    struct sender *s = ctx;
    outbox_kick(s->out);
    return delta_wait(p->delta, block, &p->failed) ? 0 : err_set(err, EXIT_SIGNAL, "cancelled");
}

int stage_read(void *arg, struct err *err) {
    struct sender *s = arg;
    struct queue *wants = ledger_wants(s->session.ledger);
    s->source.emit = emit_to_pack;
    s->source.await = await_digests;
    s->source.ctx = s;
    int result = s->pack_threads == 0 ? packer_init(&s->packer, s->pool, s->source.share, err) : 0;
    while (result == 0) {
        void *p = NULL;
        enum queue_result got = queue_get(wants, &p, 0);
        if (got == QUEUE_TIMEOUT) { /* nothing more at hand: do not let the bundle wait */
            result = source_flush(&s->source, err);
            if (result != 0)
                break;
            outbox_kick(s->out);
            got = queue_get(wants, &p, -1);
        }
        if (got == QUEUE_CLOSED)
            break;
        result = p ? source_read(&s->source, p, err) : source_sync(&s->source, err);
        pending_release(p);
    }
    outbox_kick(s->out);
    queue_close(s->raw);
    packer_free(&s->packer);
    return result != 0 && run_failed(&s->run) ? 0 : result;
}

/* ---- pack: N threads ------------------------------------------------------------------------------------------- */

int pack_step(struct sender *s, struct item *item, struct packer *packer, put_fn *put, struct err *err) {
    uint8_t codec;
    if (pack_item(item, &s->policy, packer, &codec, err) != 0) {
        item_free(item);
        return -1;
    }
    count(&s->report.codec_chunks[codec], 1);
    (void)put(s->out, item);
    return 0;
}

int stage_pack(void *arg, struct err *err) {
    struct sender *s = arg;
    struct packer packer;
    void *item;
    int result = packer_init(&packer, s->pool, s->source.share, err);
    while (result == 0 && queue_get(s->raw, &item, -1) == QUEUE_OK)
        result = pack_step(s, item, &packer, outbox_put_data, err);
    packer_free(&packer);
    return result;
}

/* ---- send: the only writer -------------------------------------------------------------------------------------- */

/* Digests of reused blocks stand behind the body of their item. */
static int follow_reuse(struct sender *s, const struct item *item, struct err *err) {
    struct msg_hole m;
    if (msg_hole_decode(item_body(item), &m, err) != 0)
        return -1;
    struct rd r = rd_of(item->body + item->frame.body_length, item->capacity - item->frame.body_length);
    uint32_t block_size = item->raw_length;
    for (uint64_t at = 0; at < m.length; at += block_size) {
        struct digest digest;
        uint32_t n = m.length - at < block_size ? (uint32_t)(m.length - at) : block_size;
        const uint8_t *bytes = rd_bytes(&r, sizeof digest.b);
        if (bytes == NULL)
            return err_set(err, EXIT_STREAM, "REUSE: digests are missing");
        memcpy(digest.b, bytes, sizeof digest.b);
        file_digest_add(s->digest, m.offset + at, n, &digest);
    }
    return 0;
}

/* The chunks pass here in order: the file digest is made of theirs. */
static int follow_file(struct sender *s, struct item *item, struct err *err) {
    struct msg_chunk chunk;
    struct msg_file_end end;
    struct digest digest;
    if (item->again || item->frame.flags & FRAME_RESENT)
        return 0;
    switch (item->frame.type) {
    case MSG_FILE_BEGIN: file_digest_start(s->digest); return 0;
    case MSG_CHUNK:
        if (msg_chunk_decode(item_body(item), item->frame.data_length, s->session.agreed.chunk_size, &chunk,
                             err) != 0)
            return -1;
        memcpy(digest.b, chunk.digest, DIGEST_SIZE);
        file_digest_add(s->digest, chunk.offset, chunk.raw_length, &digest);
        return 0;
    case MSG_REUSE: return follow_reuse(s, item, err);
    case MSG_FILE_END:
        if (msg_file_end_decode(item_body(item), &end, err) != 0)
            return -1;
        digest = file_digest_finish(s->digest, end.size);
        memcpy(end.digest, digest.b, DIGEST_SIZE);
        struct wr w = item_writer(item);
        msg_file_end_encode(&w, &end);
        return 0;
    default: return 0;
    }
}

/* The digests behind a REUSE are of no use any more, and it stays until the receiver has processed it. Where there is no
 * memory for a small one, it stays as it is. */
static struct item *without_digests(struct item *item) {
    struct item *less = item_new(item->frame.type, item->frame.body_length);
    if (less == NULL)
        return item;
    uint32_t capacity = less->capacity;
    memcpy(less, item, sizeof *less);
    less->capacity = capacity;
    memcpy(less->body, item->body, item->frame.body_length);
    item_free(item);
    return less;
}

/* What has to be done while the items pass in their order. With -1 they are still the caller's. */
static int make_ready(struct sender *s, struct item **items, unsigned count, unsigned *ret_syncs,
                      struct err *err) {
    *ret_syncs = 0;
    for (unsigned i = 0; i < count; i++) {
        struct item *item = items[i];
        if (item_lacks_data(item) && send_session_reread(&s->session, item, err) != 0)
            return -1;
        if (follow_file(s, item, err) != 0 ||
            ledger_leaves(s->session.ledger, item, s->session.agreed.chunk_size, err) != 0)
            return -1;
        if (item->frame.type == MSG_REUSE && item->capacity > item->frame.body_length)
            item = items[i] = without_digests(item);
        *ret_syncs += item->frame.type == MSG_SYNC && !item->again;
    }
    return 0;
}

/* The last one goes by a lane that has room, if it suits one. How many are left for the first stream. */
static unsigned number_items(struct line *line, struct item **items, unsigned count) {
    for (unsigned i = 0; i < count - 1; i++)
        line_number(line, items[i]);
    if (lanes_send(line, items[count - 1]))
        return count - 1;
    line_number(line, items[count - 1]);
    return count;
}

int send_step(struct sender *s, struct item **items, unsigned count, struct err *err) {
    unsigned syncs;
    if (make_ready(s, items, count, &syncs, err) != 0) {
        for (unsigned i = 0; i < count; i++)
            item_free(items[i]);
        return -1;
    }
    uint64_t bytes = 0, data = 0; /* data: of what goes here */
    struct link_state before;
    for (unsigned i = 0; i < count; i++)
        bytes += FRAME_HEADER_SIZE + items[i]->frame.body_length + items[i]->frame.data_length;
    lanes_note_traffic(&s->line);
    unsigned here = number_items(&s->line, items, count);
    for (unsigned i = 0; i < here; i++)
        data += items[i]->frame.data_length;
    int64_t start = data > 0 ? os_now_ns() : 0;
    before.streams = data > 0 ? 1 + lanes_open(&s->line) : 1; /* the lanes carry as much meanwhile */
    /* What a limit held back is no backlog of the stream. */
    bool told = data > 0 && s->policy.told && !pace_limits(s->pace) &&
                line_acked(&s->line, &before.written, &before.acked);
    int result = line_write(&s->line, items, here, err);
    int64_t end = os_now_ns();
    int64_t paid_ns = pace_spend(s->pace, bytes, end);
    int64_t free_ns = paid_ns > end ? paid_ns : end; /* after its rest */
    if (result == 0 && data > 0 && told)
        pack_policy_acked(&s->policy, &before, start, free_ns);
    else if (result == 0 && data > 0)
        pack_policy_sent(&s->policy, data * before.streams, start, free_ns);
    while (result == 0 && syncs-- > 0)
        result = ledger_sync_sent(s->session.ledger, err);
    return result;
}

/* Lets the outbox rest while more was sent than the limit allows. How long to wait for something to send. */
static int keep_pace(struct sender *s) {
    int pause = stream_pause(s->config->timeout_ms);
    struct pace *p = s->pace;
    if (!pace_limits(p))
        return pause;
    bool changed = pace_look(p, os_now_ns());
    struct bucket now = pace_now(p);
    if (changed)
        log_line(LOG_INFO, "--bwlimit: now %s bytes per second", SIZE_TEXT(now.rate, false));
    outbox_rest(s->out, now.rate ? now.free_ns / 1000000 : 0);
    return os_file_is_open(p->limit.file) && pause > BWLIMIT_LOOK_MS ? BWLIMIT_LOOK_MS : pause;
}

int stage_send(void *arg, struct err *err) {
    struct sender *s = arg;
    for (;;) {
        struct item *items[STREAM_BATCH] = {NULL};
        unsigned n = 1;
        enum queue_result got = outbox_get_batch(s->out, items, STREAM_BATCH, &n, keep_pace(s));
        if (got == QUEUE_CLOSED)
            return 0;
        if (got == QUEUE_TIMEOUT)
            items[0] = item_new(MSG_HEARTBEAT, 0);
        if (items[0] == NULL)
            return err_set(err, EXIT_MEMORY, "out of memory");
        if (send_step(s, items, n, err) != 0) {
            outbox_wait_cancelled(s->out, 1000); /* the reading side may know the reason */
            return -1;
        }
    }
}

/* ---- ack: the way back -------------------------------------------------------------------------------------------- */

int ack_failed(struct sender *s, enum stream_result result, struct err *err) {
    if (result == STREAM_QUIET)
        return err_set(err, EXIT_TIMEOUT, "nothing was heard from the receiver for %d seconds",
                       s->config->timeout_ms / 1000);
    if (result == STREAM_EOF)
        return err_set(err, EXIT_STREAM,
                       "the receiver closed the stream before it had acknowledged everything%s",
                       s->line.resumable ? "" : "; run it again");
    return err_wrap(err, "receiving");
}

int stage_ack(void *arg, struct err *err) {
    struct sender *s = arg;
    while (s->session.state != SEND_DONE) {
        struct item *item;
        enum stream_result result = stream_recv(s->line.stream, NULL, s->config->timeout_ms, &item, err);
        if (result != STREAM_ITEM) {
            (void)ack_failed(s, result, err);
            if (line_recover(&s->line, result, err) == 0)
                continue;
            return -1;
        }
        if (send_session_take(&s->session, item, err) != 0)
            return -1;
    }
    line_reading_over(&s->line);
    outbox_close(s->out);
    return 0;
}
