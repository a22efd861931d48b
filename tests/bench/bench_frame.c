/* What a frame costs besides its data: headers, their checks, the reader's steps. */
#include "bench.h"

#include "wire/frame.h"

#include <string.h>

enum { BODY = 64, LARGE_BODY = 64 * 1024, DATA = CHUNK_SIZE_DEFAULT, PIECE = 64 * 1024 };

struct wire {
    uint8_t *bytes; /* one frame, as it is sent */
    size_t length;
    struct frame frame;
    uint8_t *body, *data;
};

static void encode(void *arg, uint64_t rounds) {
    struct wire *w = arg;
    for (uint64_t i = 0; i < rounds; i++)
        frame_encode(&w->frame, w->body, w->bytes);
}

static void decode(void *arg, uint64_t rounds) {
    struct wire *w = arg;
    struct frame got;
    struct err err;
    for (uint64_t i = 0; i < rounds; i++) {
        bench_check(frame_decode(w->bytes, BODY_MAX, CHUNK_SIZE_MAX, &got, &err) == 0, "frame_decode");
        bench_check(frame_check_body(&got, w->bytes + FRAME_HEADER_SIZE, &err) == 0, "frame_check_body");
    }
}

/* One frame through the reader, in pieces as a socket gives them. Its data is not copied: in a stream the kernel puts
 * it where the reader says. */
static void read_frame(struct frame_reader *fr, const struct wire *w) {
    struct err err;
    for (size_t at = 0; at < w->length;) {
        const struct room room = frame_reader_space(fr);
        size_t n = room.n < PIECE ? room.n : PIECE;
        if (at < FRAME_HEADER_SIZE + w->frame.body_length)
            memcpy(room.p, w->bytes + at, n);
        at += n;
        switch (frame_reader_fed(fr, n, &err)) {
        case FRAME_MORE: break;
        case FRAME_NEED_DATA: frame_reader_give(fr, w->data); break;
        case FRAME_READY: frame_reader_next(fr); break;
        case FRAME_BAD: bench_check(false, "frame_reader_fed");
        }
    }
}

/* The reader wants each frame's own number, which the header's check covers. */
static void read_frames(void *arg, uint64_t rounds) {
    struct wire *w = arg;
    struct frame_reader fr;
    frame_reader_init(&fr, w->body, BODY_MAX, CHUNK_SIZE_MAX);
    for (uint64_t i = 0; i < rounds; i++) {
        fr.next_seq = w->frame.seq;
        read_frame(&fr, w);
    }
}

static void measure(const char *kind, uint8_t type, uint32_t body_length, uint32_t data_length) {
    struct wire w = {
        .length = FRAME_HEADER_SIZE + (size_t)body_length + data_length,
        .frame = {.type = type, .body_length = body_length, .data_length = data_length, .order = 1},
        .body = bench_random(BODY_MAX),
        .data = bench_random(DATA),
    };
    w.bytes = bench_random(w.length);
    memcpy(w.bytes + FRAME_HEADER_SIZE, w.body, body_length);
    char name[64];
    (void)snprintf(name, sizeof name, "frame_encode, %s", kind);
    bench(name, encode, &w, 0);
    (void)snprintf(name, sizeof name, "frame_decode, %s", kind);
    bench(name, decode, &w, 0);
    (void)snprintf(name, sizeof name, "frame_reader, %s", kind);
    bench(name, read_frames, &w, 0);
    os_page_free(w.bytes);
    os_page_free(w.body);
    os_page_free(w.data);
}

int main(void) {
    measure("no body", MSG_HEARTBEAT, 0, 0);
    measure("body of 64", MSG_VERDICTS, BODY, 0);
    measure("body of 64K", MSG_ENTRIES, LARGE_BODY, 0);
    measure("chunk of 1M", MSG_CHUNK, BODY, DATA);
    return 0;
}
