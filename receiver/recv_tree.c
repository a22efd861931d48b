/* recv_tree.c: START, REQUEST, and the verdict on each entry. */
#include "receiver/recv_impl.h"

#include "core/log.h"
#include "core/path.h"
#include "core/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int recv_session_request(struct recv_session *s, struct err *err) {
    static char encoded[PATH_BYTES_MAX + 1 + PATH_DEPTH_MAX]; /* main thread only, before any other starts */
    struct item *item = item_new(MSG_REQUEST, BODY_MAX);
    uint8_t *tags = malloc(BODY_MAX);
    s->asked = true;
    struct wr tw = wr_of(tags, tags ? BODY_MAX - 64 : 0);
    for (unsigned i = 0; i < s->config.select_count; i++) {
        struct wr pw = wr_of(encoded, sizeof encoded);
        path_encode(&pw, s->config.selects[i]);
        tag_encode(&tw, TAG_SELECT, encoded, wr_used(&pw));
    }
    struct msg_start m = {.flags = s->config.flags_or, .durable = (uint8_t)s->config.durable};
    m.tags = (struct span){.p = tags, .n = wr_used(&tw)};
    int result = 0;
    if (item == NULL || tags == NULL) {
        result = err_set(err, EXIT_MEMORY, "out of memory");
    } else if (tw.bad) {
        result = err_set(err, EXIT_USAGE, "too many SRC names are asked for at once");
    } else {
        struct wr w = item_writer(item);
        msg_start_encode(&w, &m);
        item_written(item, &w);
        (void)outbox_put(s->out, item);
        item = NULL;
    }
    free(tags);
    item_free(item);
    return result;
}

/* ---- START ------------------------------------------------------------------------------------------ */

/* Make the directories of `into` below the root, and give the last one back. */
static int open_into(struct recv_session *s, const char *into, enum durable durable, struct os_dir *ret,
                     struct err *err) {
    struct sink_options plain = {
        .durable = durable, .usage = s->config.usage, .cancelled = s->config.cancelled};
    struct os_dir root, dir;
    struct sink *sink;
    os_random(&plain.name_salt, sizeof plain.name_salt);
    int result = os_dir_dup(s->config.root, &root);
    if (result != 0)
        return os_file_error(err, result, "cannot open the destination");
    if (sink_open(root, &plain, recv_settled, s, &sink, err) != 0)
        return -1;
    char part[PATH_BYTES_MAX];
    size_t n = strlen(into);
    memcpy(part, into, n + 1);
    for (size_t i = 1; i <= n && result == 0; i++) {
        if (into[i] != '/' && into[i] != '\0')
            continue;
        part[i] = '\0';
        result = sink_make_dir(sink, part, 0777 & ~s->config.umask, err);
        part[i] = into[i];
    }
    if (result == 0)
        result = sink_finish(sink, err); /* the names on the way */
    if (result == 0) {
        result = dir_cache_get(&sink->dirs, into, n, &dir);
        if (result == 0)
            result = os_dir_dup(dir, ret);
        if (result != 0)
            (void)os_file_error(err, result, "cannot open %s below the destination", ESCAPED(into));
    }
    sink_close(sink);
    return result == 0 ? 0 : -1;
}

static int read_start_tags(struct span tags, char *into, struct err *err) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    int more;
    into[0] = '\0';
    while ((more = tag_next(&r, &tag)) == 1) {
        struct rd value = rd_of(tag.value.p, tag.value.n);
        if (tag.tag == TAG_INTO && (path_decode(&value, into, err) != 0 || !rd_done(&value)))
            return err_wrap(err, "START: --into");
        if (tag.tag != TAG_INTO && (tag.tag & TAG_CRITICAL))
            return err_set(err, EXIT_UNSUPPORTED, "START: unknown tag %#x", (unsigned)tag.tag);
    }
    return more == 0 ? 0 : err_set(err, EXIT_STREAM, "START: malformed tags");
}

