/* command.h: the lines of the control socket: faults, and figures. */
#ifndef COMMAND_H
#define COMMAND_H

#include "router.h"

enum { COMMAND_REPLY_MAX = 4096 };

/* Does what `line` (without its newline) says. `ret` becomes one line, "ok ..." or "error ...", with its newline. */
void command_run(struct router *r, const char *line, char ret[COMMAND_REPLY_MAX]);

#endif
