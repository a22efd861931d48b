/* stream.h: frames over a conn: the sans-IO reader and numbering of wire/ and flow/, with the I/O done.
 *
 * One thread receives and one sends at a time. The main thread does both during handshake and goodbye.
 */
#ifndef PROGRAM_STREAM_H
#define PROGRAM_STREAM_H

#include "flow/link.h"
#include "transport/transport.h"

#include <stdatomic.h>

enum { STREAM_BATCH = 16 }; /* messages that one write carries at most */

struct stream {
    struct conn *conn; /* owned */
    int timeout_ms; /* silence that ends the session; -1: none */
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic bool broke; /* it ended, failed or carried damage: another stream may do better */
    /* Reading thread. */
    struct frame_reader reader;
    uint8_t *body; /* HANDSHAKE_BODY_MAX bytes, BODY_MAX once it is opened up */
    uint8_t *
        staged; /* input that was read ahead, so that small frames share a system call; NULL in the handshake, when
                        the peer gets no more memory than a frame's */
    size_t staged_at, staged_end;
    int64_t read_by_ms; /* no read waits longer (os_now_ms), whatever came; INT64_MAX: no such bound */
    int64_t lap_ms; /* since when `lap_bytes` of an unfinished frame came; 0: none has begun */
    uint64_t lap_bytes;
    bool greeted; /* a good preamble came, or the beginning of one */
    bool unproven; /* the peer did not prove that it has the key */
    bool refused; /* ABORT or REJECT came: the peer is waiting for us to close */
    /* Writing thread. */
    struct link_out out;
    uint32_t written_seq; /* next_seq as of what was written */
    struct span parts[3 * STREAM_BATCH];
    unsigned part_count;
    bool cut; /* a frame was written in part, or the last one: nothing can follow it */
};

enum stream_result { STREAM_ITEM, STREAM_EOF, STREAM_QUIET, STREAM_FAILED };

/* Takes conn over, also on failure. The limits are those of the handshake until stream_open_up. */
int stream_new(struct conn *conn, int timeout_ms, struct stream **ret, struct err *err);
int stream_open_up(struct stream *s, uint32_t chunk_size,
                   struct err *err); /* 0, or -1 and err (EXIT_MEMORY) */
/* Closes the conn (see conn_close for what it reports) and frees s. NULL is fine. */
int stream_close(struct stream *s, struct err *err);

/* The next frame. Data areas land in buffers of `pool` (NULL: none is allowed).
 * STREAM_QUIET: nothing came for timeout_ms (-1 waits); a frame that has begun goes on at the next call.
 * STREAM_EOF: the peer closed between two frames; in the middle of one that is a failure (EXIT_STREAM). So is a frame that
 * comes too slowly (EXIT_TIMEOUT). */
enum stream_result stream_recv(struct stream *s, struct pool *pool, int timeout_ms, struct item **ret,
                               struct err *err);
/* Exactly n raw bytes before `deadline_ms` (os_now_ms); for the preamble. *ret_got counts what came. */
int stream_recv_raw(struct stream *s, void *to, size_t n, int64_t deadline_ms, size_t *ret_got,
                    struct err *err);

/* Sends the items as they are, in one write; does not take them over. Two steps, for who must know the order that an
 * item gets before it is on its way: stream_number gives it, to one item after the other; stream_write then writes
 * these same items, at most STREAM_BATCH. */
int stream_send(struct stream *s, struct item *item, struct err *err);
void stream_number(struct stream *s, struct item *item);
void stream_forget(struct stream *s); /* numbered, but not to be written after all */
int stream_write(struct stream *s, struct item **items, unsigned count, struct err *err);
int stream_send_raw(struct stream *s, const void *p, size_t n, struct err *err);

/* What a peer's ABORT or REJECT means for us: fills err with its code (err_code_of_peer) and text. Always -1. */
int stream_refusal(const struct item *item, const char *peer_role, struct err *err);

/* Tell the peer why the session ends, if the stream still allows it and the peer did not end it, and let it read
 * that: bounded to about a second. After all threads of the session are gone. */
void stream_abort(struct stream *s, const struct err *why);
/* How long to wait for something to send before a HEARTBEAT is due: HEARTBEAT_MS, and less with a short timeout (-1:
 * none). */
int stream_pause(int timeout_ms);
/* Wait, bounded, for the peer to close. */
void stream_drain(struct stream *s, int timeout_ms);

#endif
