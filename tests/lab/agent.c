/* The agent of a lab kernel under QEMU: runs scripts that come over a serial line, several at once, and sends
 * back what they print and how they end. tests/lab/line.py is its other end.
 *
 * It is /init: it mounts /proc, /sys, /dev and /tmp, and loads the modules that /lib/modules/order names, one in a
 * line. A shell would do that, too, but takes half a minute where one emulator runs in another.
 *
 * To the agent, a line each, where N is the number of a job and LENGTH counts the bytes that follow the line:
 *     run N LENGTH        a script for /bin/sh
 *     signal N NUMBER     for the whole process group of the job
 * From the agent:
 *     lab agent BOOT      once, before anything else; BOOT is what the kernel was given as labboot=BOOT
 *     out N LENGTH        bytes of standard output
 *     err N LENGTH        of standard error
 *     exit N CODE         the last of a job; 128 and more: ended by a signal, as in the shell
 *
 * It runs nothing unless the kernel's command line has the word `labvsock`: an AF_VSOCK socket may be made only in a
 * kernel that the lab has booted. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define JOBS_MAX 16
#define SCRIPT_MAX 16384
#define PIECE_MAX 512 /* one frame's bytes; small, so that no job holds the line for long */

struct job {
    int number; /* 0: free */
    pid_t pid;
    int pipes[2]; /* read ends of standard output and error; -1 when closed */
};

static struct job jobs[JOBS_MAX];
static const char *const pipe_names[2] = {"out", "err"};
static int tty;

_Noreturn static void give_up(const char *what) {
    (void)fprintf(stderr, "lab agent: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void send_all(const char *data, size_t n) {
    while (n > 0) {
        ssize_t done = write(tty, data, n);
        if (done < 0 && errno != EINTR)
            give_up("the line cannot be written");
        if (done > 0) {
            data += done;
            n -= (size_t)done;
        }
    }
}

static void send_bytes(const char *word, int number, const char *data, size_t n) {
    char head[64];
    int length = snprintf(head, sizeof head, "%s %d %zu\n", word, number, n);
    send_all(head, (size_t)length);
    send_all(data, n);
}

static void send_exit(int number, int status) {
    char line[64];
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    int length = snprintf(line, sizeof line, "exit %d %d\n", number, code);
    send_all(line, (size_t)length);
}

static void receive_all(char *data, size_t n) {
    while (n > 0) {
        ssize_t done = read(tty, data, n);
        if (done <= 0 && errno != EINTR)
            give_up("the line cannot be read");
        if (done > 0) {
            data += done;
            n -= (size_t)done;
        }
    }
}

static void receive_line(char *line, size_t size) {
    size_t n = 0;
    do {
        if (n == size - 1)
            give_up("a line is too long");
        receive_all(&line[n], 1);
    } while (line[n++] != '\n');
    line[n - 1] = '\0';
}

/* The job of that number, or a free place for 0; NULL: none. */
static struct job *find_job(int number) {
    for (int i = 0; i < JOBS_MAX; i++)
        if (jobs[i].number == number)
            return &jobs[i];
    return NULL;
}

_Noreturn static void be_the_job(char *script, const int ends[2][2]) {
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(ends[0][1], 1) < 0 || dup2(ends[1][1], 2) < 0)
        _exit(126);
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, script, NULL};
    (void)execv("/bin/sh", argv);
    _exit(127);
}

static void start_job(int number, char *script) {
    struct job *job = find_job(0);
    int ends[2][2];
    if (job == NULL)
        give_up("there are too many jobs");
    for (int i = 0; i < 2; i++)
        if (pipe2(ends[i], O_CLOEXEC) != 0 || fcntl(ends[i][0], F_SETFL, O_NONBLOCK) != 0)
            give_up("pipe");
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0)
        be_the_job(script, ends);
    *job = (struct job){number, pid, {ends[0][0], ends[1][0]}};
    for (int i = 0; i < 2; i++)
        (void)close(ends[i][1]);
}