int recv_start(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_start m;
    if (msg_start_decode(item_body(item), &m, err) != 0 || read_start_tags(m.tags, s->path, err) != 0)
        return -1;
    if (s->asked && s->path[0])
        return err_set(err, EXIT_STREAM, "START: --into %s, which is for a receiver that listens",
                       ESCAPED(s->path));
    if (m.flags & ~(uint64_t)OPT_SUPPORTED)
        return err_set(err, EXIT_UNSUPPORTED,
                       "the sender asks for options that this hvrecv does not support (%#" PRIx64 ")",
                       m.flags & ~(uint64_t)OPT_SUPPORTED);
    struct os_dir root;
    enum durable durable = s->config.durable_given ? s->config.durable : (enum durable)m.durable;
    int result = s->path[0] ? open_into(s, s->path, durable, &root, err) : os_dir_dup(s->config.root, &root);
    if (result != 0)
        return s->path[0] ? -1 : os_file_error(err, result, "cannot open the destination");
    s->flags = m.flags | s->config.flags_or;
    struct sink_options opt = {
        .perms = s->flags & OPT_PERMS,
        .times = s->flags & OPT_TIMES,
        .owner = s->flags & OPT_OWNER,
        .group = s->flags & OPT_GROUP,
        .verify = s->flags & OPT_VERIFY,
        .durable = durable,
        .umask = s->config.umask,
        .partial_min = s->config.no_partial ? 0 : s->agreed.our_window,
        .inplace = s->flags & OPT_INPLACE,
        .usage = s->config.usage,
        .ahead = s->basis ? basis_ahead(s->basis) : NULL,
        .cancelled = s->config.cancelled,
    };
    os_random(&opt.name_salt, sizeof opt.name_salt);
    if (sink_open(root, &opt, recv_settled, s, &s->sink, err) != 0)
        return -1;
    if (s->basis) {
        result = os_dir_dup(s->sink->root, &root);
        if (result != 0)
            return os_file_error(err, result, "cannot open the destination");
        basis_set_root(s->basis, root);
    }
    const char *lost = OS_MODES_LOST;
    if (lost && opt.perms)
        report_note(lost);
    s->state = RECV_TRANSFER;
    return 0;
}

/* ---- ENTRIES ---------------------------------------------------------------------------------------- */

static bool was_asked_for(struct recv_session *s, const char *path, bool dir) {
    bool result = s->config.selects == NULL;
    for (unsigned i = 0; i < s->config.select_count; i++) {
        const char *select = s->config.selects[i];
        bool below = path_is_within(path, select);
        s->select_came[i] = s->select_came[i] || below;
        result = result || below || (dir && path_is_within(select, path));
    }
    return result;
}

/* What was asked for by name and is not offered: no file of ours can fail for it, but the transfer is not complete. */
void recv_report_missing(struct recv_session *s) {
    for (unsigned i = 0; i < s->config.select_count; i++) {
        struct err why = {0};
        if (s->select_came[i])
            continue;
        (void)err_set(&why, EXIT_PARTIAL, "%s: asked for, but the sender does not offer it",
                      ESCAPED(s->config.selects[i]));
        report_failure(s->report, s->config.selects[i], &why);
    }
}

