#include "receiver/usage.h"

#include "core/text.h"
#include "program/allow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct usage_table *usage_table_new(const struct limits *limits) {
    struct usage_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->limits = limits;
    os_mutex_init(&table->lock);
    os_mutex_init(&table->replacing);
    return table;
}

void usage_table_free(struct usage_table *table) {
    if (table == NULL)
        return;
    for (struct usage *u = table->first, *next; u; u = next) {
        next = u->next;
        free(u);
    }
    os_mutex_free(&table->replacing);
    os_mutex_free(&table->lock);
    free(table);
}

/* Lock held. */
static struct usage *add_peer(struct usage_table *table, const struct peer_id *peer, struct err *err) {
    struct usage *u = NULL;
    if (table->count == USAGE_PEERS_MAX) {
        (void)err_set(err, EXIT_REFUSED, "no more than %d peers can have a quota here", USAGE_PEERS_MAX);
        return NULL;
    }
    u = calloc(1, sizeof *u);
    if (u == NULL) {
        (void)err_set(err, EXIT_MEMORY, "out of memory");
        return NULL;
    }
    u->table = table;
    u->peer = *peer;
    u->next = table->first;
    table->first = u;
    table->count++;
    return u;
}

struct usage *usage_of(struct usage_table *table, const struct peer_id *peer, struct err *err) {
    os_lock(&table->lock);
    struct usage *u = table->first;
    while (u && !peer_is_same(&u->peer, peer))
        u = u->next;
    if (u == NULL)
        u = add_peer(table, peer, err);
    os_unlock(&table->lock);
    return u;
}

/* False: that would be more than `most` (0: no limit). */
static bool add(_Atomic uint64_t *sum, uint64_t n, uint64_t most) {
    uint64_t before = atomic_load(sum);
    do {
        if (most && (before > most || n > most - before))
            return false;
    } while (!atomic_compare_exchange_weak(sum, &before, before + n));
    return true;
}

/* What was there before this program ran was never added, so that more can be given than was taken. */
static void subtract(_Atomic uint64_t *sum, uint64_t n) {
    uint64_t before = atomic_load(sum);
    while (!atomic_compare_exchange_weak(sum, &before, before > n ? before - n : 0))
        ;
}

int usage_take(struct usage *usage, uint64_t bytes, uint64_t files, const char *path, struct err *err) {
    if (usage == NULL)
        return 0;
    const struct limits *limits = usage->table->limits;
    if (!add(&usage->files, files, limits->max_files))
        return err_set(err, EXIT_NO_SPACE,
                       "%s: this peer may add no more than %" PRIu64 " files (--max-files)", ESCAPED(path),
                       limits->max_files);
    if (add(&usage->bytes, bytes, limits->quota))
        return 0;
    subtract(&usage->files, files);
    return err_set(err, EXIT_NO_SPACE, "%s: this peer may add no more than %s bytes (--quota)", ESCAPED(path),
                   SIZE_TEXT(limits->quota, true));
}

void usage_give(struct usage *usage, uint64_t bytes, uint64_t files) {
    if (usage == NULL)
        return;
    subtract(&usage->bytes, bytes);
    subtract(&usage->files, files);
}

/* Room for what is needed, of which a part may be counted in `least` already. */
static int check_free(uint64_t least, uint64_t coming, struct os_dir dir, const char *path, struct err *err) {
    uint64_t free_bytes;
    int result = os_volume_free(dir, &free_bytes);
    if (result != 0)
        return os_file_error(err, result, "%s: cannot see how much is free", ESCAPED(path));
    if (free_bytes >= least && free_bytes - least >= coming)
        return 0;
    return err_set(err, EXIT_NO_SPACE, "%s: %s bytes are free, and %s must stay so (--min-free)",
                   ESCAPED(path), SIZE_TEXT(free_bytes, true), SIZE_TEXT(least, true));
}

static bool is_free_limited(const struct usage *usage) {
    return usage && usage->table->limits->min_free > 0;
}

int usage_check_free(const struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                     struct err *err) {
    uint64_t sum;
    if (!is_free_limited(usage))
        return 0;
    if (!add_u64(atomic_load(&usage->table->coming), bytes, &sum))
        sum = UINT64_MAX;
    return check_free(usage->table->limits->min_free, sum, dir, path, err);
}

/* Of two who come at once the second counts what the first takes, and who looks at what is free looks after that. What was
 * written is counted twice for a moment, never not at all. */
int usage_take_room(struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                    struct err *err) {
    if (!is_free_limited(usage))
        return 0;
    uint64_t coming = atomic_fetch_add(&usage->table->coming, bytes) + bytes;
    int result = check_free(usage->table->limits->min_free, coming, dir, path, err);
    if (result != 0)
        usage_room_used(usage, bytes);
    return result;
}

void usage_room_used(struct usage *usage, uint64_t bytes) {
    if (is_free_limited(usage))
        atomic_fetch_sub(&usage->table->coming, bytes);
}

void usage_lock(struct usage *usage) {
    if (usage)
        os_lock(&usage->table->replacing);
}

void usage_unlock(struct usage *usage) {
    if (usage)
        os_unlock(&usage->table->replacing);
}

int usage_take_name(struct usage *usage, struct os_dir dir, const char *path, struct err *err) {
    return usage_check_free(usage, dir, USAGE_NAME_BYTES, path, err) == 0 ? usage_take(usage, 0, 1, path, err)
                                                                          : -1;
}
