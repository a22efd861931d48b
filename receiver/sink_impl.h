/* sink_impl.h: shared by the files of the sink only. */
#ifndef RECEIVER_SINK_IMPL_H
#define RECEIVER_SINK_IMPL_H

#include "receiver/sink.h"

struct temp_name {
    char s[sizeof RESERVED_PREFIX + 48];
};
/* The temporary name of a file of this session. */
void sink_temp_name(const struct sink *sink, uint64_t file_id, struct temp_name *ret);

/* The parent directory of `path` and its last component; 0, or -1 and err that names the path. */
int sink_parent(struct sink *sink, const char *path, struct os_dir *ret, const char **ret_name,
                struct err *err);

/* Rename `temp` over `name`; an empty directory in the way is removed first. */
int sink_replace(struct sink *sink, struct os_dir dir, const char *temp, const char *name, const char *path,
                 struct err *err);

/* Mode and times as the options say, on an open file; `old` is what is replaced (kind OS_NONE: nothing). */
int sink_set_metadata(const struct sink *sink, struct os_file file, uint32_t mode, int64_t sec, uint32_t nsec,
                      const struct os_stat *old, const char *path, struct err *err);

#endif
