#include "program/options.h"

#include "codec/codec.h"
#include "core/log.h"
#include "core/text.h"
#include "program/backoff.h"
#include "program/lanes.h"
#include "program/option_table.h"
#include "program/redial.h"
#include "program/serve.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
    GRACE_MS = 30000, /* unless --grace or a shorter --timeout is given */
    GRACE_UNSET = -1,
};

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

static int set_streams(struct options *o, const char *word, struct err *err) {
    uint64_t n = 0;
    if (strcmp(word, "auto") != 0 && parse_number(word, 1, STREAMS_MAX, &n, NULL) != 0)
        return err_set(err, EXIT_USAGE, "--streams: '%s' is neither a number from 1 to %d nor auto",
                       ESCAPED(word), STREAMS_MAX);
    o->streams = (unsigned)n;
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

static int add_target(struct options *o, const char *word, struct err *err) {
    if (o->to_count == TARGETS_MAX)
        return err_set(err, EXIT_USAGE, "--to: at most %d receivers at once", TARGETS_MAX);
    o->to[o->to_count++] = word;
    return 0;
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
    case O_TO: return add_target(o, arg, err);
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
    case O_STREAMS: return set_streams(o, arg, err);
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
        if (!os_fd_is_writable((int)v)) /* a file that is written or a stream could get that number */
            return err_set(err, EXIT_USAGE, "--progress-fd: descriptor %d is not open for writing", (int)v);
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

/* The tables getopt_long wants, made of ours. */
static void make_tables(enum program program, char *shorts, struct option *longs) {
    *shorts++ = ':'; /* a missing argument is told apart from an unknown option */
    for (int i = 0; i < option_row_count; i++) {
        if (!(option_rows[i].programs & (int)program))
            continue;
        if (option_rows[i].id < LONG_ONLY)
            *shorts++ = (char)option_rows[i].id;
        if (option_rows[i].name)
            *longs++ =
                (struct option){option_rows[i].name, option_rows[i].arg ? required_argument : no_argument,
                                NULL, option_rows[i].id};
    }
    *shorts = '\0';
    *longs = (struct option){NULL, 0, NULL, 0};
}

enum parsed options_parse(enum program program, int argc, char **argv, struct options *ret, struct err *err) {
    char shorts[2 * OPTION_ROWS_MAX + 2];
    struct option longs[OPTION_ROWS_MAX + 1];
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
            (id == O_HELP ? option_print_help : option_print_version)(program);
            return PARSED_DONE;
        }
        if (id == ':' && option_row_of(optopt)->arg) {
            (void)err_set(err, EXIT_USAGE, "option %s needs an argument; see --help", ESCAPED(word));
            return PARSED_ERROR;
        }
        if (id == '?' || id == ':') { /* some answer ':' to an argument too many as well */
            (void)option_unknown(program, optopt, word, err);
            return PARSED_ERROR;
        }
        if (option_row_of(id)->arg == NULL)
            set_flag(ret, id);
        else if (set_with_argument(ret, id, optarg, err) != 0)
            return PARSED_ERROR;
    }
    if (ret->grace_ms == GRACE_UNSET)
        ret->grace_ms = ret->timeout_ms >= 0 && ret->timeout_ms < GRACE_MS ? ret->timeout_ms : GRACE_MS;
    if (ret->json && ret->progress_fd == 1) {
        (void)err_set(err, EXIT_USAGE,
                      "--json and --progress-fd 1 exclude each other: stdout has the events alone");
        return PARSED_ERROR;
    }
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
