#include "program/redial.h"

#include "core/log.h"
#include "os/os.h"
#include "program/backoff.h"

#include <limits.h>

enum { LAST_TRY_MS = 1000 }; /* left of the deadline for a last try */

/* try_ms, or less before the deadline; as conn_dial wants it. */
static int bound_of_try(int try_ms, int64_t deadline_ms) {
    if (deadline_ms == INT64_MAX)
        return try_ms;
    int64_t left = deadline_ms - os_now_ms();
    if (left < 0)
        left = 0;
    return try_ms >= 0 && try_ms < left ? try_ms : left < INT_MAX ? (int)left : INT_MAX;
}

/* When to try again, or -1: the deadline is too near. */
static int64_t time_of_next(int delay_ms, unsigned tries, int64_t deadline_ms) {
    int64_t now = os_now_ms(), at = now + backoff_pause_ms(delay_ms, tries);
    if (deadline_ms == INT64_MAX || at <= deadline_ms - LAST_TRY_MS)
        return at;
    return now < deadline_ms - LAST_TRY_MS ? deadline_ms - LAST_TRY_MS : -1;
}

/* Puts how often and how long into the err. Always -1. */
static int given_up(unsigned tries, int64_t start_ms, struct err *err) {
    struct err last = *err;
    if (tries > 1)
        (void)err_set(err, last.code, "%s (tried %u times in %.1f s)", last.msg, tries,
                      (double)(os_now_ms() - start_ms) / 1000);
    err->sys = last.sys;
    return -1;
}

int redial(const struct addr *addr, const struct retry_policy *policy, int64_t deadline_ms,
           struct waker *waker, struct conn **ret, struct err *err) {
    int64_t start_ms = os_now_ms();
    for (unsigned tries = 1;; tries++) {
        if (conn_dial(addr, bound_of_try(policy->try_ms, deadline_ms), waker, ret, err) == 0) {
            if (conn_buffers(*ret)[0])
                log_line(LOG_DEBUG, "%s: %s", conn_peer(*ret), conn_buffers(*ret));
            return 0;
        }
        bool more = policy->retries == RETRY_FOREVER || tries <= policy->retries;
        int64_t at =
            more && dial_is_early(addr, err) ? time_of_next(policy->delay_ms, tries, deadline_ms) : -1;
        if (at < 0)
            return given_up(tries, start_ms, err);
        log_line(LOG_INFO, "try %u: %s; again in %.1f s", tries, err->msg, (double)(at - os_now_ms()) / 1000);
        if (!waker_pause(waker, at)) {
            err->code = EXIT_SIGNAL;
            return err_wrap(err, "interrupted while waiting to try again");
        }
    }
}
