#include "program/option_table.h"

#include "codec/codec.h"
#include "core/text.h"

#include <stdio.h>
#include <string.h>

enum { BOTH = PROGRAM_HVSEND | PROGRAM_HVRECV };

const struct option_row option_rows[] = {
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
    {O_TO, "to", "ADDR", PROGRAM_HVSEND, "send there too, all at once (repeatable; DEST may be left out)"},
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
    {O_STREAMS, "streams", "N", BOTH, "connections of a session, 1 to 16, or auto (default)"},
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
const int option_row_count = sizeof option_rows / sizeof option_rows[0];
_Static_assert(sizeof option_rows / sizeof option_rows[0] <= OPTION_ROWS_MAX, "OPTION_ROWS_MAX is too small");

/* Options of the same meaning in rsync that will come: the message says so instead of "unknown". */
static const char later_letters[] = "DHAXSuni0";
static const char *const later_names[] = {
    "devices",         "specials", "hard-links", "acls",    "xattrs",      "sparse",       "update",
    "dry-run",         "delete",   "max-delete", "exclude", "include",     "exclude-from", "include-from",
    "files-from",      "from0",    "chmod",      "chown",   "numeric-ids", "log-file",     "force",
    "itemize-changes",
};

void option_print_help(enum program program) {
    bool send = program == PROGRAM_HVSEND;
    if (send)
        (void)puts(
            "hvsend sends files and directories to hvrecv.\n\n"
            "  hvsend [OPTION...] SRC... DEST               connect to a listening hvrecv\n"
            "  hvsend [OPTION...] SRC... --to ADDR [--to ADDR...]   send to several at once\n"
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
    for (int i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
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

void option_print_version(enum program program) {
    (void)printf("%s %s (protocol %d; codecs:", program == PROGRAM_HVSEND ? "hvsend" : "hvrecv",
                 HVFERRY_VERSION, PROTOCOL_VERSION_MAX);
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (codec_mask() & 1u << i)
            (void)printf(" %s", codec_id_name(i));
    (void)puts(")");
}

const struct option_row *option_row_of(int id) {
    for (int i = 0; i < option_row_count; i++)
        if (option_rows[i].id == id)
            return &option_rows[i];
    return NULL;
}

int option_unknown(enum program program, int letter, const char *word, struct err *err) {
    const struct option_row *row = option_row_of(letter);
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
