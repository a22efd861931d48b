/* bwlimit.h: how fast a sender may send (--bwlimit): the limit as it is written, and a token bucket that says when to go on.
 *
 * No I/O waits here and no clock is asked: who sends tells the time, and sleeps. One thread, but for struct pace.
 */
#ifndef PROGRAM_BWLIMIT_H
#define PROGRAM_BWLIMIT_H

#include "core/err.h"
#include "os/os.h"
#include "os/os_file.h"

#include <stdint.h>

enum {
    BWLIMIT_LOOK_MS = 1000, /* how often a file is read again */
    BWLIMIT_BURST_MS = 100, /* time that was not used and may be made up for */
};

/* As on the command line. */
struct bwlimit {
    uint64_t rate; /* bytes per second; 0: no limit */
    struct os_file
        file; /* that holds the rate; not open: it stays as it is. Read again through the handle, for no path can
                          * be opened once the process is confined */
};

/* "RATE" or "@FILE" with a rate in its first line. A rate is as in rsync: units of 1024 bytes per second, or with a suffix
 * (B; K, M, G, T, KiB, ...: powers of 1024; KB, MB, ...: of 1000), with decimals, rounded to 1024; 0 is no limit. 0, or
 * -1 and err (EXIT_USAGE). What *ret was before is closed. */
int bwlimit_parse(const char *text, struct bwlimit *ret, struct err *err);

void bwlimit_close(struct bwlimit *limit);

/* Chunks larger than this would leave in bursts: a multiple of 4096 of at least `least`, at most `most`. */
uint32_t bwlimit_chunk_size(const struct bwlimit *limit, uint32_t least, uint32_t most);

struct bucket {
    uint64_t rate; /* bytes per second; 0: no limit */
    int64_t free_ns; /* when all that was sent is paid for */
};

/* So many bytes were sent, less than 2^33. */
void bucket_spend(struct bucket *b, uint64_t bytes, int64_t now_ns);
/* What is not paid for yet is paid at the new rate. */
void bucket_set_rate(struct bucket *b, uint64_t rate, int64_t now_ns);

/* A limit at work: of one session, or of several together. Any thread. */
struct pace {
    struct bwlimit limit;
    struct os_mutex lock;
    struct bucket bucket; /* lock */
    int64_t look_ns; /* lock; when the file is to be read again */
};

void pace_init(struct pace *p, const struct bwlimit *limit, int64_t now_ns);
void pace_free(struct pace *p);
bool pace_limits(const struct pace *p); /* false: there is no limit, and will be none */
/* Reads the file again when it is time to; a file that is not there or holds no rate changes nothing. True: the
 * rate is another one than before. */
bool pace_look(struct pace *p, int64_t now_ns);
/* So many bytes were sent, as bucket_spend. When all of them are paid for. */
int64_t pace_spend(struct pace *p, uint64_t bytes, int64_t now_ns);
/* What the bucket is at this moment. */
struct bucket pace_now(struct pace *p);

#endif
