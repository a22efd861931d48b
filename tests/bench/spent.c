/* spent: runs a command and tells what it took. The bench starts every program through it: what the kernel counts as
 * the peak memory of a process begins with that of the process that started it, and this one is small.
 *
 * usage: spent FD COMMAND [ARGUMENT...]
 *
 * Descriptor FD gets the command's pid as a line when it was started, and at its end the line
 *     STARTED ENDED USER SYSTEM PEAK CODE
 * in seconds (CLOCK_MONOTONIC; CPU with all children that were waited for), KiB and an exit code, 128 + N for signal N.
 * SIGTERM and SIGINT are passed on. When the process that started it ends, it passes SIGTERM on; when it is killed,
 * so is the command. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_NO_COMMAND = 127, SIGNAL_CODES = 128 };

static volatile sig_atomic_t child;

static void die(const char *what) {
    (void)fprintf(stderr, "spent: %s: %s\n", what, strerror(errno));
    exit(EXIT_NO_COMMAND);
}

static void pass_on(int number) {
    if (child > 0)
        (void)kill((pid_t)child, number);
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int code_of(int status) {
    return WIFSIGNALED(status) ? SIGNAL_CODES + WTERMSIG(status) : WEXITSTATUS(status);
}

static _Noreturn void run(char **command, const sigset_t *mask, int fd) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)close(fd);
    (void)execvp(command[0], command);
    die(command[0]);
    abort();
}

/* With the signals blocked, so that none comes before there is a child to pass it on to. */
static void start(char **command, int fd) {
    sigset_t passed, before;
    (void)sigemptyset(&passed);
    (void)sigaddset(&passed, SIGTERM);
    (void)sigaddset(&passed, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &passed, &before);
    (void)signal(SIGTERM, pass_on);
    (void)signal(SIGINT, pass_on);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    child = (sig_atomic_t)fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        run(command, &before, fd);
    (void)dprintf(fd, "%d\n", (int)child);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        (void)fprintf(stderr, "usage: spent FD COMMAND [ARGUMENT...]\n");
        return 2;
    }
    int fd = atoi(argv[1]), status;
    struct rusage used;
    const double started = now();
    start(argv + 2, fd);
    while (wait4((pid_t)child, &status, 0, &used) < 0)
        if (errno != EINTR)
            die("wait");
    const double ended = now();
    (void)dprintf(fd, "%.6f %.6f %.6f %.6f %ld %d\n", started, ended, seconds(used.ru_utime),
                  seconds(used.ru_stime), used.ru_maxrss, code_of(status));
    return code_of(status);
}
