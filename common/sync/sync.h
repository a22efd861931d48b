/* sync.h: what the threads of a pipeline share: blocks, buffers, queues, the order of items, a run.
 *
 * Every wait ends when the run is cancelled: each object has a `cancel` that wakes all its waiters and makes
 * every later call fail. Locks: each object has one; none is held while another is taken, except
 * run -> (queue | sequencer | pool) in run_fail, which calls the cancel functions. The lock of a store of blocks comes last
 * of all: whoever holds another one may take or drop a block.
 */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include "core/err.h"
#include "os/os.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- blocks ---------------------------------------------------------------------------------------- */

/* Memory that several may look at. Who took it writes into it while nobody else holds it, or where nobody else looks; the
 * last one to drop it gives it back to its store. */
struct block {
    uint8_t *data; /* aligned to a page */
    atomic_uint users;
    struct block_store *home;
    struct block *next; /* store's */
};

/* Blocks of one size. What bounds their number is who holds them; those that came back are kept for the next. */
struct block_store;
struct block_store *block_store_new(size_t cap); /* NULL: no memory */
void block_store_free(struct block_store *store); /* all blocks must be back; NULL is fine */
size_t block_store_cap(const struct block_store *store); /* bytes of a block */
struct block *block_take(struct block_store *store); /* with one user. NULL: no memory */
struct block *block_hold(struct block *block); /* the same block, with one user more */
void block_drop(struct block *block); /* any thread; NULL is fine */

/* ---- buffers --------------------------------------------------------------------------------------- */

/* One buffer: one owner at a time. Given back to its pool, never freed by others. */
struct buf {
    uint8_t *data; /* cap bytes, aligned to a page */
    size_t cap;
    struct block *
        block; /* NULL unless the pool stands on a store: then `data` is this block's, which others may hold */
    struct pool *home;
    struct buf *next; /* pool's */
};

/* At most `most` buffers of `cap` bytes are lent: the memory bound of a pipeline. Made when first needed; the one given
 * back last is handed out first, so that it is still in the processor's cache. */
struct pool;
struct pool *pool_new(size_t cap, unsigned most); /* NULL: no memory */
/* The same on blocks of a store, which outlives it: a buffer is the leave to hold one of them. */
struct pool *pool_new_on(struct block_store *store, unsigned most);
void pool_free(struct pool *pool); /* all buffers must be back; NULL is fine */
/* A buffer; waits for one. NULL: cancelled, or no memory. */
struct buf *pool_get(struct pool *pool);
int pool_error(struct pool *pool, struct err *err); /* which of the two it was. Always -1 */
struct buf *pool_try_get(struct pool *pool); /* NULL at once when there is none */
/* Another bound from now on, no higher than the first. What is lent beyond it comes back in its own time. */
void pool_lend(struct pool *pool, unsigned most);
void pool_cancel(void *pool);
void buf_release(struct buf *buf); /* any thread; NULL is fine */
/* From now on it stands on `block`, with a use of its own. Only for buffers that stand on a block. */
void buf_stand_on(struct buf *buf, struct block *block);
/* Nobody else looks at its memory, whose content is lost if somebody did. False: no memory. */
bool buf_make_own(struct buf *buf);

/* ---- queue ------------------------------------------------------------------------------------------ */

/* Bounded first-in-first-out of pointers, many producers and consumers. */
struct queue;
enum queue_result { QUEUE_OK, QUEUE_CLOSED, QUEUE_TIMEOUT };
struct queue *queue_new(size_t capacity); /* NULL: no memory */
/* `drop` is called for every item that is left; may be NULL when there can be none. */
void queue_free(struct queue *queue, void (*drop)(void *item));
bool queue_put(struct queue *queue, void *item); /* false: cancelled or closed; the caller keeps the item */
/* timeout_ms: -1 waits, 0 does not. QUEUE_CLOSED: closed and empty, or cancelled. */
enum queue_result queue_get(struct queue *queue, void **ret, int timeout_ms);
/* Waits until there are at most so many items in it, or it was closed. False: cancelled. Not beside a put that waits. */
bool queue_wait_few(struct queue *queue, size_t few);
void queue_close(struct queue *queue); /* no more puts; gets go on until it is empty */
void queue_cancel(void *queue);
size_t queue_length(struct queue *queue);

/* ---- sequencer --------------------------------------------------------------------------------------- */

