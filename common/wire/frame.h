/* frame.h: preamble, frame header and the sans-IO frame reader.
 *
 * header  0 type u8 | 1 flags u8 | 2 reserved u16 = 0 | 4 body_length u32 | 8 data_length u32 |
 *        12 seq u32 | 16 order u64 | 24 body_check u64 | 32 header_check u64
 *
 * seq counts the frames of one direction of one stream, from 0, modulo 2^32. order counts the ordered
 * messages of one direction of the session, from 1; it is 0 in messages that are not ordered.
 * body_check is XXH3-64 of the body (seed 0), header_check XXH3-64 of header bytes 0-31. The data area is
 * covered by the digest in the body, so every byte is checked once.
 * Pure functions: no I/O, no allocation, any thread.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "core/bytes.h"
#include "core/err.h"
#include "wire/protocol.h"

struct preamble {
    uint16_t version_min, version_max;
};

/* preamble  0 magic 8 bytes 89 48 56 46 0D 0A 1A 0A | 8 version_min u16 | 10 version_max u16 |
 *          12 check u32 = low half of XXH3-64 of bytes 0-11 */
void preamble_encode(const struct preamble *p, uint8_t to[PREAMBLE_SIZE]);

/* 0, or -1 and err: EXIT_PROTOCOL when the peer does not speak hvferry (the message shows the start of
 * what it sent, escaped, and recognises HTTP, SSH and TLS by name), EXIT_STREAM when only the check is
 * wrong. */
int preamble_decode(const uint8_t from[PREAMBLE_SIZE], struct preamble *ret, struct err *err);

/* Highest version that both speak; 0, or -1 and err (EXIT_PROTOCOL) that says which end is older. */
int version_choose(const struct preamble *ours, const struct preamble *theirs, unsigned *ret,
                   struct err *err);

struct frame {
    uint8_t type; /* enum msg_type; may be unknown */
    uint8_t flags;
    uint32_t body_length, data_length;
    uint32_t seq;
    uint64_t order;
    uint64_t body_check;
};

/* Credit that an ordered frame costs: FRAME_COST + body_length + (data_length ? chunk_size : 0). */
uint64_t frame_cost(const struct frame *f, uint32_t chunk_size);

/* body_check of f is computed from the body; everything else is taken from f. */
void frame_encode(const struct frame *f, const void *body, uint8_t to[FRAME_HEADER_SIZE]);

/* Checks what can be checked without the body: header_check, reserved, flags, lengths against
 * `body_max`/`data_max`, a data area only in CHUNK and BUNDLE and always there (length >= 1) in CHUNK.
 * 0, or -1 and err (EXIT_STREAM). */
int frame_decode(const uint8_t from[FRAME_HEADER_SIZE], uint32_t body_max, uint32_t data_max,
                 struct frame *ret, struct err *err);

/* 0, or -1 and err (EXIT_STREAM) when the body does not have its check. */
int frame_check_body(const struct frame *f, const void *body, struct err *err);

/* The frame reader: a state machine fed with bytes, in steps of any size.
 *
 *   for (;;) {
 *       struct room room = frame_reader_space(&fr);   // where the next bytes go, how many at most
 *       n = read(..., room.p, room.n);
 *       switch (frame_reader_fed(&fr, n, &err)) {
 *       case FRAME_MORE: continue;
 *       case FRAME_NEED_DATA: frame_reader_give(&fr, buffer of at least fr.frame.data_length bytes);
 *       case FRAME_READY: use fr.frame, fr.body, the data buffer; then frame_reader_next(&fr);
 *       case FRAME_BAD: end the session
 *
 * The payload lands straight in the caller's buffer. FRAME_NEED_DATA comes after the body was read and
 * its check was right, so the caller can look at the body before it chooses a buffer. The reader owns
 * `inner`, the caller everything it gives. One thread.
 */
enum frame_status { FRAME_MORE, FRAME_NEED_DATA, FRAME_READY, FRAME_BAD };

struct room {
    uint8_t *p;
    size_t n; /* 0 only when the reader waits for give() or next() */
};

struct frame_reader {
    /* For the caller, valid from FRAME_NEED_DATA or FRAME_READY until next(). */
    struct frame frame;
    uint8_t *body; /* the buffer given at init */
    /* Limits; the caller may change them between frames (handshake over, chunk size chosen). */
    uint32_t body_max; /* <= capacity of body */
    uint32_t data_max;
    /* Inner state. */
    uint32_t next_seq;
    uint8_t header[FRAME_HEADER_SIZE];
    size_t have; /* bytes of the present part */
    uint8_t *data;
    enum { READ_HEADER, READ_BODY, WAIT_DATA, READ_DATA, FRAME_DONE, READ_FAILED } part;
};

/* `body` must hold `body_max` bytes and outlive the reader. data_max 0: no data areas are accepted. */
void frame_reader_init(struct frame_reader *fr, uint8_t *body, uint32_t body_max, uint32_t data_max);
struct room frame_reader_space(struct frame_reader *fr);
enum frame_status frame_reader_fed(struct frame_reader *fr, size_t n, struct err *err);
void frame_reader_give(struct frame_reader *fr, uint8_t *data);
void frame_reader_next(struct frame_reader *fr);

/* True between frames: EOF here cuts no frame. */
bool frame_reader_is_idle(const struct frame_reader *fr);
/* False when it stands in a data area, whose buffer the caller may not have any more, or has met damage. */
bool frame_reader_is_readable(const struct frame_reader *fr);

#endif
