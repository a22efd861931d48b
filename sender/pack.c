#include "sender/pack.h"

#include "codec/digest.h"
#include "os/os.h"
#include "wire/msg.h"

#include <string.h>

/* Returns the packed length (< n) in packer->scratch, or 0: store. -1 and err. *ret_tried: 0 says that it does not shrink. */
static ptrdiff_t compress(struct pack_policy *policy, const struct packer *packer, const uint8_t *raw,
                          uint32_t n, bool *ret_tried, struct err *err) {
    *ret_tried = false;
    if (!buf_make_own(packer->scratch))
        return 0;
    uint8_t *to = packer->scratch->data;
    int rung = pack_policy_choose(policy, raw, n, packer->state, to);
    if (rung < 0)
        return 0;
    int64_t start = os_now_ns();
    ptrdiff_t packed = policy->codec->pack(packer->state, policy->rungs[rung].level, raw, n, to, err);
    *ret_tried = packed >= 0;
    if (packed >= 0)
        pack_policy_packed(policy, rung, n, packed, os_now_ns() - start);
    return packed;
}

/* Packs the item's data, or takes what another session has packed, whatever its level. As compress; item->data is what is
 * to be sent. */
static ptrdiff_t pack_data(struct item *item, struct pack_policy *policy, struct packer *packer,
                           struct err *err) {
    uint32_t length;
    bool tried;
    enum share_packing found =
        share_take_packed(packer->share, item->share_id, policy->codec->wire_id, item->data, &length);
    if (found == SHARE_PACKED)
        return length;
    ptrdiff_t packed = compress(policy, packer, item->data->data, item->raw_length, &tried, err);
    if (found == SHARE_PACK && tried)
        share_put_packed(packer->share, item->share_id, packer->scratch, (uint32_t)packed);
    else if (found == SHARE_PACK)
        share_drop_packed(packer->share, item->share_id);
    if (packed > 0 &&
        item->data->cap < packer->scratch->cap) { /* a small one, and what is packed is smaller */
        memcpy(item->data->data, packer->scratch->data, (size_t)packed);
    } else if (packed > 0) {
        struct buf *was = item->data;
        item->data = packer->scratch;
        packer->scratch = was;
    }
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

int packer_init(struct packer *packer, struct pool *pool, struct share_user *share, struct err *err) {
    packer->share = share;
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
    struct digest digest = item->digested ? item->digest : digest_of(item->data->data, n);
    ptrdiff_t packed = packer && policy->codec && n > 1 ? pack_data(item, policy, packer, err) : 0;
    if (packed < 0)
        return -1;
    *ret_codec = packed > 0 ? policy->codec->wire_id : CODEC_NONE;
    item->frame.data_length = packed > 0 ? (uint32_t)packed : n;
    write_body(item, *ret_codec, &digest);
    return 0;
}
