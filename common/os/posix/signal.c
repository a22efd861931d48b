#include "os/posix/os_posix.h"

#include "os/os.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

enum { END_S = 15 }; /* less than the systemd unit gives it */

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

/* Some thread waits for what may never come: a pipe that nobody reads, a disk. The main thread, which is the only one to hear
 * this, may be that one. */
static void on_alarm(int number) {
    (void)number;
    _exit(EXIT_SIGNAL);
}

static void *wait_for_signals(void *arg) {
    (void)arg;
    while (wait_for_one()) {
        if (interrupt.seen++ > 0)
            _exit(EXIT_SIGNAL);
        (void)setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_sec = END_S}, NULL);
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
    sigset_t alarm;
    (void)sigemptyset(&alarm);
    (void)sigaddset(&alarm, SIGALRM);
    (void)signal(SIGALRM, on_alarm);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
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