static void take_command(void) {
    static char script[SCRIPT_MAX + 1];
    char line[128];
    int number, value;
    receive_line(line, sizeof line);
    if (sscanf(line, "run %d %d", &number, &value) == 2 && value >= 0 && value <= SCRIPT_MAX) {
        receive_all(script, (size_t)value);
        script[value] = '\0';
        start_job(number, script);
    } else if (sscanf(line, "signal %d %d", &number, &value) == 2 && number > 0) {
        struct job *job = find_job(number);
        if (job != NULL) /* it may just have ended */
            (void)kill(-job->pid, value);
    } else {
        errno = EPROTO;
        give_up(line);
    }
}

/* Sends one piece of what the job has printed. False: there is none now. */
static bool pass_on(struct job *job, int which) {
    char piece[PIECE_MAX];
    ssize_t n = read(job->pipes[which], piece, sizeof piece);
    if (n > 0)
        send_bytes(pipe_names[which], job->number, piece, (size_t)n);
    else if (n == 0) {
        (void)close(job->pipes[which]);
        job->pipes[which] = -1;
    }
    return n > 0;
}

/* A job ends with its shell; what it left running may keep the pipes, but not the job. */
static void end_job(struct job *job, int status) {
    for (int i = 0; i < 2; i++) {
        while (job->pipes[i] >= 0 && pass_on(job, i))
            continue;
        if (job->pipes[i] >= 0)
            (void)close(job->pipes[i]);
    }
    send_exit(job->number, status);
    job->number = 0;
}

static void reap(int signals) {
    struct signalfd_siginfo info;
    (void)read(signals, &info, sizeof info);
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < JOBS_MAX; i++)
            if (jobs[i].number != 0 && jobs[i].pid == pid)
                end_job(&jobs[i], status);
}

_Noreturn static void serve(int signals) {
    for (;;) {
        struct pollfd fds[2 + 2 * JOBS_MAX] = {{.fd = tty, .events = POLLIN},
                                               {.fd = signals, .events = POLLIN}};
        for (int i = 0; i < 2 * JOBS_MAX; i++) {
            const struct job *job = &jobs[i / 2];
            fds[2 + i] = (struct pollfd){.fd = job->number ? job->pipes[i % 2] : -1, .events = POLLIN};
        }
        if (poll(fds, sizeof fds / sizeof fds[0], -1) < 0 && errno != EINTR)
            give_up("poll");
        for (int i = 0; i < 2 * JOBS_MAX; i++)
            if (fds[2 + i].revents)
                (void)pass_on(&jobs[i / 2], i % 2);
        if (fds[1].revents)
            reap(signals);
        if (fds[0].revents)
            take_command();
    }
}

static bool is_lab_kernel(void) {
    char text[4096] = " ";
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text + 1, sizeof text - 2);
    (void)close(fd);
    if (n <= 0)
        return false;
    text[strcspn(text, "\n")] = ' ';
    return strstr(text, " labvsock ") != NULL;
}

static void mount_all(void) {
    static const struct {
        const char *type, *at;
    } mounts[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}};
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++)
        if (mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, NULL) != 0)
            give_up(mounts[i].at);
}

static void load_modules(void) {
    FILE *order = fopen("/lib/modules/order", "re");
    char path[256];
    if (order == NULL)
        give_up("/lib/modules/order");
    while (fscanf(order, "%255s", path) == 1) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0)
            give_up(path);
        (void)close(fd);
    }
    (void)fclose(order);
}

static void open_line(const char *path) {
    struct termios raw;
    tty = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0 || tcgetattr(tty, &raw) != 0)
        give_up(path);
    cfmakeraw(&raw);
    raw.c_cflag |= CLOCAL;
    (void)cfsetspeed(&raw, B115200);
    if (tcsetattr(tty, TCSANOW, &raw) != 0)
        give_up(path);
}

/* The kernel gives words of its command line that it does not know to process 1 as variables. */
static void greet(void) {
    const char *boot = getenv("labboot");
    send_all("\nlab agent ", 11);
    send_all(boot ? boot : "", boot ? strlen(boot) : 0);
    send_all("\n", 1);
}

int main(void) {
    mount_all();
    if (!is_lab_kernel()) {
        (void)fprintf(stderr, "lab agent: this kernel was not booted by the lab\n");
        return 1;
    }
    load_modules();
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &child, SFD_CLOEXEC);
    if (signals < 0)
        give_up("signalfd");
    (void)setenv("PATH", "/bin:/usr/bin", 1);
    open_line("/dev/ttyS1");
    greet();
    serve(signals);
}
