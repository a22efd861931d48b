/* sink_inplace.c: a file that is there is written into (--inplace).
 *
 * It has its name all the time, and often its size. Should its data get to storage and its time not, then after a power cut it
 * would be a mixture with the time of the old file, and whoever sends that one again would pass over it. So before its first
 * byte is written it gets a time that stands for "neither old nor new", and that is flushed; its own time it gets when all of
 * its data is on storage, while it is open and locked still, and that is flushed too (decision 0010). */
#include "receiver/sink_impl.h"

#include "core/text.h"
#include "os/os.h"

#include <errno.h>

/* 1980-12-14, an even second: every file system can keep it, those that begin in 1980, end in 2038 or know no odd seconds as
 * well. The second alone tells, for some keep nothing less; the nanoseconds are for people. */
#define MARK_SEC INT64_C(345678902)
#define MARK_NSEC UINT32_C(987654321)

bool sink_is_marked(const struct os_stat *st) {
    return st->mtime_sec == MARK_SEC;
}

int sink_inplace_open(struct sink *sink, struct os_dir at, const char *name, const char *path,
                      struct err *err) {
    if (!sink->opt.inplace || !sink_may_change(at, name))
        return 1;
    int result = usage_open_locked(sink->opt.usage, &sink->held, at, name, &sink->file);
    sink->place = SINK_INPLACE;
    if (result == -EBUSY)
        return err_set(
            err, EXIT_PARTIAL,
            "%s: another session, or a program that has locked it, is at it (--inplace); send it again",
            ESCAPED(path));
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot open for --inplace", ESCAPED(path));
}

static int set_mark(const struct sink *sink) {
    int result = os_set_mtime(sink->file, MARK_SEC, MARK_NSEC);
    /* Only its owner may. Without -t it gets the time of now anyway, and may have had that of a source. */
    return result == -EPERM && !sink->opt.times ? os_set_mtime_now(sink->file) : result;
}

int sink_inplace_mark(struct sink *sink, struct err *err) {
    if (sink->place != SINK_INPLACE || sink->opt.durable == DURABLE_NONE)
        return 0;
    int result = set_mark(sink);
    sink->marked = result == 0;
    if (result == 0)
        result = os_sync(sink->file);
    return result == 0 ? 0
                       : os_file_error(err, result, "%s: cannot mark it as unfinished (--inplace)",
                                       ESCAPED(sink->path));
}

int sink_inplace_mark_again(struct sink *sink, struct err *err) {
    int result = sink->marked ? set_mark(sink) : 0;
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot set its time", ESCAPED(sink->path));
}

int sink_inplace_end(struct sink *sink, const struct metadata *meta, struct err *err) {
    if (!sink->marked)
        return 0;
    /* Perhaps nothing was written, and some systems leave a time alone that was set. */
    int result = sink->opt.times ? os_set_mtime(sink->file, meta->mtime_sec, meta->mtime_nsec)
                                 : os_set_mtime_now(sink->file);
    /* After it was read back Windows has it open for no writing, and through to storage (os_read_back). */
    if (result == 0 && (OS_CAN_SYNC_VOLUME || sink->verify.digest == NULL))
        result = os_sync(sink->file);
    return result == 0 ? 0 : os_file_error(err, result, "%s: cannot set its time", ESCAPED(sink->path));
}

void sink_inplace_drop(struct sink *sink) {
    sink_settle(sink);
    /* What a flush has lost is still in memory, and counts as stored: the next session would compare that, find it right, and
     * write nothing. */
    (void)os_drop_cached(sink->file);
    if (sink->marked) /* writing has changed it */
        (void)os_set_mtime(sink->file, MARK_SEC, MARK_NSEC);
}
