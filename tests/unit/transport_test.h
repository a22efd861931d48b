/* transport_test.h: what the transports' tests share on POSIX. */
#ifndef TESTS_TRANSPORT_TEST_H
#define TESTS_TRANSPORT_TEST_H

#include "stream_help.h"

#include <unistd.h>

/* A directory of the test's own, and names of sockets in it. */
struct place {
    char dir[64];
    char path[96], other[96]; /* DIR/s, DIR/o */
};

static inline void place_make(struct place *place) {
    (void)snprintf(place->dir, sizeof place->dir, "/tmp/hvferry-test-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    (void)snprintf(place->path, sizeof place->path, "%s/s", place->dir);
    (void)snprintf(place->other, sizeof place->other, "%s/o", place->dir);
}

/* Everything but the two names must have been removed by the code under test. */
static inline void place_remove(const struct place *place) {
    (void)unlink(place->path);
    (void)unlink(place->other);
    assert_int_equal(rmdir(place->dir), 0);
}

#endif
