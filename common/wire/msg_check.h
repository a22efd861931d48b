/* msg_check.h: what the decoders of the message bodies share. Inside wire/ only. */
#ifndef WIRE_MSG_CHECK_H
#define WIRE_MSG_CHECK_H

#include "wire/msg.h"

enum { NSEC_MAX = 999999999, MODE_MAX = 07777 };

/* A decoded field and the range it must lie in. */
struct field {
    const char *name;
    uint64_t value, min, max;
};

/* 0 when `r` was read without a break and every field is in its range; else -1 and err (EXIT_STREAM). */
int fields_check(const char *message, const struct rd *r, const struct field *fields, size_t count,
                 struct err *err);
#define FIELDS_CHECK(message, r, fields, err)                                                                \
    fields_check((message), (r), (fields), sizeof(fields) / sizeof((fields)[0]), (err))

/* 0 when all of `r` was read; else -1 and err (EXIT_STREAM). */
int end_check(const char *message, const struct rd *r, struct err *err);

/* The next n <= 8 bytes, which are reserved, as a number that is 0 when they all are. */
uint64_t rd_reserved(struct rd *r, size_t n);
void wr_reserved(struct wr *w, size_t n);

/* Copy n bytes out; zeros when there are fewer. */
void rd_copy(struct rd *r, void *to, size_t n);

/* All that is left of `r`. */
struct span rd_rest(struct rd *r);

/* Read one path as path_decode() does; `to` may be NULL when only the check is wanted. */
int path_scan(struct rd *r, char *to, struct err *err);

/* The component of `path` at *at: its length; *at moves behind it and its separator. */
size_t path_component(const char *path, size_t *at, const char **ret);

/* Components `from` … of `path`, length u8 and bytes each. */
void components_encode(struct wr *w, const char *path, unsigned from);

#endif
