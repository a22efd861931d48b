/* options.h: the command line, which both programs share. One table says which option belongs to which. */
#ifndef PROGRAM_OPTIONS_H
#define PROGRAM_OPTIONS_H

#include "core/err.h"
#include "program/allow.h"
#include "program/bwlimit.h"
#include "wire/protocol.h"

#include <stdbool.h>
#include <stdint.h>

enum program { PROGRAM_HVSEND = 1, PROGRAM_HVRECV = 2 };

enum { TARGETS_MAX = 64 }; /* of one hvsend: each costs a dozen threads and the memory of a session */

enum { CODEC_AUTO = 255 }; /* options.codec: chosen per chunk */

/* Send only what differs from what the receiver has: where that pays, wherever the receiver has something, or never. */
enum delta_choice { DELTA_AUTO, DELTA_ON, DELTA_OFF };

struct options {
    /* What to preserve and what to skip. */
    bool recursive, links, perms, times, owner, group;
    bool ignore_times, checksum;
    enum delta_choice delta;
    bool inplace, no_partial;
    /* Where. */
    const char *listen, *connect, *into;
    const char *to[TARGETS_MAX]; /* hvsend: addresses beside DEST */
    unsigned to_count;
    bool use_stdio, once, allow_remote, no_connected_suspend, mkpath;
    struct allow_list allow;
    const char *key_file, *generate_key;
    unsigned max_sessions; /* of one peer at once */
    uint64_t quota, min_free, max_files; /* hvrecv: bytes, bytes, files that one peer may add; 0: no limit */
    /* How. */
    uint32_t chunk_size;
    unsigned streams; /* 0: auto */
    unsigned codec; /* enum codec_id or CODEC_AUTO */
    int level; /* 0: the codec's default */
    enum durable durable;
    bool durable_given;
    bool verify;
    struct bwlimit bwlimit;
    int timeout_ms; /* -1: none */
    int connect_timeout_ms; /* of each try */
    bool retries_given; /* else it depends on the transport: addr_retries */
    uint32_t retries; /* of connecting; RETRY_FOREVER */
    int retry_delay_ms;
    int grace_ms; /* how long a listener keeps a session whose stream broke; 0: not */
    bool serial; /* one thread does everything */
    /* What is shown. */
    unsigned verbose, quiet;
    bool stats, human, json, progress;
    int progress_fd;
    /* What is left: SRC… and DEST or DIR. */
    char **args;
    int arg_count;
};

enum parsed { PARSED_RUN, PARSED_DONE, PARSED_ERROR };

/* PARSED_DONE: --help or --version was answered on stdout. PARSED_ERROR: err is EXIT_USAGE or EXIT_UNSUPPORTED.
 * Strings point into argv. */
enum parsed options_parse(enum program program, int argc, char **argv, struct options *ret, struct err *err);

/* OPT_* flags of START or REQUEST. */
uint64_t options_flags(const struct options *o);

#endif
