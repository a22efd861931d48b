/* golden.h: what a decoder made of one frame of a golden vector. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "wire/frame.h"
#include "wire/msg.h"

enum { SEEN_TEXT_MAX = 64 * 1024 };

struct seen {
    char text[SEEN_TEXT_MAX]; /* "name = value" lines */
    size_t used;
    struct wr again; /* the body, encoded once more */
};

/* A frame as the reader gives it; chunk_size is the session's. */
struct given {
    struct frame frame;
    struct span body;
    const uint8_t *data;
    uint32_t chunk_size;
};

void seen_number(struct seen *seen, const char *name, uint64_t value);
void seen_signed(struct seen *seen, const char *name, int64_t value);
void seen_hex(struct seen *seen, const char *name, const void *p, size_t n);
void seen_text(struct seen *seen, const char *name, const void *p, size_t n);
void seen_line(struct seen *seen, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Decode the body, note its fields and encode it again. 0, or -1 and err. */
int message_look(const struct given *given, struct seen *seen, struct err *err);

#endif
