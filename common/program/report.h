/* report.h: what a person or a script gets to see of one session: names, problems, progress, summary.
 *
 * Counters are atomic and may be raised by any thread. Lines go to stderr (log.h); with --json, events go to
 * stdout, one object a line, and nothing else does. One report a session. Where the process has several sessions with other
 * ends that it chose (--to), lines and events name theirs (log_target), and one display shows the progress of all.
 */
#ifndef PROGRAM_REPORT_H
#define PROGRAM_REPORT_H

#include "core/err.h"
#include "core/log.h"
#include "os/os.h"
#include "sync/sync.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct progress;

/* What a listening end tells of failures and warnings of single entries, and as many lines of sessions that failed or were
 * refused. */
enum {
    TOLD_MAX = 1000, /* of entries, in a session */
    TOLD_AT_ONCE = 10000, /* of either kind in all of them, when none was told for long */
    TOLD_EVERY_MS = 1000, /* one more */
};

struct report_style {
    const char *role; /* "sender", "receiver" */
    bool json, names, stats, human;
    bool bounded; /* the other end came by itself: it makes only so many lines and events (TOLD_MAX) */
    bool progress; /* the line on stderr */
    int progress_fd; /* -1: none */
    struct progress *shared; /* a display of several reports, of which this is number `place`; NULL: none */
    unsigned place;
};

/* How far a session is. */
struct progress_sums {
    uint64_t files, files_done, bytes, bytes_done;
    bool complete; /* files and bytes grow no more */
};

/* A display: the line on stderr, the lines of --progress-fd, the events. What it shows is the sum over its places, and
 * what is done never goes back; nor do totals while they are not known. */
struct progress {
    struct report_style style;
    const char *target; /* log.h, for its events */
    struct os_thread thread;
    struct os_mutex lock;
    struct os_cond wake;
    struct progress_sums shown; /* the most so far; of its thread while that runs */
    bool running, stopping; /* lock */
    struct progress_place {
        const struct report *report; /* that goes on; NULL: none does */
        struct progress_sums last; /* of the last one */
    } * places; /* lock */
    unsigned count;
};

/* Of a display for several reports: `places` has `count` of them, and outlives it. The first report that starts shows it. */
void progress_init(struct progress *p, const struct report_style *style, struct progress_place *places,
                   unsigned count);
void progress_free(struct progress *p); /* after a last look at the sums */

/* What sessions came to that were lost, for the one that takes their place and for the end; zero before there was one. */
struct report_past {
    bool begun;
    int64_t start_ms; /* of the first */
    struct progress_sums shown;
    uint64_t files_committed, bytes_committed, bytes_raw, bytes_wire, bytes_shared, chunks_resent,
        bytes_resent, retries, codec_chunks[4];
    uint64_t files_skipped, files_failed, dirs_and_links, specials; /* of the last: each one comes to these */
};

struct report {
    struct report_style style;
    struct report_past *past; /* NULL: no other session comes before or after it */
    bool begun;
    /* Progress: totals grow while the list is read. */
    _Atomic uint64_t files_total, bytes_total;
    _Atomic bool list_complete;
    _Atomic uint64_t files_done, bytes_done; /* handled in any way: sent, skipped, failed */
    /* Results. */
    _Atomic uint64_t files_committed, files_skipped, files_failed, dirs_and_links, specials;
    _Atomic uint64_t bytes_committed, bytes_raw, bytes_wire, chunks_resent, bytes_resent;
    _Atomic uint64_t bytes_shared; /* of bytes_raw: read by the session with another receiver */
    _Atomic uint64_t
        retries; /* breaks after which the session went on; at the end also new ones after lost ones */
    _Atomic uint64_t codec_chunks[4];
    _Atomic uint64_t troubles,
        untold; /* style.bounded: failures and warnings of single entries, those not shown */
    _Atomic int worst; /* exit code of the worst failure of a single file */
    int64_t start_ms;
    /* Its own display. */
    struct progress display;
    struct progress_place place;
};

void report_init(struct report *r, const struct report_style *style);
void report_free(struct report *r);
/* Before report_start: it goes on where `past`, which it borrows, was left. Its own counters begin at 0, and have the sums
 * from report_end or report_lost on. */
void report_go_on(struct report *r, struct report_past *past);

/* Session begins: the start event, and the progress display if it is wanted. */
void report_start(struct report *r, const char *peer);
/* A file is committed: name with -v, file event. */
void report_file(struct report *r, const char *path, uint64_t size);
/* A directory or link was made (only -v). */
void report_made(struct report *r, const char *path);
/* A file failed: message, error event (of so many, where they are bounded), and the worst code. */
void report_failure(struct report *r, const char *path, const struct err *err);
/* What holds for all of the session (only -v). */
void report_note(const char *message);
/* Something to know that is no failure; bounded likewise. */
void report_warning(struct report *r, const char *path, const char *message);
/* Session over with `code`: last progress, how many troubles were not told, summary event or --stats. err: what ended it early, or NULL. `run`: its threads
 * are gone; NULL, or not timed: nothing is told about its stages. */
void report_end(struct report *r, int code, const struct err *err, const struct run *run);

/* Session over because the other end has forgotten it; another one begins. */
void report_lost(struct report *r, const struct err *err);
/* About a session as a whole, or why there is none. bounded: its peer came by itself; of those there are only so many lines
 * (TOLD_AT_ONCE), and the next one comes with how many were left out. Any thread. */
void report_line(bool bounded, enum log_level level, const char *message);
/* There will be no session, or no other one: message and error event, and the summary of those there were. */
void report_none(const struct report_style *style, struct report_past *past, const struct err *err);

/* Which of two codes is reported when several files failed: lack of space, verification, files not
 * transferred, changed sources, in this order. */
int report_worse(int a, int b);

static inline void count(_Atomic uint64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
