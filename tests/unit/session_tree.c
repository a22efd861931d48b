#include "session_tree.h"

#include "core/path.h"
#include "wire/protocol.h"

enum {
    LARGE_BYTES = 220 * 1000, /* several chunks of 64 KiB, not a multiple */
    MIDDLE_BYTES = 70 * 1000, /* more than one chunk: no bundle */
    SPARSE_BYTES = 256 * 1024,
    SPARSE_RUN = 8192,
    LONG_AGO = 1000000000, /* seconds; the times of the trees */
};

struct scratch tree_scratch(void) {
    prefer_memory();
    return scratch_new();
}

/* ---- making ---------------------------------------------------------------------------------------- */

/* The first half does not shrink, the second does. */
static void fill(uint8_t *to, size_t n, uint32_t seed) {
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        to[i] = i < n / 2 ? (uint8_t)(state >> 8) : (uint8_t)("all work and no play "[(i + seed) % 21]);
    }
}

static void date(struct os_dir at, const char *path, uint32_t second) {
    set_time(at, path, LONG_AGO + second, 123456789);
}

static void make_file(struct os_dir at, const char *path, size_t n, uint32_t seed, uint32_t mode) {
    uint8_t *bytes = malloc(n + 1);
    assert_non_null(bytes);
    fill(bytes, n, seed);
    put_file(at, path, bytes, n);
    free(bytes);
    set_mode(at, path, mode);
    date(at, path, seed);
}

static void make_dir_of(struct os_dir at, const char *path, uint32_t mode) {
    make_dir(at, path, 0700);
    set_mode(at, path, mode);
}

static void make_link(struct os_dir at, const char *path, const char *target, uint32_t second) {
    if (put_link(at, path, target))
        date(at, path, second);
}

static void make_sparse(struct os_dir at, const char *path) {
    uint8_t run[SPARSE_RUN];
    struct os_file file;
    assert_int_equal(os_create(at, path, 0644, &file), 0);
    os_expect_holes(file);
    fill(run, sizeof run, 77);
    assert_int_equal(os_pwrite(file, run, sizeof run, 0), 0);
    assert_int_equal(os_pwrite(file, run, sizeof run, SPARSE_BYTES / 2), 0);
    assert_int_equal(os_truncate(file, SPARSE_BYTES), 0);
    assert_int_equal(os_close_checked(&file), 0);
    date(at, path, 77);
}

void tree_make_source(struct os_dir at) {
    make_dir_of(at, "a", 0755);
    make_dir_of(at, "a/b", 0750);
    make_dir_of(at, "empty", 0711);
    make_file(at, "a/one", 100, 1, 0644);
    make_file(at, "a/nothing", 0, 2, 0600);
    make_file(at, "a/b/three", 5000, 3, 0755);
    make_file(at, "large", LARGE_BYTES, 4, 0640);
    make_file(at, "middle", MIDDLE_BYTES, 5, 0644);
    make_file(at, "same", 3000, 6, 0644);
    make_sparse(at, "sparse");
    make_link(at, "link", "a/one", 7);
    make_link(at, "a/dangling", "no/where", 8);
    date(at, "a/b", 9);
    date(at, "a", 10);
    date(at, "empty", 11);
    date(at, ".", 12);
}

bool tree_tells_holes(struct os_dir at) {
    struct os_file file;
    uint64_t start, end = 0;
    assert_int_equal(os_open_read(at, "sparse", &file), 0);
    int result = os_next_data(file, 0, SPARSE_BYTES, &start, &end);
    os_close(&file);
    return result == 0 && end < SPARSE_BYTES;
}

void tree_make_old(struct os_dir at) {
    make_dir_of(at, "a", 0755);
    make_file(at, "a/one", 90, 21, 0644);
    make_file(at, "large", LARGE_BYTES / 2, 24, 0600);
    make_file(at, "same", 3000, 6, 0644);
    make_file(at, "kept", 10, 26, 0604);
    make_link(at, "link", "elsewhere", 27);
    date(at, "a", 28);
    date(at, ".", 29);
}

/* ---- looking ----------------------------------------------------------------------------------------- */

