#include "receiver/basis.h"

#include "os/os_waits.h"
#include "receiver/ahead.h"
#include "receiver/sink_impl.h"
#include "tree/dir_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCKS_FIRST = 512, /* of a file's first BASIS: the sender can begin */
    BLOCKS_PER_BASIS = 4096, /* later: 64 KiB of digests */
    READ_BYTES = 256 * 1024, /* stays in the cache until it is digested and written */
    HELPERS_MAX = 3,
    WRITING_MAX = 2, /* threads, of which one reads while the other one writes */
};
/* Bytes of answers that wait to be sent, digests and others: none are added while the sender does not take those. Blocks of
 * BASIS_AHEAD_MAX need half of it. */
#define UNSENT_MAX (UINT64_C(1) << 20)
#define STRETCH_FIRST (UINT64_C(32) << 20) /* bytes that are passed over where nobody waits for digests */
#define STRETCH_MAX (UINT64_C(512) << 20)

struct basis_job {
    struct basis_job *next; /* lock; in the order of adding, until it is complete */
    uint64_t file_id, size, split;
    uint32_t block_size;
    bool inplace;
    bool dropped, complete; /* lock */
    bool opened; /* thread of basis_step */
    struct os_file begun, old; /* thread of basis_step */
    struct usage *usage;
    struct usage_held held_begun, held_old; /* thread of basis_step */
    uint64_t front; /* lock; blocks before it are asked about, or passed over */
    uint64_t start; /* lock; block at which the last run without gaps began */
    uint64_t passed; /* lock; blocks before it have come */
    uint64_t stretch; /* thread of basis_step */
    char path[];
};

/* The blocks of one BASIS, which all threads take piece by piece, in order. */
struct share {
    struct basis_job *job; /* NULL: there is nothing to share */
    uint64_t block; /* the first one */
    uint32_t count;
    unsigned most; /* threads that may work on it at once */
    uint32_t next; /* lock; blocks that were taken */
    uint32_t good; /* lock; no block before it could not be read */
    unsigned working; /* lock; threads that have not done what they took */
    uint8_t *digests; /* `count` of them */
};

struct helper {
    struct basis *basis;
    struct os_thread thread;
    uint8_t *data; /* READ_BYTES */
};

struct basis {
    struct os_mutex lock;
    struct os_cond changed;
    struct os_cond to_share; /* what helpers wait for */
    struct outbox *out;
    struct dir_cache dirs; /* thread of basis_step */
    struct os_dir root;
    uint8_t *data; /* thread of basis_step; READ_BYTES */
    struct helper helpers[HELPERS_MAX]; /* thread of basis_step */
    unsigned helpers_allowed, helper_count; /* thread of basis_step */
    struct share share; /* lock to begin and end it */
    struct ahead *into;
    struct basis_job *first, *last; /* lock */
    struct basis_job *busy; /* lock; that basis_step works on: who drops it waits until it does not */
    uint64_t ahead; /* lock; blocks that were asked about and have not come */
    bool closed; /* lock */
};

struct basis *basis_new(struct outbox *out) {
    struct basis *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->data = os_page_alloc(READ_BYTES);
    b->into = ahead_new();
    if (b->data == NULL || b->into == NULL) {
        ahead_free(b->into);
        os_page_free(b->data);
        free(b);
        return NULL;
    }
    os_mutex_init(&b->lock);
    os_cond_init(&b->changed);
    os_cond_init(&b->to_share);
    b->out = out;
    b->root = OS_DIR_NONE;
    dir_cache_init(&b->dirs, b->root);
    return b;
}

static void close_files(struct basis_job *job) {
    (void)usage_close(&job->held_begun, &job->begun);
    (void)usage_close(&job->held_old, &job->old);
}

static void job_free(struct basis_job *job) {
    close_files(job);
    free(job);
}

void basis_free(struct basis *b) {
    if (b == NULL)
        return;
    basis_close(b);
    for (unsigned i = 0; i < b->helper_count; i++) {
        os_thread_join(&b->helpers[i].thread);
        os_page_free(b->helpers[i].data);
    }
    while (b->first) {
        struct basis_job *job = b->first;
        b->first = job->next;
        job_free(job);
    }
    dir_cache_free(&b->dirs);
    os_dir_close(&b->root);
    os_page_free(b->data);
    ahead_free(b->into);
    os_cond_free(&b->to_share);
    os_cond_free(&b->changed);
    os_mutex_free(&b->lock);
    free(b);
}

