/* sink_rename.c: what is flushed gets its names.
 *
 * Renaming is a fifth of what a tree of small files costs the sink, and nothing else goes on meanwhile. So a second thread
 * renames the end of a large batch while the sink renames its beginning. It walks to the directories by handles of its own,
 * and what it cannot rename, for whatever reason, it leaves: the sink does it again after it, and tells what is wrong.
 * Of a path that comes twice the last one is to stay: such a batch is left to one thread.
 */
#include "receiver/sink_impl.h"

#include "codec/digest.h"
#include "core/text.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROW = 32, /* neighbours are mostly in one directory, which only one thread can change at a time */
    WORTH_FILES = 64,
    SEEN = 2 * SINK_BATCH_FILES,
};

struct second {
    const struct sink *sink;
    struct os_thread thread;
    struct os_mutex lock;
    unsigned first, end; /* lock; what nobody has taken of the batch */
};

/* The next row from either end: how many files, 0 when there are none left. */
static unsigned take_row(struct second *second, bool last, unsigned *ret_first) {
    os_lock(&second->lock);
    unsigned left = second->end - second->first;
    unsigned n = left < ROW ? left : ROW;
    *ret_first = last ? second->end - n : second->first;
    if (last)
        second->end -= n;
    else
        second->first += n;
    os_unlock(&second->lock);
    return n;
}

static void try_one(const struct sink *sink, struct dir_cache *dirs, struct sink_commit *c) {
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    if (c->closed != 0 || c->inplace || dir_cache_parent(dirs, c->path, &at, &name) != 0)
        return;
    sink_temp_name(sink, c->path, c->file_id, &temp);
    c->named = os_rename_at(at, temp.s, name) == 0;
}

static void *second_main(void *arg) {
    struct second *second = arg;
    struct dir_cache dirs;
    dir_cache_init(&dirs, second->sink->root);
    unsigned first, n;
    while ((n = take_row(second, true, &first)) > 0)
        for (unsigned i = 0; i < n; i++)
            try_one(second->sink, &dirs, (struct sink_commit *)&second->sink->batch[first + i]);
    dir_cache_free(&dirs);
    return NULL;
}

/* False also when that cannot be known. */
static bool no_path_comes_twice(const struct sink *sink) {
    uint64_t *seen = calloc(SEEN, sizeof *seen);
    bool once = seen != NULL;
    for (unsigned i = 0; once && i < sink->batch_count; i++) {
        const char *path = sink->batch[i].path;
        uint64_t hash = digest_keyed(sink->opt.name_salt, path, strlen(path)) | 1; /* 0: free */
        uint64_t at = hash / 2 % SEEN;
        while (seen[at] != 0 && seen[at] != hash)
            at = (at + 1) % SEEN;
        once = seen[at] == 0;
        seen[at] = hash;
    }
    free(seen);
    return once;
}

static void rename_one(struct sink *sink, struct sink_commit *c) {
    struct err err = {0};
    struct os_dir at;
    const char *name;
    struct temp_name temp;
    sink_temp_name(sink, c->path, c->file_id, &temp);
    if (c->closed != 0) {
        (void)os_file_error(&err, c->closed, "%s: cannot write", ESCAPED(c->path));
        sink_fail(sink, c, &err);
    } else if (c->inplace) {
        return; /* it has its name already */
    } else if (!c->named && (sink_parent(sink, c->path, &at, &name, &err) != 0 ||
                             sink_replace(sink, at, temp.s, name, c->path, &err) != 0)) {
        sink_fail(sink, c, &err);
    } else {
        sink_remove_partial(sink, c->path, c->size);
    }
}

void sink_rename_batch(struct sink *sink) {
    struct err ignored;
    struct second second = {.sink = sink, .end = sink->batch_count};
    os_mutex_init(&second.lock);
    /* What is replaced is counted under one lock: there is nothing to be had from two threads. */
    bool two = sink->batch_count >= WORTH_FILES && sink->opt.usage == NULL && !sink->opt.one_thread &&
               os_cpu_count() > 1 && no_path_comes_twice(sink) &&
               os_thread_start(&second.thread, "rename", second_main, &second, &ignored) == 0;
    unsigned first, n;
    while ((n = take_row(&second, false, &first)) > 0)
        for (unsigned i = 0; i < n; i++)
            rename_one(sink, &sink->batch[first + i]);
    if (two)
        os_thread_join(&second.thread);
    for (unsigned i = first; i < sink->batch_count; i++)
        rename_one(sink, &sink->batch[i]);
    os_mutex_free(&second.lock);
}
