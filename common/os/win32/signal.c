#include "os/os.h"

#include "os/win32/interrupt.h"

#include <stdatomic.h>
#include <windows.h>

/* A console that is closed, and a system that shuts down, end the process when the handler returns; the system itself
 * waits about 5 s before it does so anyway. */
enum { LAST_WORDS_MS = 4500 };

static struct {
    void (*fn)(void *arg);
    void *arg;
    atomic_bool known; /* fn and arg are written once, before this */
    atomic_int count;
} interrupt;

/* Runs on a thread that the system makes for each event. */
static BOOL WINAPI on_console_event(DWORD event) {
    if (atomic_fetch_add(&interrupt.count, 1) > 0)
        ExitProcess(EXIT_SIGNAL);
    interrupt.fn(interrupt.arg);
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(LAST_WORDS_MS);
    return TRUE;
}

void os_interrupt(void) {
    if (!atomic_load(&interrupt.known))
        ExitProcess(EXIT_OK);
    if (atomic_fetch_add(&interrupt.count, 1) == 0)
        interrupt.fn(interrupt.arg);
}

int os_on_interrupt(void (*fn)(void *arg), void *arg, struct err *err) {
    interrupt.fn = fn;
    interrupt.arg = arg;
    atomic_store(&interrupt.known, true);
    /* Without a console (a service) there is nothing to hear, and that is fine. */
    if (!SetConsoleCtrlHandler(on_console_event, TRUE) && GetConsoleWindow() != NULL)
        return err_set(err, EXIT_UNSUPPORTED, "cannot set the handler of Ctrl-C: error %lu", GetLastError());
    return 0;
}
