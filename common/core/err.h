/* err.h: how a function says what went wrong.
 *
 * A function that can fail returns 0 (or a count) on success and -1 on failure, and fills the
 * `struct err` that its caller passed. The caller adds context on the way up with err_wrap(), so the
 * person reads `chunk 17: write 'a/b': No space left on device`. An err owns no memory. It is not
 * shared: each thread has its own.
 */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdbool.h>
#include <stdio.h>

/* Exit codes of both programs: rsync's numbers where they fit, ours above 40. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_USAGE = 1,
    EXIT_PROTOCOL = 2, /* the peer speaks another protocol or version */
    EXIT_SELECT = 3, /* cannot select input files */
    EXIT_UNSUPPORTED = 4, /* asked for something that is not supported */
    EXIT_REFUSED = 5, /* session refused or authentication failed */
    EXIT_SOCKET = 10, /* the transport failed */
    EXIT_FILE_IO = 11, /* a local file or directory failed */
    EXIT_STREAM = 12, /* the stream broke the protocol, or ended early */
    EXIT_SIGNAL = 20, /* SIGINT or SIGTERM */
    EXIT_MEMORY = 22, /* out of memory */
    EXIT_PARTIAL = 23, /* some files were not transferred */
    EXIT_VANISHED = 24, /* source files vanished or changed while being read */
    EXIT_TIMEOUT = 30, /* the peer was silent for too long */
    EXIT_CONNECT_TIMEOUT = 35,
    EXIT_VERIFY = 40, /* a digest did not match */
    EXIT_NO_SPACE = 41, /* no space or quota left at the destination */
    EXIT_PEER_DENIED = 42, /* the peer is not allowed */
    EXIT_TARGETS = 43, /* of several targets, some failed */
};

#define ERR_MESSAGE_MAX 1024 /* bytes with the final NUL; longer messages are cut */

struct err {
    int code; /* enum exit_code; 0 while nothing failed */
    int sys; /* errno value behind it, 0 where there is none */
    char msg[ERR_MESSAGE_MAX];
};

#if defined(__MINGW_PRINTF_FORMAT) /* stdio.h of mingw-w64: what its printf understands */
#define ERR_PRINTF(fmt, args) __attribute__((format(__MINGW_PRINTF_FORMAT, fmt, args)))
#elif defined(__GNUC__)
#define ERR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ERR_PRINTF(fmt, args)
#endif

/* Fill `err`; always returns -1, so that `return err_set(...)` reads well. `err` may be NULL. */
int err_set(struct err *err, int code, const char *fmt, ...) ERR_PRINTF(3, 4);

/* The same with an errno value, whose text is appended as ": No such file or directory". */
int err_sys(struct err *err, int code, int sys, const char *fmt, ...) ERR_PRINTF(4, 5);

/* The code of a peer as one of ours: EXIT_STREAM for those that say nothing about it, as EXIT_SIGNAL and EXIT_USAGE, or do
 * not exist. */
int err_code_of_peer(unsigned code);

/* The text of an errno value, for people. */
const char *sys_text(int sys);

/* Put "context: " before the message that is there; keeps code and sys. Always returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) ERR_PRINTF(2, 3);

static inline bool err_is_set(const struct err *err) {
    return err->code != 0;
}

#endif
