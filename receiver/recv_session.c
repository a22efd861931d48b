/* recv_session.c: the table, the wanted files, and the answers. */
#include "receiver/recv_impl.h"

#include "codec/digest.h"
#include "core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Answers that wait to be sent: an unsettled id has no more than CHECK, BASIS and one that ends it. */
enum { ANSWERS_MAX = 4 * UNSETTLED_MAX, ANSWER_BYTES_MAX = 8 * 1024 * 1024 };
enum { RUNS_PER_REPLY = 128 }; /* runs collected before a reply is sent: 2 KiB */

int recv_session_new(const struct recv_config *config, const struct agreement *agreed, struct link_in *in,
                     struct outbox *out, struct report *report, struct recv_session **ret, struct err *err) {
    struct recv_session *s = calloc(1, sizeof *s);
    struct file_digest *digest = file_digest_new();
    bool *select_came = calloc(config->select_count + 1, sizeof *select_came);
    bool delta = agreed->features & FEATURE_DELTA;
    struct basis *basis = delta ? basis_new(out) : NULL;
    if (s == NULL || digest == NULL || select_came == NULL || (delta && basis == NULL)) {
        free(s);
        basis_free(basis);
        file_digest_free(digest);
        free(select_came);
        return err_set(err, EXIT_MEMORY, "out of memory");
    }
    s->config = *config;
    s->agreed = *agreed;
    s->in = in;
    s->out = out;
    s->report = report;
    s->basis = basis;
    s->file.digest = digest;
    s->select_came = select_came;
    *ret = s;
    return 0;
}

void recv_session_free(struct recv_session *s) {
    if (s == NULL)
        return;
    sink_close(s->sink);
    for (size_t i = 0; i < UNSETTLED_MAX; i++)
        if (s->wanted[i])
            recv_forget(s, s->wanted[i]);
    basis_free(s->basis);
    item_free(s->verdicts);
    item_free(s->durables);
    for (unsigned i = 0; i < s->base_count; i++)
        item_free(s->bases[i]);
    file_digest_free(s->file.digest);
    free(s->select_came);
    free(s);
}

/* ---- wanted files ---------------------------------------------------------------------------------- */

struct wanted *recv_find(struct recv_session *s, uint64_t file_id) {
    struct wanted *w = s->wanted[file_id % UNSETTLED_MAX];
    return w && w->file_id == file_id ? w : NULL;
}

int recv_check_span(struct recv_session *s, uint64_t file_id, struct err *err) {
    if (s->wanted_count == 0)
        s->oldest_id = file_id;
    while (s->oldest_id < file_id && recv_find(s, s->oldest_id) == NULL)
        s->oldest_id++;
    if (file_id - s->oldest_id < UNSETTLED_MAX)
        return 0;
    return err_set(err, EXIT_STREAM, "ENTRIES: the sender listed too far ahead of what is settled");
}

