/* intruder.c: preloaded into hvsend or hvrecv, it is the code that a peer made the process run. When the process first
 * writes to its peer it tries each word of INTRUDE and says on stderr what came of it, "intruder: WORD: ERRNO".
 *
 * INTRUDE_IN is a directory that the process works in, INTRUDE_OUT one that is none of its business. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags);

static int path_of(const char *variable, const char *name, char *ret, size_t n) {
    return snprintf(ret, n, "%s/%s", getenv(variable), name);
}

/* 0 or an errno value. */
static int open_it(const char *variable, const char *name, int flags) {
    char path[4096];
    (void)path_of(variable, name, path, sizeof path);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int sys = fd < 0 ? errno : 0;
    if (fd >= 0)
        (void)close(fd);
    return sys;
}

static int result(long got) {
    return got < 0 ? errno : 0;
}

static int read_in(void) {
    return open_it("INTRUDE_IN", "old", O_RDONLY);
}
static int write_in(void) {
    return open_it("INTRUDE_IN", "made", O_WRONLY | O_CREAT);
}
static int read_out(void) {
    return open_it("INTRUDE_OUT", "old", O_RDONLY);
}
static int list_out(void) {
    return open_it("INTRUDE_OUT", ".", O_RDONLY | O_DIRECTORY);
}
static int write_out(void) {
    return open_it("INTRUDE_OUT", "old", O_WRONLY);
}
static int make_out(void) {
    return open_it("INTRUDE_OUT", "made", O_WRONLY | O_CREAT);
}
static int remove_out(void) {
    char path[4096];
    (void)path_of("INTRUDE_OUT", "old", path, sizeof path);
    return result(unlinkat(AT_FDCWD, path, 0));
}
/* Makes a device; on a name that is not there. */
static int leave_whiteout(void) {
    char path[4096];
    (void)path_of("INTRUDE_IN", "none", path, sizeof path);
    return result(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, path, 4 /* RENAME_WHITEOUT */));
}
static int set_id(void) {
    char path[4096];
    (void)path_of("INTRUDE_IN", "old", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? ENOENT : result(fchmod(fd, 04755));
}
static int make_unix(void) {
    return result(socket(AF_UNIX, SOCK_STREAM, 0));
}
static int make_inet(void) {
    return result(socket(AF_INET, SOCK_STREAM, 0));
}
/* To a port that nobody listens on. */
static int connect_inet(void) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int sys = fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&to, sizeof to));
    if (fd >= 0)
        (void)close(fd);
    return sys;
}
static int make_udp(void) {
    return result(socket(AF_INET, SOCK_DGRAM, 0));
}
static int run_memory(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno
                                                                                                     : 0;
}
static int share_memory(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}
static int make_process(void) {
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return result(child);
}
static void *nothing(void *arg) {
    return arg;
}
/* The three steps by which what comes on a stream would be a signal to another process. */
static int name_owner(void) {
    return result(fcntl(STDERR_FILENO, F_SETOWN, getppid()));
}
static int name_signal(void) {
    return result(fcntl(STDERR_FILENO, F_SETSIG, SIGKILL));
}
static int ask_signals(void) {
    return result(fcntl(STDERR_FILENO, F_SETFL, O_ASYNC));
}
/* As it is, and told in a place whose address has a lower half of 0. */
static int set_limit(void) {
    void *place = (void *)0x100000000;
    if (mmap(place, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) !=
        place)
        return errno;
    if (getrlimit(RLIMIT_CORE, place) != 0)
        return 0;
    return result(syscall(SYS_prlimit64, 0, RLIMIT_CORE, place, NULL));
}
static int take_lease(void) {
    return result(fcntl(STDERR_FILENO, F_SETLEASE, F_RDLCK));
}
static int make_thread(void) {
    pthread_t thread;
    int sys = pthread_create(&thread, NULL, nothing, NULL);
    return sys ? sys : pthread_join(thread, NULL);
}
static int run_program(void) {
    return result(execl("/bin/true", "true", (char *)NULL));
}
static int trace(void) {
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int make_device(void) {
    char path[4096];
    (void)path_of("INTRUDE_IN", "fifo", path, sizeof path);
    return result(mknodat(AT_FDCWD, path, S_IFIFO | 0600, 0));
}
static int change_root(void) {
    return result(chroot("/"));
}

static const struct {
    const char *word;
    int (*try)(void);
} attempts[] = {
    {"read-in", read_in},           {"write-in", write_in},       {"read-out", read_out},
    {"list-out", list_out},         {"write-out", write_out},     {"make-out", make_out},
    {"remove-out", remove_out},     {"set-id", set_id},           {"leave-whiteout", leave_whiteout},
    {"make-unix", make_unix},       {"make-inet", make_inet},     {"connect-inet", connect_inet},
    {"make-udp", make_udp},         {"run-memory", run_memory},   {"share-memory", share_memory},
    {"make-process", make_process}, {"name-owner", name_owner},   {"name-signal", name_signal},
    {"ask-signals", ask_signals},   {"take-lease", take_lease},   {"set-limit", set_limit},
    {"make-thread", make_thread},   {"run-program", run_program}, {"trace", trace},
    {"make-device", make_device},   {"change-root", change_root},
};

static void intrude(void) {
    const char *words = getenv("INTRUDE");
    char each[32];
    for (int n = 0; words && sscanf(words, " %31s%n", each, &n) == 1; words += n)
        for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
            if (strcmp(each, attempts[i].word) == 0)
                (void)fprintf(stderr, "intruder: %s: %d\n", each, attempts[i].try());
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    static atomic_flag done = ATOMIC_FLAG_INIT;
    ssize_t (*real)(int, const struct msghdr *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
    if (!atomic_flag_test_and_set(&done))
        intrude();
    return real(fd, msg, flags);
}
