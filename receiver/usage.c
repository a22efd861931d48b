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
    while (u && !peer_may_be_same(&u->peer, peer)) /* whom nobody tells apart share one */
        u = u->next;
    if (u == NULL)
        u = add_peer(table, peer, err);
    os_unlock(&table->lock);
    return u;
}

/* Lock held. False: that would be more than `most` (0: no limit). */
static bool fits(uint64_t sum, uint64_t n, uint64_t most) {
    return most == 0 || n == 0 || (sum <= most && n <= most - sum);
}

/* Lock held. What was there before this program ran was never added, so that more can be taken off than was added: the rest. */
static uint64_t subtract(uint64_t *sum, uint64_t n) {
    uint64_t possible = n < *sum ? n : *sum;
    *sum -= possible;
    return n - possible;
}

static int take(struct usage *usage, uint64_t bytes, uint64_t files, const char *path, struct err *err) {
    const struct limits *limits = usage->table->limits;
    if (!fits(usage->files, files, limits->max_files))
        return err_set(err, EXIT_NO_SPACE,
                       "%s: this peer may add no more than %" PRIu64 " files (--max-files)", ESCAPED(path),
                       limits->max_files);
    if (limits->quota == 0)
        bytes = 0;
    if (!fits(usage->bytes + usage->holes, bytes, limits->quota))
        return err_set(err, EXIT_NO_SPACE, "%s: this peer may add no more than %s bytes (--quota)",
                       ESCAPED(path), SIZE_TEXT(limits->quota, true));
    usage->bytes += bytes;
    usage->files += files;
    return 0;
}

int usage_take(struct usage *usage, uint64_t bytes, uint64_t files, const char *path, struct err *err) {
    if (usage == NULL)
        return 0;
    os_lock(&usage->table->lock);
    int result = take(usage, bytes, files, path, err);
    os_unlock(&usage->table->lock);
    return result;
}

int usage_take_bytes(struct usage *usage, struct usage_file *file, uint64_t longer, uint64_t within,
                     const char *path, struct err *err) {
    uint64_t filled = within < file->unpaid ? within : file->unpaid;
    if (longer + filled == 0)
        return 0;
    int result = usage_take(usage, longer + filled, 0, path, err);
    if (result == 0) {
        file->bytes += longer + filled;
        file->unpaid -= filled;
    }
    return result;
}

void usage_give_name(struct usage *usage) {
    if (usage == NULL)
        return;
    os_lock(&usage->table->lock);
    (void)subtract(&usage->files, 1);
    os_unlock(&usage->table->lock);
}

/* False: nobody asks how many bytes there are. */
static bool is_counted(const struct usage *usage) {
    return usage && usage->table->limits->quota > 0;
}

static struct usage_file split(uint64_t size, uint64_t allocated) {
    uint64_t bytes = size < allocated ? size : allocated;
    return (struct usage_file){.bytes = bytes, .holes = size - bytes};
}

/* As many of its holes as count already are counted as bytes while it is written. */
struct usage_file usage_file_of(struct usage *usage, const struct os_stat *st) {
    if (!is_counted(usage))
        return (struct usage_file){0};
    struct usage_file file = split(st->size, st->allocated);
    os_lock(&usage->table->lock);
    uint64_t unpaid = subtract(&usage->holes, file.holes), paid = file.holes - unpaid;
    usage->bytes += paid;
    os_unlock(&usage->table->lock);
    file.bytes += paid;
    file.holes = file.unpaid = unpaid;
    return file;
}