void basis_allow_helpers(struct basis *b, unsigned count) {
    b->helpers_allowed = count < HELPERS_MAX ? count : HELPERS_MAX;
}

struct ahead *basis_ahead(struct basis *b) {
    return b->into;
}

void basis_set_root(struct basis *b, struct os_dir root) {
    os_lock(&b->lock);
    b->root = root;
    dir_cache_init(&b->dirs, root);
    os_unlock(&b->lock);
}

struct basis_job *basis_add(struct basis *b, uint64_t file_id, const char *path,
                            const struct sink_basis *basis) {
    size_t n = strlen(path);
    struct basis_job *job = calloc(1, sizeof *job + n + 1);
    if (job == NULL)
        return NULL;
    job->file_id = file_id;
    job->size = basis->size;
    job->split = basis->split;
    job->block_size = basis->block_size;
    job->inplace = basis->inplace;
    job->usage = basis->usage;
    job->begun = job->old = OS_FILE_NONE;
    job->stretch = STRETCH_FIRST;
    memcpy(job->path, path, n + 1);
    os_lock(&b->lock);
    if (b->first)
        b->last->next = job;
    else
        b->first = job;
    b->last = job;
    os_cond_broadcast(&b->changed);
    os_unlock(&b->lock);
    return job;
}

/* ---- under the lock ------------------------------------------------------------------------------------ */

static uint64_t outstanding(const struct basis_job *job) {
    uint64_t from = job->passed > job->start ? job->passed : job->start;
    return job->front > from ? job->front - from : 0;
}

static void take_out(struct basis *b, struct basis_job *job) {
    struct basis_job **at = &b->first, *before = NULL;
    for (; *at != job; at = &(*at)->next)
        before = *at;
    *at = job->next;
    if (b->last == job)
        b->last = before;
}

void basis_move(struct basis *b, struct basis_job *job, uint64_t offset) {
    os_lock(&b->lock);
    uint64_t before = outstanding(job), passed = offset / job->block_size;
    if (passed > job->passed)
        job->passed = passed;
    b->ahead -= before - outstanding(job);
    os_cond_broadcast(&b->changed);
    os_unlock(&b->lock);
}

void basis_drop(struct basis *b, struct basis_job *job) {
    if (job == NULL)
        return;
    os_lock(&b->lock);
    b->ahead -= outstanding(job);
    if (!job->complete)
        take_out(b, job);
    job->dropped = true;
    os_cond_broadcast(&b->changed);
    while (b->busy == job)
        os_cond_wait(&b->changed, &b->lock);
    os_unlock(&b->lock);
    job_free(job);
}

/* ---- the digests ------------------------------------------------------------------------------------------ */

static void open_files(struct basis *b, struct basis_job *job) {
    struct os_dir at;
    const char *name;
    struct temp_name partial;
    job->opened = true;
    if (dir_cache_parent(&b->dirs, job->path, &at, &name) != 0)
        return;
    sink_partial_name(name, &partial);
    if (job->split > 0)
        (void)usage_open_read(job->usage, &job->held_begun, at, job->inplace ? name : partial.s, &job->begun);
    if (job->split < job->size)
        (void)usage_open_read(job->usage, &job->held_old, at, name, &job->old);
}

/* Digests of the blocks of n bytes; their number. */
static uint32_t digest_data(const uint8_t *data, uint32_t block_size, uint64_t n, struct digest *ret) {
    uint32_t count = 0;
    for (uint64_t at = 0; at < n; at += block_size)
        ret[count++] = digest_of(data + at, (size_t)(n - at < block_size ? n - at : block_size));
    return count;
}

