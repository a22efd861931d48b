/* findings.h: what doctor found out, line by line. Plain data, so that tests can look at it. */
#ifndef PROGRAM_FINDINGS_H
#define PROGRAM_FINDINGS_H

#include "core/err.h"

#include <stdio.h>

enum { FINDINGS_MAX = 24 };

enum finding_level { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct finding {
    enum finding_level level;
    int code; /* FINDING_FAIL: the exit code that it leads to */
    const char *what; /* static: "vsock", "connect" */
    char detail[ERR_MESSAGE_MAX];
    char remedy[ERR_MESSAGE_MAX]; /* a command or an act; "": there is nothing to do */
};

struct findings {
    struct finding all[FINDINGS_MAX];
    unsigned count;
};

/* Each adds one; what does not fit is dropped. `what` is not copied. */
void found_ok(struct findings *f, const char *what, const char *fmt, ...) ERR_PRINTF(3, 4);
void found_warning(struct findings *f, const char *what, const char *fmt, ...) ERR_PRINTF(3, 4);
void found_failure(struct findings *f, int code, const char *what, const char *fmt, ...) ERR_PRINTF(4, 5);
/* What to do about the last one. */
void found_remedy(struct findings *f, const char *fmt, ...) ERR_PRINTF(2, 3);

/* The code of the first failure; EXIT_OK when there is none. */
int findings_code(const struct findings *f);

/* "ok    what: detail", and "      do: remedy" below it. */
void findings_print(const struct findings *f, FILE *to);

#endif
