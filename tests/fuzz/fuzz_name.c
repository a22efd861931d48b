/* fuzz_name.c: no path that the decoders accept can leave the root.
 *
 * Input: byte 0 is 0 for path_decode, 1 for an ENTRIES body as it is, else for entries made of the rest: (shared u8,
 * added u8, components) each. The promise is checked against a model that is written without path.c.
 */
#include "fuzz.h"

#include "wire/msg.h"

enum { MADE_ENTRIES_MAX = 16 };

static bool model_is_legal(const uint8_t *s, size_t n) {
    static const char reserved[] = ".HVFERRY.";
    bool is_reserved = n >= sizeof reserved - 1;
    bool dots = true;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == 0 || s[i] == 0x2F)
            return false;
        dots = dots && s[i] == 0x2E;
        if (i < sizeof reserved - 1) {
            int upper = s[i] >= 0x61 && s[i] <= 0x7A ? s[i] - 0x20 : s[i];
            is_reserved = is_reserved && upper == reserved[i];
        }
    }
    return n >= 1 && n <= 255 && !(dots && n <= 2) && !is_reserved;
}

/* A string as the receiver will use it: only legal components, and it stays inside. */
static void must_stay_inside(const char *path) {
    size_t n = strlen(path), start = 0;
    unsigned depth = 0;
    MUST(n < PATH_BYTES_MAX);
    for (size_t i = 0; n > 0 && i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        MUST(model_is_legal((const uint8_t *)path + start, i - start));
        start = i + 1;
        depth++;
    }
    MUST(depth <= 64 && depth == path_depth(path));
    MUST(path_check(path, NULL) == 0);
}

static void try_path(struct span input) {
    char *path = malloc(PATH_BYTES_MAX);
    struct rd r = rd_of(input.p, input.n);
    memset(path, 'x', PATH_BYTES_MAX);
    if (path_decode(&r, path, NULL) == 0) {
        uint8_t again[PATH_BYTES_MAX + 1];
        struct wr w = wr_of(again, sizeof again);
        must_stay_inside(path);
        path_encode(&w, path);
        MUST(!w.bad && wr_used(&w) == input.n - rd_left(&r) && memcmp(again, input.p, wr_used(&w)) == 0);
    } else {
        MUST(path[0] == 'x');
    }
    free(path);
}

static void try_entries(struct span body) {
    char *path = malloc(PATH_BYTES_MAX);
    struct entry_reader er = {.r = rd_of(body.p, body.n), .path = path};
    struct entry e;
    enum name_fault fault;
    while (entry_next(&er, &e, &fault, NULL) > 0) {
        MUST(strlen(e.path) < PATH_BYTES_MAX);
        if (fault == NAME_OK)
            must_stay_inside(e.path);
    }
    free(path);
}

/* What the entries mean, kept apart from the reader: the components of the present path. */
struct model {
    struct span components[PATH_DEPTH_MAX];
    unsigned depth;
};

static bool model_path_is_legal(const struct model *m) {
    for (unsigned i = 0; i < m->depth; i++)
        if (!model_is_legal(m->components[i].p, m->components[i].n))
            return false;
    return true;
}

static void must_equal_model(const char *path, const struct model *m) {
    for (unsigned i = 0; i < m->depth; i++) {
        MUST(memcmp(path, m->components[i].p, m->components[i].n) == 0);
        path += m->components[i].n;
        MUST(*path == (i + 1 < m->depth ? '/' : '\0'));
        path++;
    }
}

/* One entry of the input into `w` and the model; false when the input is at its end. */
static bool make_entry(struct rd *r, struct wr *w, struct model *m) {
    unsigned shared = rd_u8(r) % (m->depth + 1);
    unsigned added = rd_u8(r) % (PATH_DEPTH_MAX + 1 - shared);
    uint8_t *head = wr_room(w, 48);
    if (r->bad || !head)
        return false;
    memset(head, 0, 48);
    head[0] = 1;
    head[8] = ENTRY_DIR;
    head[9] = (uint8_t)shared;
    head[10] = (uint8_t)added;
    for (m->depth = shared; m->depth < shared + added; m->depth++) {
        uint8_t n = rd_u8(r);
        const uint8_t *name = rd_bytes(r, n);
        if (!name)
            return false;
        m->components[m->depth] = (struct span){.p = name, .n = n};
        wr_u8(w, n);
        wr_bytes(w, name, n);
    }
    return !w->bad;
}

static void try_made_entries(struct span input) {
    static uint8_t body[MADE_ENTRIES_MAX * PATH_BYTES_MAX];
    static char path[PATH_BYTES_MAX];
    struct rd r = rd_of(input.p, input.n);
    struct wr w = wr_of(body, sizeof body);
    struct model m = {.depth = 0};
    struct entry_reader er = {.r = rd_of(body, 0), .path = path};
    for (unsigned i = 0; i < MADE_ENTRIES_MAX && make_entry(&r, &w, &m); i++) {
        struct entry e;
        enum name_fault fault;
        er.r.end = w.at;
        MUST(entry_next(&er, &e, &fault, NULL) == 1);
        MUST(path_depth(e.path) == m.depth);
        MUST((fault == NAME_OK) == model_path_is_legal(&m));
        if (fault == NAME_OK) {
            must_stay_inside(e.path);
            must_equal_model(e.path, &m);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    if (n < 1)
        return 0;
    struct span rest = {.p = input + 1, .n = n - 1};
    if (input[0] == 0)
        try_path(rest);
    else if (input[0] == 1)
        try_entries(rest);
    else
        try_made_entries(rest);
    return 0;
}
