/* watch_help.h: what the process prints on stderr, and which threads it has. */
#ifndef WATCH_HELP_H
#define WATCH_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <io.h>
#include <sys/stat.h>
#include <windows.h>

#include <tlhelp32.h>

#include <cmocka.h>

/* Tests of many sessions take every so many-th case only: under Wine each takes many times as long. */
static inline unsigned usual_stride(void) {
    return 41;
}

/* From now on stderr goes into a file that is removed with the process. The descriptor of what is caught. */
static inline int catch_stderr(void) {
    char *name = _tempnam(NULL, "hvferry");
    assert_non_null(name);
    int caught = _open(name, _O_RDWR | _O_CREAT | _O_EXCL | _O_APPEND | _O_BINARY | _O_TEMPORARY,
                       _S_IREAD | _S_IWRITE);
    free(name);
    assert_true(caught >= 0);
    assert_int_equal(_dup2(caught, 2), 0);
    return caught;
}

static inline void forget_caught(int caught) {
    assert_int_equal(_chsize(caught, 0), 0);
}

/* Up to `max` bytes; how many. */
static inline size_t read_caught(int caught, char *to, size_t max) {
    (void)fflush(stderr);
    assert_int_equal(_lseek(caught, 0, SEEK_SET), 0);
    int n = _read(caught, to, (unsigned)max);
    return n > 0 ? (size_t)n : 0;
}

static inline void pause_us(unsigned us) {
    Sleep((us + 999) / 1000);
}

static inline unsigned running_threads(void) {
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    unsigned n = 0;
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    assert_true(all != INVALID_HANDLE_VALUE);
    for (BOOL more = Thread32First(all, &entry); more; more = Thread32Next(all, &entry))
        n += entry.th32OwnerProcessID == GetCurrentProcessId();
    (void)CloseHandle(all);
    return n;
}

#endif
