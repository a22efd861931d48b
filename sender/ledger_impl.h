/* ledger_impl.h: shared by the files of the ledger only. */
#ifndef SENDER_LEDGER_IMPL_H
#define SENDER_LEDGER_IMPL_H

#include "sender/ledger.h"

struct ledger {
    struct os_mutex lock;
    struct os_cond room;
    struct outbox *out;
    struct queue *wants;
    struct delta_box *deltas;
    struct report *report;
    struct pending *ring[UNSETTLED_MAX]; /* lock; by file_id; NULL: settled */
    uint64_t base; /* lock; lowest id that may be unsettled */
    uint64_t release_at; /* lock; every DIR_END below is sent */
    uint64_t next_id; /* lock */
    size_t bytes; /* lock */
    uint64_t unanswered; /* lock; entries sent without a verdict (or basis) yet */
    bool list_complete, finished, sync_due, cancelled; /* lock */
    bool flooded; /* lock; more is wanted than can be */
    unsigned syncs; /* lock; in `wants` or behind it, and not sent yet: FINISH must not overtake the data of
                     * wanted files, which go before it, though the receiver may have settled all of them */
    struct msg_totals totals; /* lock */
    char last_path[PATH_BYTES_MAX]; /* lock; for encoding */
};

/* All of these with the lock held. */

/* The unsettled entry, or NULL. */
struct pending *ledger_find(struct ledger *l, uint64_t file_id);
/* It is answered to the end. It may be freed. */
void ledger_settle(struct ledger *l, struct pending *p);
/* NULL: a SYNC. Takes one use of p over. Never waits, for the thread that reads the stream comes here. */
void ledger_put_want(struct ledger *l, struct pending *p);
/* What became possible: ends of directories, a SYNC, the FINISH. 0, or -1 and err (EXIT_MEMORY; EXIT_STREAM when the
 * receiver asked for too much). */
int ledger_advance(struct ledger *l, struct err *err);

#endif
