/* hvrecv: receive files and commit them under one directory. */
#include "receiver/commands.h"
#include "receiver/receiver.h"

#include "core/log.h"
#include "core/path.h"
#include "core/text.h"
#include "os/os.h"
#include "program/doctor.h"
#include "program/endpoint.h"
#include "program/interrupt.h"
#include "program/lanes.h"
#include "program/setup.h"

#include <string.h>

static int run(const struct options *o, struct receiver_config *config, struct err *err) {
    struct addr addr;
    struct addr_rules rules = {.allow_remote = o->allow_remote,
                               .no_connected_suspend = o->no_connected_suspend};
    const struct os_reach root = {.at = config->session.root, .name = "", .kind = OS_REACH_WRITE};
    const struct endpoint_files files = {.reach = &root, .count = 1};
    config->streams = o->streams ? o->streams : STREAMS_MAX;
    if (o->listen)
        return endpoint_serve(o->listen, o, &receiver_ops, config, &files, err);
    if (o->use_stdio)
        return endpoint_run_stdio(&receiver_ops, config, &files, err);
    if (addr_parse(o->connect, &rules, &addr, err) != 0)
        return -1;
    config->streams = addr_streams(&addr, o->streams);
    config->dialler = true;
    const struct endpoint_target target = {.to = &addr, .config = config, .style = &config->style};
    int code = endpoint_run(&target, 1, o, &receiver_ops, &files, err);
    addr_free(&addr);
    return code;
}

/* The names to pull: everything before DIR. */
static int read_selects(const struct options *o, struct recv_config *config, struct err *err) {
    if (o->arg_count < 2)
        return 0;
    if (o->arg_count - 1 > SELECTS_MAX)
        return err_set(
            err, EXIT_USAGE,
            "more than %d names; name the directories that they are in, or run hvrecv several times",
            SELECTS_MAX);
    for (int i = 0; i < o->arg_count - 1; i++) {
        char *name = o->args[i];
        for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--)
            name[n - 1] = '\0';
        if (name[0] == '\0' || path_check(name, err) != 0)
            return err_set(err, EXIT_USAGE, "%s: give a name as the sender offers it, without a leading '/'",
                           ESCAPED(name));
    }
    config->selects = (const char *const *)o->args;
    config->select_count = (unsigned)o->arg_count - 1;
    return 0;
}

static int check_usage(const struct options *o, struct err *err) {
    if (setup_need_one(o->listen != NULL, o->connect != NULL, o->use_stdio, "--listen, --connect or --stdio",
                       err) != 0)
        return -1;
    if (o->arg_count == 0)
        return err_set(err, EXIT_USAGE, "the directory to receive into is missing; see --help");
    if (o->arg_count > 1 && !o->connect)
        return err_set(err, EXIT_USAGE,
                       "give one directory to receive into; names to pull go with --connect");
    return setup_check(o, err);
}

static int open_root(const struct options *o, struct os_dir *ret, struct err *err) {
    const char *dir = o->args[o->arg_count - 1];
    int result = o->mkpath ? os_mkdir_path(dir) : 0;
    if (result == 0)
        result = os_dir_open_path(dir, ret);
    if (result == 0 && o->mkpath) { /* the names on the way to it */
        result = os_volume_syncs(*ret) ? os_volume_sync(*ret) : os_flush_path(dir);
        if (result != 0)
            os_dir_close(ret);
    }
    if (result != 0)
        return os_file_error(err, result, "%s: cannot receive into it%s", ESCAPED(dir),
                             o->mkpath ? "" : " (--mkpath creates it)");
    return 0;
}

static int make_key(const struct options *o, struct err *err) {
    if (o->arg_count > 0 || o->listen || o->connect || o->use_stdio)
        return err_set(err, EXIT_USAGE,
                       "--generate-key FILE only makes the key: give --key-file FILE after that");
    return key_generate(o->generate_key, err);
}

int receive(int argc, char **argv) {
    struct options o;
    struct err err = {0};
    struct os_dir root = OS_DIR_NONE;
    if (argc > 1 && strcmp(argv[1], "doctor") == 0)
        return doctor_main(PROGRAM_HVRECV, argc - 1, argv + 1);
    enum parsed parsed = options_parse(PROGRAM_HVRECV, argc, argv, &o, &err);
    if (parsed == PARSED_DONE)
        return EXIT_OK;
    setup_log("hvrecv", &o);
    if (parsed == PARSED_RUN && o.generate_key)
        return make_key(&o, &err) == 0 ? EXIT_OK : setup_fail(&o, &err);
    struct recv_config session = {
        .flags_or = options_flags(&o),
        .durable_given = o.durable_given,
        .durable = o.durable,
        .umask = os_umask(),
        .no_partial = o.no_partial,
    };
    if (parsed == PARSED_ERROR || check_usage(&o, &err) != 0 || read_selects(&o, &session, &err) != 0 ||
        open_root(&o, &root, &err) != 0 || interrupt_setup(&err) != 0)
        return setup_fail(&o, &err);
    session.root = root;
    const struct limits limits = {.quota = o.quota, .max_files = o.max_files, .min_free = o.min_free};
    bool limited = o.quota || o.max_files || o.min_free;
    struct usage_table *usages = limited ? usage_table_new(&limits) : NULL;
    struct receiver_config config = {
        .session = session,
        .chunk_size = o.chunk_size,
        .timeout_ms = o.timeout_ms,
        .handshake_ms = o.connect_timeout_ms,
        .serial = o.serial,
        .whole_files = o.delta == DELTA_OFF,
        .style = setup_style("receiver", &o, !o.listen || o.once),
        .usages = usages,
    };
    struct key *key = NULL;
    int code = o.key_file ? key_load(o.key_file, &key, &err) : 0;
    config.key = key;
    if (code == 0)
        code =
            limited && usages == NULL ? err_set(&err, EXIT_MEMORY, "out of memory") : run(&o, &config, &err);
    key_free(key);
    usage_table_free(usages);
    os_dir_close(&root);
    return setup_end(&o, code, &err);
}

int main(int argc, char **argv) {
    struct err err = {0};
    log_setup("hvrecv", LOG_WARNING);
    int code = os_start(&argc, &argv, &err);
    for (const struct command *c = commands; code == 0 && argc > 1 && c->name; c++)
        if (strcmp(argv[1], c->name) == 0) {
            code = c->run(argc - 2, argv + 2, &err);
            if (code >= 0)
                return code;
        }
    if (code < 0) {
        log_line(LOG_ERROR, "%s", err.msg);
        return err.code;
    }
    return receive(argc, argv);
}
