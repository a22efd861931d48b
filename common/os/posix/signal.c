#include "os/posix/os_posix.h"

#include "os/os.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static struct {
    /* Written once, before the thread that reads them starts. */
    void (*fn)(void *arg);
    void *arg;
    sigset_t set;
    struct os_thread thread;
    bool running; /* main thread */
    unsigned seen; /* the thread, and whoever has joined it */
    atomic_bool pausing;
} interrupt;

/* Nobody sends it by hand, and where it is not awaited it does nothing. One from SIGRTMIN on would have to be queued, for which
 * there may be no room (RLIMIT_SIGPENDING, of all processes of a user): then it would never come. */
static int wake_signal(void) {
    return SIGURG;
}

/* False: the thread is to end. */
static bool wait_for_one(void) {
    int number;
    for (;;) {
        if (sigwait(&interrupt.set, &number) != 0)
            continue;
        if (number != wake_signal())
            return true;
        if (atomic_load(&interrupt.pausing))
            return false;
    }
}

static void *wait_for_signals(void *arg) {
    (void)arg;
    while (wait_for_one()) {
        if (interrupt.seen++ > 0)
            _exit(EXIT_SIGNAL);
        interrupt.fn(interrupt.arg);
    }
    return NULL;
}

/* As nohup(1) leaves it: who started the program wants it to live on. */
static bool hangup_is_ignored(void) {
    struct sigaction now;
    return sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int os_on_interrupt(void (*fn)(void *arg), void *arg, struct err *err) {
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ,
                 SIG_IGN); /* a file that is larger than the process may write is an error of that file */
    interrupt.fn = fn;
    interrupt.arg = arg;
    (void)sigemptyset(&interrupt.set);
    (void)sigaddset(&interrupt.set, SIGINT);
    (void)sigaddset(&interrupt.set, SIGTERM);
    if (!hangup_is_ignored())
        (void)sigaddset(&interrupt.set, SIGHUP);
    (void)sigaddset(&interrupt.set, wake_signal());
    (void)pthread_sigmask(SIG_BLOCK, &interrupt.set, NULL);
    return os_signals_resume(err);
}

bool os_signals_pause(void) {
    if (!interrupt.running)
        return false;
    atomic_store(&interrupt.pausing, true);
    (void)pthread_kill(interrupt.thread.t, wake_signal());
    os_thread_join(&interrupt.thread);
    atomic_store(&interrupt.pausing, false);
    interrupt.running = false;
    return true;
}

int os_signals_resume(struct err *err) {
    if (os_thread_start(&interrupt.thread, "signals", wait_for_signals, NULL, err) != 0)
        return -1;
    interrupt.running = true;
    return 0;
}
