/* exec:COMMAND: a child of ours, whose stdin and stdout are one end of a socket pair.
 *
 * The child stays in our process group: a command such as ssh may ask the terminal for a password, and the
 * terminal stops background groups that read from it. So it is ended by its own id alone; what it started
 * itself sees the stream end.
 */
#include "transport/fd.h"

#include "core/text.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the child may stay, in ms: after the stream was closed (ssh finishes its own protocol), the same
 * when we were interrupted and nobody wants to wait, after SIGTERM, and after SIGKILL (a hung device). */
enum { STAY_MS = 5000, STAY_INTERRUPTED_MS = 200, STAY_TERMINATED_MS = 2000, STAY_KILLED_MS = 2000 };
enum { LOOK_EVERY_MS = 5 };

struct exec_conn {
    struct fd_conn fd;
    pid_t pid;
};

static int exec_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    (void)rules;
    if (rest[strspn(rest, " \t\n")] == '\0')
        return err_set(why, EXIT_USAGE, "the command is missing");
    addr->command = strdup(rest);
    return addr->command ? 0 : err_set(why, EXIT_MEMORY, "out of memory");
}

/* Waits until the child ended, or the time is over. 1 and *ret_status (waitpid), 0 while it still runs, -1
 * when its status cannot be learnt (the program was started with SIGCHLD ignored). */
static int wait_child(pid_t pid, int timeout_ms, int *ret_status) {
    int64_t deadline_ms = deadline_after(timeout_ms);
    pid_t got = waitpid(pid, ret_status, WNOHANG);
    while ((got == 0 || (got < 0 && errno == EINTR)) && deadline_left(deadline_ms) > 0) {
        (void)fd_wait(-1, 0, -1, deadline_after(LOOK_EVERY_MS));
        got = waitpid(pid, ret_status, WNOHANG);
    }
    return got > 0 ? 1 : got < 0 && errno != EINTR ? -1 : 0;
}

static int stop_child(pid_t pid, const char *peer, struct err *err) {
    int status;
    (void)kill(pid, SIGTERM);
    if (wait_child(pid, STAY_TERMINATED_MS, &status) == 0) {
        (void)kill(pid, SIGKILL);
        if (wait_child(pid, STAY_KILLED_MS, &status) == 0)
            return err_set(err, EXIT_SOCKET, "%s: process %d of the command cannot be ended", peer, (int)pid);
    }
    return err_set(
        err, EXIT_SOCKET,
        "%s: the command did not end by itself, and its process was stopped (what that started may go on)",
        peer);
}

static int status_error(int status, const char *peer, struct err *err) {
    if (WIFSIGNALED(status))
        return err_set(err, EXIT_SOCKET, "%s: the command was ended by signal %d (%s)", peer,
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 0)
        return 0;
    return err_set(err, EXIT_SOCKET, "%s: the command ended with status %d%s", peer, WEXITSTATUS(status),
                   WEXITSTATUS(status) == 127 ? " (command not found)" : "");
}

static int exec_close(struct conn *base, struct err *err) {
    struct exec_conn *conn = (struct exec_conn *)base;
    int stay_ms = atomic_load(&conn->fd.woken) ? STAY_INTERRUPTED_MS : STAY_MS, status;
    fd_conn_release(&conn->fd);
    int ended = wait_child(conn->pid, stay_ms, &status), result = 0;
    if (ended == 0)
        result = stop_child(conn->pid, base->peer, err);
    else if (ended > 0)
        result = status_error(status, base->peer, err);
    free(conn);
    return result;
}

/* What differs in the child: stdin, stdout, and the signal state that our threads and handlers changed. */
static int prepare_spawn(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, int fd) {
    sigset_t none, defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGXFSZ);
    (void)sigaddset(&defaults, SIGCHLD);
    int sys = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
    if (sys == 0)
        sys = posix_spawn_file_actions_adddup2(actions, fd, STDOUT_FILENO);
    if (sys == 0)
        sys = posix_spawnattr_setsigmask(attr, &none);
    if (sys == 0)
        sys = posix_spawnattr_setsigdefault(attr, &defaults);
    if (sys == 0)
        sys = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return sys;
}

/* 0 or an errno value. Every other descriptor of ours is close-on-exec. */
static int spawn_shell(char *command, int fd, pid_t *ret_pid) {
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int sys = posix_spawn_file_actions_init(&actions);
    if (sys)
        return sys;
    sys = posix_spawnattr_init(&attr);
    if (sys == 0) {
        sys = prepare_spawn(&actions, &attr, fd);
        if (sys == 0)
            sys = posix_spawn(ret_pid, "/bin/sh", &actions, &attr, argv, environ);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return sys;
}

static const struct conn_ops exec_ops = {fd_conn_read, fd_conn_writev, fd_conn_wake, fd_conn_resume,
                                         exec_close};

/* Sets conn up, with its child. What can fail without one, fails before there is one. */
static int start(struct exec_conn *conn, char *command, const char *text, struct err *err) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return err_sys(err, EXIT_SOCKET, errno, "%s: cannot make a socket pair", text);
    sock_set_buffers(pair[0], &exec_transport);
    sock_set_buffers(pair[1], &exec_transport);
    int result = fd_conn_init(&conn->fd, pair[0], pair[0], text, &exec_ops, err);
    if (result == 0) {
        int sys = spawn_shell(command, pair[1], &conn->pid);
        if (sys) {
            fd_conn_release(&conn->fd);
            result = err_sys(err, EXIT_SOCKET, sys, "%s: cannot start /bin/sh", text);
        }
    }
    (void)close(pair[1]);
    return result;
}

static int exec_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                     struct err *err) {
    (void)bounds; /* starting a process is not a wait */
    struct exec_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return err_set(err, EXIT_MEMORY, "%s: out of memory", ESCAPED(addr->text));
    if (start(conn, addr->command, ESCAPED(addr->text), err)) {
        free(conn);
        return -1;
    }
    *ret = &conn->fd.base;
    return 0;
}

/* A Unix socket pair, so unix.c's reason holds here too. */
const struct transport exec_transport = {
    .scheme = "exec",
    .example = "exec:ssh box hvrecv --stdio /srv",
    .send_bytes = 1 << 20,
    .alone = true,
    .needs = {.child = true},
    .parse = exec_parse,
    .dial = exec_dial,
};
