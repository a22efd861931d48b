#include "os/os.h"

#include <signal.h>
#include <unistd.h>

struct interrupt {
    void (*fn)(void *arg);
    void *arg;
    sigset_t set;
};

static struct interrupt interrupt; /* written once, before the thread that reads it starts */

static void *wait_for_signals(void *arg) {
    (void)arg;
    int number;
    while (sigwait(&interrupt.set, &number) != 0)
        ;
    interrupt.fn(interrupt.arg);
    while (sigwait(&interrupt.set, &number) != 0)
        ;
    _exit(EXIT_SIGNAL);
}

int os_on_interrupt(void (*fn)(void *arg), void *arg, struct err *err) {
    (void)signal(SIGPIPE, SIG_IGN);
    interrupt.fn = fn;
    interrupt.arg = arg;
    (void)sigemptyset(&interrupt.set);
    (void)sigaddset(&interrupt.set, SIGINT);
    (void)sigaddset(&interrupt.set, SIGTERM);
    (void)sigaddset(&interrupt.set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &interrupt.set, NULL);
    struct os_thread thread;
    if (os_thread_start(&thread, "signals", wait_for_signals, NULL, err) != 0)
        return -1;
    (void)pthread_detach(thread.t);
    return 0;
}
