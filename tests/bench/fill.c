/* fill: makes a large file for the bench, the same for the same seed.
 *
 * usage: fill random|text SIZE SEED FILE
 *
 * random is what no codec makes smaller. text is like a log or a source text: words of a made-up language and whole
 * phrases of them, as often as a natural language has them, and numbers that never come again; zstd -1 makes it about
 * 2.7 times smaller. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK = 1 << 20,
    PAGE = 4096,
    STRETCH_PAGES = 64,
    WORDS = 4096,
    PHRASES = 4096,
    WORD_MAX = 12,
    PHRASE_WORDS_MAX = 8,
    PIECE_MAX = PHRASE_WORDS_MAX * (WORD_MAX + 1),
};

struct piece {
    size_t n;
    char bytes[PIECE_MAX];
};

struct maker {
    uint64_t state;
    struct piece words[WORDS], phrases[PHRASES];
};

static void die(const char *what) {
    (void)fprintf(stderr, "fill: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* splitmix64 */
static uint64_t next(struct maker *m) {
    uint64_t z = m->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Below n; small numbers far more often than large ones. */
static size_t rank(struct maker *m, size_t n) {
    const uint64_t dice = next(m), a = dice & 0xffff, b = dice >> 16 & 0xffff, c = dice >> 32 & 0xffff;
    return (size_t)((a * b >> 16) * c * n >> 32);
}

static void make_word(struct maker *m, struct piece *word) {
    static const char letters[] = "etaoinshrdlcumwfgypbvkjxqz";
    word->n = 2 + next(m) % (WORD_MAX - 2);
    for (size_t i = 0; i < word->n; i++)
        word->bytes[i] = letters[rank(m, sizeof letters - 1)];
    word->bytes[word->n++] = ' ';
}

static void make_phrase(struct maker *m, struct piece *phrase) {
    phrase->n = 0;
    for (uint64_t words = 2 + next(m) % (PHRASE_WORDS_MAX - 2); words > 0; words--) {
        const struct piece *word = &m->words[rank(m, WORDS)];
        memcpy(phrase->bytes + phrase->n, word->bytes, word->n);
        phrase->n += word->n;
    }
}

static void make_number(struct maker *m, struct piece *number) {
    number->n =
        (size_t)snprintf(number->bytes, sizeof number->bytes, "%016llx\n", (unsigned long long)next(m));
}

static void start(struct maker *m, uint64_t seed) {
    m->state = seed;
    for (size_t i = 0; i < WORDS; i++)
        make_word(m, &m->words[i]);
    for (size_t i = 0; i < PHRASES; i++)
        make_phrase(m, &m->phrases[i]);
}

static void fill_random(struct maker *m, char *to, size_t n) {
    for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
        const uint64_t value = next(m);
        memcpy(to + at, &value, n - at < sizeof value ? n - at : sizeof value);
    }
}

static void fill_text(struct maker *m, char *to, size_t n) {
    struct piece number;
    for (size_t at = 0; at < n;) {
        const uint64_t kind = next(m) % 16;
        const struct piece *piece = kind < 9 ? &m->phrases[rank(m, PHRASES)] : &m->words[rank(m, WORDS)];
        if (kind == 15) {
            make_number(m, &number);
            piece = &number;
        }
        const size_t take = piece->n < n - at ? piece->n : n - at;
        memcpy(to + at, piece->bytes, take);
        at += take;
    }
}

static void fill_mixed(struct maker *m, char *to, size_t n) {
    for (size_t at = 0; at < n;) {
        const size_t wanted = PAGE * (1 + next(m) % STRETCH_PAGES), take = wanted < n - at ? wanted : n - at;
        (next(m) % 5 ? fill_text : fill_random)(m, to + at, take);
        at += take;
    }
}

static void write_all(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0)
            die("write");
        p += done;
        n -= (size_t)done;
    }
}

int main(int argc, char **argv) {
    static struct maker maker;
    static char block[BLOCK];
    if (argc != 5 || (strcmp(argv[1], "random") && strcmp(argv[1], "mixed"))) {
        (void)fprintf(stderr, "usage: fill random|mixed SIZE SEED FILE\n");
        return 2;
    }
    int fd = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        die(argv[4]);
    start(&maker, strtoull(argv[3], NULL, 10));
    for (uint64_t left = strtoull(argv[2], NULL, 10); left > 0;) {
        const size_t n = left < BLOCK ? (size_t)left : BLOCK;
        (argv[1][0] == 'm' ? fill_mixed : fill_random)(&maker, block, n);
        write_all(fd, block, n);
        left -= n;
    }
    return 0;
}