/* Bytes that are gone and never counted as such may have counted as a hole: where they got to storage late. */
void usage_settle(struct usage *usage, struct usage_file *file, uint64_t size, uint64_t allocated) {
    if (!is_counted(usage))
        return;
    const struct usage_file now = split(size, allocated);
    os_lock(&usage->table->lock);
    if (now.bytes > file->bytes)
        usage->bytes += now.bytes - file->bytes;
    else
        (void)subtract(&usage->holes, subtract(&usage->bytes, file->bytes - now.bytes));
    if (now.holes > file->holes)
        usage->holes += now.holes - file->holes;
    else
        (void)subtract(&usage->holes, file->holes - now.holes);
    os_unlock(&usage->table->lock);
    *file = now;
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

bool usage_is_free_limited(const struct usage *usage) {
    return usage && usage->table->limits->min_free > 0;
}

int usage_check_free(const struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                     struct err *err) {
    uint64_t sum;
    if (!usage_is_free_limited(usage))
        return 0;
    if (!add_u64(atomic_load(&usage->table->coming), bytes, &sum))
        sum = UINT64_MAX;
    return check_free(usage->table->limits->min_free, sum, dir, path, err);
}

/* Of two who come at once the second counts what the first takes, and who looks at what is free looks after that. What was
 * written is counted twice for a moment, never not at all. */
int usage_take_room(struct usage *usage, struct os_dir dir, uint64_t bytes, const char *path,
                    struct err *err) {
    if (!usage_is_free_limited(usage))
        return 0;
    uint64_t coming = atomic_fetch_add(&usage->table->coming, bytes) + bytes;
    int result = check_free(usage->table->limits->min_free, coming, dir, path, err);
    if (result != 0)
        usage_room_used(usage, bytes);
    return result;
}

void usage_room_used(struct usage *usage, uint64_t bytes) {
    if (usage_is_free_limited(usage))
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

void usage_hold(struct usage *usage, struct usage_held *held, const struct os_stat *st) {
    if (usage == NULL)
        return;
    *held = (struct usage_held){
        .usage = usage, .device = st->device, .inode = st->inode, .next = usage->table->held};
    usage->table->held = held;
}

/* usage_lock held. */
static struct usage_held *find_held(const struct usage_table *table, uint64_t device, uint64_t inode) {
    struct usage_held *held = table->held;
    while (held && (held->device != device || held->inode != inode))
        held = held->next;
    return held;
}

static void take_off(struct usage *usage, const struct os_stat *st) {
    struct usage_file file = split(st->size, st->allocated);
    usage_settle(usage, &file, 0, 0);
}

void usage_gone(struct usage *usage, const struct os_stat *st) {
    if (usage == NULL || st->kind != OS_FILE || st->links > 1) /* one that has other names is still there */
        return;
    struct usage_held *held = find_held(usage->table, st->device, st->inode);
    if (held)
        held->owed_to = usage;
    else
        take_off(usage, st);
}

/* usage_lock held, result of opening. */
static int hold_opened(struct usage *usage, struct usage_held *held, int result, struct os_file *file) {
    struct os_stat st;
    if (usage == NULL || result != 0)
        return result;
    result = os_fstat(*file, &st);
    if (result == 0)
        usage_hold(usage, held, &st);
    else
        os_close(file);
    return result;
}

int usage_open_read(struct usage *usage, struct usage_held *held, struct os_dir at, const char *name,
                    struct os_file *ret) {
    usage_lock(usage);
    int result = hold_opened(usage, held, os_open_read(at, name, ret), ret);
    usage_unlock(usage);
    return result;
}

int usage_open_locked(struct usage *usage, struct usage_held *held, struct os_dir at, const char *name,
                      struct os_file *ret) {
    usage_lock(usage);
    int result = hold_opened(usage, held, os_open_locked(at, name, false, ret), ret);
    usage_unlock(usage);
    return result;
}

/* How much is taken off is seen at the end, for it may have become shorter or longer meanwhile. */
int usage_close(struct usage_held *held, struct os_file *file) {
    struct os_stat st;
    struct usage *owed_to = NULL;
    if (held->usage) {
        usage_lock(held->usage);
        struct usage_held **at = &held->usage->table->held;
        while (*at != held)
            at = &(*at)->next;
        *at = held->next;
        struct usage_held *other =
            held->owed_to ? find_held(held->usage->table, held->device, held->inode) : NULL;
        if (other)
            other->owed_to = held->owed_to;
        else if (held->owed_to && os_fstat(*file, &st) == 0 && st.device == held->device &&
                 st.inode == held->inode)
            owed_to = held->owed_to;
        usage_unlock(held->usage);
        held->usage = NULL;
    }
    int result = os_close_checked(file);
    if (owed_to)
        take_off(owed_to, &st);
    return result;
}

int usage_take_name(struct usage *usage, struct os_dir dir, const char *path, struct err *err) {
    return usage_check_free(usage, dir, USAGE_NAME_BYTES, path, err) == 0 ? usage_take(usage, 0, 1, path, err)
                                                                          : -1;
}
