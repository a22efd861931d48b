/* killat N REPORT PROGRAM [ARG...]: runs PROGRAM and kills it, with all its threads, as it enters its Nth system call.
 *
 * Calls are counted over all threads from the execve of PROGRAM on; 0 kills never. Processes that PROGRAM starts are
 * left alone. REPORT becomes one line: the calls counted, and the number of the call it died in, or -1. SIGTERM is
 * passed on to PROGRAM. Exit code: PROGRAM's, or 128 and the number of the signal that ended it; 120 when killat
 * itself failed.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_BROKEN = 120, SYSCALL_STOP = SIGTRAP | 0x80 };

static pid_t child;

static void pass_on(int number) {
    (void)kill(child, number);
}

static void give_up(const char *what) {
    (void)fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
    _exit(EXIT_BROKEN);
}

static void become(char **argv) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        give_up("cannot be traced");
    (void)raise(SIGSTOP); /* until the options are set */
    (void)execvp(argv[0], argv);
    give_up(argv[0]);
}

/* The number of the call that the thread is about to enter, or -1 at any other stop. */
static long call_entered(pid_t thread) {
    struct __ptrace_syscall_info info;
    long n = ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info);
    return n > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

/* What to deliver to a thread that goes on after `status`. */
static int signal_of(int status) {
    int number = WSTOPSIG(status);
    bool ours = number == SYSCALL_STOP || number == SIGTRAP ||
                number == SIGSTOP; /* each thread begins with a SIGSTOP */
    return ours ? 0 : number;
}

/* Until the program has ended; its status. */
static int trace(unsigned long at, unsigned long *ret_count, long *ret_call) {
    bool running = false; /* execve is done */
    int status;
    for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (thread < 0)
            continue;
        if (!WIFSTOPPED(status)) {
            if (thread == child)
                return status;
            continue;
        }
        running = running || status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8);
        long call = running && WSTOPSIG(status) == SYSCALL_STOP ? call_entered(thread) : -1;
        if (call >= 0 && *ret_call < 0 && ++*ret_count == at) {
            *ret_call = call;
            (void)kill(child, SIGKILL);
        }
        (void)ptrace(PTRACE_SYSCALL, thread, NULL,
                     (void *)(long)signal_of(status)); /* ESRCH: it died meanwhile */
    }
    give_up("the program is gone");
    return 0;
}

static void write_report(const char *path, unsigned long count, long call) {
    FILE *report = fopen(path, "w");
    if (report == NULL || fprintf(report, "%lu %ld\n", count, call) < 0 || fclose(report) != 0)
        give_up(path);
}

int main(int argc, char **argv) {
    int status;
    unsigned long count = 0;
    long call = -1;
    if (argc < 4) {
        (void)fputs("usage: killat N REPORT PROGRAM [ARG...]\n", stderr);
        return EXIT_BROKEN;
    }
    child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0)
        become(argv + 3);
    (void)signal(SIGTERM, pass_on);
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (waitpid(child, &status, __WALL) < 0 || ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) != 0 ||
        ptrace(PTRACE_SYSCALL, child, NULL, NULL) != 0)
        give_up("cannot trace");
    status = trace(strtoul(argv[1], NULL, 10), &count, &call);
    write_report(argv[2], count, call);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
