/* labtree: makes and lists trees inside the kernels of the lab. One process does what took a shell dozens: starting
 * one is what is slow there.
 *
 * usage: labtree list DIR                     a line for each entry, sorted by path
 *        labtree large DIR MIB NAME...        files that do not become smaller, each of so many MiB and some bytes
 *        labtree many DIR DIRECTORIES FILES   so many files in each directory, those of each of another size
 *
 * A line of `list` is MODE SIZE MTIME CONTENT PATH: mode in octal with the kind; of a directory no size (-); content is
 * the digest of a file (XXH3-128) or the target of a link; bytes of names that are not plain stand as \xNN. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum { PIECE = 256 << 10 };

static unsigned char data[PIECE];

static void die(const char *what) {
    (void)fprintf(stderr, "labtree: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned number(const char *text) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || n > INT_MAX) {
        (void)fprintf(stderr, "labtree: '%s' is no number\n", text);
        exit(1);
    }
    return (unsigned)n;
}

/* ---- listing ----------------------------------------------------------------------------------------------- */

static void print_plain(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > ' ' && c < 0x7f && c != '\\')
            (void)putchar(c);
        else
            printf("\\x%02x", c);
    }
}

static void print_digest(const char *path) {
    XXH3_state_t *state = XXH3_createState();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!state || fd < 0)
        die(path);
    (void)XXH3_128bits_reset(state);
    ssize_t n;
    while ((n = read(fd, data, sizeof data)) > 0)
        (void)XXH3_128bits_update(state, data, (size_t)n);
    if (n < 0)
        die(path);
    XXH128_hash_t digest = XXH3_128bits_digest(state);
    printf("%016" PRIx64 "%016" PRIx64, digest.high64, digest.low64);
    (void)close(fd);
    (void)XXH3_freeState(state);
}

static void print_content(const FTSENT *entry) {
    char target[PATH_MAX];
    if (S_ISREG(entry->fts_statp->st_mode)) {
        print_digest(entry->fts_accpath);
    } else if (S_ISLNK(entry->fts_statp->st_mode)) {
        ssize_t n = readlink(entry->fts_accpath, target, sizeof target);
        if (n < 0)
            die(entry->fts_path);
        print_plain(target, (size_t)n);
    } else {
        (void)putchar('-');
    }
}

static void print_entry(const FTSENT *entry, size_t root_length) {
    const struct stat *st = entry->fts_statp;
    printf("%o ", (unsigned)st->st_mode);
    if (S_ISDIR(st->st_mode))
        printf("- ");
    else
        printf("%lld ", (long long)st->st_size);
    printf("%lld.%09ld ", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    print_content(entry);
    (void)putchar(' ');
    print_plain(".", 1);
    print_plain(entry->fts_path + root_length, strlen(entry->fts_path + root_length));
    (void)putchar('\n');
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void list(char *root) {
    char *roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL, by_name);
    if (!fts)
        die(root);
    const FTSENT *entry;
    errno = 0;
    while ((entry = fts_read(fts))) {
        if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS) {
            errno = entry->fts_errno;
            die(entry->fts_path);
        }
        if (entry->fts_info != FTS_DP)
            print_entry(entry, strlen(root));
    }
    if (errno)
        die(root);
    (void)fts_close(fts);
}

/* ---- making ------------------------------------------------------------------------------------------------ */

static void enter(const char *path) {
    if ((mkdir(path, 0755) && errno != EEXIST) || chdir(path))
        die(path);
}

static int created(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        die(name);
    return fd;
}

static void put(int fd, const void *bytes, size_t n) {
    if (write(fd, bytes, n) != (ssize_t)n)
        die("write");
}

/* splitmix64: nothing compresses it, and no two blocks are alike. */
static void fill(uint64_t *state) {
    for (size_t i = 0; i < sizeof data; i += sizeof *state) {
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        memcpy(data + i, &z, sizeof z);
    }
}

static void make_large(const char *path, unsigned mib, char **names) {
    uint64_t state;
    if (getrandom(&state, sizeof state, 0) != (ssize_t)sizeof state)
        die("getrandom");
    enter(path);
    for (; *names; names++) {
        int fd = created(*names);
        for (size_t i = 0; i < (size_t)mib * ((1 << 20) / PIECE); i++) {
            fill(&state);
            put(fd, data, sizeof data);
        }
        put(fd, *names, strlen(*names));
        (void)close(fd);
    }
}

static void make_many(const char *path, unsigned directories, unsigned files) {
    enter(path);
    for (unsigned i = 1; i <= directories; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%u", i);
        enter(name);
        for (unsigned k = 0; k < files; k++) {
            (void)snprintf(name, sizeof name, "%u", k);
            int fd = created(name);
            int n = snprintf((char *)data, sizeof data, "%0*u", (int)(i * 190 + 7), i * files + k);
            put(fd, data, (size_t)n < sizeof data ? (size_t)n : sizeof data);
            (void)close(fd);
        }
        if (chdir(".."))
            die("..");
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "list") == 0) {
        list(argv[2]);
    } else if (argc >= 5 && strcmp(argv[1], "large") == 0) {
        make_large(argv[2], number(argv[3]), argv + 4);
    } else if (argc == 5 && strcmp(argv[1], "many") == 0) {
        make_many(argv[2], number(argv[3]), number(argv[4]));
    } else {
        (void)fprintf(stderr, "usage: labtree list DIR\n"
                              "       labtree large DIR MIB NAME...\n"
                              "       labtree many DIR DIRECTORIES FILES\n");
        return 1;
    }
    if (fflush(stdout))
        die("write");
    return 0;
}
