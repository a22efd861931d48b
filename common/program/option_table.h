/* option_table.h: the options of both programs, for their parser (options.c) and for --help. */
#ifndef PROGRAM_OPTION_TABLE_H
#define PROGRAM_OPTION_TABLE_H

#include "program/options.h"

enum {
    LONG_ONLY = 256, /* option numbers from here have no letter */
    OPTION_ROWS_MAX = 96,
};

enum {
    O_LISTEN = LONG_ONLY,
    O_CONNECT,
    O_INTO,
    O_TO,
    O_STDIO,
    O_ONCE,
    O_ALLOW_REMOTE,
    O_ALLOW_PEER,
    O_KEY_FILE,
    O_GENERATE_KEY,
    O_MAX_SESSIONS,
    O_QUOTA,
    O_MIN_FREE,
    O_MAX_FILES,
    O_NO_CONNECTED_SUSPEND,
    O_MKPATH,
    O_STREAMS,
    O_CHUNK_SIZE,
    O_ZC,
    O_ZL,
    O_DURABLE,
    O_DELTA,
    O_INPLACE,
    O_PARTIAL,
    O_NO_PARTIAL,
    O_VERIFY,
    O_BWLIMIT,
    O_TIMEOUT,
    O_CONTIMEOUT,
    O_RETRY,
    O_RETRY_DELAY,
    O_GRACE,
    O_SERIAL,
    O_STATS,
    O_JSON,
    O_INFO,
    O_PROGRESS,
    O_PROGRESS_FD,
    O_HELP,
    O_VERSION,
};

struct option_row {
    int id; /* letter, or O_… */
    const char *name;
    const char *arg; /* NULL: takes none */
    int programs;
    const char *help; /* NULL: an alias, not listed */
};

extern const struct option_row option_rows[];
extern const int option_row_count; /* at most OPTION_ROWS_MAX */

const struct option_row *option_row_of(int id); /* NULL: there is none */

/* To stdout. */
void option_print_help(enum program program);
void option_print_version(enum program program);

/* err says what is wrong with `word`, which getopt_long does not take; always -1. `letter`: what it puts into optopt; 0 for
 * a long option that it does not know. */
int option_unknown(enum program program, int letter, const char *word, struct err *err);

#endif
