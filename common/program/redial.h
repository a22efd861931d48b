/* redial.h: connect, and try again while the other end is not there yet. */
#ifndef PROGRAM_REDIAL_H
#define PROGRAM_REDIAL_H

#include "transport/transport.h"

#define RETRY_FOREVER UINT32_MAX

struct retry_policy {
    uint32_t retries; /* further tries after the first one, or RETRY_FOREVER */
    int delay_ms; /* before the first of them; see backoff.h */
    int try_ms; /* bound of each try; -1: none */
};

/* Until a stream stands, a failure is final (dial_is_early), the retries are used up, or deadline_ms (os_now_ms,
 * INT64_MAX for none) passed. Each failed try is a line at -v; the err is that of the last try and says how often and
 * how long it was tried. waker ends it at once with EXIT_SIGNAL. 0, or -1 and err. */
int redial(const struct addr *addr, const struct retry_policy *policy, int64_t deadline_ms,
           struct waker *waker, struct conn **ret, struct err *err);

#endif