/* Digests of `count` blocks from `block` on; how many could be had. `data`: READ_BYTES. */
static uint32_t digest_blocks(struct basis *b, const struct basis_job *job, uint64_t block, uint32_t count,
                              uint8_t *data, uint8_t *ret) {
    struct digest digests[READ_BYTES / BASIS_BLOCK_MIN];
    uint32_t done = 0;
    while (done < count) {
        uint64_t offset = (block + done) * job->block_size;
        bool begun = offset < job->split;
        uint64_t end = begun ? job->split : job->size;
        uint64_t want = (uint64_t)(count - done) * job->block_size;
        if (want > READ_BYTES)
            want = READ_BYTES;
        if (want > end - offset)
            want = end - offset;
        struct os_file file = begun ? job->begun : job->old;
        if (!os_file_is_open(file) || os_pread(file, data, (size_t)want, offset) != (ptrdiff_t)want)
            break;
        uint32_t n = digest_data(data, job->block_size, want, digests);
        memcpy(ret + done * sizeof digests[0], digests, n * sizeof digests[0]);
        done += n;
        if (!begun)
            ahead_put(b->into, job->file_id, offset, data, (size_t)want, digests);
    }
    return done;
}

/* Lock held. */
static bool is_left(const struct share *s) {
    return s->job && s->next < s->count && !s->job->dropped;
}

/* Lock held. */
static bool may_help(const struct share *s) {
    return is_left(s) && s->working < s->most;
}

/* Lock held. Takes pieces of what is shared until there are none. */
static void do_share(struct basis *b, uint8_t *data) {
    struct share *s = &b->share;
    s->working++;
    while (is_left(s)) {
        uint32_t first = s->next, left = s->count - first, most = READ_BYTES / s->job->block_size;
        uint32_t n = left < most ? left : most;
        s->next += n;
        os_unlock(&b->lock);
        uint32_t done = digest_blocks(b, s->job, s->block + first, n, data, s->digests + first * DIGEST_SIZE);
        os_lock(&b->lock);
        if (done < n) {
            s->next = s->count; /* what follows is of no use */
            s->good = first + done < s->good ? first + done : s->good;
        }
    }
    s->working--;
    os_cond_broadcast(&b->changed);
}

static void *helper_main(void *arg) {
    struct helper *helper = arg;
    struct basis *b = helper->basis;
    os_lock(&b->lock);
    while (!b->closed) {
        if (may_help(&b->share))
            do_share(b, helper->data);
        else
            os_cond_wait(&b->to_share, &b->lock);
    }
    os_unlock(&b->lock);
    return NULL;
}

/* The first time that it pays. Without memory there are fewer, or none. */
static void start_helpers(struct basis *b) {
    struct err ignored;
    for (; b->helpers_allowed > 0; b->helpers_allowed--) {
        struct helper *helper = &b->helpers[b->helper_count];
        *helper = (struct helper){.basis = b, .data = os_page_alloc(READ_BYTES)};
        if (helper->data && os_thread_start(&helper->thread, "basis", helper_main, helper, &ignored) == 0)
            b->helper_count++;
        else
            os_page_free(helper->data);
    }
}

/* Digests of `count` blocks from `block` on into `ret`; how many could be had. */
static uint32_t digest_together(struct basis *b, struct basis_job *job, uint64_t block, uint32_t count,
                                uint8_t *ret) {
    unsigned most = count < BLOCKS_PER_BASIS           ? 1
                    : ahead_has(b->into, job->file_id) ? WRITING_MAX
                                                       : 1 + HELPERS_MAX;
    if (most > 1)
        start_helpers(b);
    os_lock(&b->lock);
    b->share = (struct share){
        .job = job, .block = block, .count = count, .most = most, .good = count, .digests = ret};
    os_cond_broadcast(&b->to_share);
    do_share(b, b->data);
    while (b->share.working > 0)
        os_cond_wait(&b->changed, &b->lock);
    uint32_t done = b->share.next < b->share.good ? b->share.next : b->share.good;
    b->share.job = NULL;
    os_unlock(&b->lock);
    return done;
}

/* BASIS of up to `count` blocks from `block` on; with fewer it is the last one. */
static struct item *make_item(struct basis *b, struct basis_job *job, uint64_t block, uint32_t count,
                              uint32_t *ret_count) {
    struct item *item = item_new(MSG_BASIS, 64 + count * DIGEST_SIZE);
    if (item == NULL)
        return NULL;
    struct wr w = item_writer(item);
    struct msg_basis m = {
        .file_id = job->file_id,
        .size = job->size,
        .kind = BASIS_BLOCKS,
        .block_size = job->block_size,
        .first_block = block,
    };
    msg_basis_encode(&w, &m);
    uint32_t head = (uint32_t)wr_used(&w);
    m.count = *ret_count = digest_together(b, job, block, count, item->body + head);
    w = item_writer(item);
    msg_basis_encode(&w, &m); /* the head again, with the count */
    item->frame.body_length = head + m.count * DIGEST_SIZE;
    return item;
}

