/* session_peer.h: the test itself as one end: a stream that says whatever the test wants, and messages to say. */
#ifndef SESSION_PEER_H
#define SESSION_PEER_H

#include "session_pair.h"

/* ---- messages; the caller owns the item ---- */

struct listed {
    uint64_t id;
    enum entry_type type;
    const char *path; /* any bytes between '/' are a name, good or bad */
    uint64_t size;
};
struct item *say_empty(uint8_t type);
struct item *say_start(uint64_t flags);
struct item *say_request(const char *select); /* NULL: everything */
struct item *say_entries(const struct listed *list, size_t count);
struct item *say_begin(uint64_t id, uint64_t size);
struct item *say_chunk(struct pool *pool, uint64_t id, uint64_t offset, uint32_t n); /* of zeros */
struct item *say_hole(uint64_t id, uint64_t offset, uint64_t length);
/* A digest over that many chunks of zeros, each of `chunk` bytes. */
struct item *say_end(uint64_t id, uint64_t size, uint64_t chunks, uint32_t chunk);
struct item *say_bundle(struct pool *pool, const uint64_t *ids, uint32_t count,
                        uint32_t size_each); /* of zeros */
struct item *say_same(uint64_t id);
struct item *say_totals(uint8_t type, const struct msg_totals *totals);
struct item *say_runs(uint8_t type, uint64_t first, uint32_t count, uint8_t verdict);
struct item *say_refused(uint64_t order);
struct item *say_basis(uint64_t id, uint64_t size);
struct item *say_names(uint8_t type, uint64_t id);
struct item *say_text(uint8_t type, uint64_t id); /* FILE_FAIL, FILE_ERROR */
/* A valid body for any type that is ordered; data comes from `pool`. */
struct item *say_any(uint8_t type, struct pool *pool);

/* ---- the other end of a real session ---- */

struct peer {
    struct stream *stream;
    struct agreement agreed;
    struct pool *pool;
};
/* A session of the given role runs on a thread; the test is its peer. With `shake` false nothing is said yet, not even
 * the preamble. */
struct real_end;
struct real_end *real_end_start(enum role role, const struct pair_options *opt, struct os_dir dir, bool shake,
                                struct peer *ret);
/* Hangs up, unless the test has, and waits for the session. */
void real_end_join(struct real_end *e, struct peer *peer, struct side *ret);
/* Sends, and uses the item up; true when it went out. */
bool peer_say(struct peer *p, struct item *item);
/* The next message of that type, others are passed over; false when the stream ended before. With `ret` NULL the
 * item is dropped. */
bool peer_hear(struct peer *p, uint8_t type, struct item **ret);

#endif
