#include "program/setup.h"

#include "core/log.h"
#include "os/os.h"
#include "program/report_impl.h"

void setup_log(const char *program, const struct options *o) {
    enum log_level most = LOG_WARNING;
    if (o->quiet)
        most = LOG_ERROR;
    else if (o->verbose)
        most = o->verbose > 1 ? LOG_DEBUG : LOG_INFO;
    log_setup(program, most);
    log_for_journal(os_stderr_is_journal());
}

struct report_style setup_style(const char *role, const struct options *o, bool alone) {
    bool terminal = os_stderr_is_terminal() && !o->quiet && !o->verbose;
    return (struct report_style){
        .role = role,
        .json = o->json,
        .names = o->verbose > 0,
        .stats = o->stats,
        .human = o->human,
        .bounded = o->listen != NULL,
        .progress = alone && !o->json && (o->progress || terminal),
        .progress_fd = alone ? o->progress_fd : -1,
    };
}

int setup_need_one(bool listen, bool connect, bool use_stdio, const char *choices, struct err *err) {
    if (listen + connect + use_stdio == 1)
        return 0;
    return err_set(err, EXIT_USAGE, "give exactly one of %s; see --help", choices);
}

int setup_check(const struct options *o, struct err *err) {
    if (o->once && !o->listen)
        return err_set(err, EXIT_USAGE, "--once goes with --listen");
    if (o->allow.count && !o->listen)
        return err_set(err, EXIT_USAGE, "--allow-peer goes with --listen");
    if (o->use_stdio && (o->json || o->progress_fd == 1))
        return err_set(err, EXIT_USAGE,
                       "with --stdio, stdout is the stream: --json and --progress-fd 1 cannot use it");
    return 0;
}

int setup_fail(const struct options *o, const struct err *err) {
    log_line(LOG_ERROR, "%s", err->msg);
    if (o->json)
        json_error(NULL, err);
    return err->code;
}

int setup_end(const struct options *o, int code, const struct err *err) {
    struct err unwritten = {0};
    if (code < 0)
        code = setup_fail(o, err);
    if (json_lost() == 0)
        return code;
    (void)err_sys(&unwritten, EXIT_FILE_IO, json_lost(), "stdout: cannot write the events of --json");
    log_line(LOG_ERROR, "%s", unwritten.msg);
    return code == EXIT_OK ? unwritten.code : code;
}
