/* log.h: lines on stderr, one write each, with the program's name before them.
 *
 * Only the programs log; libraries return errors. Whoever prints a name escapes it first (text.h).
 * Safe from any thread.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/err.h"

#include <stdbool.h>

enum log_level {
    LOG_ERROR, /* always shown */
    LOG_WARNING, /* shown unless -qq */
    LOG_INFO, /* -v */
    LOG_DEBUG, /* -vv */
};

/* Called once by main before any thread starts. `program` must outlive all calls. */
void log_setup(const char *program, enum log_level most);
enum log_level log_limit(void);
/* Each line begins with its priority, "<4>", as the journal reads it (sd-daemon(3)). After log_setup. */
void log_for_journal(bool on);

void log_line(enum log_level level, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Which of several other ends the calling thread works for: its lines begin with that name, unless they do so anyway. The
 * threads of a run inherit it (sync.h). `target` must outlive them; NULL, as at first: there is only one. */
void log_set_target(const char *target);
const char *log_target(void);

/* Called before each line, so that a progress line can step aside. */
typedef void log_hook(void);
void log_set_hook(log_hook *before);

#endif
