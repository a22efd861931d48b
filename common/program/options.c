#include "program/options.h"

#include "codec/codec.h"
#include "core/log.h"
#include "core/text.h"
#include "program/backoff.h"
#include "program/redial.h"
#include "program/serve.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
    BOTH = PROGRAM_HVSEND | PROGRAM_HVRECV,
    LONG_ONLY = 256, /* option numbers from here have no letter */
    GRACE_MS = 30000, /* unless --grace or a shorter --timeout is given */
    GRACE_UNSET = -1,
};

enum {
    O_LISTEN = LONG_ONLY,
    O_CONNECT,
    O_INTO,
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

static const struct option_row rows[] = {
    {'a', "archive", NULL, BOTH, "same as -rlptgo"},
    {'r', "recursive", NULL, BOTH, "enter directories"},
    {'l', "links", NULL, BOTH, "copy symbolic links as links"},
    {'p', "perms", NULL, BOTH, "preserve permissions (without set-id and sticky bits)"},
    {'t', "times", NULL, BOTH, "preserve modification times, to the nanosecond"},
    {'o', "owner", NULL, BOTH, "preserve owner, by number (a privileged receiver only)"},
    {'g', "group", NULL, BOTH, "preserve group, by number (where the receiver may)"},
    {'I', "ignore-times", NULL, BOTH, "skip no file for having the same size and time"},
    {'c', "checksum", NULL, BOTH, "skip files by content, not by size and time"},
    {O_LISTEN, "listen", "ADDR", BOTH, "wait for the other end at ADDR"},
    {O_CONNECT, "connect", "ADDR", PROGRAM_HVRECV, "connect to a listening hvsend and pull"},
    {O_STDIO, "stdio", NULL, BOTH, "the stream is this process's stdin and stdout"},
    {O_ONCE, "once", NULL, BOTH, "with --listen: serve one session, exit with its status"},
    {O_INTO, "into", "SUB/DIR", PROGRAM_HVSEND, "put everything below this directory of the receiver's root"},
    {O_MKPATH, "mkpath", NULL, PROGRAM_HVRECV, "create DIR if it is missing"},
    {O_ALLOW_PEER, "allow-peer", "PEER", BOTH,
     "with --listen: serve only this CID, VM's GUID or uid:N (repeatable)"},
    {O_KEY_FILE, "key-file", "FILE", BOTH, "both ends must prove that they have this key"},
    {O_GENERATE_KEY, "generate-key", "FILE", PROGRAM_HVRECV, "write a new key to FILE, and end"},
    {O_MAX_SESSIONS, "max-sessions", "N", BOTH,
     "with --listen: sessions of one peer at once (1 to 16, default 12)"},
    {O_QUOTA, "quota", "SIZE", PROGRAM_HVRECV, "bytes that one peer may add, less what they replace"},
    {O_MAX_FILES, "max-files", "N", PROGRAM_HVRECV, "files, directories and links that one peer may add"},
    {O_MIN_FREE, "min-free", "SIZE", PROGRAM_HVRECV, "leave so much of the file system free"},
    {O_ALLOW_REMOTE, "allow-remote", NULL, BOTH, "let tcp:// reach beyond this machine"},
    {O_NO_CONNECTED_SUSPEND, "no-connected-suspend", NULL, BOTH,
     "hyperv://: disconnect when the VM is paused"},
    {O_ZC, "compress-choice", "CODEC", PROGRAM_HVSEND, "auto (default), none, zlib or zstd"},
    {O_ZC, "zc", "CODEC", PROGRAM_HVSEND, NULL},
    {O_ZL, "compress-level", "N", PROGRAM_HVSEND, "level of the codec"},
    {O_ZL, "zl", "N", PROGRAM_HVSEND, NULL},
    {'z', "compress", NULL, PROGRAM_HVSEND, "same as --compress-choice=zstd (zlib where zstd is missing)"},
    {O_CHUNK_SIZE, "chunk-size", "SIZE", BOTH, "64K to 16M, default 1M"},
    {O_DURABLE, "durable", "WHEN", BOTH, "flush by batch (default), file, or none"},
    {O_DELTA, "delta", "WHEN", BOTH, "send only blocks that differ: auto (default), on or off"},
    {'W', "whole-file", NULL, BOTH, "same as --delta=off"},
    {O_INPLACE, "inplace", NULL, BOTH,
     "write into files that are there: after a crash they are neither old nor new"},
    {O_PARTIAL, "partial", NULL, BOTH, NULL},
    {O_NO_PARTIAL, "no-partial", NULL, PROGRAM_HVRECV, "keep nothing of a large file that was interrupted"},
    {O_VERIFY, "verify", NULL, BOTH, "read every file back from storage before it replaces the old one"},
    {O_BWLIMIT, "bwlimit", "RATE", PROGRAM_HVSEND,
     "KiB per second at most, or with a suffix; @FILE is read each second"},
    {O_TIMEOUT, "timeout", "SECONDS", BOTH, "end when the peer is silent for so long (default 60, 0 never)"},
    {O_CONTIMEOUT, "contimeout", "SECONDS", BOTH,
     "bound on one try to connect, and on the handshake (default 10)"},
    {O_RETRY, "retry", "N", BOTH, "N tries more to connect, and to go on after a break; or forever"},
    {O_RETRY_DELAY, "retry-delay", "SECONDS", BOTH, "before the first of them, then doubled (default 0.5)"},
    {O_GRACE, "grace", "SECONDS", BOTH, "with --listen: wait so long for a peer that broke off (default 30)"},
    {O_SERIAL, "serial", NULL, BOTH, "use one thread (slow; for tests and comparison)"},
    {'v', "verbose", NULL, BOTH, "name what is transferred; twice: say more"},
    {'q', "quiet", NULL, BOTH, "no warnings"},
    {'P', NULL, NULL, BOTH, "show progress"},
    {O_PROGRESS, "progress", NULL, BOTH, NULL},
    {O_INFO, "info", "progress2", BOTH, NULL},
    {O_PROGRESS_FD, "progress-fd", "N", BOTH, "write done/total lines to descriptor N"},
    {'h', "human-readable", NULL, BOTH, "sizes with K, M, G"},
    {O_STATS, "stats", NULL, BOTH, "print a summary at the end"},
    {O_JSON, "json", NULL, BOTH, "events on stdout, one JSON object a line"},
    {O_HELP, "help", NULL, BOTH, "this text"},
    {O_VERSION, "version", NULL, BOTH, "version and codecs"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

/* Options of the same meaning in rsync that will come: the message says so instead of "unknown". */
static const char later_letters[] = "DHAXSuni0";
static const char *const later_names[] = {
    "devices",      "specials",     "hard-links", "acls",       "xattrs",  "sparse",
    "update",       "dry-run",      "delete",     "max-delete", "exclude", "include",
    "exclude-from", "include-from", "files-from", "from0",      "chmod",   "chown",
    "numeric-ids",  "log-file",     "streams",    "to",         "force",   "itemize-changes",
};

static void print_help(enum program program) {
    bool send = program == PROGRAM_HVSEND;
    if (send)
        (void)puts(
            "hvsend sends files and directories to hvrecv.\n\n"
            "  hvsend [OPTION...] SRC... DEST               connect to a listening hvrecv\n"
            "  hvsend [OPTION...] --listen ADDR SRC...      serve SRC to an hvrecv that connects\n"
            "  hvsend [OPTION...] --stdio SRC...\n"
            "  hvsend doctor [ADDR | --listen ADDR]         what this machine can do, and what is wrong\n\n"
            "SRC/ means the contents of SRC, as in rsync. DEST is an ADDR:");
    else
        (void)puts(
            "hvrecv receives files and directories and commits them under DIR.\n\n"
            "  hvrecv [OPTION...] --listen ADDR DIR         wait for hvsend\n"
            "  hvrecv [OPTION...] --connect ADDR [SRC...] DIR   pull from a listening hvsend\n"
            "  hvrecv [OPTION...] --stdio DIR\n"
            "  hvrecv doctor [ADDR | --listen ADDR]         what this machine can do, and what is wrong\n\n"
            "ADDR:");
    (void)puts("  vsock://CID:PORT  hyperv://VM:SERVICE  vsock-mux:/PATH.sock:PORT  unix:/PATH.sock  "
               "tcp://HOST:PORT\n"
               "  exec:COMMAND\n");
    for (int i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];
        char left[64];
        if (!(row->programs & (int)program) || row->help == NULL)
            continue;
        int n = row->id < LONG_ONLY ? snprintf(left, sizeof left, "-%c%s", row->id, row->name ? ", " : "")
                                    : snprintf(left, sizeof left, "    ");
        if (row->name)
            (void)snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", row->name, row->arg ? " " : "",
                           row->arg ? row->arg : "");
        (void)printf("  %-28s %s\n", left, row->help);
    }
}

static void print_version(enum program program) {
    (void)printf("%s %s (protocol %d; codecs:", program == PROGRAM_HVSEND ? "hvsend" : "hvrecv",
                 HVFERRY_VERSION, PROTOCOL_VERSION_MAX);
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (codec_mask() & 1u << i)
            (void)printf(" %s", codec_id_name(i));
    (void)puts(")");
}

static int set_codec(struct options *o, const char *name, struct err *err) {
    if (strcmp(name, "auto") == 0) {
        o->codec = CODEC_AUTO;
        return 0;
    }
    const struct codec *codec = codec_by_name(name);
    if (codec == NULL)
        return err_set(err, EXIT_USAGE, "'%s' is not a codec of this build; choose auto, none, zlib%s",
                       ESCAPED(name), codec_mask() & 1u << CODEC_ZSTD ? " or zstd" : "");
    o->codec = codec->wire_id;
    return 0;
}

static int set_durable(struct options *o, const char *word, struct err *err) {
    static const char *const words[] = {
        [DURABLE_BATCH] = "batch", [DURABLE_FILE] = "file", [DURABLE_NONE] = "none"};
    for (int i = DURABLE_BATCH; i <= DURABLE_NONE; i++)
        if (strcmp(word, words[i]) == 0) {
            o->durable = (enum durable)i;
            o->durable_given = true;
            return 0;
        }
    return err_set(err, EXIT_USAGE, "--durable: '%s' is none of batch, file, none", ESCAPED(word));
}

static int set_delta(struct options *o, const char *word, struct err *err) {
    static const char *const words[] = {[DELTA_AUTO] = "auto", [DELTA_ON] = "on", [DELTA_OFF] = "off"};
    for (int i = DELTA_AUTO; i <= DELTA_OFF; i++)
        if (strcmp(word, words[i]) == 0) {
            o->delta = (enum delta_choice)i;
            return 0;
        }
    return err_set(err, EXIT_USAGE, "--delta: '%s' is none of auto, on, off", ESCAPED(word));
}

static int set_seconds(int *to_ms, const char *text, bool zero_is_never, struct err *err) {
    uint64_t seconds;
    if (parse_number(text, zero_is_never ? 0 : 1, 86400, &seconds, err) != 0)
        return -1;
    *to_ms = seconds ? (int)seconds * 1000 : -1;
    return 0;
}

static int set_retries(struct options *o, const char *word, struct err *err) {
    uint64_t n = RETRY_FOREVER;
    if (strcmp(word, "forever") != 0 && parse_number(word, 0, 1000000, &n, NULL) != 0)
        return err_set(err, EXIT_USAGE, "--retry: '%s' is neither a number from 0 to 1000000 nor forever",
                       ESCAPED(word));
    o->retries = (uint32_t)n;
    o->retries_given = true;
    return 0;
}

/* Seconds with up to three decimals: "2", "0.5", ".25". */
static int set_retry_delay(struct options *o, const char *word, struct err *err) {
    size_t whole = strspn(word, "0123456789"), point = word[whole] == '.';
    size_t decimals = point ? strspn(word + whole + 1, "0123456789") : 0;
    if (word[whole + point + decimals] != '\0' || whole > 4 || decimals > 3 || whole + decimals == 0 ||
        point != (decimals > 0))
        return err_set(err, EXIT_USAGE, "--retry-delay: '%s' is no number of seconds from 0 to 9999.999",
                       ESCAPED(word));
    int ms = 0;
    for (size_t i = 0; i < whole + point + decimals; i++)
        ms = word[i] == '.' ? ms : ms * 10 + (word[i] - '0');
    for (size_t i = decimals; i < 3; i++)
        ms *= 10;
    o->retry_delay_ms = ms;
    return 0;
}

static int parse_count(const char *text, uint64_t *ret, struct err *err) {
    return parse_number(text, 1, INT64_MAX, ret, err);
}

/* 0 would mean that there is no limit, which nobody wants who writes it. */
static int set_limit(uint64_t *to, const char *option, const char *text,
                     int (*parse)(const char *text, uint64_t *ret, struct err *err), struct err *err) {
    if (parse(text, to, err) != 0)
        return err_wrap(err, "%s", option);
    return *to > 0 ? 0 : err_set(err, EXIT_USAGE, "%s: give at least 1", option);
}

static int set_with_argument(struct options *o, int id, const char *arg, struct err *err) {
    uint64_t v;
    switch (id) {
    case O_LISTEN: o->listen = arg; return 0;
    case O_CONNECT: o->connect = arg; return 0;
    case O_INTO: o->into = arg; return 0;
    case O_KEY_FILE: o->key_file = arg; return 0;
    case O_GENERATE_KEY: o->generate_key = arg; return 0;
    case O_ALLOW_PEER: return allow_add(&o->allow, arg, err);
    case O_MAX_SESSIONS:
        if (parse_number(arg, 1, SESSIONS_MAX, &v, err) != 0)
            return err_wrap(err, "--max-sessions");
        o->max_sessions = (unsigned)v;
        return 0;
    case O_QUOTA: return set_limit(&o->quota, "--quota", arg, parse_size, err);
    case O_MIN_FREE: return set_limit(&o->min_free, "--min-free", arg, parse_size, err);
    case O_MAX_FILES: return set_limit(&o->max_files, "--max-files", arg, parse_count, err);
    case O_ZC: return set_codec(o, arg, err);
    case O_DURABLE: return set_durable(o, arg, err);
    case O_DELTA: return set_delta(o, arg, err);
    case O_BWLIMIT: return bwlimit_parse(arg, &o->bwlimit, err);
    case O_TIMEOUT: return set_seconds(&o->timeout_ms, arg, true, err);
    case O_CONTIMEOUT: return set_seconds(&o->connect_timeout_ms, arg, false, err);
    case O_GRACE:
        if (set_seconds(&o->grace_ms, arg, true, err) != 0)
            return -1;
        o->grace_ms = o->grace_ms < 0 ? 0 : o->grace_ms;
        return 0;
    case O_RETRY: return set_retries(o, arg, err);
    case O_RETRY_DELAY: return set_retry_delay(o, arg, err);
    case O_ZL:
        if (parse_number(arg, 1, 22, &v, err) != 0)
            return -1;
        o->level = (int)v;
        return 0;
    case O_PROGRESS_FD:
        if (parse_number(arg, 0, 1 << 20, &v, err) != 0)
            return -1;
        o->progress_fd = (int)v;
        return 0;
    case O_INFO:
        if (strcmp(arg, "progress2") != 0)
            return err_set(err, EXIT_USAGE, "--info: only progress2 is known, not '%s'", ESCAPED(arg));
        o->progress = true;
        return 0;
    default: /* O_CHUNK_SIZE */
        if (parse_size(arg, &v, err) != 0)
            return -1;
        if (v < CHUNK_SIZE_MIN || v > CHUNK_SIZE_MAX || v % 4096 != 0)
            return err_set(err, EXIT_USAGE, "--chunk-size: '%s' is not a multiple of 4K from 64K to 16M",
                           arg);
        o->chunk_size = (uint32_t)v;
        return 0;
    }
}

static void set_flag(struct options *o, int id) {
    switch (id) {
    case 'a': o->recursive = o->links = o->perms = o->times = o->owner = o->group = true; break;
    case 'o': o->owner = true; break;
    case 'g': o->group = true; break;
    case 'r': o->recursive = true; break;
    case 'l': o->links = true; break;
    case 'p': o->perms = true; break;
    case 't': o->times = true; break;
    case 'I': o->ignore_times = true; break;
    case 'c': o->checksum = true; break;
    case 'z': o->codec = codec_by_id(CODEC_ZSTD) ? CODEC_ZSTD : CODEC_ZLIB; break;
    case 'v': o->verbose++; break;
    case 'q': o->quiet++; break;
    case 'h': o->human = true; break;
    case 'P':
    case O_PROGRESS: o->progress = true; break;
    case 'W': o->delta = DELTA_OFF; break;
    case O_INPLACE: o->inplace = true; break;
    case O_PARTIAL: o->no_partial = false; break;
    case O_NO_PARTIAL: o->no_partial = true; break;
    case O_VERIFY: o->verify = true; break;
    case O_STDIO: o->use_stdio = true; break;
    case O_ONCE: o->once = true; break;
    case O_ALLOW_REMOTE: o->allow_remote = true; break;
    case O_NO_CONNECTED_SUSPEND: o->no_connected_suspend = true; break;
    case O_MKPATH: o->mkpath = true; break;
    case O_SERIAL: o->serial = true; break;
    case O_STATS: o->stats = true; break;
    case O_JSON: o->json = true; break;
    default: break;
    }
}

static const struct option_row *row_of(int id) {
    for (int i = 0; i < ROW_COUNT; i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

/* `letter`: what getopt_long puts into optopt; 0 for a long option that it does not know. */
static int unknown_option(enum program program, int letter, const char *word, struct err *err) {
    const struct option_row *row = row_of(letter);
    if (row && row->programs & (int)program)
        return err_set(err, EXIT_USAGE, "option %s takes no argument; see --help", ESCAPED(word));
    if (letter != 0 && letter < LONG_ONLY) {
        const char text[] = {(char)letter, '\0'};
        bool later = strchr(later_letters, letter) != NULL;
        return err_set(err, EXIT_USAGE, "option -%s %s; see --help", ESCAPED(text),
                       later ? "is not supported yet" : "is not known");
    }
    size_t n = strcspn(word, "=");
    for (size_t i = 0; i < sizeof later_names / sizeof later_names[0]; i++)
        if (n > 2 && strncmp(word + 2, later_names[i], n - 2) == 0 && later_names[i][n - 2] == '\0')
            return err_set(err, EXIT_USAGE, "option --%s is not supported yet; see --help", later_names[i]);
    return err_set(err, EXIT_USAGE, "option %s is not known; see --help", ESCAPED(word));
}

/* The tables getopt_long wants, made of ours. */
static void make_tables(enum program program, char *shorts, struct option *longs) {
    *shorts++ = ':'; /* a missing argument is told apart from an unknown option */
    for (int i = 0; i < ROW_COUNT; i++) {
        if (!(rows[i].programs & (int)program))
            continue;
        if (rows[i].id < LONG_ONLY)
            *shorts++ = (char)rows[i].id;
        if (rows[i].name)
            *longs++ = (struct option){rows[i].name, rows[i].arg ? required_argument : no_argument, NULL,
                                       rows[i].id};
    }
    *shorts = '\0';
    *longs = (struct option){NULL, 0, NULL, 0};
}

enum parsed options_parse(enum program program, int argc, char **argv, struct options *ret, struct err *err) {
    char shorts[2 * ROW_COUNT + 2];
    struct option longs[ROW_COUNT + 1];
    *ret = (struct options){
        .chunk_size = CHUNK_SIZE_DEFAULT,
        .codec = CODEC_AUTO,
        .timeout_ms = 60000,
        .connect_timeout_ms = 10000,
        .grace_ms = GRACE_UNSET,
        .retry_delay_ms = BACKOFF_FIRST_MS,
        .max_sessions = PEER_SESSIONS_DEFAULT,
        .progress_fd = -1,
        .bwlimit = {.file = OS_FILE_NONE},
    };
    make_tables(program, shorts, longs);
    opterr = 0;
    for (int id; (id = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        const char *word = argv[optind - 1];
        if (id == O_HELP || id == O_VERSION) {
            (id == O_HELP ? print_help : print_version)(program);
            return PARSED_DONE;
        }
        if (id == ':' && row_of(optopt)->arg) {
            (void)err_set(err, EXIT_USAGE, "option %s needs an argument; see --help", ESCAPED(word));
            return PARSED_ERROR;
        }
        if (id == '?' || id == ':') { /* some answer ':' to an argument too many as well */
            (void)unknown_option(program, optopt, word, err);
            return PARSED_ERROR;
        }
        if (row_of(id)->arg == NULL)
            set_flag(ret, id);
        else if (set_with_argument(ret, id, optarg, err) != 0)
            return PARSED_ERROR;
    }
    if (ret->grace_ms == GRACE_UNSET)
        ret->grace_ms = ret->timeout_ms >= 0 && ret->timeout_ms < GRACE_MS ? ret->timeout_ms : GRACE_MS;
    ret->args = argv + optind;
    ret->arg_count = argc - optind;
    return PARSED_RUN;
}

uint64_t options_flags(const struct options *o) {
    return (o->recursive ? OPT_RECURSIVE : 0u) | (o->links ? OPT_LINKS : 0u) | (o->perms ? OPT_PERMS : 0u) |
           (o->times ? OPT_TIMES : 0u) | (o->owner ? OPT_OWNER : 0u) | (o->group ? OPT_GROUP : 0u) |
           (o->ignore_times ? OPT_IGNORE_TIMES : 0u) | (o->checksum ? OPT_CHECKSUM : 0u) |
           (o->inplace ? OPT_INPLACE : 0u) | (o->verify ? OPT_VERIFY : 0u);
}
