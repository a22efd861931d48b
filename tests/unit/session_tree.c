#include "session_tree.h"

#include "core/path.h"

enum {
    LARGE_BYTES = 220 * 1000, /* several chunks of 64 KiB, not a multiple */
    MIDDLE_BYTES = 70 * 1000, /* more than one chunk: no bundle */
    SPARSE_BYTES = 256 * 1024,
    SPARSE_RUN = 8192,
    LONG_AGO = 1000000000, /* seconds; the times of the trees */
};

struct scratch tree_scratch(void) {
    struct stat st;
    if (getenv("TMPDIR") == NULL && stat("/dev/shm", &st) == 0 && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
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

static void set_time(struct os_dir at, const char *path, long second) {
    struct timespec times[2] = {{.tv_sec = LONG_AGO + second, .tv_nsec = 123456789},
                                {.tv_sec = LONG_AGO + second, .tv_nsec = 123456789}};
    assert_int_equal(utimensat(at.fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_file(struct os_dir at, const char *path, size_t n, uint32_t seed, mode_t mode) {
    uint8_t *bytes = malloc(n + 1);
    assert_non_null(bytes);
    fill(bytes, n, seed);
    put_file(at, path, bytes, n);
    free(bytes);
    assert_int_equal(fchmodat(at.fd, path, mode, 0), 0);
    set_time(at, path, (long)seed);
}

static void make_dir(struct os_dir at, const char *path, mode_t mode) {
    assert_int_equal(mkdirat(at.fd, path, 0700), 0);
    assert_int_equal(fchmodat(at.fd, path, mode, 0), 0);
}

static void make_link(struct os_dir at, const char *path, const char *target, long second) {
    assert_int_equal(symlinkat(target, at.fd, path), 0);
    set_time(at, path, second);
}

static void make_sparse(struct os_dir at, const char *path) {
    uint8_t run[SPARSE_RUN];
    int fd = openat(at.fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    fill(run, sizeof run, 77);
    assert_int_equal(pwrite(fd, run, sizeof run, 0), sizeof run);
    assert_int_equal(pwrite(fd, run, sizeof run, SPARSE_BYTES / 2), sizeof run);
    assert_int_equal(ftruncate(fd, SPARSE_BYTES), 0);
    assert_int_equal(close(fd), 0);
    set_time(at, path, 77);
}

void tree_make_source(struct os_dir at) {
    make_dir(at, "a", 0755);
    make_dir(at, "a/b", 0750);
    make_dir(at, "empty", 0711);
    make_file(at, "a/one", 100, 1, 0644);
    make_file(at, "a/nothing", 0, 2, 0600);
    make_file(at, "a/b/three", 5000, 3, 0755);
    make_file(at, "large", LARGE_BYTES, 4, 0640);
    make_file(at, "middle", MIDDLE_BYTES, 5, 0644);
    make_file(at, "same", 3000, 6, 0644);
    make_sparse(at, "sparse");
    make_link(at, "link", "a/one", 7);
    make_link(at, "a/dangling", "no/where", 8);
    set_time(at, "a/b", 9);
    set_time(at, "a", 10);
    set_time(at, "empty", 11);
    set_time(at, ".", 12);
}

void tree_make_old(struct os_dir at) {
    make_dir(at, "a", 0755);
    make_file(at, "a/one", 90, 21, 0644);
    make_file(at, "large", LARGE_BYTES / 2, 24, 0600);
    make_file(at, "same", 3000, 6, 0644);
    make_file(at, "kept", 10, 26, 0604);
    make_link(at, "link", "elsewhere", 27);
    set_time(at, "a", 28);
    set_time(at, ".", 29);
}

/* ---- looking ----------------------------------------------------------------------------------------- */

static struct digest content_of(int at, const char *name, const struct stat *st) {
    size_t n = (size_t)st->st_size;
    uint8_t *bytes = malloc(n + 1);
    assert_non_null(bytes);
    if (S_ISLNK(st->st_mode)) {
        assert_int_equal(readlinkat(at, name, (char *)bytes, n + 1), n);
    } else {
        int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, bytes, n + 1), n);
        assert_int_equal(close(fd), 0);
    }
    struct digest d = digest_of(bytes, n);
    free(bytes);
    return d;
}

static void look_below(struct tree *t, int at, const char *prefix);

static void look_at(struct tree *t, int at, const char *name, const char *path) {
    struct stat st;
    assert_int_equal(fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    t->nodes = realloc(t->nodes, (t->count + 1) * sizeof *t->nodes);
    assert_non_null(t->nodes);
    struct node *node = &t->nodes[t->count++];
    *node = (struct node){.mode = st.st_mode, .mtime = st.st_mtim};
    assert_true(strlen(path) < sizeof node->path);
    memcpy(node->path, path, strlen(path));
    if (S_ISREG(st.st_mode))
        node->size = (uint64_t)st.st_size;
    if (!S_ISDIR(st.st_mode)) {
        node->content = content_of(at, name, &st);
        return;
    }
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    assert_true(fd >= 0);
    look_below(t, fd, path);
}

/* Takes `at` over. */
static void look_below(struct tree *t, int at, const char *prefix) {
    DIR *dir = fdopendir(at);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "/" : "", e->d_name);
        look_at(t, at, e->d_name, path);
    }
    (void)closedir(dir);
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

struct tree tree_look(struct os_dir at) {
    struct tree t = {0};
    int fd = openat(at.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    look_below(&t, fd, "");
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
    return a && b && (a->mode & S_IFMT) == (b->mode & S_IFMT) && a->size == b->size &&
           digest_equal(&a->content, &b->content);
}

static bool same_node(const struct node *a, const struct node *b) {
    return same_content(a, b) && a->mode == b->mode && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
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