/* The sender's file is to be compared by content: say what is here. */
static int send_basis(struct recv_session *s, const struct entry *e, struct err *err) {
    struct digest digest;
    struct msg_basis m = {
        .file_id = e->file_id, .kind = BASIS_CONTENT, .block_size = s->agreed.chunk_size, .count = 1};
    struct err unreadable;
    struct wanted *file = recv_find(s, e->file_id);
    if (sink_digest(s->sink, e->path, s->agreed.chunk_size, &file->was, &digest, &unreadable) != 0)
        return unreadable.code == EXIT_SIGNAL
                   ? recv_cancelled(err)
                   : recv_verdict(s, e->file_id, VERDICT_WANT, err); /* what cannot be read is sent anew */
    file->told = true;
    m.size = file->was.size;
    m.digests = (struct span){.p = digest.b, .n = sizeof digest.b};
    struct item *item = item_new(MSG_BASIS, 128);
    if (item == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    struct wr w = item_writer(item);
    msg_basis_encode(&w, &m);
    item_written(item, &w);
    s->bases[s->base_count++] = item; /* an answer by itself: no verdict */
    if (s->base_count == BASES_PER_REPLY)
        recv_session_answer(s);
    return 0;
}

static int judge_file(struct recv_session *s, const struct entry *e, struct err *err) {
    bool check = s->flags & OPT_CHECKSUM && s->agreed.features & FEATURE_CHECK;
    bool compare = !(s->flags & OPT_IGNORE_TIMES);
    count(&s->report->bytes_total, e->size);
    enum sink_has has = compare ? sink_has(s->sink, e, !check) : SINK_LACKS;
    if (has == SINK_HAS) {
        count(&s->report->files_skipped, 1);
        count(&s->report->files_done, 1);
        count(&s->report->bytes_done, e->size);
        return recv_verdict(s, e->file_id, VERDICT_SKIP, err);
    }
    struct err why = {0};
    if (sink_check_place(s->sink, e->path, &why) != 0) {
        recv_file_error(s, e->file_id, e->path, &why);
        return 0;
    }
    if (recv_want(s, e, err) != 0)
        return -1;
    if (has == SINK_MAY_HAVE && s->agreed.features & FEATURE_CHECK)
        return send_basis(s, e, err);
    int offered = recv_offer_basis(s, recv_find(s, e->file_id), e->size, err);
    if (offered != 0)
        return offered < 0 ? -1 : 0;
    return recv_verdict(s, e->file_id, VERDICT_WANT, err);
}

static int made(struct recv_session *s, const struct entry *e, struct err *err) {
    count(&s->report->dirs_and_links, e->type != ENTRY_DIR_END);
    if (e->type != ENTRY_DIR_END && e->path[0])
        report_made(s->report, e->path);
    return recv_verdict(s, e->file_id, VERDICT_MADE, err);
}

/* What Windows keeps and this system does not: hidden and system files are said to be none here, once. */
static void note_lost_attributes(struct recv_session *s, const struct win_attr *win) {
    if (OS_KEEPS_WIN_ATTR || s->attributes_lost || !(win->bits & (WIN_ATTR_HIDDEN | WIN_ATTR_SYSTEM)))
        return;
    s->attributes_lost = true;
    report_note(
        "of attributes of Windows only read-only is kept here: hidden and system files become plain ones");
}

/* Names were asked for: the directory that they go into stays as it is. */
static bool is_ours(const struct recv_session *s, const struct entry *e) {
    return s->config.selects && e->path[0] == '\0' && (e->type == ENTRY_DIR || e->type == ENTRY_DIR_END);
}

static int judge_entry(struct recv_session *s, struct entry *e, enum name_fault fault, struct err *err) {
    struct err why = {0};
    struct span target;
    int result = 0;
    size_t parent;
    const char *name = path_base(e->path, &parent);
    const char *reason = fault != NAME_OK ? name_fault_text(fault)
                         : e->path[0]     ? os_name_fault(name, strlen(name))
                                          : NULL;
    if (is_ours(s, e))
        return made(s, e, err);
    if (reason) {
        result = err_set(&why, EXIT_PARTIAL, "%s: refused: %s", ESCAPED(e->path), reason);
    } else if (entry_link_target(e, &target, &why) != 0 || entry_win_attr(e, &why) != 0) {
        result = -1;
    } else {
        note_lost_attributes(s, &e->win);
        switch (e->type) {
        case ENTRY_FILE: return judge_file(s, e, err);
        case ENTRY_DIR: result = sink_make_dir(s->sink, e->path, e->mode & ~s->config.umask, &why); break;
        case ENTRY_DIR_END: result = sink_end_dir(s->sink, e, &why); break;
        case ENTRY_SYMLINK: result = sink_make_link(s->sink, e, target, &why); break;
        default:
            result = err_set(&why, EXIT_PARTIAL, "%s: this kind of file is not supported", ESCAPED(e->path));
        }
    }
    if (result == 0)
        return made(s, e, err);
    recv_file_error(s, e->file_id, e->path, &why);
    return 0;
}

/* They are held until all before them is settled, and so they come in the order of their ids. */
static int check_end_of_dir(struct recv_session *s, uint64_t file_id, struct err *err) {
    if (file_id <= s->last_dir_end)
        return err_set(err, EXIT_STREAM, "ENTRIES: file_id %" PRIu64 " of a DIR_END was used before",
                       file_id);
    s->last_dir_end = file_id;
    while (s->wanted_count > 0 && s->oldest_id < file_id && recv_find(s, s->oldest_id) == NULL)
        s->oldest_id++;
    if (s->wanted_count == 0 || s->oldest_id >= file_id)
        return 0;
    return err_set(err, EXIT_STREAM, "ENTRIES: DIR_END %" PRIu64 " came before file %" PRIu64 " was settled",
                   file_id, s->oldest_id);
}

int recv_entries(struct recv_session *s, struct item *item, struct err *err) {
    struct entry_reader er = {.r = rd_of(item->body, item->frame.body_length), .path = s->path};
    struct entry e;
    enum name_fault fault;
    int more;
    s->path[0] = '\0';
    while ((more = entry_next(&er, &e, &fault, err)) == 1) {
        if (recv_find(s, e.file_id) || (e.type != ENTRY_DIR_END && e.file_id <= s->highest_id))
            return err_set(err, EXIT_STREAM, "ENTRIES: file_id %" PRIu64 " was used before", e.file_id);
        if (e.type != ENTRY_DIR_END && atomic_load(&s->report->list_complete))
            return err_set(err, EXIT_STREAM, "ENTRIES: file_id %" PRIu64 " came after LIST_END", e.file_id);
        if (e.type == ENTRY_DIR_END && check_end_of_dir(s, e.file_id, err) != 0)
            return -1;
        bool dir = e.type == ENTRY_DIR || e.type == ENTRY_DIR_END;
        if (fault == NAME_OK && !was_asked_for(s, e.path, dir))
            return err_set(err, EXIT_STREAM, "ENTRIES: the sender offers %s, which was not asked for",
                           ESCAPED(e.path));
        if (e.type != ENTRY_DIR_END && recv_check_span(s, e.file_id, err) != 0)
            return -1;
        if (e.type != ENTRY_DIR_END)
            s->highest_id = e.file_id;
        s->totals.entries++;
        recv_progress(s);
        count(&s->report->files_total, e.type == ENTRY_FILE);
        if (judge_entry(s, &e, fault, err) != 0)
            return -1;
        if (s->config.cancelled && atomic_load(s->config.cancelled)) /* so many can take minutes */
            return recv_cancelled(err);
    }
    return more;
}

int recv_unlisted(struct recv_session *s, struct item *item, struct err *err) {
    struct msg_unlisted m;
    struct escaped text;
    if (msg_unlisted_decode(item_body(item), &m, err) != 0)
        return -1;
    if (!was_asked_for(s, m.path, true))
        return err_set(err, EXIT_STREAM, "UNLISTED: the sender tells of %s, which was not asked for",
                       ESCAPED(m.path));
    struct err why = {0};
    (void)err_set(&why, err_code_of_peer(m.text.code), "the sender could not list %s",
                  escape_said((const char *)m.text.text.p, m.text.text.n, &text));
    count(&s->report->files_failed, 1);
    report_failure(s->report, m.path[0] ? m.path : ".", &why);
    return 0;
}

int recv_list_end(struct recv_session *s, struct item *item, struct err *err) {
    if (atomic_load(&s->report->list_complete))
        return err_set(err, EXIT_STREAM, "LIST_END: it came before");
    atomic_store(&s->report->list_complete, true);
    recv_report_missing(s);
    if (s->asked && s->totals.entries == 0 &&
        !(s->flags & OPT_RECURSIVE)) /* what it passes over it says there only */
        report_warning(s->report, ".", "the sender has nothing to send (-r enters directories)");
    return msg_empty_decode(item_body(item), "LIST_END", err);
}
