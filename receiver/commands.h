/* commands.h: what the first word of hvrecv's command line may be instead of an option. */
#ifndef RECEIVER_COMMANDS_H
#define RECEIVER_COMMANDS_H

#include "core/err.h"

struct command {
    const char *name;
    /* Words are what follows the name. The exit code, or -1 and err. */
    int (*run)(int count, char **words, struct err *err);
};

/* Those of this system; ends with a NULL name. */
extern const struct command commands[];

/* hvrecv [OPTION…] as its usage says, for a command that ends in it. argv[0] is the program. The exit code. */
int receive(int argc, char **argv);

#endif
