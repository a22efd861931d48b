/* line.h: the stream of a session, and how the session gets another one when it breaks.
 *
 * A stream is broken when it ended, failed, fell silent or carried damaged frames before the goodbye was over. Then, if
 * both ends agreed on FEATURE_RESUME, the end that dialled dials again and the one that listened waits for it; each
 * forgets what it has received but not processed and sends again what the other has not processed
 * (docs/protocol.md, "Resumption"). All of that happens on the session's reading thread, while its sending
 * thread is held still in the outbox; the other stages go on with what they have.
 *
 * A session may have further streams beside this one: lanes.h. When one of them breaks, the session's stream counts as
 * broken too.
 *
 * Locks: registry before line, line before flight.
 */
#ifndef PROGRAM_LINE_H
#define PROGRAM_LINE_H

#include "flow/flight.h"
#include "flow/outbox.h"
#include "program/handshake.h"
#include "program/redial.h"
#include "program/report.h"

struct lanes;
struct registry;

/* How a session got its first stream, and how it may get another. Owner: who runs the session. */
struct way {
    struct conn *conn; /* the first stream; the session takes it over */
    /* Dialler. */
    const struct addr *to; /* NULL: nothing to dial again */
    struct retry_policy retry;
    bool again; /* an earlier session was lost */
    bool lost; /* set by the session: the other end has forgotten it, a new one may do better */
    bool met; /* with lost: it had begun, and was more than a try */
    uint64_t settled; /* with lost: how many entries were settled in it, as those that were passed over */
    struct err why; /* with lost: what to say when none does */
    struct report_past past; /* what lost ones came to */
    /* Listener. */
    struct registry *registry; /* NULL: nobody can come back */
    int grace_ms; /* how long a broken session waits for its peer */
    int (*admit)(void *ctx, struct err *err); /* before a new session is welcomed; NULL: always */
    void *admit_ctx;
    _Atomic bool dropped; /* another thread ends it before it is a session, and nobody needs to hear of it */
};

/* What the session does around a break. Reading thread. */
struct line_hooks {
    /* What has arrived is processed, or forgotten where it cannot be; *ret_processed is the highest order of those
     * processed. QUEUE_TIMEOUT: not before the deadline, and it can be called again; QUEUE_CLOSED: cancelled. */
    enum queue_result (*settle)(void *ctx, int64_t deadline_ms, uint64_t *ret_processed);
    /* `chain` is what the other end has not processed (in `flight` before): make it ready to be sent again. */
    int (*prepare)(void *ctx, struct ticketed *chain, struct err *err);
    /* How far the transfer is: a number that grows with what it cannot do without, of which there is an end, and not with
     * what a peer can repeat for nothing. */
    uint64_t (*progress)(void *ctx);
    void *ctx;
};

struct line {
    /* Constant. */
    struct way *way;
    enum role role;
    int timeout_ms; /* silence that breaks the stream; -1: none */
    struct peer_id peer; /* who began the session, and alone may come back to it */
    struct line_hooks hooks;
    bool one_stream; /* set by the owner before line_greet: a break is the end */
    /* Constant once the session is open. */
    struct agreement agreed;
    struct outbox *out;
    struct flight *flight;
    struct report *report;
    bool resumable;
    struct lanes *lanes; /* further streams; NULL: the session has one stream only */
    struct waker *waker; /* dialler */
    /* Both threads of the session; replaced by the reading one while the other is held. */
    struct stream *stream; /* NULL while there is none */
    _Atomic bool broken; /* what is sent now is lost, until the stream is replaced */
    /* Reading thread. */
    uint64_t progress_then; /* at the last break */
    bool unproven; /* dialler: who listens there now does not have the key */
    bool violated; /* the peer came back as it may not */
    unsigned breaks; /* in a row, without progress between them */
    int64_t backs_due_ms; /* dialler: when it will have waited for every time that it came back */
    int64_t back_by_ms; /* listener: the peer is not waited for any longer, however short it was away */
    uint64_t bytes_in, bytes_out; /* of streams that are gone */
    /* Lock. */
    struct os_mutex lock;
    struct os_cond changed;
    struct stream *trying; /* a stream that is being opened */
    struct stream *offered; /* the peer came back with this */
    uint64_t offers; /* that were made */
    struct comeback back;
    struct err cause; /* why the sending thread could not go on; code 0: it could */
    bool cancelled, over;
    bool welcomed; /* listener: the peer was told that the session goes on, and it will */
    struct line *next; /* registry's */
};

/* The first stream: takes way->conn over, also on failure. Anything but line_free comes after success. */
int line_init(struct line *line, struct way *way, enum role role, int timeout_ms, struct report *report,
              struct err *err);

/* Preamble, HELLO and WELCOME; fills line->agreed. HANDSHAKE_BACK: the stream was not for a new session, and is given
 * away. 0, or -1 and err. */
int line_greet(struct line *line, const struct handshake *ours, int timeout_ms, struct err *err);
/* The session is open: from now on a break can be repaired, if that was agreed. */
int line_open(struct line *line, struct outbox *out, struct flight *flight, const struct line_hooks *hooks,
              struct err *err);

/* Sending thread: writes items that were numbered with line_number, and uses them up: ordered ones go to the flight.
 * `count` may be 0, when all went by lanes. 0 also when the stream is broken and may come back; -1 and err when it is
 * over. */
void line_number(struct line *line, struct item *item);
int line_write(struct line *line, struct item **items, unsigned count, struct err *err);

/* Sending thread, between what it takes and line_write: how much was written to the first stream so far, and how much of
 * that has reached the peer's system. False: that is not known (conn_acked). */
bool line_acked(const struct line *line, uint64_t *ret_written, uint64_t *ret_acked);

/* Reading thread: `result` is what stream_recv gave instead of an item, and err why. 0: there is a stream again; -1 and
 * err: that is the end. */
int line_recover(struct line *line, enum stream_result result, struct err *err);
/* Reading thread: the last message was read; how the stream ends does not matter any more. */
void line_reading_over(struct line *line);

void line_cancel(void *line); /* any thread: wakes all that waits, for ever */
/* Says why the session ends (NULL: it ended well), waits for the peer to close, closes. After all threads are gone.
 * What the closing of the stream reports, as stream_close. */
int line_close(struct line *line, const struct err *why, int drain_ms, struct err *err);
void line_free(struct line *line);

/* Any thread, lock held: another stream of the session broke, and why. The reading thread is told, and repairs it. */
void line_broke(struct line *line, const struct err *why);

/* Any thread, through the registry: the peer came back, or joined, with this stream. False: it cannot be used; the caller
 * keeps it. */
bool line_offer(struct line *line, const struct comeback *back, struct stream *stream);

/* Bytes that were received and sent on all streams, after line_close. */
uint64_t line_bytes_in(const struct line *line);
uint64_t line_bytes_out(const struct line *line);

#endif
