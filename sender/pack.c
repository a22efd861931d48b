#include "sender/pack.h"

#include "codec/digest.h"
#include "os/os.h"
#include "wire/msg.h"

#include <string.h>

/* Returns the packed length (< n) in `to`, or 0: store. -1 and err. */
static ptrdiff_t compress(struct pack_policy *policy, const uint8_t *raw, uint32_t n,
                          struct codec_state *state, uint8_t *to, struct err *err) {
    int rung = pack_policy_choose(policy, raw, n, state, to);
    if (rung < 0)
        return 0;
    int64_t start = os_now_ns();
    ptrdiff_t packed = policy->codec->pack(state, policy->rungs[rung].level, raw, n, to, err);
    if (packed >= 0)
        pack_policy_packed(policy, rung, n, packed, os_now_ns() - start);
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
    struct digest digest = item->digested ? item->digest : digest_of(raw, n);
    ptrdiff_t packed = 0;
    if (packer && policy->codec && n > 1)
        packed = compress(policy, raw, n, packer->state, packer->scratch->data, err);
    if (packed < 0)
        return -1;
    if (packed > 0 &&
        item->data->cap < packer->scratch->cap) { /* a small one, and what is packed is smaller */
        memcpy(item->data->data, packer->scratch->data, (size_t)packed);
    } else if (packed > 0) {
        struct buf *was = item->data;
        item->data = packer->scratch;
        packer->scratch = was;
    }
    *ret_codec = packed > 0 ? policy->codec->wire_id : CODEC_NONE;
    item->frame.data_length = packed > 0 ? (uint32_t)packed : n;
    write_body(item, *ret_codec, &digest);
    return 0;
}
