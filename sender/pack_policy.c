/* pack_policy.c: which codec and which level for which chunk. */
#include "sender/pack.h"

#include "os/os.h"
#include "program/options.h"

#include <string.h>

enum {
    WHOLE = 1000, /* shares are in thousandths */
    SAMPLE_BYTES = 16 * 1024,
    SAMPLE_PIECES = 8, /* of a chunk: what lies in its middle alone may be unlike the rest */
    WORTHWHILE = 950, /* packed to more than this: store */
    LINK_CHUNKS_FIRST = 4, /* data frames to measure before it is said how quick the stream is */
    STORE_FIRST = 4, /* of so many chunks before that one is stored, where the stream will tell soon */
    LINK_BYTES_JUDGED = 8 * 1024 * 1024, /* more than sockets keep */
    LINK_BYTES_MIN = 64 * 1024, /* shorter writes say more about system calls than about the stream */
    RETRY_CHUNKS = 64, /* after so many, what was measured at the next level is forgotten */
    LOOK_CHUNKS = 16, /* of so many that are stored unseen, one is tried: processors may be free again */
    LINK_BUSY_NS = 5 * 1000 * 1000, /* a peer that acknowledges a little late is no slow stream */
    PROBE_CHUNKS = 32, /* of so many for which the stream waits, one is stored: it may be fast again */
};

int pack_policy_init(struct pack_policy *policy, unsigned choice, int level, uint32_t agreed, bool told,
                     unsigned threads, struct err *err) {
    memset(policy, 0, sizeof *policy);
    policy->automatic = choice == CODEC_AUTO;
    policy->told = told;
    policy->threads = threads;
    unsigned id = choice;
    if (choice == CODEC_AUTO)
        id = agreed & 1u << CODEC_ZSTD ? CODEC_ZSTD : agreed & 1u << CODEC_ZLIB ? CODEC_ZLIB : CODEC_NONE;
    if (!(agreed & 1u << id))
        return err_set(err, EXIT_UNSUPPORTED, "the receiver does not have the codec %s", codec_id_name(id));
    const struct codec *codec = policy->codec = id == CODEC_NONE ? NULL : codec_by_id(id);
    if (codec == NULL)
        return 0;
    if (level && (level < codec->level_min || level > codec->level_max))
        return err_set(err, EXIT_USAGE, "--compress-level: %s has levels %d to %d", codec->name,
                       codec->level_min, codec->level_max);
    policy->rungs[0].level = level ? level : codec->level_default;
    policy->rung_count = 1;
    if (policy->automatic && level == 0)
        for (policy->rung_count = 0; policy->rung_count < CODEC_LADDER; policy->rung_count++)
            policy->rungs[policy->rung_count].level = codec->ladder[policy->rung_count];
    return 0;
}

