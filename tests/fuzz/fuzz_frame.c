/* fuzz_frame.c: the preamble and the frame reader.
 *
 * Input: byte 0 is the step size of the second run (0: 256), bit 0 of byte 1 asks that lengths and checks be made
 * right first, so that the fuzzer gets past them; the rest is the stream. Promises: the reader finds the same
 * in steps of any size, every frame that it accepts encodes to the same bytes, and it writes only where it may.
 */
#include "fuzz.h"

#include "wire/frame.h"

enum { STREAM_MAX = 8192, BODY_LIMIT = 512, DATA_LIMIT = 1024, FRAMES_MAX = STREAM_MAX / FRAME_HEADER_SIZE };

struct outcome {
    unsigned frames;
    struct frame seen[FRAMES_MAX];
    bool bad, idle;
    struct err err;
};

/* Make every frame of the stream pass its checks; flags, reserved and types stay as they are. */
static void repair(uint8_t *p, size_t n) {
    for (uint32_t seq = 0; n >= FRAME_HEADER_SIZE; seq++) {
        struct frame f = {
            .type = p[0],
            .flags = p[1] & (FRAME_RESENT | FRAME_OPTIONAL),
            .body_length = le32(p + 4) % (BODY_LIMIT + 2),
            .seq = seq,
            .order = le64(p + 16),
        };
        if (f.type == MSG_CHUNK || f.type == MSG_BUNDLE)
            f.data_length = le32(p + 8) % (DATA_LIMIT + 2);
        size_t left = n - FRAME_HEADER_SIZE;
        if (f.body_length > left)
            f.body_length = (uint32_t)left;
        if (f.data_length > left - f.body_length)
            f.data_length = (uint32_t)(left - f.body_length);
        frame_encode(&f, p + FRAME_HEADER_SIZE, p);
        size_t whole = (size_t)FRAME_HEADER_SIZE + f.body_length + f.data_length;
        p += whole;
        n -= whole;
    }
}

/* The accepted frame, put together again, is what stood in the stream. */
static void check_frame(const struct frame_reader *fr, const uint8_t *data, const uint8_t *at) {
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(&fr->frame, fr->body, header);
    MUST(memcmp(header, at, sizeof header) == 0);
    MUST(memcmp(fr->body, at + FRAME_HEADER_SIZE, fr->frame.body_length) == 0);
    if (fr->frame.data_length > 0)
        MUST(memcmp(data, at + FRAME_HEADER_SIZE + fr->frame.body_length, fr->frame.data_length) == 0);
    MUST(fr->frame.body_length <= BODY_LIMIT && fr->frame.data_length <= DATA_LIMIT);
}

static void run(const uint8_t *p, size_t n, size_t step, struct outcome *out) {
    uint8_t *body = malloc(BODY_LIMIT), *data = NULL;
    struct frame_reader fr;
    frame_reader_init(&fr, body, BODY_LIMIT, DATA_LIMIT);
    size_t at = 0, start = 0;
    while (!out->bad && at < n) {
        struct room room = frame_reader_space(&fr);
        size_t take = room.n < n - at ? room.n : n - at;
        take = take < step ? take : step;
        MUST(take > 0);
        memcpy(room.p, p + at, take);
        at += take;
        enum frame_status status = frame_reader_fed(&fr, take, &out->err);
        if (status == FRAME_NEED_DATA) {
            data = malloc(fr.frame.data_length);
            frame_reader_give(&fr, data);
        } else if (status == FRAME_READY) {
            check_frame(&fr, data, p + start);
            out->seen[out->frames++] = fr.frame;
            frame_reader_next(&fr);
            MUST(frame_reader_is_idle(&fr));
            free(data);
            data = NULL;
            start = at;
        }
        out->bad = status == FRAME_BAD;
    }
    MUST(out->bad == err_is_set(&out->err));
    out->idle = frame_reader_is_idle(&fr);
    free(data);
    free(body);
}

static void try_preamble(const uint8_t *p, size_t n) {
    struct preamble preamble;
    struct err err = {.code = 0};
    uint8_t again[PREAMBLE_SIZE];
    if (n < PREAMBLE_SIZE || preamble_decode(p, &preamble, &err))
        return;
    preamble_encode(&preamble, again);
    MUST(memcmp(again, p, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    static uint8_t stream[STREAM_MAX];
    static struct outcome whole, steps;
    if (n < 2 || n - 2 > STREAM_MAX)
        return 0;
    size_t length = n - 2;
    memcpy(stream, input + 2, length);
    if (input[1] & 1)
        repair(stream, length);
    memset(&whole, 0, sizeof whole);
    memset(&steps, 0, sizeof steps);
    try_preamble(stream, length);
    run(stream, length, SIZE_MAX, &whole);
    run(stream, length, input[0] ? input[0] : 256, &steps);
    MUST(whole.frames == steps.frames && whole.bad == steps.bad && whole.idle == steps.idle);
    for (unsigned i = 0; i < whole.frames; i++)
        MUST(whole.seen[i].order == steps.seen[i].order && whole.seen[i].type == steps.seen[i].type);
    MUST(strcmp(whole.err.msg, steps.err.msg) == 0);
    return 0;
}
