/* report_impl.h: shared by the files of the report only. */
#ifndef PROGRAM_REPORT_IMPL_H
#define PROGRAM_REPORT_IMPL_H

#include "program/report.h"

/* Without what follows the point; what 64 bits cannot hold is the most that they can. v is not negative: a peer may claim
 * 2^63 bytes in a moment. */
static inline uint64_t whole(double v) {
    return v < 0x1p64 ? (uint64_t)v : UINT64_MAX;
}

/* r counts from now on at this place. */
void progress_follow(struct progress *p, unsigned place, const struct report *r);
/* The report there, if any, goes. over: no other one will come. */
void progress_settle(struct progress *p, unsigned place, bool over);
void progress_stop(struct progress *p);

/* One event: json_begin("file"), fields, json_end() prints it as one line in one write. It names the log_target of its
 * thread, if that has one. There is room for one: whoever begins another one meanwhile waits. */
struct json {
    size_t used;
    bool first;
};
void json_begin(struct json *j, const char *type);
void json_string(struct json *j, const char *name, const char *value);
/* "name": "…", or "name_b64": "…" when the bytes are not UTF-8. */
void json_path(struct json *j, const char *name, const char *path);
void json_number(struct json *j, const char *name, uint64_t value);
void json_real(struct json *j, const char *name, double value);
void json_bool(struct json *j, const char *name, bool value);
void json_open(struct json *j, const char *name);
void json_close(struct json *j);
void json_end(struct json *j);
/* Why an event of this process could not be written, an errno value; 0: all were. */
int json_lost(void);

/* The error event; `path` is NULL when it concerns the whole session. */
void json_error(const char *path, const struct err *err);

#endif
