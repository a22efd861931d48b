#include "os/posix/os_posix.h"

#include <sys/syscall.h>
#include <unistd.h>

static void sort(struct os_file *files, unsigned count) {
    for (unsigned i = 1; i < count; i++) { /* they mostly are in order */
        struct os_file file = files[i];
        unsigned at = i;
        for (; at > 0 && files[at - 1].fd > file.fd; at--)
            files[at] = files[at - 1];
        files[at] = file;
    }
}

void os_close_all(struct os_file *files, unsigned count) {
    sort(files, count);
    for (unsigned first = 0, next; first < count; first = next) {
        next = first + 1;
        while (next < count && files[first].fd >= 0 && files[next].fd == files[next - 1].fd + 1)
            next++;
        if (next - first > 1 &&
            syscall(SYS_close_range, (unsigned)files[first].fd, (unsigned)files[next - 1].fd, 0) == 0)
            continue;
        for (unsigned i = first; i < next; i++) /* one alone, or a kernel before 5.9 */
            os_close(&files[i]);
    }
    for (unsigned i = 0; i < count; i++)
        files[i] = OS_FILE_NONE;
}
