/* sink_names.c: the names of unfinished files, and what dead sessions left under them.
 *
 *   .hvferry.SALT.ID.UP   a file, or a staged directory, of the session SALT, which claims (os_claim) the directory UP levels
 *                         above
 *   .hvferry.SALT.ID      the same of a session that could claim nothing: nobody can tell whether it lives
 *   .hvferry.part.DIGEST  a large file; the digest is that of the name it is to get, so that one look finds it. It is locked, and this
 *                         user's alone (0600), until it is complete, on storage and read back
 *
 * What is of a dead session is removed by whoever works in that directory. The large ones stay: the next session that
 * gets the same file goes on with them, or starts them anew, or finds that the file is complete, large or small by now, and
 * removes them.
 */
#include "receiver/sink_impl.h"

#include "core/path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PARTIAL RESERVED_PREFIX "part."

/* At least `digits` hexadecimal ones; where they end. It is called twice a file, which printf would make dear. */
static char *write_hex(char *to, uint64_t value, unsigned digits) {
    while (digits < NAME_SALT_DIGITS && value >> 4 * digits)
        digits++;
    for (unsigned i = digits; i-- > 0;)
        *to++ = "0123456789abcdef"[value >> 4 * i & 15];
    return to;
}

void sink_temp_name(const struct sink *sink, const char *path, uint64_t file_id, struct temp_name *ret) {
    memcpy(ret->s, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1);
    char *at = write_hex(ret->s + sizeof RESERVED_PREFIX - 1, sink->opt.name_salt, NAME_SALT_DIGITS);
    *at++ = '.';
    at = write_hex(at, file_id, 1);
    if (os_file_is_open(sink->claim)) {
        *at++ = '.';
        at = write_hex(at, path_depth(path) - 1, 1);
    }
    *at = '\0';
}

void sink_partial_name(const char *name, struct temp_name *ret) {
    struct digest d = digest_of(name, strlen(name));
    int n = snprintf(ret->s, sizeof ret->s, PARTIAL);
    for (size_t i = 0; i < sizeof d.b; i++)
        n += snprintf(ret->s + n, sizeof ret->s - (size_t)n, "%02x", d.b[i]);
}

const char *sink_name_for_now(const struct sink *sink, const char *path, uint64_t file_id,
                              enum sink_place place, struct temp_name *room) {
    size_t n;
    const char *own = path_base(path, &n);
    if (place == SINK_INPLACE || place == SINK_STAGED)
        return own;
    if (place == SINK_PARTIAL)
        sink_partial_name(own, room);
    else
        sink_temp_name(sink, path, file_id, room);
    return room->s;
}

/* True when the name is that of a session that claims a directory. */
static bool read_temp_name(const char *name, uint64_t *ret_salt, uint64_t *ret_up) {
    uint64_t numbers[3];
    if (name_read_temp(name, numbers) != 3)
        return false;
    *ret_salt = numbers[0];
    *ret_up = numbers[2];
    return true;
}

/* True when the session is dead. Where its claim would be must lie below our own root, on the same volume: only there
 * can it be told. */
static bool is_dead(struct sink *sink, const char *path, uint64_t salt, uint64_t up) {
    struct os_dir claimed;
    struct os_stat st;
    size_t n = strlen(path);
    if (salt == sink->opt.name_salt || up > path_depth(path))
        return false;
    for (; up > 0; up--)
        n = path_parent_length(path, n);
    return dir_cache_get(&sink->dirs, path, n, &claimed) == 0 && os_dir_stat(claimed, &st) == 0 &&
           st.device == sink->volume && os_is_claimed(claimed, salt) == 0;
}

/* A sender may list a directory again and again, and there may be a hundred thousand names in it. Two that share a place are
 * looked through by turns; the salt keeps it from knowing which do. */
static bool was_looked_at(struct sink *sink, const struct os_stat *st) {
    uint64_t number = (st->inode ^ sink->opt.name_salt) * 0x9E3779B97F4A7C15;
    if ((st->mode & 0200) == 0) /* when it can be written to, once more */
        number = ~number;
    uint64_t *place = &sink->looked_at[number / (UINT64_MAX / SINK_LOOKED_AT + 1)];
    bool was = *place == number;
    *place = number;
    return was;
}

void sink_remove_orphans(struct sink *sink, const char *path) {
    struct os_dir dir;
    struct os_stat st;
    struct os_list *list;
    const char *name;
    enum os_kind kind;
    uint64_t salt, up, dead = 0, dead_up = 0; /* neighbours are of the same session: it is asked for once */
    bool any_dead = false;
    if (dir_cache_get(&sink->dirs, path, strlen(path), &dir) != 0 || os_dir_stat(dir, &st) != 0 ||
        st.device != sink->volume || was_looked_at(sink, &st) || os_list_open(dir, &list) != 0)
        return;
    while (!sink_is_cancelled(sink) && os_list_next(list, &name, &kind) == 1) {
        if (!read_temp_name(name, &salt, &up)) {
            sink->any_partial = sink->any_partial || strncmp(name, PARTIAL, sizeof PARTIAL - 1) == 0;
            continue;
        }
        if (!(any_dead && salt == dead && up == dead_up) && !is_dead(sink, path, salt, up))
            continue;
        any_dead = true;
        dead = salt;
        dead_up = up;
        if (dir_cache_get(&sink->dirs, path, strlen(path), &dir) == 0)
            sink_remove_dead(sink, dir, name);
    }
    os_list_close(list);
}

void sink_remove_partial(struct sink *sink, const char *path, uint64_t size) {
    struct os_dir at;
    struct os_stat st;
    const char *name;
    struct temp_name partial;
    struct os_file left = OS_FILE_NONE;
    if (!os_file_is_open(sink->claim) || !(sink->any_partial || sink_keeps_partial(sink, size)) ||
        dir_cache_parent(&sink->dirs, path, &at, &name) != 0)
        return;
    sink_partial_name(name, &partial);
    if (os_stat_at(at, partial.s, &st) != 0)
        return;
    int result = os_open_locked(at, partial.s, true, &left);
    if (result != 0 && result != -EPERM) /* that: nobody is at it, nor can be */
        return;
    if (sink_remove_counted(sink, at, partial.s, NULL))
        usage_give_name(sink->opt.usage);
    os_close(&left);
}