int recv_want(struct recv_session *s, const struct entry *e, struct err *err) {
    enum { PER_ENTRY = 64 };
    size_t n = strlen(e->path);
    struct wanted **slot = &s->wanted[e->file_id % UNSETTLED_MAX];
    if (*slot || s->wanted_bytes + n + PER_ENTRY > UNSETTLED_BYTES_MAX)
        return err_set(err, EXIT_STREAM, "ENTRIES: the sender listed too far ahead of what is settled");
    struct wanted *w = malloc(sizeof *w + n + 1);
    if (w == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    *w = (struct wanted){
        .file_id = e->file_id, .uid = e->uid, .gid = e->gid, .win = e->win, .bytes = n + PER_ENTRY};
    memcpy(w->path, e->path, n + 1);
    s->wanted_bytes += w->bytes;
    s->wanted_count++;
    *slot = w;
    return 0;
}

void recv_forget(struct recv_session *s, struct wanted *w) {
    recv_stop_basis(s, w);
    s->wanted[w->file_id % UNSETTLED_MAX] = NULL;
    s->wanted_bytes -= w->bytes;
    s->wanted_count--;
    free(w);
}

/* ---- answers ---------------------------------------------------------------------------------------- */

static void send_runs(struct recv_session *s, struct item **runs) {
    if (*runs)
        (void)outbox_put_later(s->out,
                               item_fit(*runs)); /* refused only after a cancel, which ends the session */
    *runs = NULL;
}

static int add_run(struct recv_session *s, struct item **runs, uint8_t type, struct run_of_ids add,
                   struct err *err) {
    if (*runs == NULL)
        *runs = item_new(type, RUNS_PER_REPLY * RUN_SIZE);
    if (*runs == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct item *item = *runs;
    uint32_t used = item->frame.body_length;
    if (used > 0) {
        struct rd r = rd_of(item->body + used - RUN_SIZE, RUN_SIZE);
        struct run_of_ids last;
        if (run_next(&r, type, &last, err) == 1 && last.verdict == add.verdict &&
            last.first_id + last.count == add.first_id) {
            add.first_id = last.first_id;
            add.count += last.count;
            used -= RUN_SIZE;
        }
    }
    struct wr w = wr_of(item->body + used, item->capacity - used);
    run_encode(&w, &add);
    item->frame.body_length = used + RUN_SIZE;
    if (item->frame.body_length == item->capacity)
        send_runs(s, runs);
    return 0;
}

void recv_progress(struct recv_session *s) {
    (void)atomic_fetch_add_explicit(&s->progress, 1, memory_order_relaxed);
}

int recv_verdict(struct recv_session *s, uint64_t file_id, enum verdict verdict, struct err *err) {
    s->totals.skipped += verdict == VERDICT_SKIP;
    s->totals.made += verdict == VERDICT_MADE;
    s->totals.failed += verdict == VERDICT_GONE;
    struct run_of_ids run = {.first_id = file_id, .count = 1, .verdict = (uint8_t)verdict};
    return add_run(s, &s->verdicts, MSG_VERDICTS, run, err);
}

void recv_session_answer(struct recv_session *s) {
    for (unsigned i = 0; i < s->base_count; i++)
        (void)outbox_put_later(s->out, s->bases[i]);
    s->base_count = 0;
    send_runs(s, &s->verdicts);
    send_runs(s, &s->durables);
}

void recv_file_error(struct recv_session *s, uint64_t file_id, const char *path, const struct err *why) {
    struct wanted *w = recv_find(s, file_id);
    if (w)
        recv_stop_basis(s, w); /* before the sender hears of it */
    s->totals.failed++;
    count(&s->report->files_failed, 1);
    count(&s->report->files_done, 1);
    if (why->code == EXIT_NO_SPACE) { /* ends the session, with this message */
        if (!err_is_set(&s->out_of_space))
            s->out_of_space = *why;
        return;
    }
    report_failure(s->report, path, why);
    struct item *item = item_of_file_text(MSG_FILE_ERROR, file_id, why->code, why->msg);
    recv_session_answer(s);
    if (item)
        (void)outbox_put_later(s->out, item);
    s->no_memory = s->no_memory || item == NULL;
}

void recv_settled(void *ctx, uint64_t file_id, uint64_t size, const struct err *err) {
    struct recv_session *s = ctx;
    struct wanted *w = recv_find(s, file_id);
    struct err failure;
    if (w == NULL)
        return;
    recv_progress(s);
    recv_stop_basis(s, w);
    if (err == NULL) {
        struct run_of_ids run = {.first_id = file_id, .count = 1};
        s->totals.committed++;
        s->totals.bytes += size;
        count(&s->report->files_committed, 1);
        count(&s->report->files_done, 1);
        count(&s->report->bytes_committed, size);
        report_file(s->report, w->path, size);
        if (add_run(s, &s->durables, MSG_DURABLE, run, &failure) != 0)
            s->no_memory = true;
    } else {
        recv_file_error(s, file_id, w->path, err);
    }
    recv_forget(s, w);
}

/* After every step: 0, or -1 and err when the destination is full, an answer was lost for want of memory, or the sender
 * goes on without having taken those that it waits for. */
static int check_room(const struct recv_session *s, struct err *err) {
    if (outbox_waiting(s->out) > ANSWERS_MAX || outbox_bytes(s->out) > ANSWER_BYTES_MAX)
        return err_set(err, EXIT_STREAM, "the sender does not take the answers to what it sends");
    if (s->no_memory)
        return err_set(err, EXIT_MEMORY, "out of memory");
    if (!err_is_set(&s->out_of_space))
        return 0;
    *err = s->out_of_space;
    return err_wrap(err, "nothing more fits, what is committed stays; make room and run it again");
}

int recv_session_idle(struct recv_session *s, struct err *err) {
    if (s->sink)
        sink_commit(s->sink);
    recv_session_answer(s);
    return check_room(s, err);
}

/* ---- the end ---------------------------------------------------------------------------------------- */

static int recv_sync(struct recv_session *s, struct item *item, struct err *err) {
    if (msg_empty_decode(item_body(item), "SYNC", err) != 0)
        return -1;
    sink_commit(s->sink);
    return 0;
}

static void tell_how_verified(const struct recv_session *s) {
    char note[160];
    (void)snprintf(note, sizeof note, "every file was read back %s", s->sink->verify.how);
    report_note(note);
}

static int recv_finish(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_totals theirs;
    if (msg_totals_decode(item_body(item), &theirs, err) != 0)
        return -1;
    if (!atomic_load(&s->report->list_complete))
        return err_set(err, EXIT_STREAM, "FINISH: it came before LIST_END");
    if (sink_finish(s->sink, err) != 0)
        return -1;
    recv_session_answer(s);
    if (s->sink->verify.how)
        tell_how_verified(s);
    if (!msg_totals_equal(&theirs, &s->totals))
        return err_set(err, EXIT_STREAM,
                       "the totals differ: the sender counts %" PRIu64 " entries and %" PRIu64
                       " files, the receiver %" PRIu64 " and %" PRIu64 "; run it again",
                       theirs.entries, theirs.committed, s->totals.entries, s->totals.committed);
    struct item *answer = item_new(MSG_FINISH_ACK, 64);
    if (answer == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct wr w = item_writer(answer);
    msg_totals_encode(&w, &s->totals);
    item_written(answer, &w);
    s->state = RECV_FINISHED;
    (void)outbox_put_later(s->out, answer);
    return 0;
}

static int recv_bye(struct recv_session *s, struct item *item, struct err *err) {
    if (msg_empty_decode(item_body(item), "BYE", err) != 0)
        return -1;
    if (outbox_waiting(s->out) > 0) /* nobody reads any more what credit for it comes */
        return err_set(err, EXIT_STREAM, "BYE: it came before FINISH_ACK was sent");
    s->state = RECV_DONE;
    return 0;
}

/* ---- the table -------------------------------------------------------------------------------------- */

/* An empty cell: the message is not allowed in that state. */
static recv_handler *const handlers[RECV_STATES][MSG_TYPE_LIMIT] = {
    [RECV_AWAIT_START] = {[MSG_START] = recv_start},
    [RECV_TRANSFER] =
        {
            [MSG_ENTRIES] = recv_entries,
            [MSG_LIST_END] = recv_list_end,
            [MSG_UNLISTED] = recv_unlisted,
            [MSG_FILE_BEGIN] = recv_file_begin,
            [MSG_CHUNK] = recv_chunk,
            [MSG_HOLE] = recv_hole,
            [MSG_REUSE] = recv_reuse,
            [MSG_BUNDLE] = recv_bundle,
            [MSG_FILE_END] = recv_file_end,
            [MSG_FILE_FAIL] = recv_file_fail,
            [MSG_FILE_SAME] = recv_file_same,
            [MSG_VOID] = recv_void,
            [MSG_SYNC] = recv_sync,
            [MSG_FINISH] = recv_finish,
        },
    [RECV_FINISHED] = {[MSG_BYE] = recv_bye},
};

static const char *const state_names[RECV_STATES] = {"AWAIT_START", "TRANSFER", "FINISHED", "DONE"};

int recv_session_apply(struct recv_session *s, struct item *item, struct err *err) {
    unsigned type = item->frame.type;
    recv_handler *handler = type < MSG_TYPE_LIMIT ? handlers[s->state][type] : NULL;
    struct msg_ack ack;
    int result = 0;
    if (handler)
        result = handler(s, item, err);
    else if (!(item->frame.flags & FRAME_OPTIONAL) || msg_type_is_known(type))
        result = err_set(err, EXIT_STREAM, "%s is not allowed in state %s", msg_type_name(type),
                         state_names[s->state]);
    uint64_t order = item->frame.order, cost = item->cost;
    item_free(item);
    if (result != 0)
        return -1;
    if (type != MSG_FILE_SAME) /* these come in long rows: what they are answered is one run */
        recv_session_answer(s);
    if (check_room(s, err) != 0)
        return -1;
    if (link_in_done(s->in, order, cost, &ack)) {
        struct item *answer = item_of_ack(&ack);
        if (answer == NULL)
            return err_set(err, EXIT_MEMORY, "out of memory");
        (void)outbox_put_urgent(s->out, answer);
    }
    return 0;
}
