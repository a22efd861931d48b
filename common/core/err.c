#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...) {
    if (err == NULL)
        return -1;
    va_list args;
    va_start(args, fmt);
    err->code = code;
    err->sys = 0;
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    return -1;
}

int err_sys(struct err *err, int code, int sys, const char *fmt, ...) {
    if (err == NULL)
        return -1;
    va_list args;
    va_start(args, fmt);
    err->code = code;
    err->sys = sys;
    int used = vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->msg)
        (void)snprintf(err->msg + used, sizeof err->msg - (size_t)used, ": %s", sys_text(sys));
    return -1;
}

int err_code_of_peer(unsigned code) {
    switch (code) {
    case EXIT_PROTOCOL:
    case EXIT_SELECT:
    case EXIT_UNSUPPORTED:
    case EXIT_REFUSED:
    case EXIT_SOCKET:
    case EXIT_FILE_IO:
    case EXIT_MEMORY:
    case EXIT_PARTIAL:
    case EXIT_VANISHED:
    case EXIT_TIMEOUT:
    case EXIT_CONNECT_TIMEOUT:
    case EXIT_VERIFY:
    case EXIT_NO_SPACE:
    case EXIT_PEER_DENIED: return (int)code;
    default: return EXIT_STREAM;
    }
}

int err_wrap(struct err *err, const char *fmt, ...) {
    if (err == NULL)
        return -1;
    char inner[ERR_MESSAGE_MAX];
    memcpy(inner, err->msg, sizeof inner);
    va_list args;
    va_start(args, fmt);
    int used = vsnprintf(err->msg, sizeof err->msg, fmt, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->msg)
        (void)snprintf(err->msg + used, sizeof err->msg - (size_t)used, ": %s", inner);
    return -1;
}
