#include "session_rig.h"

enum { RIG_CREDIT = 1 << 30, RIG_BUFFERS = 8 };

/* ---- answers --------------------------------------------------------------------------------------------- */

static void forget(struct answers *a) {
    for (unsigned i = 0; i < a->count; i++)
        item_free(a->items[i]);
    a->count = 0;
}

static void collect(struct answers *a, struct outbox *out) {
    struct item *item;
    forget(a);
    while (a->count < RIG_ANSWERS && outbox_get(out, &item, 0) == QUEUE_OK)
        a->items[a->count++] = item;
}

const struct item *answer_of(const struct answers *a, uint8_t type) {
    for (unsigned i = 0; i < a->count; i++)
        if (a->items[i]->frame.type == type)
            return a->items[i];
    return NULL;
}

static struct report_style quiet(const char *role) {
    pair_catch();
    return (struct report_style){.role = role, .progress_fd = -1};
}

/* ---- receiver ---------------------------------------------------------------------------------------------- */

void recv_rig_new(struct recv_rig *rig, const char *const *select) {
    struct report_style style = quiet("receiver");
    *rig = (struct recv_rig){.scratch = tree_scratch()};
    report_init(&rig->report, &style);
    rig->agreed =
        (struct agreement){.codecs = 1, .chunk_size = PAIR_CHUNK, .features = FEATURE_CHECK | FEATURE_DELTA};
    link_in_init(&rig->in, RIG_CREDIT, PAIR_CHUNK);
    rig->out = outbox_new(RIG_CREDIT, PAIR_CHUNK);
    rig->pool = pool_new(PAIR_CHUNK, RIG_BUFFERS);
    struct recv_config config = {.root = rig->scratch.dir, .selects = select, .select_count = select != NULL};
    assert_int_equal(
        recv_session_new(&config, &rig->agreed, &rig->in, rig->out, &rig->report, &rig->session, NULL), 0);
}

void recv_rig_free(struct recv_rig *rig) {
    recv_session_free(rig->session);
    forget(&rig->answers);
    outbox_free(rig->out);
    pool_free(rig->pool);
    report_free(&rig->report);
    scratch_free(&rig->scratch);
}

int recv_rig_take(struct recv_rig *rig, struct item *item, struct err *err) {
    *err = (struct err){.code = 0};
    item->frame.order = ++rig->order;
    int result = recv_session_apply(rig->session, item, err);
    assert_int_equal(result, err->code ? -1 : 0);
    recv_session_answer(rig->session);
    collect(&rig->answers, rig->out);
    return err->code;
}

void recv_rig_good(struct recv_rig *rig, struct item *item) {
    struct err err;
    if (recv_rig_take(rig, item, &err) != 0)
        fail_msg("%s", err.msg);
}

void recv_rig_reach(struct recv_rig *rig, enum recv_state state) {
    static const struct msg_totals nothing = {0};
    static const struct listed file = {.id = 1, .type = ENTRY_FILE, .path = "one", .size = 9};
    if (state >= RECV_TRANSFER)
        recv_rig_good(rig, say_start(OPT_RECURSIVE | OPT_LINKS | OPT_TIMES | OPT_PERMS));
    if (state == RECV_TRANSFER)
        recv_rig_good(rig, say_entries(&file, 1));
    if (state >= RECV_FINISHED)
        recv_rig_good(rig, say_empty(MSG_LIST_END));
    if (state >= RECV_FINISHED)
        recv_rig_good(rig, say_totals(MSG_FINISH, &nothing));
    if (state >= RECV_DONE)
        recv_rig_good(rig, say_empty(MSG_BYE));
    assert_int_equal(rig->session->state, state);
}

/* ---- sender -------------------------------------------------------------------------------------------------- */

void send_rig_new(struct send_rig *rig, struct os_dir source, enum send_state state) {
    struct report_style style = quiet("sender");
    *rig = (struct send_rig){.root = {.base = source, .name = ""}};
    report_init(&rig->report, &style);
    rig->out = outbox_new(RIG_CREDIT, PAIR_CHUNK);
    rig->pool = pool_new(PAIR_CHUNK, RIG_BUFFERS);
    rig->session = (struct send_session){
        .state = state,
        .agreed = {.codecs = 1, .chunk_size = PAIR_CHUNK, .features = FEATURE_CHECK | FEATURE_DELTA},
        .out = rig->out,
        .ledger = ledger_new(rig->out, &rig->report),
        .flight = flight_new(),
        .report = &rig->report,
        .roots = &rig->root,
        .spare = pool_new(PAIR_CHUNK, 1),
    };
    link_in_init(&rig->session.in, RIG_CREDIT, PAIR_CHUNK);
}

void send_rig_free(struct send_rig *rig) {
    forget(&rig->answers);
    ledger_free(rig->session.ledger);
    flight_free(rig->session.flight);
    outbox_free(rig->out);
    pool_free(rig->pool);
    send_session_free(&rig->session);
    report_free(&rig->report);
}

int send_rig_take(struct send_rig *rig, struct item *item, struct err *err) {
    *err = (struct err){.code = 0};
    item->frame.order = ++rig->order;
    int result = send_session_take(&rig->session, item, err);
    assert_int_equal(result, err->code ? -1 : 0);
    collect(&rig->answers, rig->out);
    return err->code;
}

void send_rig_good(struct send_rig *rig, struct item *item) {
    struct err err;
    if (send_rig_take(rig, item, &err) != 0)
        fail_msg("%s", err.msg);
}

uint64_t send_rig_list(struct send_rig *rig, enum entry_type type, const char *path) {
    struct os_stat st = {.kind = type == ENTRY_FILE ? OS_FILE : OS_DIR, .mode = 0644, .size = 9};
    struct found found = {.type = type, .path = path, .st = &st};
    uint64_t id = ledger_add(rig->session.ledger, &found);
    assert_int_not_equal(id, 0);
    return id;
}

void send_rig_sent(struct send_rig *rig, struct item *item, uint64_t order) {
    item->frame.order = order;
    flight_add(rig->session.flight, item);
    flight_sent(rig->session.flight, item);
}