static uint64_t look(const _Atomic uint64_t *figure) {
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static void smooth(_Atomic uint64_t *figure, uint64_t now) {
    uint64_t before = look(figure);
    atomic_store_explicit(figure, before ? (before * 3 + now) / 4 : now, memory_order_relaxed);
}

/* What the last writes say together, in picoseconds for a byte. A socket takes much at once and then nothing for a while,
 * so that one write says little, and as many as fit its buffer say that it is fast. They took no less than the writes
 * without the slowest, for which the thread may have had to wait for a processor, and no more than all of them and the
 * pauses before them, in which a buffer ran empty. */
static void judge_writes(const struct pack_policy *policy, uint64_t *ret_least, uint64_t *ret_most) {
    uint64_t bytes = 0, write_ns = 0, all_ns = 0;
    const struct link_write *slowest = NULL;
    for (unsigned i = 1; i <= LINK_WRITES && i <= policy->write && bytes < LINK_BYTES_JUDGED; i++) {
        const struct link_write *w = &policy->writes[(policy->write - i) % LINK_WRITES];
        bytes += w->bytes;
        write_ns += w->ns;
        all_ns += w->ns + w->pause_ns;
        if (slowest == NULL || w->ns > slowest->ns)
            slowest = w;
    }
    uint64_t others = bytes - slowest->bytes;
    *ret_most = all_ns * 1000 / (bytes ? bytes : 1) + 1;
    *ret_least =
        others > 0 ? (write_ns - slowest->ns) * 1000 / others + 1 : write_ns * 1000 / (bytes ? bytes : 1) + 1;
}

/* first: what is believed while nothing is known, the most or the least of it. */
static void learn(struct pack_policy *policy, struct link_write write, bool first_most) {
    policy->writes[policy->write++ % LINK_WRITES] = write;
    uint64_t least, most, believed = look(&policy->link_ps);
    judge_writes(policy, &least, &most);
    if (believed == 0)
        believed = first_most ? most : least;
    if (believed > most)
        believed = most;
    else if (believed < least)
        believed = least;
    atomic_store_explicit(&policy->link_ps, believed, memory_order_relaxed);
    atomic_fetch_add_explicit(&policy->link_chunks, 1, memory_order_relaxed);
}

void pack_policy_sent(struct pack_policy *policy, uint64_t bytes, int64_t start_ns, int64_t end_ns) {
    int64_t free_ns = policy->free_ns;
    policy->free_ns = end_ns;
    if (bytes < LINK_BYTES_MIN || end_ns < start_ns)
        return;
    struct link_write write = {
        .bytes = bytes,
        .ns = (uint64_t)(end_ns - start_ns),
        .pause_ns = free_ns > 0 && start_ns > free_ns ? (uint64_t)(start_ns - free_ns) : 0,
    };
    learn(policy, write, true);
}

/* Something was learned, or begins: until `now_ns` the stream is known. */
static void mark(struct pack_policy *policy, const struct link_state *now, int64_t now_ns) {
    policy->mark = *now;
    policy->mark_ns = now_ns;
    policy->writing_ns = 0;
}

/* What has happened since the last look, if that says how quick the stream is. */
static bool look_at_stream(struct pack_policy *policy, const struct link_state *now, int64_t now_ns,
                           struct link_write *ret) {
    struct link_state then = policy->then, from = policy->mark;
    bool begins = then.written == 0 || now->written < then.written || now->acked < then.acked;
    if (!begins && now->written - then.written < LINK_BYTES_MIN)
        return false;
    policy->then = *now;
    if (begins || now_ns <= policy->mark_ns) {
        mark(policy, now, now_ns);
        return false;
    }
    int64_t took = now_ns - policy->mark_ns;
    bool busy = then.acked < then.written && now->acked <= then.written; /* all the time */
    if (busy && took < LINK_BUSY_NS)
        return false;
    int64_t ns = busy || policy->writing_ns > took ? took : policy->writing_ns;
    *ret = (struct link_write){
        .bytes = (busy ? now->acked - from.acked : now->written - from.written) * now->streams,
        .ns = (uint64_t)ns,
        .pause_ns = (uint64_t)(took - ns),
    };
    mark(policy, now, now_ns);
    return true;
}

void pack_policy_acked(struct pack_policy *policy, const struct link_state *before, int64_t start_ns,
                       int64_t end_ns) {
    struct link_write write;
    bool learned = look_at_stream(policy, before, start_ns, &write);
    if (end_ns > start_ns)
        policy->writing_ns += end_ns - start_ns;
    if (learned)
        learn(policy, write, false);
}

/* Picoseconds for a raw byte, of all threads together. */
static uint64_t pack_time(const struct pack_policy *policy, unsigned rung) {
    return look(&policy->rungs[rung].pack_ps) / policy->threads;
}

/* The same for sending what is left of it. */
static uint64_t send_time(const struct pack_policy *policy, unsigned rung) {
    return look(&policy->link_ps) * look(&policy->rungs[rung].left) / WHOLE;
}

static bool knows_link(const struct pack_policy *policy) {
    return atomic_load_explicit(&policy->link_chunks, memory_order_relaxed) >= LINK_CHUNKS_FIRST;
}

/* Other threads pack while the stream is busy with what was packed before: so packing pays, however little it saves, as
 * long as it is quicker than the stream. With some reserve, for both are guesses. */
static bool keeps_up(const struct pack_policy *policy) {
    uint64_t link = look(&policy->link_ps);
    return pack_time(policy, 0) < link - link / 8;
}

bool pack_policy_stores(struct pack_policy *policy) {
    if (policy->codec == NULL || !policy->automatic)
        return policy->codec == NULL;
    if (!knows_link(policy))
        return !policy->told ||
               atomic_fetch_add_explicit(&policy->unseen, 1, memory_order_relaxed) % STORE_FIRST == 0;
    if (keeps_up(policy))
        return false;
    unsigned unseen = atomic_fetch_add_explicit(&policy->unseen, 1, memory_order_relaxed);
    return unseen % LOOK_CHUNKS != LOOK_CHUNKS - 1;
}

static ptrdiff_t pack_sample(const struct pack_policy *policy, const uint8_t *raw, uint32_t n,
                             struct codec_state *state, uint8_t *scratch, int64_t *ret_ns) {
    struct err ignored;
    int64_t start = os_now_ns();
    ptrdiff_t packed = policy->codec->pack(state, policy->rungs[0].level, raw, n, scratch, &ignored);
    *ret_ns = os_now_ns() - start;
    return packed;
}

/* Pieces from all over the chunk, one after another behind the place for them packed; the beginning of a
 * short one. */
static const uint8_t *take_sample(const uint8_t *raw, uint32_t n, uint8_t *scratch) {
    enum { PIECE = SAMPLE_BYTES / SAMPLE_PIECES };
    if (n < 2 * SAMPLE_BYTES)
        return raw;
    for (uint32_t i = 0; i < SAMPLE_PIECES; i++)
        memcpy(scratch + SAMPLE_BYTES + i * PIECE, raw + (n - PIECE) / (SAMPLE_PIECES - 1) * i, PIECE);
    return scratch + SAMPLE_BYTES;
}

/* Pack a sample: what share of it is left. It tells how quick packing may be, chunks how quick it is. */
static uint64_t try_sample(struct pack_policy *policy, const uint8_t *raw, uint32_t n,
                           struct codec_state *state, uint8_t *scratch) {
    uint32_t sample = n < SAMPLE_BYTES ? n : SAMPLE_BYTES;
    _Atomic uint64_t *pack_ps = &policy->rungs[0].pack_ps;
    const uint8_t *at = take_sample(raw, n, scratch);
    int64_t ns;
    if (look(pack_ps) == 0) /* the first time it is setting the codec up that takes long */
        (void)pack_sample(policy, at, sample, state, scratch, &ns);
    ptrdiff_t packed = pack_sample(policy, at, sample, state, scratch, &ns);
    uint64_t now = (uint64_t)ns * 1000 / sample + 1, believed = look(pack_ps);
    if (believed == 0 || now < believed)
        smooth(pack_ps, now);
    return packed > 0 ? (uint64_t)packed * WHOLE / sample : WHOLE;
}

static bool waits_for_codec(const struct pack_policy *policy, unsigned rung) {
    uint64_t send = send_time(policy, rung);
    return pack_time(policy, rung) > send + send / 8;
}

int pack_policy_choose(struct pack_policy *policy, const uint8_t *raw, uint32_t n, struct codec_state *state,
                       uint8_t *scratch) {
    if (!policy->automatic)
        return 0;
    bool known = knows_link(policy);
    if (!known && !policy->told)
        return -1;
    uint64_t left = try_sample(policy, raw, n, state, scratch);
    if (left >= WORTHWHILE || (known && !keeps_up(policy)))
        return -1;
    if (!known)
        return 0;
    unsigned rung = atomic_load_explicit(&policy->rung, memory_order_relaxed);
    unsigned turn = atomic_fetch_add_explicit(&policy->turn, 1, memory_order_relaxed);
    if (turn % PROBE_CHUNKS == PROBE_CHUNKS - 1 && rung == 0 && waits_for_codec(policy, 0))
        return -1;
    if (turn % RETRY_CHUNKS == 0 && rung + 1 < policy->rung_count)
        atomic_store_explicit(&policy->rungs[rung + 1].pack_ps, 0, memory_order_relaxed);
    return (int)rung;
}

/* Up where the codec has time to spare, down where the stream waits for it. */
static unsigned next_rung(const struct pack_policy *policy, unsigned rung) {
    if (waits_for_codec(policy, rung))
        return rung > 0 ? rung - 1 : 0;
    if (rung + 1 == policy->rung_count)
        return rung;
    uint64_t known = pack_time(policy, rung + 1);
    uint64_t expected = known ? known : 2 * pack_time(policy, rung);
    return expected < send_time(policy, rung) ? rung + 1 : rung;
}

void pack_policy_packed(struct pack_policy *policy, int rung, uint32_t n, ptrdiff_t packed, int64_t ns) {
    struct rung *at = &policy->rungs[rung];
    if (!policy->automatic)
        return;
    smooth(&at->pack_ps, (uint64_t)ns * 1000 / n + 1);
    smooth(&at->left, packed > 0 ? (uint64_t)packed * WHOLE / n + 1 : WHOLE);
    unsigned now = (unsigned)rung, next = next_rung(policy, now);
    (void)atomic_compare_exchange_strong_explicit(&policy->rung, &now, next, memory_order_relaxed,
                                                  memory_order_relaxed);
}
