#include "core/log.h"

#include "core/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *log_program = "hvferry";
static enum log_level log_most = LOG_WARNING;
static bool log_journal;
static _Atomic(log_hook *) log_before;
static _Thread_local const char *my_target;

void log_setup(const char *program, enum log_level most) {
    log_program = program;
    log_most = most;
}

void log_for_journal(bool on) {
    log_journal = on;
}

enum log_level log_limit(void) {
    return log_most;
}

void log_set_hook(log_hook *before) {
    atomic_store(&log_before, before);
}

void log_set_target(const char *target) {
    my_target = target;
}

const char *log_target(void) {
    return my_target;
}

/* What stands before `text`. Many an error begins with the address anyway. Returns to->s. */
static const char *name_target(const char *text, struct escaped *to) {
    to->s[0] = '\0';
    if (my_target == NULL)
        return to->s;
    (void)escape_text(my_target, strlen(my_target), to);
    size_t n = strlen(to->s);
    if (strncmp(text, to->s, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        to->s[0] = '\0';
    return to->s;
}

void log_line(enum log_level level, const char *fmt, ...) {
    if (level > log_most)
        return;
    char text[ERR_MESSAGE_MAX + 256];
    struct escaped target;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_hook *before = atomic_load(&log_before);
    if (before)
        before();
    static const char *const priorities[] = {
        [LOG_ERROR] = "<3>", [LOG_WARNING] = "<4>", [LOG_INFO] = "<6>", [LOG_DEBUG] = "<7>"};
    (void)name_target(text, &target);
    (void)fprintf(stderr, "%s%s: %s%s%s%s\n", log_journal ? priorities[level] : "", log_program,
                  level == LOG_WARNING ? "warning: " : "", target.s, target.s[0] ? ": " : "", text);
}
