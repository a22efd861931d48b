#include "sender/pack.h"

#include "codec/digest.h"
#include "os/os.h"
#include "program/options.h"
#include "wire/msg.h"

#include <string.h>

enum {
    SAMPLE_BYTES = 16 * 1024,
    WORTHWHILE_PERCENT = 95, /* packed to more than this: store */
    LINK_CHUNKS_FIRST = 4, /* data frames to measure before anything is compressed automatically */
    LINK_BYTES_MIN = 64 * 1024, /* shorter writes say more about system calls than about the stream */
};

int pack_policy_init(struct pack_policy *policy, unsigned choice, int level, uint32_t agreed,
                     unsigned threads, struct err *err) {
    memset(policy, 0, sizeof *policy);
    policy->fixed = choice;
    policy->threads = threads;
    unsigned id = choice;
    if (choice == CODEC_AUTO)
        id = agreed & 1u << CODEC_ZSTD ? CODEC_ZSTD : agreed & 1u << CODEC_ZLIB ? CODEC_ZLIB : CODEC_NONE;
    if (!(agreed & 1u << id))
        return err_set(err, EXIT_UNSUPPORTED, "the receiver does not have the codec %s", codec_id_name(id));
    policy->codec = id == CODEC_NONE ? NULL : codec_by_id(id);
    if (policy->codec == NULL)
        return 0;
    policy->level = level ? level : policy->codec->level_default;
    if (policy->level < policy->codec->level_min || policy->level > policy->codec->level_max)
        return err_set(err, EXIT_USAGE, "--compress-level: %s has levels %d to %d", policy->codec->name,
                       policy->codec->level_min, policy->codec->level_max);
    return 0;
}

static void smooth(_Atomic uint64_t *figure, uint64_t now) {
    uint64_t before = atomic_load_explicit(figure, memory_order_relaxed);
    atomic_store_explicit(figure, before ? (before * 3 + now) / 4 : now, memory_order_relaxed);
}

void pack_policy_sent(struct pack_policy *policy, uint64_t bytes, int64_t ns) {
    if (bytes < LINK_BYTES_MIN || ns < 0)
        return;
    smooth(&policy->link_ps, (uint64_t)ns * 1000 / bytes + 1);
    atomic_fetch_add_explicit(&policy->link_chunks, 1, memory_order_relaxed);
}

/* Pack a sample: what share of it is left, in percent (100: it does not shrink). Measures as it goes. */
static unsigned try_sample(struct pack_policy *policy, const uint8_t *raw, uint32_t n,
                           struct codec_state *state, uint8_t *scratch) {
    uint32_t sample = n < SAMPLE_BYTES ? n : SAMPLE_BYTES;
    struct err ignored;
    int64_t start = os_now_ns();
    ptrdiff_t packed =
        policy->codec->pack(state, policy->level, raw + (n - sample) / 2, sample, scratch, &ignored);
    smooth(&policy->pack_ps, (uint64_t)(os_now_ns() - start) * 1000 / sample + 1);
    return packed > 0 ? (unsigned)((uint64_t)packed * 100 / sample) : 100;
}

static bool is_worthwhile(struct pack_policy *policy, const uint8_t *raw, uint32_t n,
                          struct codec_state *state, uint8_t *scratch) {
    if (policy->fixed != CODEC_AUTO)
        return true;
    if (atomic_load_explicit(&policy->link_chunks, memory_order_relaxed) < LINK_CHUNKS_FIRST)
        return false;
    uint64_t link = atomic_load_explicit(&policy->link_ps, memory_order_relaxed);
    uint64_t pack = atomic_load_explicit(&policy->pack_ps, memory_order_relaxed) / policy->threads;
    if (pack > link)
        return false; /* even a chunk that shrinks to nothing would take longer */
    unsigned left = try_sample(policy, raw, n, state, scratch);
    pack = atomic_load_explicit(&policy->pack_ps, memory_order_relaxed) / policy->threads;
    return left < WORTHWHILE_PERCENT && pack * 100 < link * (100 - left);
}

/* Returns the packed length (< n) in `to`, or 0: store. -1 and err. */
static ptrdiff_t compress(struct pack_policy *policy, const uint8_t *raw, uint32_t n,
                          struct codec_state *state, uint8_t *to, struct err *err) {
    if (!is_worthwhile(policy, raw, n, state, to))
        return 0;
    int64_t start = os_now_ns();
    ptrdiff_t packed = policy->codec->pack(state, policy->level, raw, n, to, err);
    smooth(&policy->pack_ps, (uint64_t)(os_now_ns() - start) * 1000 / n + 1);
    return packed;
}

static void write_body(struct item *item, uint8_t codec, const struct digest *digest) {
    if (item->frame.type == MSG_CHUNK) {
        struct msg_chunk m = {
            .file_id = item->file_id,
            .offset = item->offset,
            .raw_length = item->raw_length,
            .codec = codec,
        };
        memcpy(m.digest, digest->b, DIGEST_SIZE);
        struct wr w = item_writer(item);
        msg_chunk_encode(&w, &m);
        item_written(item, &w);
        return;
    }
    struct msg_bundle m = {
        .raw_length = item->raw_length,
        .codec = codec,
        .count = (item->frame.body_length - BUNDLE_HEAD_SIZE) / BUNDLE_MEMBER_SIZE,
    };
    memcpy(m.digest, digest->b, DIGEST_SIZE);
    struct wr w = wr_of(item->body, BUNDLE_HEAD_SIZE); /* the members stand behind it already */
    msg_bundle_encode(&w, &m);
}

int packer_init(struct packer *packer, struct pool *pool, struct err *err) {
    packer->state = codec_state_new();
    packer->scratch = packer->state ? pool_get(pool) : NULL;
    if (packer->scratch)
        return 0;
    int result = packer->state ? pool_error(pool, err) : err_set(err, EXIT_MEMORY, "out of memory");
    packer_free(packer);
    return result;
}

void packer_free(struct packer *packer) {
    codec_state_free(packer->state);
    buf_release(packer->scratch);
    *packer = (struct packer){0};
}

int pack_item(struct item *item, struct pack_policy *policy, struct packer *packer, uint8_t *ret_codec,
              struct err *err) {
    uint32_t n = item->raw_length;
    const uint8_t *raw = item->data->data;
    struct digest digest = digest_of(raw, n);
    ptrdiff_t packed = 0;
    if (policy->codec && n > 1)
        packed = compress(policy, raw, n, packer->state, packer->scratch->data, err);
    if (packed < 0)
        return -1;
    if (packed > 0) {
        struct buf *was = item->data;
        item->data = packer->scratch;
        packer->scratch = was;
    }
    *ret_codec = packed > 0 ? policy->codec->wire_id : CODEC_NONE;
    item->frame.data_length = packed > 0 ? (uint32_t)packed : n;
    write_body(item, *ret_codec, &digest);
    return 0;
}
