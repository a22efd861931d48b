#include "os/os.h"
#include "os/win32/wtf8.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <malloc.h>
#include <stdlib.h>
#include <wchar.h>
#include <windows.h>

enum { PAGE_BYTES = 4096 };

/* Of the C library, which has parsed the command line as its own programs expect it; declared in no header of mingw-w64
 * that C11 programs include. */
int __wgetmainargs(int *argc, wchar_t ***argv, wchar_t ***env, int expand_wildcards, int *start_info);

static char *utf8_copy(const wchar_t *text) {
    size_t n = wcslen(text), max = n * 3 + 1;
    char *copy = malloc(max);
    if (copy == NULL)
        return NULL;
    copy[utf16_to_wtf8((const uint16_t *)text, n, copy, max - 1)] = '\0';
    return copy;
}

int os_start(int *argc, char ***argv, struct err *err) {
    int count = 0, start_info = 0;
    wchar_t **wide, **env;
    (void)_setmode(0, _O_BINARY);
    (void)_setmode(1, _O_BINARY);
    (void)_setmode(2, _O_BINARY);
    (void)SetErrorMode(SEM_FAILCRITICALERRORS |
                       SEM_NOOPENFILEERRORBOX); /* errors are returned, not shown in a box */
    bool known = __wgetmainargs(&count, &wide, &env, 0, &start_info) == 0;
    char **copy = known ? calloc((size_t)count + 1, sizeof *copy) : NULL;
    for (int i = 0; copy && i < count; i++)
        if ((copy[i] = utf8_copy(wide[i])) == NULL)
            return err_set(err, EXIT_MEMORY, "out of memory");
    if (copy == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    *argc = count;
    *argv = copy;
    return 0;
}

bool os_stderr_is_terminal(void) {
    HANDLE handle = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode;
    return GetConsoleMode(handle, &mode) && SetConsoleMode(handle, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

bool os_stderr_is_journal(void) {
    return false;
}

void *os_page_alloc(size_t n) {
    return _aligned_malloc(n, PAGE_BYTES);
}

void os_page_free(void *p) {
    _aligned_free(p);
}

bool os_fd_is_writable(int fd) {
    return _get_osfhandle(fd) != -1;
}

int os_write_fd(int fd, const void *p, size_t n) {
    const char *at = p;
    while (n > 0) {
        int put = _write(fd, at, n < INT_MAX ? (unsigned)n : INT_MAX);
        if (put < 0)
            return -errno;
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

uint32_t os_umask(void) {
    return 0; /* what a new object may be is inherited from its directory */
}

bool os_is_privileged(void) {
    return false; /* files cannot be given to a number: owners are SIDs here */
}
