/* ledger.h: every entry that was listed and is not settled yet.
 *
 * The list streams: the ledger is a window over the tree, bounded by UNSETTLED_MAX ids and UNSETTLED_BYTES_MAX. The
 * scan stage adds, the ack stage answers; wanted files go to the read stage through `wants`. The end of a
 * directory is held back until everything before it is settled, so that its times are set last. When the list is
 * complete and all of it settled, FINISH goes out.
 *
 * Lock order: ledger -> outbox, ledger -> wants, ledger -> delta_box.
 */
#ifndef SENDER_LEDGER_H
#define SENDER_LEDGER_H

#include "codec/digest.h"
#include "flow/outbox.h"
#include "program/report.h"
#include "sender/delta.h"
#include "sender/scan.h"
#include "wire/msg.h"

/* What the receiver was told of a wanted file, to the end. */
enum sent { SENT_NOTHING, SENT_SAME, SENT_ALL };

struct pending {
    uint64_t file_id;
    _Atomic unsigned users; /* ledger, and the read stage while it works on it; the last one frees it */
    _Atomic bool failed; /* the receiver gave it up: stop sending it */
    bool given_up; /* ledger's lock; FILE_FAIL has left, GONE will answer it */
    _Atomic bool damaged; /* a bundle that it was in was refused: read it from storage */
    unsigned refusals; /* ledger's lock; refused bundles that it was in */
    int root;
    enum entry_type type;
    struct os_stat
        st; /* at listing; the read stage, which alone uses it then, renews it if the file changed */
    unsigned reading; /* read stage: how often it began to read a large file */
    _Atomic unsigned spoilt; /* send stage: the reading of which data could not be had again; 0: none */
    int spoilt_code; /* ledger's lock; why */
    unsigned sent_reading; /* ledger's lock; the reading that was sent to its end */
    uint64_t sent_size; /* ledger's lock; size of what was sent last */
    enum sent sent; /* ledger's lock; what has left, from which follows the answer that may come */
    bool has_basis; /* ack stage sets both before it puts it into `wants` */
    struct msg_basis basis;
    struct digest basis_digest;
    struct delta *delta; /* as has_basis; it goes on growing */
    bool compared; /* read stage; its content was read for that, to the end or not */
    unsigned voids; /* ack stage; bundles that it was in and that a break made void */
    bool again; /* ledger's lock; it was asked for a second time, whole */
    bool answered, checked; /* ledger's lock; checked: VERDICT_CHECK came */
    bool held; /* ledger's lock; a DIR_END that is not sent yet */
    char path[];
};

/* Data of that reading could not be had again. */
static inline bool pending_is_spoilt(const struct pending *p, unsigned reading) {
    return reading != 0 && atomic_load(&p->spoilt) == reading;
}

struct ledger;
struct ledger *ledger_new(struct outbox *out, struct report *report); /* NULL: no memory */
void ledger_free(struct ledger *l); /* NULL is fine */
void ledger_cancel(void *ledger);

/* Files to read: struct pending, or a NULL item that asks for a SYNC. Closed when all is settled. */
struct queue *ledger_wants(struct ledger *l);

/* Scan stage. Waits while the window is full. The file_id, or 0: cancelled or no memory. */
uint64_t ledger_add(struct ledger *l, const struct found *found);
bool ledger_has_room(struct ledger *l); /* ledger_add would not wait */
int ledger_list_end(struct ledger *l, struct err *err);

/* Ack stage. 0, or -1 and err (EXIT_STREAM) when the peer answers what was not asked, or what is not sent yet. */
int ledger_verdicts(struct ledger *l, const struct run_of_ids *run, struct err *err);
int ledger_basis(struct ledger *l, const struct msg_basis *basis, struct err *err);
int ledger_durable(struct ledger *l, const struct run_of_ids *run, struct err *err);
int ledger_failed(struct ledger *l, uint64_t file_id, const struct err *why, struct err *err);
/* The bundle with these members is void: read its files again. `refused`: because of damage; EXIT_VERIFY when that was
 * so REFUSALS_MAX times. */
int ledger_want_again(struct ledger *l, const struct msg_bundle *bundle, bool refused, struct err *err);
/* Send stage: a message about files is the next one to be written, in its order: from now on the receiver can have it,
 * and answer. 0, or -1 and err. */
int ledger_leaves(struct ledger *l, struct item *item, uint32_t chunk_size, struct err *err);
/* Send stage: a chunk of that reading cannot be sent again as it was, and the receiver gets a gap in its place.
 * `why`: EXIT_VANISHED when the source changed, EXIT_PARTIAL when it cannot be read. */
void ledger_spoil(struct ledger *l, struct pending *p, unsigned reading, const struct err *why);
/* Send stage: a SYNC that `wants` asked for is on its way. 0, or -1 and err (EXIT_MEMORY). */
int ledger_sync_sent(struct ledger *l, struct err *err);
/* The path of an unsettled entry and its root, for reading a chunk again; the caller releases it. NULL: settled. */
struct pending *ledger_borrow(struct ledger *l, uint64_t file_id);
void pending_release(struct pending *p);

/* Grows with every entry that is answered and every one that is settled, with every digest of a block that is kept, and with
 * nothing else that a peer says. */
uint64_t ledger_progress(struct ledger *l);
/* True once FINISH was put out. */
bool ledger_finished(struct ledger *l, struct msg_totals *ret_totals);

#endif
