/* lanes.h: the further streams of a session (docs/protocol.md, "Further streams").
 *
 * A lane carries data frames from the sender to the receiver, beside the first stream, which carries all the rest and
 * data, too. The end that dialled opens lanes once the session has carried LANES_AFTER_CHUNKS, one after another, and goes
 * on with those that it gets. Each lane has a thread, which alone uses the lane's stream. When a lane breaks, the session
 * is broken (line.h): all lanes are closed, and opened again after the session goes on.
 *
 * What the threads share is under the line's lock.
 */
#ifndef PROGRAM_LANES_H
#define PROGRAM_LANES_H

#include "program/line.h"
#include "sync/sync.h"

enum {
    STREAMS_MAX = 16, /* of a session */
    LANES_AFTER_CHUNKS = 4, /* less is over before another stream stands */
    LANE_DATA_MIN = 64 * 1024, /* less goes with the messages around it */
};

struct lane;

/* Lanes for line->agreed.streams; none is open. 0, or -1 and err (EXIT_MEMORY). */
int lanes_new(struct line *line, struct err *err);
void lanes_free(struct lanes *lanes); /* they are closed; NULL is fine */

/* Starts a thread `use` for each lane, whose argument is a struct lane, and, at the dialler, the one that opens them.
 * Nothing where the session has one stream. */
int lanes_start(struct line *line, struct run *run, run_fn *use, void *session, struct err *err);
void *lane_session(struct lane *lane); /* as given to lanes_start */

/* Thread of a lane. Waits for an open stream, which is its own until lane_lost. NULL: the session is over. */
struct stream *lane_await(struct lane *lane);
/* It stopped using the stream, for the reason in err; `broke`: the stream failed, rather than what came by it. 0: lane_await
 * has more to say; -1: the session fails with err. */
int lane_lost(struct lane *lane, bool broke, struct err *err);

/* What the thread of a lane does at a sender: writes what lanes_send hands over. */
run_fn lane_carry;

/* Sender's sending thread: gives a data item to a lane, which numbers it; it is in flight then. False: no lane has room,
 * and the item is as it was. */
bool lanes_send(struct line *line, struct item *item);
/* Lanes that are open. Any thread. */
unsigned lanes_open(struct line *line);
/* Dialler, the thread that moves data over the first stream: now and then. */
void lanes_note_traffic(struct line *line);

/* Line's lock held: the peer joined with this stream; its lane's thread welcomes it. False: the caller keeps it. */
bool lanes_take(struct line *line, const struct comeback *back, struct stream *stream);
/* Line's lock held: the session is over, or cancelled. */
void lanes_wake(struct line *line);
/* Line's lock held: the session goes on after a break. */
void lanes_go_on(struct line *line);
/* Sending thread held, or gone: waits until no thread uses a lane, and closes all of them. */
void lanes_close(struct line *line);

#endif
