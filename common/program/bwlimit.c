#include "program/bwlimit.h"

#include "core/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define RATE_MAX ((uint64_t)1 << 40) /* bytes per second */

enum { UNIT = 1024, LEAST = UNIT / 2, CHUNKS_PER_S = 8, DIGITS_MAX = 15, LINE_MAX_BYTES = 64 };

/* What one of `suffix` is in bytes; 0: there is no such suffix. */
static double unit_of(const char *suffix) {
    static const char letters[] = "KMGT";
    if (suffix[0] == '\0')
        return UNIT;
    if (toupper((unsigned char)suffix[0]) == 'B' && suffix[1] == '\0')
        return 1;
    const char *letter = strchr(letters, toupper((unsigned char)suffix[0]));
    const char *rest = suffix + 1;
    bool thousands = toupper((unsigned char)rest[0]) == 'B' && rest[1] == '\0';
    bool binary = rest[0] == '\0' || ((rest[0] == 'i' || rest[0] == 'I') &&
                                      toupper((unsigned char)rest[1]) == 'B' && rest[2] == '\0');
    if (letter == NULL || (!thousands && !binary))
        return 0;
    double unit = 1;
    for (const char *c = letters; c <= letter; c++)
        unit *= thousands ? 1000 : 1024;
    return unit;
}

static int parse_rate(const char *text, uint64_t *ret, struct err *err) {
    size_t n = strspn(text, "0123456789.");
    const char *point = memchr(text, '.', n);
    bool number = n > 0 && n <= DIGITS_MAX &&
                  !(point && memchr(point + 1, '.', n - (size_t)(point - text) - 1)) && !(point && n == 1);
    double unit = unit_of(text + n);
    if (!number || unit <= 0)
        return err_set(err, EXIT_USAGE, "--bwlimit: '%s' is no rate, as 500 (KiB/s), 1.5M or 0",
                       ESCAPED(text));
    double bytes = strtod(text, NULL) * unit;
    if (bytes > (double)RATE_MAX)
        return err_set(err, EXIT_USAGE, "--bwlimit: %s is more than 1T; 0 means no limit", ESCAPED(text));
    if (bytes > 0 && bytes < LEAST)
        return err_set(err, EXIT_USAGE, "--bwlimit: %s is less than 512 bytes per second; 0 means no limit",
                       ESCAPED(text));
    *ret = (uint64_t)(bytes / UNIT + 0.5) * UNIT;
    return 0;
}

/* The rate that the first line of a file holds. */
static int read_rate(struct os_file file, uint64_t *ret, struct err *err) {
    char line[LINE_MAX_BYTES];
    ptrdiff_t got = os_pread(file, line, sizeof line - 1, 0);
    if (got <= 0)
        return err_set(err, EXIT_USAGE, "--bwlimit: the file cannot be read, or is empty");
    line[got] = '\0';
    size_t n = strcspn(line, "\r\n");
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    line[n] = '\0';
    return parse_rate(line, ret, err);
}

int bwlimit_parse(const char *text, struct bwlimit *ret, struct err *err) {
    struct bwlimit limit = {.file = OS_FILE_NONE};
    if (text[0] != '@') {
        if (parse_rate(text, &limit.rate, err) != 0)
            return -1;
    } else {
        int opened = os_open_path(text + 1, &limit.file);
        if (opened != 0)
            return err_sys(err, EXIT_USAGE, -opened, "--bwlimit: cannot open '%s'", ESCAPED(text + 1));
        if (read_rate(limit.file, &limit.rate, err) != 0) {
            os_close(&limit.file);
            return err_wrap(err, "'%s'", ESCAPED(text + 1));
        }
    }
    bwlimit_close(ret); /* an earlier one of the same command line */
    *ret = limit;
    return 0;
}

void bwlimit_close(struct bwlimit *limit) {
    os_close(&limit->file);
}

uint32_t bwlimit_chunk_size(const struct bwlimit *limit, uint32_t least, uint32_t most) {
    uint64_t size = limit->rate / CHUNKS_PER_S / 4096 * 4096;
    if (limit->rate == 0 || size > most)
        return most;
    return size < least ? least : (uint32_t)size;
}

void bucket_spend(struct bucket *b, uint64_t bytes, int64_t now_ns) {
    int64_t earliest = now_ns - BWLIMIT_BURST_MS * NS_PER_MS;
    if (b->free_ns < earliest)
        b->free_ns = earliest;
    if (b->rate != 0)
        b->free_ns += (int64_t)(bytes * (uint64_t)NS_PER_S / b->rate);
}

void bucket_set_rate(struct bucket *b, uint64_t rate, int64_t now_ns) {
    int64_t debt = b->free_ns - now_ns;
    if (debt > 0)
        b->free_ns = now_ns + (rate ? (int64_t)((double)debt * (double)b->rate / (double)rate) : 0);
    b->rate = rate;
}

void pace_init(struct pace *p, const struct bwlimit *limit, int64_t now_ns) {
    *p = (struct pace){
        .limit = *limit,
        .bucket = {.rate = limit->rate, .free_ns = now_ns},
        .look_ns = now_ns + BWLIMIT_LOOK_MS * NS_PER_MS,
    };
    os_mutex_init(&p->lock);
}

void pace_free(struct pace *p) {
    os_mutex_free(&p->lock);
}

bool pace_limits(const struct pace *p) {
    return p->limit.rate != 0 || os_file_is_open(p->limit.file);
}

/* Lock held. */
static bool look(struct pace *p, int64_t now_ns) {
    uint64_t rate;
    if (!os_file_is_open(p->limit.file) || now_ns < p->look_ns)
        return false;
    p->look_ns = now_ns + BWLIMIT_LOOK_MS * NS_PER_MS;
    if (read_rate(p->limit.file, &rate, NULL) != 0 || rate == p->bucket.rate)
        return false;
    bucket_set_rate(&p->bucket, rate, now_ns);
    return true;
}

bool pace_look(struct pace *p, int64_t now_ns) {
    os_lock(&p->lock);
    bool changed = look(p, now_ns);
    os_unlock(&p->lock);
    return changed;
}

int64_t pace_spend(struct pace *p, uint64_t bytes, int64_t now_ns) {
    os_lock(&p->lock);
    bucket_spend(&p->bucket, bytes, now_ns);
    int64_t free_ns = p->bucket.free_ns;
    os_unlock(&p->lock);
    return free_ns;
}

struct bucket pace_now(struct pace *p) {
    os_lock(&p->lock);
    struct bucket now = p->bucket;
    os_unlock(&p->lock);
    return now;
}
