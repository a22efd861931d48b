/* main.c: vsw, a switch between the vsock devices of virtual machines. README.md says how it is used.
 *
 * It makes Unix sockets only, never a vsock one.
 */
#include "vsw.h"

#include "core/log.h"
#include "core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char usage[] = "usage: vsw --port PATH:CID [--port PATH:CID ...] [--control PATH] [--log PATH]\n"
                            "           [--until-eof]\n"
                            "Joins the vhost-user vsock devices of virtual machines by their CIDs.\n";

/* PATH:CID; the text is cut at the colon. */
static int add_port(struct vsw *s, char *text, struct err *err) {
    char *colon = strrchr(text, ':');
    uint64_t cid;
    if (!colon || colon == text)
        return err_set(err, EXIT_USAGE, "--port wants PATH:CID, not '%s'", text);
    *colon = '\0';
    if (parse_number(colon + 1, 0, UINT32_MAX, &cid, err) != 0)
        return -1;
    struct port *p = vsw_add_port(s, cid, err);
    return p ? port_listen(p, text, err) : -1;
}

static int log_to(const char *path, struct err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        return err_sys(err, EXIT_FILE_IO, errno, "log to '%s'", path);
    (void)close(fd);
    return 0;
}

static int read_options(struct vsw *s, int argc, char **argv, bool *ret_until_eof, struct err *err) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"control", required_argument, NULL, 'c'},
        {"log", required_argument, NULL, 'l'},  {"until-eof", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    int option, result = 0;
    while (result == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            result = add_port(s, optarg, err);
        else if (option == 'c')
            result = control_listen(&s->control, optarg, err);
        else if (option == 'l')
            result = log_to(optarg, err);
        else if (option == 'e')
            *ret_until_eof = true;
        else
            result = err_set(err, EXIT_USAGE, "%s", usage);
    }
    if (result == 0 && (optind < argc || s->router.count == 0))
        result = err_set(err, EXIT_USAGE, "%s", usage);
    return result;
}

/* A file that can be read once SIGTERM or SIGINT has come; -1 on errors. */
static int catch_signals(struct err *err) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    return fd >= 0 ? fd : err_sys(err, EXIT_FILE_IO, errno, "signalfd");
}

/* Until a signal comes, or the end of the input when that counts. What is read there is thrown away. */
static void run(struct vsw *s, int signals, bool until_eof) {
    const int extra[VSW_EXTRA] = {signals, until_eof ? STDIN_FILENO : -1};
    char ignored[512];
    for (;;) {
        unsigned ready = vsw_turn(s, ROUTER_IDLE, extra);
        if (ready & 1 || (ready & 2 && read(STDIN_FILENO, ignored, sizeof ignored) <= 0))
            return;
    }
}

int main(int argc, char **argv) {
    static struct vsw s;
    bool until_eof = false;
    struct err err = {.code = 0};
    int signals = -1;
    log_setup("vsw", LOG_INFO);
    guest_mem_guard();
    if (vsw_init(&s, &err) == 0 && read_options(&s, argc, argv, &until_eof, &err) == 0 &&
        (signals = catch_signals(&err)) >= 0) {
        puts("ready");
        (void)fflush(stdout);
        run(&s, signals, until_eof);
    }
    if (err.code != 0)
        log_line(LOG_ERROR, "%s", err.msg);
    vsw_end(&s);
    return err.code;
}