/* Items come in any order and leave in the order of their tickets: 1, 2, 3, … Intrusive: an item that is put
 * begins with a struct ticketed. Not bounded by itself: credit or a pool bounds what can be inside. */
struct ticketed {
    uint64_t ticket;
    struct ticketed *next; /* sequencer's */
};
struct sequencer;
enum seq_put { SEQ_PUT, SEQ_DUPLICATE, SEQ_CLOSED };
struct sequencer *sequencer_new(void); /* NULL: no memory */
void sequencer_free(struct sequencer *seq, void (*drop)(struct ticketed *item));
/* SEQ_DUPLICATE: that ticket has passed or is here already; the caller keeps the item. */
enum seq_put sequencer_put(struct sequencer *seq, struct ticketed *item);
/* The item with the next ticket; as queue_get. QUEUE_CLOSED also when closed and the next ticket is not there. */
enum queue_result sequencer_get(struct sequencer *seq, struct ticketed **ret, int timeout_ms);
/* True when `ticket` was neither taken nor put. */
bool sequencer_lacks(struct sequencer *seq, uint64_t ticket);
/* True when all before `ticket` was taken, and it is next. */
bool sequencer_awaits(struct sequencer *seq, uint64_t ticket);
void sequencer_close(struct sequencer *seq);
/* Waits until the taker waits in sequencer_get for a ticket that is not there: all before it is done with. For when
 * nobody puts. QUEUE_TIMEOUT: not until then (os_now_ms); QUEUE_CLOSED: cancelled or closed. */
enum queue_result sequencer_settle(struct sequencer *seq, int64_t deadline_ms);
/* Drops what waits for its turn. */
void sequencer_clear(struct sequencer *seq, void (*drop)(struct ticketed *item));
void sequencer_cancel(void *seq);

/* ---- tally ----------------------------------------------------------------------------------------- */

/* How many of something are on their way. */
struct tally {
    struct os_mutex lock;
    struct os_cond zero;
    uint64_t n; /* lock */
    bool cancelled; /* lock */
};
void tally_init(struct tally *t);
void tally_free(struct tally *t);
void tally_up(struct tally *t);
void tally_down(struct tally *t);
enum queue_result tally_wait(struct tally *t,
                             int64_t deadline_ms); /* until there are none; as sequencer_settle */
void tally_cancel(void *tally);

/* ---- run ---------------------------------------------------------------------------------------------- */

/* The threads of one session. The first error wins: run_fail keeps it and cancels everything that was
 * registered, once; then every thread winds down and run_join collects them. */
enum { RUN_THREADS_MAX = 32, RUN_CANCELS_MAX = 32, STAGES_MAX = 16 };

/* Threads of one name, added up over their lives. What is left of `life_ns` they were busy, or ready to be. */
struct stage_times {
    const char *name;
    unsigned threads;
    uint64_t life_ns;
    uint64_t starved_ns; /* waited for something to do */
    uint64_t blocked_ns; /* waited for room to put what they had done */
};

struct run {
    bool timed; /* set after run_init: the threads count what they wait for */
    struct os_mutex lock;
    struct err first; /* lock; meaningful when failed */
    atomic_bool failed; /* changed under the lock; long work looks at it without */
    struct os_thread threads[RUN_THREADS_MAX]; /* owner */
    unsigned thread_count; /* owner */
    struct {
        void (*fn)(void *);
        void *arg;
    } cancels[RUN_CANCELS_MAX]; /* lock */
    unsigned cancel_count; /* lock */
    struct stage_times
        stages[STAGES_MAX]; /* lock; in the order of their first starts, of threads that have ended */
    unsigned stage_count; /* lock */
};

/* What a thread of a run does: 0, or -1 and err, which fails the run. */
typedef int run_fn(void *arg, struct err *err);

void run_init(struct run *run);
/* Owner's thread, whose log_target it inherits; `name` is static and at most 15 characters. Fails the run when the thread cannot start. */
int run_start(struct run *run, const char *name, run_fn *fn, void *arg, struct err *err);
/* fn(arg) is called once when the run fails; at once when it has failed already. */
void run_on_cancel(struct run *run, void (*fn)(void *), void *arg);
void run_fail(struct run *run, const struct err *err); /* any thread */
bool run_failed(struct run *run);
/* From now on run_fail cancels nothing: what was registered is about to be freed. */
void run_disarm(struct run *run);
/* Waits for all threads. 0, or -1 and the first error. */
int run_join(struct run *run, struct err *err);
void run_free(struct run *run);

#endif
