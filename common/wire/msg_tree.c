/* msg_tree.c: START, REQUEST, and the entries of the tree. */
#include "wire/msg_check.h"

void msg_start_encode(struct wr *w, const struct msg_start *m) {
    wr_u64(w, m->flags);
    wr_u8(w, m->durable);
    wr_reserved(w, 7);
    wr_bytes(w, m->tags.p, m->tags.n);
}

/* TAG_INTO comes once at most. */
static int start_tag_check(const struct tag *tag, bool *into, struct err *err) {
    bool second = *into && tag->tag == TAG_INTO;
    *into |= tag->tag == TAG_INTO;
    if (second)
        return err_set(err, EXIT_STREAM, "START or REQUEST: TAG_INTO comes twice");
    if (tag->tag == TAG_INTO || tag->tag == TAG_SELECT) {
        struct rd r = rd_of(tag->value.p, tag->value.n);
        return path_scan(&r, NULL, err) ? -1 : end_check("START or REQUEST: path", &r, err);
    }
    if (tag->tag & TAG_CRITICAL)
        return err_set(err, EXIT_UNSUPPORTED, "START or REQUEST: the peer needs the unknown tag 0x%04x",
                       tag->tag);
    return 0;
}

static int start_tags_check(struct span tags, struct err *err) {
    struct rd r = rd_of(tags.p, tags.n);
    struct tag tag;
    bool into = false;
    int got;
    while ((got = tag_next(&r, &tag)) > 0)
        if (start_tag_check(&tag, &into, err))
            return -1;
    return got == 0 ? 0 : err_set(err, EXIT_STREAM, "START or REQUEST: malformed tags");
}

int msg_start_decode(struct span body, struct msg_start *ret, struct err *err) {
    struct rd r = rd_of(body.p, body.n);
    struct msg_start m;
    m.flags = rd_u64(&r);
    m.durable = rd_u8(&r);
    uint64_t reserved = rd_reserved(&r, 7);
    m.tags = rd_rest(&r);
    const struct field fields[] = {
        {"durable", m.durable, DURABLE_BATCH, DURABLE_NONE},
        {"reserved", reserved, 0, 0},
    };
    if (FIELDS_CHECK("START or REQUEST", &r, fields, err) || start_tags_check(m.tags, err))
        return -1;
    if (m.flags & ~(uint64_t)OPT_KNOWN)
        return err_set(err, EXIT_UNSUPPORTED, "START or REQUEST: the peer needs unknown flags 0x%llx",
                       (unsigned long long)(m.flags & ~(uint64_t)OPT_KNOWN));
    *ret = m;
    return 0;
}

/* ---- writing entries ------------------------------------------------------------------------------ */

/* Leading components that both paths have. */
static unsigned shared_components(const char *a, const char *b) {
    unsigned shared = 0;
    size_t at_a = 0, at_b = 0;
    while (a[at_a] && b[at_b]) {
        const char *name_a, *name_b;
        size_t n = path_component(a, &at_a, &name_a);
        if (n != path_component(b, &at_b, &name_b) || memcmp(name_a, name_b, n) != 0)
            break;
        shared++;
    }
    return shared;
}

static void entry_head_encode(struct wr *w, const struct entry *e, unsigned shared, unsigned added) {
    wr_u64(w, e->file_id);
    wr_u8(w, e->type);
    wr_u8(w, (uint8_t)shared);
    wr_u8(w, (uint8_t)added);
    wr_reserved(w, 1);
    wr_u32(w, e->mode);
    wr_u32(w, e->uid);
    wr_u32(w, e->gid);
    wr_u64(w, (uint64_t)e->mtime_sec);
    wr_u32(w, e->mtime_nsec);
    wr_u32(w, (uint32_t)e->tags.n);
    wr_u64(w, e->size);
}

bool entry_encode(struct entry_writer *ew, const struct entry *e) {
    unsigned depth = path_depth(e->path);
    unsigned shared = ew->count ? shared_components(ew->last, e->path) : 0;
    if (depth > PATH_DEPTH_MAX || e->tags.n > BODY_MAX || ew->w.bad)
        return false;
    struct wr w = ew->w;
    entry_head_encode(&w, e, shared, depth - shared);
    components_encode(&w, e->path, shared);
    wr_bytes(&w, e->tags.p, e->tags.n);
    if (w.bad)
        return false;
    ew->w = w;
    ew->count++;
    memmove(ew->last, e->path, strlen(e->path) + 1);
    return true;
}

/* ---- reading entries ------------------------------------------------------------------------------ */

/* Byte length of the first `count` components of `path`, without a separator behind them. */
static size_t prefix_length(const char *path, unsigned count) {
    size_t at = 0, end = 0;
    for (unsigned i = 0; i < count; i++) {
        const char *name;
        size_t n = path_component(path, &at, &name);
        end = (size_t)(name - path) + n;
    }
    return end;
}

/* Put a component behind the first `end` bytes of `path`; the new length. A bad one is made such that the
 * string has as many components as the wire said, and a message can show it. */
static size_t component_append(char *path, size_t end, const uint8_t *name, size_t n, bool good) {
    if (end > 0)
        path[end++] = '/';
    memcpy(path + end, name, n);
    if (!good) {
        for (size_t i = end; i < end + n; i++)
            if (path[i] == '/' || path[i] == '\0')
                path[i] = '?';
        if (n == 0)
            path[end + n++] = '?';
    }
    path[end + n] = '\0';
    return end + n;
}

