#include "program/findings.h"

#include <stdarg.h>

static void add(struct findings *f, enum finding_level level, int code, const char *what, const char *fmt,
                va_list args) ERR_PRINTF(5, 0);

static void add(struct findings *f, enum finding_level level, int code, const char *what, const char *fmt,
                va_list args) {
    if (f->count == FINDINGS_MAX)
        return;
    struct finding *added = &f->all[f->count++];
    *added = (struct finding){.level = level, .code = code, .what = what};
    (void)vsnprintf(added->detail, sizeof added->detail, fmt, args);
}

void found_ok(struct findings *f, const char *what, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(f, FINDING_OK, EXIT_OK, what, fmt, args);
    va_end(args);
}

void found_warning(struct findings *f, const char *what, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(f, FINDING_WARN, EXIT_OK, what, fmt, args);
    va_end(args);
}

void found_failure(struct findings *f, int code, const char *what, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(f, FINDING_FAIL, code, what, fmt, args);
    va_end(args);
}

void found_remedy(struct findings *f, const char *fmt, ...) {
    va_list args;
    if (f->count == 0)
        return;
    struct finding *last = &f->all[f->count - 1];
    va_start(args, fmt);
    (void)vsnprintf(last->remedy, sizeof last->remedy, fmt, args);
    va_end(args);
}

int findings_code(const struct findings *f) {
    for (unsigned i = 0; i < f->count; i++)
        if (f->all[i].level == FINDING_FAIL)
            return f->all[i].code;
    return EXIT_OK;
}

void findings_print(const struct findings *f, FILE *to) {
    static const char *const levels[] = {
        [FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_FAIL] = "fail"};
    for (unsigned i = 0; i < f->count; i++) {
        const struct finding *one = &f->all[i];
        (void)fprintf(to, "%-4s  %s: %s\n", levels[one->level], one->what, one->detail);
        if (one->remedy[0])
            (void)fprintf(to, "      do: %s\n", one->remedy);
    }
}
