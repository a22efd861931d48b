/* pack.h: the pack stage: digest the raw bytes, compress them where that pays, write the body of the message. */
#ifndef SENDER_PACK_H
#define SENDER_PACK_H

#include "codec/codec.h"
#include "flow/item.h"
#include "sender/share.h"

#include <stdatomic.h>

enum { LINK_WRITES = 32 }; /* are looked at together, at most */

/* Which codec and level for which chunk. With one codec: always it, stored when it does not shrink. Automatic:
 * compression has to earn its time. The send stage says how long the stream takes for a byte, packing measures itself and
 * first tries a sample of the chunk; one that would shrink is compressed while that is quicker than the stream. The level
 * climbs the codec's ladder while the codec has time to spare, and comes down where the stream waits for it.
 * Shared by all threads; the figures are hints, so that relaxed atomics do. */
struct pack_policy {
    bool automatic;
    const struct codec *codec; /* NULL: none */
    unsigned threads; /* that pack */
    unsigned rung_count;
    struct rung {
        int level;
        _Atomic uint64_t pack_ps; /* picoseconds packing takes for a raw byte, smoothed; 0: not known */
        _Atomic uint64_t left; /* thousandths that are left of what was packed, smoothed */
    } rungs[CODEC_LADDER];
    _Atomic unsigned rung; /* in use */
    _Atomic unsigned unseen; /* chunks that were stored because nothing could have paid */
    _Atomic unsigned turn; /* chunks that were worth packing */
    _Atomic uint64_t link_ps; /* picoseconds the stream takes for a byte; 0: not known yet */
    bool told; /* the system says what has reached the peer: pack_policy_acked; constant */
    /* Send stage. */
    struct link_write {
        uint64_t bytes, ns, pause_ns; /* pause: in which there may have been nothing to send */
    } writes[LINK_WRITES];
    unsigned write; /* the next one, counted */
    int64_t free_ns; /* end of the last write */
    struct link_state {
        unsigned streams; /* alike */
        uint64_t written, acked; /* bytes of the first one so far, and of these at the peer's system */
    } then, mark; /* when it was last looked at, and when something was learned from that */
    int64_t mark_ns, writing_ns; /* since then */
    _Atomic uint32_t link_chunks; /* data frames measured so far */
};

/* `choice`: enum codec_id or CODEC_AUTO; `agreed`: codecs of the session. level 0: the codec's default, or all of its ladder
 * with CODEC_AUTO. `told`: pack_policy_acked will be used. 0, or -1 and err (EXIT_UNSUPPORTED when the peer lacks a codec
 * that was asked for). */
int pack_policy_init(struct pack_policy *policy, unsigned choice, int level, uint32_t agreed, bool told,
                     unsigned threads, struct err *err);
/* The send stage wrote `bytes` of data frame from start_ns to end_ns. */
void pack_policy_sent(struct pack_policy *policy, uint64_t bytes, int64_t start_ns, int64_t end_ns);
/* The same, where it is known what the streams had carried before that. Not for what a limit held back, which is no backlog
 * of theirs. */
void pack_policy_acked(struct pack_policy *policy, const struct link_state *before, int64_t start_ns,
                       int64_t end_ns);
/* The rung for these n raw bytes, or -1: store them. `scratch` has room for them. */
int pack_policy_choose(struct pack_policy *policy, const uint8_t *raw, uint32_t n, struct codec_state *state,
                       uint8_t *scratch);
/* They were packed to `packed` bytes (0: did not shrink) in `ns`. */
void pack_policy_packed(struct pack_policy *policy, int rung, uint32_t n, ptrdiff_t packed, int64_t ns);
/* The next chunk is stored, whatever is in it. Read stage. */
bool pack_policy_stores(struct pack_policy *policy);

/* What one packing thread keeps. */
struct packer {
    struct codec_state *state;
    struct share_user *share; /* NULL: nothing is shared */
    struct buf
        *scratch; /* where packed bytes go; changes places with the raw buffer of a chunk that shrank */
};
/* Takes a buffer for good, before the thread takes any chunk: waiting for one with a chunk in hand could wait for
 * that very chunk. 0, or -1 and err. */
int packer_init(struct packer *packer, struct pool *pool, struct share_user *share, struct err *err);
void packer_free(struct packer *packer);

/* CHUNK or BUNDLE with item->data raw: digest, codec, body; item->data becomes what is to be sent. *ret_codec is the
 * codec that was used. packer NULL: store. 0, or -1 and err. */
int pack_item(struct item *item, struct pack_policy *policy, struct packer *packer, uint8_t *ret_codec,
              struct err *err);

#endif
