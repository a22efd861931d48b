/* hvsend: send files and directories to an hvrecv. */
#include "sender/scan.h"
#include "sender/targets.h"

#include "core/log.h"
#include "core/text.h"
#include "os/os.h"
#include "program/doctor.h"
#include "program/endpoint.h"
#include "program/interrupt.h"
#include "program/lanes.h"
#include "program/setup.h"

#include <stdlib.h>
#include <string.h>

static int check_usage(const struct options *o, struct err *err) {
    bool waits = o->listen || o->use_stdio;
    if (o->listen && o->use_stdio)
        return err_set(err, EXIT_USAGE, "--listen and --stdio exclude each other; see --help");
    if (waits && o->to_count)
        return err_set(err, EXIT_USAGE, "--to and %s exclude each other; see --help",
                       o->listen ? "--listen" : "--stdio");
    if (o->arg_count == 0)
        return err_set(err, EXIT_USAGE, "give at least one SRC%s; see --help",
                       waits || o->to_count ? "" : ", and DEST");
    if (sources_count(o) == 0)
        return err_set(err, EXIT_USAGE, "%s",
                       addr_looks_like(o->args[0]) ? "SRC is missing; see --help"
                                                   : "DEST (an ADDR) is missing; see --help");
    if (waits && o->into)
        return err_set(err, EXIT_USAGE, "--into goes with a DEST; here the receiver chooses its directory");
    if (o->serial && (o->bwlimit.rate || os_file_is_open(o->bwlimit.file)))
        return err_set(err, EXIT_USAGE, "--serial and --bwlimit exclude each other; see --help");
    return setup_check(o, err);
}

/* Connects to the receivers and sends. The exit code, or -1 and err. */
static int send_to_targets(const struct options *o, const struct sender_config *config, struct err *err) {
    struct target *targets;
    unsigned count;
    if (targets_parse(o, &targets, &count, err) != 0)
        return -1;
    int code = targets_run(targets, count, o, config, err);
    targets_free(targets, count);
    return code;
}

/* Waits for a receiver that pulls. The exit code, or -1 and err. */
static int serve_sources(const struct options *o, struct sender_config *config, struct err *err) {
    struct source_root *roots;
    if (roots_open(o->args, o->arg_count, &roots, err) != 0)
        return -1;
    config->streams = o->streams ? o->streams : STREAMS_MAX;
    config->roots = roots;
    config->root_count = o->arg_count;
    struct os_reach *reach = roots_reach(roots, o->arg_count);
    const struct endpoint_files files = {.reach = reach, .count = (size_t)o->arg_count};
    int code = reach == NULL ? err_set(err, EXIT_MEMORY, "out of memory")
               : o->listen   ? endpoint_serve(o->listen, o, &sender_ops, config, &files, err)
                             : endpoint_run_stdio(&sender_ops, config, &files, err);
    free(reach);
    roots_close(roots, o->arg_count);
    return code;
}

int main(int argc, char **argv) {
    struct options o;
    struct err err = {0};
    log_setup("hvsend", LOG_WARNING);
    if (os_start(&argc, &argv, &err) != 0) {
        log_line(LOG_ERROR, "%s", err.msg);
        return err.code;
    }
    if (argc > 1 && strcmp(argv[1], "doctor") == 0)
        return doctor_main(PROGRAM_HVSEND, argc - 1, argv + 1);
    enum parsed parsed = options_parse(PROGRAM_HVSEND, argc, argv, &o, &err);
    if (parsed == PARSED_DONE)
        return EXIT_OK;
    setup_log("hvsend", &o);
    if (parsed == PARSED_ERROR || check_usage(&o, &err) != 0 || interrupt_setup(&err) != 0)
        return setup_fail(&o, &err);
    struct sender_config config = {
        .flags = options_flags(&o),
        .durable = o.durable,
        .codec = o.codec,
        .level = o.level,
        .delta = o.delta,
        .chunk_size = bwlimit_chunk_size(&o.bwlimit, CHUNK_SIZE_MIN, o.chunk_size),
        .timeout_ms = o.timeout_ms,
        .handshake_ms = o.connect_timeout_ms,
        .serial = o.serial,
        .bwlimit = o.bwlimit,
        .style = setup_style("sender", &o, !o.listen || o.once),
    };
    struct key *key = NULL;
    if (o.key_file && key_load(o.key_file, &key, &err) != 0)
        return setup_fail(&o, &err);
    config.key = key;
    bool waits = o.listen || o.use_stdio;
    int code = waits ? serve_sources(&o, &config, &err) : send_to_targets(&o, &config, &err);
    key_free(key);
    bwlimit_close(&o.bwlimit);
    return setup_end(&o, code, &err);
}