static struct digest content_of(struct os_dir at, const char *name, const struct node *node) {
    size_t room = node->kind == OS_SYMLINK ? LINK_TARGET_MAX : (size_t)node->size, n;
    uint8_t *bytes = malloc(room + 1);
    assert_non_null(bytes);
    if (node->kind == OS_SYMLINK) {
        ptrdiff_t got = os_readlink_at(at, name, (char *)bytes, room);
        assert_true(got > 0);
        n = (size_t)got;
    } else if (!can_be_read(at, name)) {
        n = 0;
    } else {
        n = get_file(at, name, bytes, room + 1);
        assert_int_equal(n, node->size);
    }
    struct digest d = digest_of(bytes, n);
    free(bytes);
    return d;
}

static void look_below(struct tree *t, struct os_dir at, const char *prefix);

static void look_at(struct tree *t, struct os_dir at, const char *name, const char *path) {
    const struct os_stat st = stat_of(at, name);
    t->nodes = realloc(t->nodes, (t->count + 1) * sizeof *t->nodes);
    assert_non_null(t->nodes);
    struct node *node = &t->nodes[t->count++];
    *node = (struct node){
        .kind = st.kind, .mode = st.mode, .mtime_sec = st.mtime_sec, .mtime_nsec = st.mtime_nsec};
    assert_true(strlen(path) < sizeof node->path);
    memcpy(node->path, path, strlen(path));
    if (st.kind == OS_FILE)
        node->size = st.size;
    if (st.kind != OS_DIR) {
        node->content = content_of(at, name, node);
        return;
    }
    struct os_dir dir;
    assert_int_equal(os_dir_open(at, name, &dir), 0);
    look_below(t, dir, path);
    os_dir_close(&dir);
}

static void look_below(struct tree *t, struct os_dir at, const char *prefix) {
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    assert_int_equal(os_list_open(at, &list), 0);
    while (os_list_next(list, &name, &kind) == 1) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "/" : "", name);
        look_at(t, at, name, path);
    }
    os_list_close(list);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

struct tree tree_look(struct os_dir at) {
    struct tree t = {0};
    look_below(&t, at, "");
    if (t.count > 0)
        qsort(t.nodes, t.count, sizeof *t.nodes, by_path);
    return t;
}

void tree_free(struct tree *t) {
    free(t->nodes);
    *t = (struct tree){0};
}

const struct node *tree_find(const struct tree *t, const char *path) {
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->nodes[i].path, path) == 0)
            return &t->nodes[i];
    return NULL;
}

/* ---- comparing ---------------------------------------------------------------------------------------- */

static bool same_content(const struct node *a, const struct node *b) {
    return a && b && a->kind == b->kind && a->size == b->size && digest_equal(&a->content, &b->content);
}

static bool same_node(const struct node *a, const struct node *b) {
    return same_content(a, b) && a->mode == b->mode && a->mtime_sec == b->mtime_sec &&
           a->mtime_nsec == b->mtime_nsec;
}

bool tree_same(const struct tree *a, const struct tree *b) {
    return a->count == b->count && tree_lacks(a, b) == NULL;
}

static const char *say(const char *what, const char *path) {
    static char text[160];
    (void)snprintf(text, sizeof text, "%s %s", path, what);
    return text;
}

const char *tree_lacks(const struct tree *now, const struct tree *wanted) {
    for (size_t i = 0; i < wanted->count; i++) {
        const struct node *want = &wanted->nodes[i], *got = tree_find(now, want->path);
        if (!same_content(got, want))
            return say(got ? "has another content" : "is missing", want->path);
        if (!same_node(got, want))
            return say(got->mode != want->mode ? "has another mode" : "has another time", want->path);
    }
    return NULL;
}

const char *tree_mixed(const struct tree *now, const struct tree *old, const struct tree *wanted) {
    for (size_t i = 0; i < now->count; i++) {
        const struct node *got = &now->nodes[i];
        if (strstr(got->path, RESERVED_PREFIX))
            return say("is an unfinished file", got->path);
        if (!same_content(got, tree_find(old, got->path)) && !same_content(got, tree_find(wanted, got->path)))
            return say("is neither the old nor the new one", got->path);
    }
    for (size_t i = 0; i < old->count; i++)
        if (tree_find(now, old->nodes[i].path) == NULL)
            return say("is lost", old->nodes[i].path);
    return NULL;
}
