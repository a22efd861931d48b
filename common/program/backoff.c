#include "program/backoff.h"

#include "os/os.h"

int backoff_ms(int first_ms, unsigned failures, uint32_t random) {
    int64_t most = first_ms > BACKOFF_MOST_MS ? first_ms : BACKOFF_MOST_MS, wait = first_ms;
    for (unsigned i = 1; i < failures && wait < most && wait > 0; i++)
        wait *= 2;
    if (wait > most)
        wait = most;
    int64_t spread = wait / 2; /* from a quarter less to a quarter more */
    return (int)(wait - spread / 2 + (int64_t)((uint64_t)spread * random >> 32));
}

int backoff_pause_ms(int first_ms, unsigned failures) {
    uint32_t random;
    os_random(&random, sizeof random);
    return backoff_ms(first_ms, failures, random);
}
