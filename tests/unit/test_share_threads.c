/* Sessions of several threads that share. */
#include "share_help.h"

enum { THREADS = 4, STEPS = 3000, LAG = 40 };

struct hammer {
    struct share *share;
    struct pending *p;
    atomic_uint wrong, next;
};

static void fill(uint8_t *to, uint64_t offset, uint8_t salt) {
    for (unsigned i = 0; i < 64; i++)
        to[i] = (uint8_t)(offset * 7 + i + salt);
}

static bool is_filled(const uint8_t *p, uint64_t offset, uint8_t salt) {
    uint8_t wanted[64];
    fill(wanted, offset, salt);
    return memcmp(p, wanted, sizeof wanted) == 0;
}

/* "Packed" bytes are the same with another salt, made in the scratch buffer, which changes places. */
static bool pack_one(struct share_user *user, uint64_t id, uint64_t offset, struct buf **buf,
                     struct buf **spare) {
    uint32_t length = 0;
    enum share_packing found = share_take_packed(user, id, CODEC_ZLIB, *buf, &length);
    if (found == SHARE_PACKED)
        return length == 64 && is_filled((*buf)->data, offset, 100);
    if (!buf_make_own(*spare))
        return false;
    fill((*spare)->data, offset, 100);
    if (found == SHARE_PACK && offset % 5 == 0)
        share_drop_packed(user, id);
    else if (found == SHARE_PACK)
        share_put_packed(user, id, *spare, 64);
    bool good = is_filled((*buf)->data, offset, 0);
    struct buf *was = *buf;
    *buf = *spare;
    *spare = was;
    return good && is_filled((*buf)->data, offset, 100);
}

static bool take_and_check(struct share_user *user, const struct pending *p, uint64_t offset,
                           struct buf **buf, struct buf **spare) {
    struct share_chunk chunk;
    if (!share_take(user, p, offset, 64, *buf, &chunk)) {
        if (offset % 11 == 0) { /* a failure, and then as if alone */
            share_drop(user, &chunk);
            return true;
        }
        fill((*buf)->data, offset, 0);
        chunk.digest = digest_of((*buf)->data, 64);
        share_put(user, *buf, &chunk);
    }
    struct digest digest = digest_of((*buf)->data, 64);
    return is_filled((*buf)->data, offset, 0) && digest_equal(&digest, &chunk.digest) &&
           pack_one(user, chunk.id, offset, buf, spare);
}

static void *hammer_away(void *arg) {
    struct hammer *h = arg;
    struct share_user user;
    uint32_t x = 1 + atomic_fetch_add(&h->next, 1);
    share_join(&user, h->share);
    struct pool *pool = pool_new_on(share_store(h->share), 3);
    struct buf *spare = pool_get(pool), *last = NULL;
    uint64_t last_at = 0;
    for (uint64_t i = 0; i < STEPS; i++) {
        uint64_t at = i + scatter(&x) % (i % 100 == 0 ? LAG : 2);
        struct buf *buf = pool_get(pool);
        atomic_fetch_add(&h->wrong, !take_and_check(&user, h->p, at, &buf, &spare));
        /* What is still in hand has not changed meanwhile. */
        if (last && last_at % 11 != 0)
            atomic_fetch_add(&h->wrong, !is_filled(last->data, last_at, 100));
        buf_release(last);
        last = buf;
        last_at = at;
    }
    buf_release(last);
    buf_release(spare);
    pool_free(pool);
    return NULL;
}

/* What was read and taken while they all did `work`. */
static struct share_counts let_all(void *(*work)(void *), struct pending *p) {
    struct hammer h = {.share = share_new(THREADS, 4 * 1024 * 1024), .p = p};
    struct waiters w;
    assert_non_null(h.share);
    waiters_start(&w, THREADS, work, &h);
    waiters_join(&w);
    assert_int_equal(atomic_load(&h.wrong), 0);
    struct share_counts counts = share_counts(h.share);
    share_free(h.share);
    return counts;
}

static void threads_get_what_was_read(void **state) {
    (void)state;
    struct pending *p = number_file(1);
    assert_true(let_all(hammer_away, p).chunks_read > 0);
    pending_release(p);
}

/* The same with small files: all of them in the same order, in bundles that end at random. */
static void *fill_bundles(void *arg) {
    struct hammer *h = arg;
    struct share_user user;
    uint32_t x = 1 + atomic_fetch_add(&h->next, 1), length = 0;
    share_join(&user, h->share);
    struct pool *pool = pool_new_on(share_store(h->share), 3);
    struct pending *p = calloc(1, sizeof *p + 16);
    struct buf *buf = NULL;
    uint64_t first = 0;
    for (uint64_t i = 1; i <= STEPS; i++) {
        if (buf == NULL) {
            buf = pool_get(pool);
            share_begin_bundle(&user, buf);
            length = 0;
            first = i;
        }
        p->st.inode = i;
        p->st.size = 64;
        memcpy(p->path, &i, 3);
        if (!share_take_file(&user, p, buf->data + length)) {
            fill(buf->data + length, i, 0);
            share_put_file(&user);
        }
        length += 64;
        if (i % 100 != 0 && scatter(&x) % 50 != 0)
            continue;
        struct share_chunk chunk;
        if (share_end_bundle(&user, buf, length, &chunk)) {
            struct digest digest = digest_of(buf->data, length);
            atomic_fetch_add(&h->wrong, !digest_equal(&digest, &chunk.digest));
        }
        for (uint64_t k = first; k <= i; k++)
            atomic_fetch_add(&h->wrong, !is_filled(buf->data + (k - first) * 64, k, 0));
        buf_release(buf);
        buf = NULL;
    }
    free(p);
    pool_free(pool);
    return NULL;
}

static void threads_get_the_files_of_each_others_bundles(void **state) {
    (void)state;
    assert_true(let_all(fill_bundles, NULL).files_read > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_get_what_was_read),
        cmocka_unit_test(threads_get_the_files_of_each_others_bundles),
    };
    return cmocka_run_group_tests_name("share_threads", tests, NULL, NULL);
}