/* Turn er->path into the path of the next entry. */
static void components_decode(struct entry_reader *er, unsigned shared, unsigned added) {
    size_t end = prefix_length(er->path, shared);
    er->path[end] = '\0';
    if (shared <= er->sound) {
        er->sound = shared;
        er->fault = NAME_OK;
    }
    for (unsigned i = 0; i < added; i++) {
        uint8_t n = rd_u8(&er->r);
        const uint8_t *name = rd_bytes(&er->r, n);
        if (!name)
            return;
        enum name_fault fault = name_check(name, n);
        if (er->fault == NAME_OK && fault == NAME_OK)
            er->sound++;
        else if (er->fault == NAME_OK)
            er->fault = fault;
        end = component_append(er->path, end, name, n, fault == NAME_OK);
    }
}

static int entry_check(const struct entry *e, const struct entry_reader *er, uint64_t reserved,
                       struct err *err) {
    bool may_be_root = e->type == ENTRY_DIR || e->type == ENTRY_DIR_END;
    const struct field fields[] = {
        {"file_id", e->file_id, 1, UINT64_MAX},
        {"type", e->type, ENTRY_FILE, ENTRY_BLOCK_DEVICE},
        {"reserved", reserved, 0, 0},
        {"mode", e->mode, 0, MODE_MAX},
        {"mtime_nsec", e->mtime_nsec, 0, NSEC_MAX},
        {"size", e->size, 0, e->type == ENTRY_FILE ? INT64_MAX : 0},
        {"depth", path_depth(er->path), may_be_root ? 0 : 1, UINT64_MAX}, /* the most was checked before */
    };
    if (FIELDS_CHECK("ENTRIES", &er->r, fields, err))
        return -1;
    struct rd r = rd_of(e->tags.p, e->tags.n);
    struct tag tag;
    int got;
    do
        got = tag_next(&r, &tag);
    while (got > 0);
    return got == 0 ? 0 : err_set(err, EXIT_STREAM, "ENTRIES: malformed tags");
}

int entry_next(struct entry_reader *er, struct entry *ret, enum name_fault *ret_fault, struct err *err) {
    struct rd *r = &er->r;
    if (er->count == 0)
        er->path[0] = '\0';
    if (rd_left(r) == 0 && !r->bad && er->count > 0)
        return 0;
    struct entry e = {.path = er->path};
    e.file_id = rd_u64(r);
    e.type = rd_u8(r);
    uint8_t shared = rd_u8(r);
    uint8_t added = rd_u8(r);
    uint64_t reserved = rd_reserved(r, 1);
    e.mode = rd_u32(r);
    e.uid = rd_u32(r);
    e.gid = rd_u32(r);
    e.mtime_sec = (int64_t)rd_u64(r);
    e.mtime_nsec = rd_u32(r);
    uint32_t tags_length = rd_u32(r);
    e.size = rd_u64(r);
    const struct field fields[] = {
        {"shared", shared, 0, path_depth(er->path)},
        {"shared + added", (uint64_t)shared + added, 0, PATH_DEPTH_MAX},
    };
    if (FIELDS_CHECK("ENTRIES", r, fields, err))
        return -1;
    components_decode(er, shared, added);
    e.tags.p = rd_bytes(r, tags_length);
    e.tags.n = tags_length;
    if (entry_check(&e, er, reserved, err))
        return -1;
    er->count++;
    *ret = e;
    *ret_fault = er->fault;
    return 1;
}

int entry_link_target(const struct entry *e, struct span *ret, struct err *err) {
    struct rd r = rd_of(e->tags.p, e->tags.n);
    struct tag tag;
    struct span target = {.p = NULL, .n = 0};
    unsigned targets = 0;
    int got;
    while ((got = tag_next(&r, &tag)) > 0) {
        if (tag.tag == TAG_LINK_TARGET && e->type == ENTRY_SYMLINK) {
            target = tag.value;
            targets++;
        } else if ((tag.tag & TAG_CRITICAL) && tag.tag != TAG_LINK_TARGET && tag.tag != TAG_HARD_LINK &&
                   tag.tag != TAG_DEVICE) {
            return err_set(err, EXIT_PARTIAL, "the sender needs the unknown tag 0x%04x", tag.tag);
        }
    }
    if (got < 0)
        return err_set(err, EXIT_PARTIAL, "malformed tags");
    if (e->type == ENTRY_SYMLINK &&
        (targets != 1 || target.n < 1 || target.n > LINK_TARGET_MAX || memchr(target.p, '\0', target.n)))
        return err_set(err, EXIT_PARTIAL, "symbolic link without a proper target");
    *ret = target;
    return 0;
}

enum { WIN_ATTR_SIZE = 16 };

void win_attr_encode(struct wr *tags, const struct win_attr *win) {
    uint8_t value[WIN_ATTR_SIZE];
    struct wr w = wr_of(value, sizeof value);
    if (!win->known)
        return;
    wr_u32(&w, win->bits);
    wr_u64(&w, (uint64_t)win->created_sec);
    wr_u32(&w, win->created_nsec);
    tag_encode(tags, TAG_WINDOWS, value, sizeof value);
}

int entry_win_attr(struct entry *e, struct err *err) {
    struct rd r = rd_of(e->tags.p, e->tags.n);
    struct tag tag;
    e->win = (struct win_attr){.known = false};
    while (tag_next(&r, &tag) > 0) {
        if (tag.tag != TAG_WINDOWS)
            continue;
        struct rd value = rd_of(tag.value.p, tag.value.n);
        bool second = e->win.known;
        e->win = (struct win_attr){.known = true, .bits = rd_u32(&value) & WIN_ATTR_KEPT};
        e->win.created_sec = (int64_t)rd_u64(&value);
        e->win.created_nsec = rd_u32(&value);
        if (second || !rd_done(&value) || e->win.created_nsec > NSEC_MAX)
            return err_set(err, EXIT_PARTIAL, "malformed attributes of Windows");
    }
    return 0;
}