static uint64_t blocks_of(const struct basis_job *job) {
    return job->size / job->block_size + (job->size % job->block_size != 0);
}

/* Lock held. The job that basis_step is to go on with, or NULL. */
static struct basis_job *next_job(const struct basis *b) {
    return b->ahead < BASIS_AHEAD_MAX - BLOCKS_PER_BASIS ? b->first : NULL;
}

/* No more digests of this file come: nobody is to wait for them. Lock held. */
static void put_end(struct basis *b, const struct basis_job *job) {
    struct item *item = item_new(MSG_BASIS, 64);
    if (item == NULL)
        return; /* nobody waits longer than for the end of a session without memory */
    struct wr w = item_writer(item);
    struct msg_basis m = {
        .file_id = job->file_id, .size = job->size, .kind = BASIS_BLOCKS, .block_size = job->block_size};
    msg_basis_encode(&w, &m);
    item_written(item, &w);
    (void)outbox_put(b->out, item);
}

static void complete(struct basis *b, struct basis_job *job, bool say_so) {
    job->complete = true;
    close_files(job); /* it may wait long for the sender, and many do */
    take_out(b, job);
    if (say_so)
        put_end(b, job);
}

/* Lock held. The item with `count` of the `wanted` digests goes out; or it does not, because the sender was faster. */
static void advance(struct basis *b, struct basis_job *job, struct item *item, uint32_t wanted,
                    uint32_t count) {
    uint64_t before = outstanding(job), end = job->front + count;
    bool passed = count == wanted && job->passed >= end;
    if (passed) {
        item_free(item);
        job->front = job->start = job->passed + job->stretch / job->block_size;
        job->stretch = job->stretch < STRETCH_MAX ? job->stretch * 2 : job->stretch;
    } else {
        job->front = end;
        (void)outbox_put(b->out, item);
    }
    b->ahead += outstanding(job) - before;
    if (count < wanted || job->front >= blocks_of(job))
        complete(b, job, passed || (count > 0 && count < wanted)); /* without blocks it says so itself */
}

int basis_step(struct basis *b, struct err *err) {
    os_lock(&b->lock);
    struct basis_job *job = b->busy = outbox_bytes(b->out) < UNSENT_MAX ? next_job(b) : NULL;
    if (job == NULL) {
        os_unlock(&b->lock);
        return 0;
    }
    if (job->passed > job->front)
        job->front = job->start = job->passed;
    uint64_t block = job->front, left = block < blocks_of(job) ? blocks_of(job) - block : 0;
    os_unlock(&b->lock);
    if (!job->opened)
        open_files(b, job);
    uint32_t most = block == 0 ? BLOCKS_FIRST : BLOCKS_PER_BASIS;
    uint32_t wanted = left < most ? (uint32_t)left : most, count = 0;
    struct item *item = wanted > 0 ? make_item(b, job, block, wanted, &count) : NULL;
    os_lock(&b->lock);
    b->busy = NULL;
    os_cond_broadcast(&b->changed);
    if (job->dropped)
        item_free(item);
    else if (item)
        advance(b, job, item, wanted, count);
    else
        complete(b, job, true);
    os_unlock(&b->lock);
    return wanted > 0 && item == NULL ? err_set(err, EXIT_MEMORY, "out of memory") : 1;
}

bool basis_wait(struct basis *b) {
    os_lock(&b->lock);
    while (!b->closed && next_job(b) == NULL)
        (void)os_cond_wait_for(OS_WAIT_INPUT, &b->changed, &b->lock, INT64_MAX);
    bool result = !b->closed;
    os_unlock(&b->lock);
    return result && outbox_wait_bytes(b->out, UNSENT_MAX);
}

void basis_close(void *arg) {
    struct basis *b = arg;
    os_lock(&b->lock);
    b->closed = true;
    os_cond_broadcast(&b->changed);
    os_cond_broadcast(&b->to_share);
    os_unlock(&b->lock);
}
