/* setup.h: what both mains do alike before a session. */
#ifndef PROGRAM_SETUP_H
#define PROGRAM_SETUP_H

#include "program/options.h"
#include "program/report.h"
#include "transport/transport.h"

/* Log level and style of the reports, from the options. */
void setup_log(const char *program, const struct options *o);
struct report_style setup_style(const char *role, const struct options *o, bool alone);

/* Exactly one of `given` is allowed and needed. 0, or -1 and err (EXIT_USAGE) that says which there are. */
int setup_need_one(bool listen, bool connect, bool use_stdio, const char *choices, struct err *err);

/* What goes together in neither program. 0, or -1 and err (EXIT_USAGE). */
int setup_check(const struct options *o, struct err *err);

/* Print err and return its code: the end of main for what fails before a session. */
int setup_fail(const struct options *o, const struct err *err);

/* The end of main: the exit code. code: of what ran, or -1 and err. Events that nobody got turn EXIT_OK into EXIT_FILE_IO. */
int setup_end(const struct options *o, int code, const struct err *err);

#endif
